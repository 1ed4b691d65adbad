"""The experiment on image similarity of Fang et al. 2015, section 4.3: te queries tr, two measures."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from helpers.crowd.neighbours import nearest
from helpers.errors import BadInput
from helpers.measures.stats import resamples
from helpers.pictures.retrieval import common_viewers, viewed_by_owner


class Retrieved(NamedTuple):
    """What the queries found.

    Attributes:
        neighbours: int64 (Q, k), rows of the items, best first.
        common: float64 (Q, k), measure 1: common viewers over the union.
        owned: bool (Q, k), measure 2: the query's owner has viewed the neighbour; all False for a query
            whose owner is unknown, see `Experiment.with_owner`.
    """

    neighbours: np.ndarray
    common: np.ndarray
    owned: np.ndarray


@dataclass(frozen=True)
class Experiment:
    """Who viewed what. Items and users have dense codes ("rows").

    Attributes:
        item, user: int32 (n,), the distinct pairs of V.
        owner: int32 (M,), the user who posted each item, −1 where unknown.
        n_users: N.
    """

    item: np.ndarray
    user: np.ndarray
    owner: np.ndarray
    n_users: int

    def retrieve(self, features: np.ndarray, queries: np.ndarray, base: np.ndarray, k: int) -> Retrieved:
        """Query `base` by cosine and measure what comes.

        Args:
            features: float (M, n), one row an item.
            queries, base: int rows; they must not overlap.
            k: neighbours for each query.

        Raises:
            BadInput: a query is in the base, or k is larger than the base.
        """
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

        Args:
            queries: int rows (Q,), at least two.
            neighbours: int rows (Q, k).
            rounds: how often the lists are moved on, evenly over the Q − 1 possible ways.

        Returns:
            common, owned: float64 (Q, k), means over the rounds.
        """
        steps = np.unique(np.linspace(1, len(queries) - 1, rounds).astype(int))
        rounds = [self.measure(queries, np.roll(neighbours, step, axis=0)) for step in steps]
        return tuple(np.mean([getattr(r, name) for r in rounds], axis=0) for name in ("common", "owned"))

    def with_owner(self, queries: np.ndarray) -> np.ndarray:
        """bool (Q,): which queries measure 2 is defined for."""
        return self.owner[queries] >= 0


def bands(
    values: np.ndarray, rng: np.random.Generator, window: int = 1, repeats: int = 1000, level: float = 0.95
) -> np.ndarray:
    """A curve over ranks with a bootstrap interval at each: the units that are drawn are queries.

    Args:
        values: float or bool (Q, k), by query and rank.
        window: so many neighbouring ranks are averaged first; k must be a multiple.

    Returns:
        float64 (4, k / window): middle rank of each window (from 1), mean, low, high.

    Raises:
        BadInput: k is no multiple of the window, or there are fewer than two queries.
    """
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

    Without the subtraction every cosine is near 1, because all pictures are bright.

    Args:
        store: an image store whose size is a multiple of `side`; each cell is the mean of its pixels.

    Raises:
        BadInput: it is not.
    """
    if store.size % side:
        raise BadInput(f"pixels: pictures of {store.size} pixels cannot be averaged to {side} cells a side")
    cell = store.size // side
    out = np.empty((len(rows), side * side * 3), np.float32)
    for start in range(0, len(rows), 256):
        images = store[rows[start : start + 256]]
        cells = images.reshape(len(images), side, cell, side, cell, 3).mean((2, 4), dtype=np.float32)
        out[start : start + 256] = cells.reshape(len(images), -1)
    return out - out.mean(axis=0)
