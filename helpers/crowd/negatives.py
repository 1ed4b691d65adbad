"""What to learn from besides positives: sampled negatives, and samples that do not drown in frequent words.

Negatives are Algorithm 1 of Fang et al. (2015); class-uniform sampling is Joulin et al. (2016), section 3;
the balanced hashtag distribution is Denton et al. (2015), section 4.
"""

import numpy as np

from helpers.crowd import negatives_kernels
from helpers.crowd.filtering import to_csr
from helpers.errors import BadInput

WEIGHTS = ("uniform", "log", "log1p", "linear")


def popularity(item: np.ndarray, n_items: int) -> np.ndarray:
    """p_i of Fang et al. (2015), eq. 1: the number of users who viewed item i.

    Args:
        item: integers (n,), the items of the distinct pairs of V.
        n_items: number of items.

    Returns:
        int64 (n_items,).
    """
    return np.bincount(item, minlength=n_items)


def weights(p: np.ndarray, kind: str = "log") -> np.ndarray:
    """The unnormalised Pr of eq. 2 for an item that a user has not viewed.

    The paper: "In practice, we take the logarithm". An item with a single view has log 1 = 0 and is never
    drawn with "log"; the thresholds of section 3 leave at least 10 views, so there it does not occur. On
    data without thresholds use "log1p".

    Args:
        p: integers (n_items,), popularity.
        kind: "log" (log p_i, 0 where p_i is 0: the paper), "log1p" (log(1 + p_i)), "linear" (eq. 2 as
            printed), "uniform" (every item alike, for comparison).

    Returns:
        float64 (n_items,), not negative.

    Raises:
        BadInput: an unknown kind.
    """
    if kind not in WEIGHTS:
        raise BadInput(f"negatives: weights {kind!r} are unknown; choose one of {', '.join(WEIGHTS)}")
    p = np.asarray(p, np.float64)
    if kind == "uniform":
        return np.ones(len(p))
    if kind == "log":
        return np.log(np.maximum(p, 1))
    return np.log1p(p) if kind == "log1p" else p


def sample_negatives(
    indptr: np.ndarray, indices: np.ndarray, w: np.ndarray, n: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Algorithm 1 of Fang et al. (2015): for each user j, n_j negatives from the items without a view.

    Drawn one after the other without replacement, each with probability proportional to `w` among the
    items that user j has neither viewed nor been given yet (that is the normalisation per user of eq. 2).
    A user with fewer unseen items of positive weight than n_j gets them all; compare `np.diff` of the
    result with n to see whom that concerns. Each user has a random stream of their own, made from
    (seed, user), so the result does not depend on the number of threads or on other users.

    Args:
        indptr, indices: CSR of V by user, int64 (N + 1,) and integers (nnz,); no pair twice.
        w: float (M,), not negative; see `weights`.
        n: integers (N,), or one integer for all: how many negatives per user.
        seed: decides every draw.

    Returns:
        indptr int64 (N + 1,), indices int32: the negatives of user j, in the order they were drawn.

    Raises:
        BadInput: shapes or values that do not fit.
    """
    n_users = len(indptr) - 1
    w = np.ascontiguousarray(w, np.float64)
    n = np.ascontiguousarray(np.broadcast_to(n, n_users), np.int64)
    if len(w) == 0 or not np.all(np.isfinite(w)) or w.min() < 0 or w.max() == 0:
        raise BadInput("negatives: weights must be finite, not negative, and not all zero")
    if len(indices) and not (0 <= indices.min() and indices.max() < len(w)):
        raise BadInput(f"negatives: items run to {indices.max()}, but there are weights for {len(w)}")
    if len(n) and n.min() < 0:
        raise BadInput("negatives: the number of negatives of a user is below zero")
    return negatives_kernels.sample(
        np.ascontiguousarray(indptr, np.int64), np.ascontiguousarray(indices, np.int32), w, n, np.uint64(seed)
    )


def by_ratio(
    user: np.ndarray, item: np.ndarray, n_items: int, ratio: float = 2, kind: str = "log", seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Algorithm 1 with n_j = ratio x positives of user j (section 4.1: 2), from pairs to pairs.

    Args:
        user, item: integers (n,), distinct pairs of V, dense ids from 0.
        n_items: number of items.
        ratio: negatives for each positive; n_j is rounded to the nearest integer.
        kind: see `weights`.
        seed: decides every draw.

    Returns:
        user int32, item int32: the negatives, grouped by user in ascending order.

    Raises:
        BadInput: as `sample_negatives`.
    """
    if len(user) == 0:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    n_users = int(user.max()) + 1
    indptr, indices = to_csr(user, item, n_users)
    n = np.rint(ratio * np.diff(indptr)).astype(np.int64)
    drawn, negatives = sample_negatives(indptr, indices, weights(popularity(item, n_items), kind), n, seed)
    return np.repeat(np.arange(n_users, dtype=np.int32), np.diff(drawn)), negatives


def sample_rows(
    indptr: np.ndarray, indices: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a row uniformly among those that are not empty, then one of its entries uniformly.

    With words as rows and images as entries this is the class-uniform sampling of Joulin et al. (2016),
    section 3: a word uniformly, then one of its images. With images as rows and words as entries it is
    natural sampling: an image uniformly, then one of its words.

    Args:
        indptr, indices: CSR, integers (rows + 1,) and (nnz,), as `filtering.to_csr` gives.
        size: number of draws, with replacement.
        rng: random generator.

    Returns:
        row int32 (size,), entry int32 (size,).

    Raises:
        BadInput: every row is empty.
    """
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled) == 0:
        raise BadInput("sampling: every row is empty, so there is nothing to draw")
    row = filled[rng.integers(0, len(filled), size)]
    entry = indices[indptr[row] + rng.integers(0, indptr[row + 1] - indptr[row])]
    return row.astype(np.int32), entry.astype(np.int32)


def keep_probability(counts: np.ndarray, cap: float) -> np.ndarray:
    """The chance of an occurrence of a tag to stay in the balanced set: min(1, cap / f(tag)).

    Denton et al. (2015) down-sample "the more frequent hashtags" for their balanced distribution; the text
    at hand does not say how. This is our rule: every tag above the cap is expected `cap` times, rarer ones
    stay as they are.

    Args:
        counts: integers (tags,), f(tag).
        cap: expected number of occurrences of a frequent tag, above 0.

    Returns:
        float64 (tags,), 1 for a tag that does not occur.

    Raises:
        BadInput: cap not above 0.
    """
    if not cap > 0:
        raise BadInput(f"balanced sampling: cap {cap}; expected a number above 0")
    return np.minimum(1.0, cap / np.maximum(counts, 1))


def balance(tag: np.ndarray, cap: float, rng: np.random.Generator) -> np.ndarray:
    """Mask of the occurrences that stay when frequent tags are down-sampled; see `keep_probability`.

    Args:
        tag: integer codes (n,) from 0, one per occurrence.
        cap: expected number of occurrences of a frequent tag.
        rng: random generator; each occurrence is decided on its own.

    Returns:
        bool (n,).
    """
    keep = keep_probability(np.bincount(tag), cap) if len(tag) else np.empty(0)
    return rng.random(len(tag)) < keep[tag]


def effective_number(counts: np.ndarray) -> float:
    """exp(entropy) of a distribution: how many equally frequent classes would be as spread out.

    Args:
        counts: not negative (K,); K if all are equal, 1 if one class has everything.

    Raises:
        BadInput: no positive count.
    """
    counts = np.asarray(counts, np.float64)
    if len(counts) == 0 or counts.min() < 0 or counts.sum() == 0:
        raise BadInput("effective number: expected non-negative counts, at least one of them positive")
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-np.sum(share * np.log(share))))
