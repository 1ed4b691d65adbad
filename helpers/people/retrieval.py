"""Images for somebody: retrieval by a hashtag and a user (Veit et al. 2018, section 4.3)."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from helpers.errors import BadInput
from helpers.measures import metrics
from helpers.people.posts import CELLS, Posts
from helpers.words.bags import Bags


def own_images(
    score: Callable[[np.ndarray, np.ndarray], np.ndarray], posts: Posts, n_tags: int, k: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Whether a search by (tag, user) finds an image that this user gave this tag, among the k best: float
    (Q,), 1 or 0, and int (Q,), the users who ask. Every pair of hashtag and user that occurs in the n posts
    asks, in order of user and tag. `score` maps tag int (Q,) and user int (Q,) to scores of the M different
    images of these posts, by ascending number, float (Q, M): an image that several posted is found once. It
    is asked for so few at once that they fill `posts.CELLS`. BadInput for no post,
    or one of an unknown user, for whom no image is the own one."""
    if len(posts) == 0 or posts.user.min() < 0:
        raise BadInput("own_images: needs at least one post, and users who are known")
    post = Bags(*posts.tags).owner
    key = posts.user[post].astype(np.int64) * n_tags + posts.tags[1]
    pair, place = np.unique(key, return_inverse=True)
    user, tag = np.divmod(pair, n_tags)
    images, row = np.unique(posts.image, return_inverse=True)
    own, rows = Bags.of(place, row[post], len(pair)), max(1, CELLS // len(images))
    found = []
    for start in range(0, len(pair), rows):
        some = np.arange(start, min(start + rows, len(pair)))
        best = metrics.top_k(score(tag[some], user[some]), min(k, len(images)))
        found.append(metrics.hits(best, own.rows(some)).any(axis=1))
    return np.concatenate(found).astype(np.float64), user


def two_meanings(senses: pd.DataFrame, community: np.ndarray, vocabulary: np.ndarray) -> pd.DataFrame:
    """Who means what by words with exactly two meanings: one row a word and user, with word, community,
    content (meant), other (the other meaning), u, tag.

    `senses` (word, community, content) has what a community means by a word, `community` (U,) that of each
    user; words that are not in the vocabulary, text (K,) in the order of their codes, are left out."""
    known = senses[senses["word"].isin(vocabulary)]
    meanings = known.groupby("word")["content"]
    first, last = meanings.transform("min"), meanings.transform("max")
    rows = known.assign(other=last.where(known["content"] == first, first))
    rows = rows[meanings.transform("nunique") == 2]
    rows = rows.merge(pd.DataFrame({"u": np.arange(len(community)), "community": community}), on="community")
    rows["tag"] = pd.Index(vocabulary, dtype="str").get_indexer(rows["word"])
    return rows


def better(scores: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Whether the best right tag scores higher than every wrong one: float64 (n,), 1 or 0, from scores float
    (n, K) and bool (n, K), at least one of each a row (BadInput otherwise). A tie is not higher."""
    if not (right.any(axis=1) & wrong.any(axis=1)).all():
        raise BadInput("better: there is a row without a right or without a wrong tag")
    best = [np.where(some, scores, -np.inf).max(axis=1) for some in (right, wrong)]
    return (best[0] > best[1]).astype(np.float64)


def own_meaning(scores: np.ndarray, mine: np.ndarray, either: np.ndarray, k: int = 10) -> np.ndarray:
    """Share of the own meaning among the k best images of either meaning, float (n,), from scores of all
    images float (n, M), which of them show the own meaning, and which may be found, both bool (n, M); or of
    the own language among the k best tags that have one. Where fewer than k may be found, the share is of
    those; BadInput where none may."""
    if not either.any(axis=1).all():
        raise BadInput("own_meaning: there is a query without any image to find")
    best = metrics.top_k(np.where(either, scores, -np.inf), min(k, scores.shape[1]))
    found, right = (np.take_along_axis(x, best, axis=1) for x in (either, mine & either))
    return right.sum(axis=1) / found.sum(axis=1)


def main_thing(tag: np.ndarray, thing: np.ndarray, n_tags: int) -> np.ndarray:
    """What each tag names most often: int (K,), −1 for a tag that names nothing. `tag` and `thing` are int
    (n,), a use each; of things named equally often it is the one with the lower number."""
    pair, count = np.unique(np.stack([tag, thing], axis=1), axis=0, return_counts=True)
    order = np.lexsort((-pair[:, 1], count))  # the last one of a tag stays
    found = np.full(n_tags, -1)
    found[pair[order, 0]] = pair[order, 1]
    return found
