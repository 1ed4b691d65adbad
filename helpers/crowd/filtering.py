"""From raw views to the view matrix V: distinct pairs, thresholds, splits, and what the data look like.

V is kept as pairs (user, item), never as a dense matrix: at the size of Fang et al. (2015) it would have
3.6e12 cells, of which 0.02 % are filled.
"""

import numpy as np
import pandas as pd
from numba import get_num_threads, njit, prange

from helpers.errors import BadInput
from helpers.measures.ranking import grouped

BLOCK = 4096  # records at a time, which stay in a processor's fastest memory


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

    From the columns user and item (integers from 0, else BadInput), one row per event, to the distinct pairs,
    user int32 (n,) and item int32 (n,), sorted by user, then item."""
    user, item = _pairs(views["user"].to_numpy(), views["item"].to_numpy(), "views")
    indptr, item = to_csr(user, item, int(user.max(initial=-1)) + 1)
    user = np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr))
    first = np.ones(len(user), bool)
    first[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
    return user[first], item[first]


def to_csr(user: np.ndarray, item: np.ndarray, n_users: int) -> tuple[np.ndarray, np.ndarray]:
    """Group pairs, in any order, by user. The same function groups images by word: pass words as `user`.

    Returns indptr int64 (n_users + 1,), indices int32 (n,): the items of user u, ascending, are
    indices[indptr[u]:indptr[u + 1]]. A user without a pair has an empty row, a pair that is given twice stays
    twice. Raises BadInput for a user outside 0..n_users-1, a negative item, or arrays of different length."""
    if len(user) and not (0 <= user.min() and user.max() < n_users):
        raise BadInput(f"to_csr: users run from {user.min()} to {user.max()}; expected 0 to {n_users - 1}")
    return grouped(*_pairs(user, item, "to_csr"), n_users)


@njit(cache=True, parallel=True)
def _count(ids, bounds, counts):
    """Add to counts[part] (parts, n) how often each id occurs in its part of the records."""
    for part in prange(len(counts)):
        for k in range(bounds[part], bounds[part + 1]):
            counts[part, np.uint32(ids[k])] += 1


@njit(cache=True, parallel=True)
def _compact(by, other, gone, starts, sizes, counts):
    """Drop the records whose `by` is in the bitset `gone`, each part on its own and in place, and take them
    off counts[part] (parts, n) of the others."""
    for part in prange(len(sizes)):
        end, stop, lost = starts[part], starts[part] + sizes[part], np.empty(BLOCK, np.int32)
        # without a branch, which a processor would often guess wrong, and counted afterwards: a write
        # that may lie anywhere in memory, between others, holds up the loop for four times as long
        for first in range(end, stop, BLOCK):
            n = 0
            for k in range(first, min(first + BLOCK, stop)):
                b, o = np.uint32(by[k]), other[k]
                by[end], other[end], lost[n] = b, o, o
                out = np.int64((gone[b >> np.uint32(3)] >> np.uint8(b & np.uint32(7))) & np.uint8(1))
                n += out
                end += 1 - out
            for o in lost[:n]:
                counts[part, np.uint32(o)] -= 1
        sizes[part] = end - starts[part]


def threshold(
    user: np.ndarray, item: np.ndarray, low: int = 10, high: int = 20_000
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Drop items, then users, with fewer than `low` or more than `high` views, until nothing changes.

    Fang et al. (2015), section 3: thresholds (10, 20000) for items and users alike, both inclusive. Dropping
    an item takes views away from users and the other way round, so it has to be repeated. One round is: count
    the views of items, drop items; count what is left of the users, drop users. The order matters: with an
    upper bound, an item that is too popular at first may be popular enough after its users were dropped, so
    users first can give another result. The paper does not say; here items come first.

    From distinct pairs (n,) in any order, ids from 0, to the pairs that are left, int32, in the order given;
    and one row per round: round (0 is before), items, users, records, density = records / (items x users),
    where items and users without a record do not count; the last round, which changed nothing, is not listed.
    Raises BadInput for low below 1 or above high, a negative id, different lengths."""
    if not 1 <= low <= high:
        raise BadInput(f"threshold: low {low}, high {high}; expected 1 <= low <= high")
    user, item = _pairs(user, item, "threshold")
    bounds = np.linspace(0, len(user), get_num_threads() + 1).astype(np.int64)
    starts, sizes = bounds[:-1], np.diff(bounds)  # one part of the records for each thread
    records = [item.copy(), user.copy()]
    counts = [np.zeros((len(sizes), ids.max(initial=-1) + 1), np.int32) for ids in records]
    for ids, count in zip(records, counts, strict=True):
        _count(ids, bounds, count)
    rounds = []
    while not rounds or rounds[-1][3] > sizes.sum():
        rounds.append([len(rounds), *(np.count_nonzero(count.any(0)) for count in counts), sizes.sum()])
        for by, other in ((0, 1), (1, 0)):  # items, then users
            views = counts[by].sum(0, dtype=np.int32)
            gone = (views > 0) & ((views < low) | (views > high))
            if gone.any():
                counts[by] *= ~gone
                bits = np.packbits(gone, bitorder="little")
                _compact(records[by], records[other], bits, starts, sizes, counts[other])
    parts = [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    item, user = (np.concatenate([ids[part] for part in parts]) for ids in records)
    return user, item, report_of(rounds)


def report_of(rounds: list[list[int]]) -> pd.DataFrame:
    """The table of `threshold` from its rows, each round, items, users, records."""
    report = pd.DataFrame(rounds, columns=["round", "items", "users", "records"])
    report["density"] = report.records / (report["items"] * report.users).where(report.records > 0)
    return report


def reindex(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes int32 (n,) from 0, and the ids that occur, ascending, dtype kept: `unique[codes] == ids`."""
    codes, unique = pd.factorize(np.asarray(ids), sort=True)
    return codes.astype(np.int32), unique


def split_items(items: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """tr and te of Fang et al. (2015), section 4.1: te is a random `share` (paper: 0.05) of the items.
    Both ascend and together they are all `items`; te has round(share x M). BadInput as `split_entries`."""
    items = np.sort(np.asarray(items))
    te = ~split_entries(len(items), 1 - share, rng)
    return items[~te], items[te]


def split_entries(n: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Training mask over the n non-missing entries (section 4.1: 80 % of positives and negatives together).
    bool (n,), exactly round(share x n) are True. Raises BadInput for a share not strictly between 0 and 1."""
    if not 0 < share < 1:
        raise BadInput(f"split: share {share}; expected a number between 0 and 1")
    mask = np.zeros(n, bool)
    mask[rng.permutation(n)[: round(share * n)]] = True
    return mask


def gini(counts: np.ndarray) -> float:
    """Gini index of concentration: 0 if all are equal, 1 - 1/n if one has everything (Bibas et al., Table 2).
    Raises BadInput for no positive count, or a negative one."""
    x = np.sort(np.asarray(counts, np.float64))
    if len(x) == 0 or x[0] < 0 or x[-1] == 0:
        raise BadInput("gini: expected non-negative counts, at least one of them positive")
    n = len(x)
    return float(np.sum((2 * np.arange(1, n + 1) - n - 1) * x) / (n * x.sum()))


def statistics(user: np.ndarray, item: np.ndarray, labels: pd.DataFrame, n_images: int) -> pd.Series:
    """The rows of Table 2 of Bibas et al. (2022), from interactions (n,) and the labels of one kind.

    The frame of labels has columns item and label, a pair once. Sparsity is interactions / (images x users),
    the filled share, as the paper uses the word; positives is the mean number of labels of an image that has
    any; gini that of the images per label. The last three are NaN without labels, sparsity without users."""
    users = len(np.unique(user))
    row = {"images": n_images, "interactions": len(item), "users": users}
    if n_images * users:
        row["sparsity"] = len(item) / (n_images * users)
    if len(labels):
        counts = labels["label"].value_counts().loc[lambda n: n > 0].to_numpy()
        row |= {"labels": len(counts), "positives": len(labels) / labels["item"].nunique()}
        row["gini"] = gini(counts)
    rows = ["images", "interactions", "users", "sparsity", "labels", "positives", "gini"]
    return pd.Series(row, rows, dtype=float)
