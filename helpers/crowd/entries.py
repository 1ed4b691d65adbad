"""Non-missing entries of V, grouped by user, and the order in which an epoch of SGD visits them."""

from typing import NamedTuple

import numpy as np

from helpers.errors import BadInput
from helpers.measures.ranking import grouping


class Entries(NamedTuple):
    """Non-missing entries of V grouped by user; `group` makes them.

    Attributes:
        indptr: int64[N+1]; user j has the entries indptr[j] to indptr[j+1].
        item: int32[n].
        value: float32[n], 1 for a positive, 0 for a sampled negative.
        n_items: M.
    """

    indptr: np.ndarray
    item: np.ndarray
    value: np.ndarray
    n_items: int

    @property
    def user(self) -> np.ndarray:
        """int32[n]: the user of each entry."""
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))


def group(user: np.ndarray, item: np.ndarray, value: np.ndarray, n_users: int, n_items: int) -> Entries:
    """Group entries by user; within a user they keep their order, so shuffle them before (`fit` expects it).

    Raises:
        BadInput: different lengths, or a user or item outside its range.
    """
    if not len(user) == len(item) == len(value):
        raise BadInput(f"entries: {len(user)} users, {len(item)} items, {len(value)} values; give one each")
    for name, ids, size in [("user", user, n_users), ("item", item, n_items)]:
        if len(ids) and not (ids.min() >= 0 and ids.max() < size):
            raise BadInput(f"entries: {name} {ids.min()} to {ids.max()}; expected 0 to {size - 1}")
    indptr, order = grouping(np.ascontiguousarray(user, np.int32), n_users)
    return Entries(indptr, np.asarray(item, np.int32)[order], np.asarray(value, np.float32)[order], n_items)


def visiting_plan(indptr: np.ndarray, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """The order in which an epoch visits the entries, decided by (seed, epoch).

    Returns:
        users int64[N]: the order of the users, a random permutation.
        start int64[N]: the entry that user j begins with; from there on in order, going round at the end.
    """
    rng = np.random.default_rng([seed, epoch])
    counts = np.diff(indptr)
    return rng.permutation(len(counts)), (rng.random(len(counts)) * counts).astype(np.int64)


def visited_entries(indptr: np.ndarray, users: np.ndarray, start: np.ndarray) -> np.ndarray:
    """int64[n]: the plan spelt out as positions of entries. What the compiled kernel visits, for checking."""
    counts = np.diff(indptr)
    rounds = [(np.arange(counts[j]) + start[j]) % counts[j] + indptr[j] for j in users if counts[j]]
    return np.concatenate(rounds) if rounds else np.empty(0, np.int64)
