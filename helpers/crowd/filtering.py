"""From raw views to the view matrix V: distinct pairs, thresholds, splits, and what the data look like.

V is kept as pairs (user, item), never as a dense matrix: at the size of Fang et al. (2015) it would have
3.6e12 cells, of which 0.02 % are filled.
"""

import numpy as np
import pandas as pd

from helpers.crowd import filtering_kernels
from helpers.errors import BadInput


def unique_views(views: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The view matrix V of Fang et al. (2015), section 2: 1 where a user viewed an item, however often.

    Args:
        views: columns user and item (integers from 0), one row per event.

    Returns:
        user int32 (n,), item int32 (n,): the distinct pairs, sorted by user, then item.

    Raises:
        BadInput: a negative id.
    """
    user, item = (np.ascontiguousarray(views[c].to_numpy(), np.int32) for c in ("user", "item"))
    if len(user) == 0:
        return user, item
    if min(user.min(), item.min()) < 0:
        raise BadInput("views: an id is negative; ids run from 0")
    indptr, indices = to_csr(user, item, int(user.max()) + 1)
    return filtering_kernels.distinct(indptr, indices)


def to_csr(user: np.ndarray, item: np.ndarray, n_users: int) -> tuple[np.ndarray, np.ndarray]:
    """Group pairs by user. The same function groups images by word: pass words as `user`.

    Args:
        user: integers (n,) below `n_users`, in any order.
        item: integers (n,).
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
    return filtering_kernels.to_csr(
        np.ascontiguousarray(user, np.int32), np.ascontiguousarray(item, np.int32), n_users
    )


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
    user, item = np.ascontiguousarray(user, np.int32), np.ascontiguousarray(item, np.int32)
    if len(user) != len(item):
        raise BadInput(f"threshold: {len(user)} users and {len(item)} items; they come in pairs")
    if len(user) and min(user.min(), item.min()) < 0:
        raise BadInput("threshold: an id is negative; ids run from 0")
    n_users, n_items = (int(x.max()) + 1 if len(x) else 0 for x in (user, item))
    user, item, rounds = filtering_kernels.threshold(user, item, n_users, n_items, low, high)
    report = pd.DataFrame(rounds, columns=["items", "users", "records"])
    report.insert(0, "round", np.arange(len(report)))
    report["density"] = report.records / (report["items"] * report.users).where(report.records > 0)
    return user, item, report


def reindex(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dense codes for the ids that occur: `unique[codes] == ids`.

    Args:
        ids: non-negative integers (n,).

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

    Returns:
        tr, te: ascending, disjoint, together all `items`; te has round(share x M) of them.

    Raises:
        BadInput: share not strictly between 0 and 1.
    """
    items = np.sort(np.asarray(items))
    te = ~split_entries(len(items), 1 - share, rng)
    return items[~te], items[te]


def split_entries(n: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Training mask over the n non-missing entries (section 4.1: 80 % of positives and negatives together).

    Returns:
        bool (n,), True for training; exactly round(share x n) are True.

    Raises:
        BadInput: share not strictly between 0 and 1.
    """
    if not 0 < share < 1:
        raise BadInput(f"split: share {share}; expected a number between 0 and 1")
    mask = np.zeros(n, bool)
    mask[rng.permutation(n)[: round(share * n)]] = True
    return mask


def gini(counts: np.ndarray) -> float:
    """Gini index of concentration: 0 if all are equal, 1 - 1/n if one has everything (Bibas et al., Table 2).

    Raises:
        BadInput: no positive count, or a negative one.
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
    users = len(np.unique(user))
    per_label = labels["label"].value_counts()
    per_label = per_label[per_label > 0]
    labelled = labels["item"].nunique()
    return pd.Series(
        {
            "images": n_images,
            "interactions": len(item),
            "users": users,
            "sparsity": len(item) / (n_images * users) if n_images * users else np.nan,
            "labels": len(per_label) if labelled else np.nan,
            "positives": len(labels) / labelled if labelled else np.nan,
            "gini": gini(per_label.to_numpy()) if labelled else np.nan,
        },
        dtype=float,
    )
