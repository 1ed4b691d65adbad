"""From raw views to the view matrix V: distinct pairs, thresholds, splits, and what the data look like.

V is kept as pairs (user, item), never as a dense matrix: at the size of Fang et al. (2015) it would have
3.6e12 cells, of which 0.02 % are filled.
"""

import numpy as np
import pandas as pd
from numba import get_num_threads, njit, prange

from helpers.errors import BadInput
from helpers.measures.ranking import grouped


def _pairs(user: np.ndarray, item: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Both as int32. Raises BadInput where the lengths differ or an id is negative."""
    user, item = np.ascontiguousarray(user, np.int32), np.ascontiguousarray(item, np.int32)
    if len(user) != len(item):
        raise BadInput(f"{what}: {len(user)} users and {len(item)} items; they come in pairs")
    if len(user) and min(user.min(), item.min()) < 0:
        raise BadInput(f"{what}: an id is negative; ids run from 0")
    return user, item


def unique_views(views: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The view matrix V of Fang et al. (2015), section 2: 1 where a user viewed an item, however often.

    Args:
        views: columns user and item (integers from 0), one row per event. BadInput if an id is negative.

    Returns:
        user int32 (n,), item int32 (n,): the distinct pairs, sorted by user, then item.
    """
    user, item = _pairs(views["user"].to_numpy(), views["item"].to_numpy(), "views")
    return _distinct(*to_csr(user, item, int(user.max(initial=-1)) + 1))


def to_csr(user: np.ndarray, item: np.ndarray, n_users: int) -> tuple[np.ndarray, np.ndarray]:
    """Group pairs by user. The same function groups images by word: pass words as `user`.

    Args:
        user, item: integers (n,), in any order.
        n_users: number of rows, also counting users without a pair.

    Returns:
        indptr int64 (n_users + 1,), indices int32 (n,): the items of user u, ascending, are
        indices[indptr[u]:indptr[u + 1]]. A pair that is given twice stays twice.

    Raises:
        BadInput: a user outside 0..n_users-1, or arrays of different length.
    """
    if len(user) != len(item):
        raise BadInput(f"to_csr: {len(user)} users and {len(item)} items; they come in pairs")
    if len(user) and not (0 <= user.min() and user.max() < n_users):
        raise BadInput(f"to_csr: users run from {user.min()} to {user.max()}; expected 0 to {n_users - 1}")
    return grouped(np.ascontiguousarray(user, np.int32), np.ascontiguousarray(item, np.int32), n_users)


@njit(cache=True)
def _distinct(indptr, indices):
    """The pairs of a CSR matrix with sorted rows, each once."""
    user, item = np.empty(len(indices), np.int32), np.empty(len(indices), np.int32)
    n = 0
    for u in range(len(indptr) - 1):
        for k in range(indptr[u], indptr[u + 1]):
            if k == indptr[u] or indices[k] != indices[k - 1]:
                user[n], item[n] = u, indices[k]
                n += 1
    return user[:n].copy(), item[:n].copy()


@njit(cache=True, parallel=True)
def _drop(counts, low, high, alive):
    """Mark in the bitset `alive` who stays and zero the counts of the others; returns how many records go."""
    go = 0
    for word in prange(len(counts) // 32 + 1):
        bits = np.uint32(0)
        for i in range(32 * word, min(32 * word + 32, len(counts))):
            stays = np.int32(low <= counts[i]) & np.int32(counts[i] <= high)
            bits |= np.uint32(stays) << np.uint32(i & 31)
            go += counts[i] * (1 - stays)
            counts[i] *= stays
        alive[word] = bits
    return go


@njit(cache=True, parallel=True)
def _count(ids, starts, sizes, change):
    """How often each id occurs in each part: `change` (parts, ids)."""
    for part in prange(len(sizes)):
        counts = change[part]
        counts[:] = 0
        for k in range(starts[part], starts[part] + sizes[part]):
            counts[ids[k]] += 1


@njit(cache=True, parallel=True)
def _compact(source_by, source_other, by, other, starts, sizes, alive, change, few):
    """Keep the records whose `by` is alive, each part on its own; `change` (parts, others) counts `other`.

    Where few records go, those that go are counted (a rare branch, well predicted), otherwise those that
    stay (no branch at all: it would be mispredicted every other time).
    """
    for part in prange(len(sizes)):
        start, counts = starts[part], change[part]
        counts[:] = 0
        kept = start
        if few:
            for k in range(start, start + sizes[part]):
                b, o = source_by[k], source_other[k]
                if (alive[b >> 5] >> np.uint32(b & 31)) & np.uint32(1):
                    if kept != k:
                        by[kept], other[kept] = b, o
                    kept += 1
                else:
                    counts[o] += 1
        else:
            for k in range(start, start + sizes[part]):
                b, o = source_by[k], source_other[k]
                stays = np.int64((alive[b >> 5] >> np.uint32(b & 31)) & np.uint32(1))
                by[kept], other[kept] = b, o
                counts[o] += stays
                kept += stays
        sizes[part] = kept - start


def threshold(
    user: np.ndarray, item: np.ndarray, low: int = 10, high: int = 20_000
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Drop items, then users, with fewer than `low` or more than `high` views, until nothing changes.

    Fang et al. (2015), section 3: thresholds (10, 20000) for items and users alike. Dropping an item takes
    views away from users and the other way round, so it has to be repeated. One round is: count the views
    of items, drop items; count what is left of the users, drop users. The order matters: with an upper
    bound, an item that is too popular at first may be popular enough after its users were dropped, so
    users first can give another result. The paper does not say; here items come first.

    Args:
        user, item: integer arrays (n,) of distinct pairs, ids from 0, in any order.
        low, high: smallest and largest number of views that are kept, both inclusive.

    Returns:
        user int32, item int32: the pairs that are left, in the order given; and one row per round with
        round (0 is before), items, users, records, density = records / (items x users). Items and users
        without a record are not counted. The last round changed nothing and is not listed.

    Raises:
        BadInput: low below 1 or above high, a negative id.
    """
    if not 1 <= low <= high:
        raise BadInput(f"threshold: low {low}, high {high}; expected 1 <= low <= high")
    user, item = _pairs(user, item, "threshold")
    # one part of the records for each thread
    bounds = np.linspace(0, len(user), get_num_threads() + 1).astype(np.int64)
    starts, sizes = bounds[:-1], np.diff(bounds)
    records, work = [item, user], [np.empty_like(item), np.empty_like(user)]
    sides = [int(ids.max(initial=-1)) + 1 for ids in records]
    alive = np.zeros(max(sides) // 32 + 1, np.uint32)
    change = [np.empty((len(sizes), n), np.int32) for n in sides]
    for ids, counted in zip(records, change, strict=True):
        _count(ids, starts, sizes, counted)
    counts = [counted.sum(0, dtype=np.int32) for counted in change]
    rounds, go = [], -1
    while go:
        rounds.append([*(int(np.count_nonzero(c)) for c in counts), int(sizes.sum())])
        go = 0
        for by, other in ((0, 1), (1, 0)):  # items, then users
            now = _drop(counts[by], low, high, alive)
            if now == 0:
                continue
            few = records is work and now < sizes.sum() // 8  # the first time all have to be copied
            source = records[by], records[other], work[by], work[other]
            _compact(*source, starts, sizes, alive, change[other], few)
            records = work  # from here on in place
            seen = change[other].sum(0, dtype=np.int32)
            counts[other] = counts[other] - seen if few else seen
            go += now
    parts = [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    item, user = (np.concatenate([ids[part] for part in parts]) for ids in records)
    report = pd.DataFrame(rounds, columns=["items", "users", "records"])
    report.insert(0, "round", np.arange(len(report)))
    report["density"] = report.records / (report["items"] * report.users).where(report.records > 0)
    return user, item, report


def reindex(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dense codes for the ids that occur, non-negative integers (n,): `unique[codes] == ids`.

    Returns:
        codes int32 (n,) from 0, unique ids ascending (same dtype as `ids`).
    """
    ids = np.asarray(ids)
    if len(ids) and ids.min() >= 0 and ids.max() < 8 * len(ids) + 1024:
        # a table over all ids is linear where sorting is not, as long as ids are not too sparse
        present = np.zeros(int(ids.max()) + 1, bool)
        present[ids] = True
        code = np.cumsum(present, dtype=np.int32) - np.int32(1)
        return code[ids], np.flatnonzero(present).astype(ids.dtype)
    unique, codes = np.unique(ids, return_inverse=True)
    return codes.astype(np.int32), unique


def split_items(items: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """tr and te of Fang et al. (2015), section 4.1: te is a random `share` (paper: 0.05) of the items.

    Both ascend and together they are all `items`; te has round(share x M). BadInput as `split_entries`.
    """
    items = np.sort(np.asarray(items))
    te = ~split_entries(len(items), 1 - share, rng)
    return items[~te], items[te]


def split_entries(n: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Training mask over the n non-missing entries (section 4.1: 80 % of positives and negatives together).

    bool (n,), exactly round(share x n) are True. Raises BadInput for a share not strictly between 0 and 1.
    """
    if not 0 < share < 1:
        raise BadInput(f"split: share {share}; expected a number between 0 and 1")
    mask = np.zeros(n, bool)
    mask[rng.permutation(n)[: round(share * n)]] = True
    return mask


def gini(counts: np.ndarray) -> float:
    """Gini index of concentration: 0 if all are equal, 1 - 1/n if one has everything (Bibas et al., Table 2).

    Raises BadInput for no positive count, or a negative one.
    """
    x = np.sort(np.asarray(counts, np.float64))
    if len(x) == 0 or x[0] < 0 or x[-1] == 0:
        raise BadInput("gini: expected non-negative counts, at least one of them positive")
    n = len(x)
    return float(np.sum((2 * np.arange(1, n + 1) - n - 1) * x) / (n * x.sum()))


def statistics(user: np.ndarray, item: np.ndarray, labels: pd.DataFrame, n_images: int) -> pd.Series:
    """The rows of Table 2 of Bibas et al. (2022).

    Args:
        user, item: the interactions as pairs (n,).
        labels: columns item and label, of one kind of label; a pair occurs once.
        n_images: number of images.

    Returns:
        images, interactions, users, sparsity (interactions / (images x users): the filled share, as the
        paper uses the word), labels, positives (mean number of labels of an image that has any), gini (of
        the images per label). The last three are NaN without labels, sparsity without users.
    """
    users, labelled = len(np.unique(user)), labels["item"].nunique()
    row = {"images": n_images, "interactions": len(item), "users": users}
    row["sparsity"] = len(item) / (n_images * users) if n_images * users else np.nan
    row |= dict.fromkeys(["labels", "positives", "gini"], np.nan)
    if labelled:
        per_label = labels["label"].value_counts().loc[lambda n: n > 0].to_numpy()
        row |= {"labels": len(per_label), "positives": len(labels) / labelled, "gini": gini(per_label)}
    return pd.Series(row, dtype=float)
