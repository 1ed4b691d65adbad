"""Retrieval of images as in Fang et al. 2015, section 4.3: te queries tr, measured in two ways."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from helpers.crowd.filtering import to_csr
from helpers.crowd.neighbours import nearest
from helpers.errors import BadInput
from helpers.measures.stats import Effect, compare, resamples


def common_viewers(
    item: np.ndarray, user: np.ndarray, n_items: int, queries: np.ndarray, neighbours: np.ndarray
) -> np.ndarray:
    """Measure 1: viewers that query and neighbour have in common, over the union of both (the Jaccard index).
    From distinct pairs of V, int32 (n,), and items, int (Q,) and (Q, k): float64 (Q, k), 0 for no viewer."""
    indptr, viewers = to_csr(item, user, n_items)
    n_users = int(user.max(initial=-1)) + 1
    return _jaccard(indptr, viewers, n_users, queries.astype(np.int64), neighbours.astype(np.int64))


@njit(parallel=True, cache=True)
def _jaccard(indptr, viewers, n_users, queries, neighbours):
    out = np.zeros(neighbours.shape)
    for q in prange(neighbours.shape[0]):
        mine = viewers[indptr[queries[q]] : indptr[queries[q] + 1]]
        is_mine = np.zeros(n_users, np.bool_)
        is_mine[mine] = True
        for r in range(neighbours.shape[1]):
            theirs = viewers[indptr[neighbours[q, r]] : indptr[neighbours[q, r] + 1]]
            both = is_mine[theirs].sum()
            if len(mine) + len(theirs) > 0:
                out[q, r] = both / (len(mine) + len(theirs) - both)
    return out


def viewed_by_owner(
    item: np.ndarray, user: np.ndarray, n_users: int, owners: np.ndarray, neighbours: np.ndarray
) -> np.ndarray:
    """Measure 2: which neighbours, int (Q, k), the user who posted the query (owners, int (Q,)) has viewed.
    bool (Q, k), from the distinct pairs of V, item and user int32 (n,)."""
    wanted = neighbours.astype(np.int64) * n_users + owners[:, None]
    return np.isin(wanted, item.astype(np.int64) * n_users + user)


class Retrieved(NamedTuple):
    """What the queries found. A query whose owner is unknown has owned False (`Experiment.with_owner`)."""

    neighbours: np.ndarray  # int64 (Q, k), rows of the items, best first
    common: np.ndarray  # float64 (Q, k), measure 1: common viewers over the union
    owned: np.ndarray  # bool (Q, k), measure 2: the query's owner has viewed the neighbour


@dataclass(frozen=True)
class Experiment:
    """Who viewed what. Items and users have dense codes ("rows")."""

    item: np.ndarray  # int32 (n,), with `user` the distinct pairs of V
    user: np.ndarray
    owner: np.ndarray  # int32 (M,), the user who posted each item, −1 where unknown
    n_users: int

    def retrieve(self, features: np.ndarray, queries: np.ndarray, base: np.ndarray, k: int) -> Retrieved:
        """Query `base` by cosine of features (M, n) for k neighbours each, and measure what comes.
        queries and base are int rows; BadInput if they overlap or k is larger than the base."""
        if len(np.intersect1d(queries, base)):
            raise BadInput("retrieve: a query is in the base and would find itself")
        return self.measure(queries, base[nearest(features[queries], features[base], k)[0]])

    def measure(self, queries: np.ndarray, neighbours: np.ndarray) -> Retrieved:
        """Both measures for given neighbours, int rows (Q, k)."""
        common = common_viewers(self.item, self.user, len(self.owner), queries, neighbours)
        owner = self.owner[queries]
        owned = viewed_by_owner(self.item, self.user, self.n_users, np.maximum(owner, 0), neighbours)
        return Retrieved(neighbours, common, owned & (owner >= 0)[:, None])

    def dealt(self, queries: np.ndarray, neighbours: np.ndarray, rounds: int = 20) -> tuple:
        """Both measures if the same lists are dealt to other queries: what a feature gets without a match.

        A feature may prefer pictures with many or with few viewers, whatever the query is (hubs). Such lists
        score above or below random pairs and have found nothing; dealt to other queries they score the same.
        From int rows (Q,), at least two, and (Q, k): common and owned, float64 (Q, k), means over `rounds` of
        the Q − 1 ways to move the lists on."""
        steps = np.unique(np.linspace(1, len(queries) - 1, rounds).astype(int))
        measured = [self.measure(queries, np.roll(neighbours, step, axis=0)) for step in steps]
        return np.mean([m.common for m in measured], axis=0), np.mean([m.owned for m in measured], axis=0)

    def with_owner(self, queries: np.ndarray) -> np.ndarray:
        """bool (Q,): which queries measure 2 is defined for."""
        return self.owner[queries] >= 0


def in_gains(
    a: np.ndarray, b: np.ndarray, top: np.ndarray, floor: np.ndarray, rng: np.random.Generator,
    base: float | None = None,
) -> Effect | None:  # fmt: skip
    """A difference between two features, a − b, in another unit: what a third one, `top`, gains over random
    pairs, `floor`. One unit for all features and data sets: a raw difference means little where much of a
    measure is chance.

    All are measured on the same queries: float (Q,), or (S, Q) for S trainings. The unit depends on the
    queries as the difference does, so both are drawn together: r is the ratio of the two means, and what is
    resampled is a − b − r · (top − floor), the ratio's linear part. The levels become shares of the gain,
    counted from `base`, by default from random pairs: these stand at 0 and `top` at 1. None where the gain
    itself may be 0."""
    unit = compare(top, floor, rng)
    if not unit.low > 0:
        return None
    ratio, start = (np.mean(a) - np.mean(b)) / unit.mean, unit.b if base is None else base
    around = compare(a - ratio * (top - floor).reshape(-1, a.shape[-1]).mean(axis=0), b, rng).scaled(
        1 / unit.mean
    )
    levels = {"a": (np.mean(a) - start) / unit.mean, "b": (np.mean(b) - start) / unit.mean}
    return around._replace(mean=ratio, low=ratio + around.low, high=ratio + around.high, **levels)


def bands(
    values: np.ndarray, rng: np.random.Generator, window: int = 1, repeats: int = 1000, level: float = 0.95
) -> np.ndarray:
    """A curve over ranks with a bootstrap interval at each: the units that are drawn are queries.

    values are float or bool (Q, k), by query and rank, or (S, Q, k) of several trainings, whose mean is
    shown; so many neighbouring ranks as `window` are averaged first. Returns float64 (4, k / window): middle
    rank of each window (from 1), mean, low, high. BadInput for fewer than two queries, or if k is no
    multiple of the window."""
    values = np.asarray(values, np.float64)
    values = values.mean(axis=0) if values.ndim == 3 else values
    Q, k = values.shape
    if k % window or Q < 2:
        raise BadInput(f"bands: {Q} queries, {k} ranks, window {window}; give a divisor of k and two queries")
    averaged = values.reshape(Q, -1, window).mean(axis=2)
    drawn = resamples(Q, rng, repeats) @ averaged / Q
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    ranks = np.arange(k // window) * window + (window + 1) / 2
    return np.stack([ranks, averaged.mean(axis=0), low, high])


def pixels(store, rows: np.ndarray, side: int = 16) -> np.ndarray:
    """The pictures themselves as features, minus the mean picture: float32 (n, side · side · 3).
    Without the subtraction every cosine is near 1, because all pictures are bright. Each of side · side cells
    is the mean of its pixels; raises BadInput where the store's size is no multiple of `side`."""
    if store.size % side:
        raise BadInput(f"pixels: pictures of {store.size} pixels cannot be averaged to {side} cells a side")
    cell = store.size // side
    out = np.empty((len(rows), side, side, 3), np.float32)
    for start in range(0, len(rows), 256):
        images = store[rows[start : start + 256]].reshape(-1, side, cell, side, cell, 3)
        out[start : start + 256] = images.mean((2, 4), dtype=np.float32)
    return (out - out.mean(axis=0)).reshape(len(rows), -1)
