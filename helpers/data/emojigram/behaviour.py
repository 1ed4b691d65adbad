"""Who posts what and who views what."""

from dataclasses import dataclass

import numpy as np
from numba import njit, prange, uint64

from helpers.data.emojigram.people import People
from helpers.data.emojigram.randomness import hash01, zipf_weights
from helpers.data.emojigram.settings import Settings
from helpers.randomness import mix

DAY = 86_400
FIRST_DAY = 1_388_534_400  # 2014-01-01, as seconds since 1970
DAYS = 730


@dataclass(frozen=True)
class Posts:
    """Arrays of length M, in order of upload."""

    owner: np.ndarray  # int32
    content: np.ndarray  # int32, 0..C-1
    style: np.ndarray  # int8
    drawing: np.ndarray  # int32
    at: np.ndarray  # int64, seconds since 1970
    exposure: np.ndarray  # float64, probability that a given user ever comes across the post


def draw_posts(
    settings: Settings, people: People, drawings_of: list[np.ndarray], styles: int, rng: np.random.Generator
) -> Posts:
    """People post what they like: content and style follow their tastes, the drawing is any of its kind."""
    m, n = settings.posts, settings.users
    owner = np.sort(rng.choice(n, m, p=people.activity / n)).astype(np.int32)
    content = _choose(people.content_taste, owner, rng).astype(np.int32)
    style = _choose(people.style_taste, owner, rng).astype(np.int8)
    sizes = np.array([len(d) for d in drawings_of])
    starts = np.cumsum(sizes) - sizes
    # the square makes some drawings of a kind more frequent than others
    pick = (rng.random(m) ** 2 * sizes[content]).astype(np.int64)
    drawing = np.concatenate(drawings_of)[starts[content] + pick].astype(np.int32)
    at = FIRST_DAY + rng.integers(0, DAYS * DAY, m)
    order = np.argsort(at, kind="stable")
    exposure = np.minimum(1.0, settings.discovery * zipf_weights(m, settings.popularity_exponent, rng))
    return Posts(owner[order], content[order], style[order], drawing[order], at[order], exposure)


def _choose(taste: np.ndarray, owner: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One column per row of `owner`, with probability softmax(taste[owner]) (Gumbel maximum)."""
    found = []
    for start in range(0, len(owner), 65_536):
        rows = taste[owner[start : start + 65_536]]
        found.append((rows - np.log(rng.standard_exponential(rows.shape, np.float32))).argmax(1))
    return np.concatenate(found)


def draw_views(settings: Settings, people: People, posts: Posts):
    """Views, block of users by block, as (user int32, item int32, at int64 seconds).

    A view of user j picks, with probability `friend_views`, any post of a friend; with `noise_views`, any
    post that j has come across; else a cell (content, style) by j's tastes and then a post of that cell
    that j has come across. Whether j has come across post i is a fixed function of (seed, j, i), so a
    missing entry has a truth: never seen, or seen and passed over. Each user has an own stream of random
    numbers, so that the number of threads changes nothing.
    """
    n, styles = settings.users, people.style_taste.shape[1]
    cells = people.content_taste.shape[1] * styles
    cell = posts.content.astype(np.int64) * styles + posts.style
    order = np.argsort(cell, kind="stable").astype(np.int32)
    cell_start = np.searchsorted(cell[order], np.arange(cells + 1)).astype(np.int64)
    mass = np.bincount(cell, posts.exposure, cells)  # mean number of its posts that a user has come across
    by_owner = np.argsort(posts.owner, kind="stable").astype(np.int32)
    owner_start = np.searchsorted(posts.owner[by_owner], np.arange(n + 1)).astype(np.int64)
    counts = np.round(people.activity * settings.views_per_user).astype(np.int64)
    for first in range(0, n, 50_000):
        users = slice(first, min(first + 50_000, n))
        offsets = np.concatenate([[0], np.cumsum(counts[users])]).astype(np.int64)
        user = np.repeat(np.arange(users.start, users.stop, dtype=np.int32), counts[users])
        item, at = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int64)
        _views(
            settings.seed, first, offsets, people.content_taste[users], people.style_taste[users],
            order, cell_start, mass, posts.exposure, posts.at, posts.owner, by_owner, owner_start,
            people.friends_indptr, people.friends, settings.friend_views, settings.noise_views, item, at,
        )  # fmt: skip
        kept = item >= 0
        yield user[kept], item[kept], at[kept]


@njit(cache=True, inline="always")
def _uniform(state):
    state[0] += uint64(0x9E3779B97F4A7C15)
    return (mix(state[0]) >> uint64(11)) * (1.0 / 9007199254740992.0)


@njit(parallel=True, cache=True)
def _views(
    seed, first, offsets, content_taste, style_taste, order, cell_start, mass, exposure, posted_at, owner,
    by_owner, owner_start, friends_indptr, friends, friend_share, noise_share, item, at,
):  # fmt: skip
    for row in prange(offsets.shape[0] - 1):
        j = first + row
        state = np.empty(1, np.uint64)
        state[0] = mix(uint64(seed) * uint64(0x9E3779B97F4A7C15) + uint64(j))
        taste = (content_taste[row].reshape(-1, 1) + style_taste[row]).ravel().astype(np.float64)
        taste = np.where(mass > 0, taste, -np.inf)
        cumulative = np.cumsum(mass * np.exp(taste - taste.max()))
        for position in range(offsets[row], offsets[row + 1]):
            item[position] = -1
            kind = _uniform(state)
            # forty tries: a person who has come across nothing in a cell looks at another one
            for _ in range(40):
                if kind < friend_share:
                    i = _friends_post(state, j, friends_indptr, friends, owner_start, by_owner)
                    if i < 0:
                        kind = 1.0
                        continue
                elif kind < friend_share + noise_share:
                    i = int(_uniform(state) * exposure.shape[0])
                    if hash01(seed, j, i) >= exposure[i]:
                        continue
                else:
                    cell = np.searchsorted(cumulative, _uniform(state) * cumulative[-1], side="right")
                    cell = min(cell, len(cumulative) - 1)
                    lo, hi = cell_start[cell], cell_start[cell + 1]
                    i = -1
                    for _ in range(20):
                        candidate = order[lo + int(_uniform(state) * (hi - lo))]
                        if hash01(seed, j, candidate) < exposure[candidate]:
                            i = candidate
                            break
                    if i < 0:
                        continue
                if owner[i] != j:
                    item[position] = i
                    break
            if item[position] >= 0:
                delay = -np.log(1.0 - _uniform(state)) * 20 * DAY
                at[position] = posted_at[item[position]] + int(delay)


@njit(cache=True)
def _friends_post(state, j, friends_indptr, friends, owner_start, by_owner):
    """Any post of a random friend of j, or -1 if that friend has none."""
    lo, hi = friends_indptr[j], friends_indptr[j + 1]
    if hi == lo:
        return -1
    friend = friends[lo + int(_uniform(state) * (hi - lo))]
    a, b = owner_start[friend], owner_start[friend + 1]
    return by_owner[a + int(_uniform(state) * (b - a))] if b > a else -1
