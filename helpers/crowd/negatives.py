"""What to learn from besides positives: sampled negatives, and samples that do not drown in frequent words.

Negatives are Algorithm 1 of Fang et al. (2015); class-uniform sampling is Joulin et al. (2016), section 3;
the balanced hashtag distribution is Denton et al. (2015), section 4.
"""

import numpy as np
from numba import njit, prange
from scipy.special import entr

from helpers.crowd.filtering import to_csr
from helpers.errors import BadInput
from helpers.randomness import mix

WEIGHTS = {
    "uniform": np.ones_like,
    "log": lambda p: np.log(np.maximum(p, 1)),
    "log1p": np.log1p,
    "linear": lambda p: p,
}
GOLDEN, LOW, HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFFFFFFFF), np.uint64(32)
BLOCKS = 64  # users are dealt out in so many pieces, for the threads to share


def popularity(item: np.ndarray, n_items: int) -> np.ndarray:
    """p_i of Fang et al. (2015), eq. 1: how many users viewed item i, from the distinct pairs' items (n,)."""
    return np.bincount(item, minlength=n_items)


def weights(p: np.ndarray, kind: str = "log") -> np.ndarray:
    """The unnormalised Pr of eq. 2 for items that a user has not viewed: float64 (n_items,) like p.

    The kind is "log" (log p_i, 0 where p_i is 0; the paper: "In practice, we take the logarithm"), "log1p"
    (log(1 + p_i)), "linear" (eq. 2 as printed) or "uniform" (for comparison); BadInput for any other. An item
    with a single view has log 1 = 0 and is never drawn with "log"; the thresholds of section 3 leave at least
    10 views, so there it does not occur. On data without thresholds use "log1p"."""
    if kind not in WEIGHTS:
        raise BadInput(f"negatives: weights {kind!r} are unknown; choose one of {', '.join(WEIGHTS)}")
    return WEIGHTS[kind](np.asarray(p, np.float64))


@njit(cache=True)
def alias_table(w):
    """Vose's alias method: a cell and a coin give an item with probability w / sum(w).

    Returns uint64 (M,): in the upper half the coin's threshold in units of 2^-32, in the lower half the
    item that is taken when the coin fails."""
    scaled = w * (len(w) / w.sum())
    table = np.empty(len(w), np.uint64)
    small = [i for i in range(len(w)) if scaled[i] < 1.0]
    large = [i for i in range(len(w)) if scaled[i] >= 1.0]
    while small and large:
        s, l = small.pop(), large[-1]
        table[s] = (np.uint64(scaled[s] * 4294967296.0) << HALF) | np.uint64(l)
        scaled[l] -= 1.0 - scaled[s]
        if scaled[l] < 1.0:
            small.append(large.pop())
    # what is left has probability 1 up to rounding: an alias to itself makes the coin irrelevant. An item
    # of weight 0 could only be left by rounding, and gets the heaviest item instead
    for i in small + large:
        table[i] = np.uint64(i if w[i] > 0.0 else np.argmax(w))
    return table


@njit(cache=True)
def _exact(w, taken, k, state, out):
    """Fill `out[:k]` from the items that are not `taken`, by exponential races (Efraimidis, Spirakis 2006).

    The k smallest of E_i / w_i with E_i exponential have the distribution of k draws one after the other
    without replacement. The cost does not depend on how little weight is left."""
    items, times, n = np.empty(len(w), np.int32), np.empty(len(w), np.float64), 0
    for i in range(len(w)):
        if w[i] > 0.0 and not (taken[i >> 6] >> np.uint64(i & 63)) & np.uint64(1):
            state += GOLDEN
            # 53 random bits, moved into (0, 1]
            uniform = (np.float64(mix(state) >> np.uint64(11)) + 1.0) * 2.0**-53
            items[n], times[n] = i, -np.log(uniform) / w[i]
            n += 1
    out[:k] = items[np.argsort(times[:n])[:k]]


@njit(cache=True)
def _one_user(seen, w, table, state, taken, out):
    """Fill `out` with distinct items that are not in `seen`. `taken` is a cleared bitmap, left cleared."""
    m, k, got = np.uint64(len(w)), len(out), 0
    for i in seen:
        taken[i >> 6] |= np.uint64(1) << np.uint64(i & 63)
    # Draw from all items and reject what is taken. If that fails so often that one pass over all items
    # would have been cheaper, draw the rest exactly. A draw does not know how many failed before it, so
    # the moment of changing over may depend on the failures without touching the distribution.
    for _ in range(4 * k + len(w)):
        if got == k:
            break
        state += GOLDEN
        r = mix(state)
        cell = (r >> HALF) * m >> HALF
        entry = table[cell]
        i = cell if (r & LOW) < (entry >> HALF) else entry & LOW
        word, bit = i >> np.uint64(6), np.uint64(1) << (i & np.uint64(63))
        if not taken[word] & bit:
            taken[word] |= bit
            out[got] = i
            got += 1
    if got < k:
        _exact(w, taken, k - got, state, out[got:])
    if len(taken) < len(seen) + got:
        taken[:] = 0
    else:
        for i in seen:
            taken[i >> 6] = 0
        for i in out[:got]:
            taken[i >> 6] = 0


@njit(cache=True, parallel=True)
def _available(indptr, indices, has_weight):
    """How many items with a weight each user has not seen: int64 (N,)."""
    left = np.full(len(indptr) - 1, has_weight.sum())
    for u in prange(len(left)):
        for i in indices[indptr[u] : indptr[u + 1]]:
            left[u] -= has_weight[i]
    return left


@njit(cache=True, parallel=True)
def _sample(indptr, indices, w, drawn, seed, users, negatives):
    n_users, table, key = len(users), alias_table(w), mix(seed + GOLDEN)
    for block in prange(BLOCKS):
        taken = np.zeros(len(w) // 64 + 1, np.uint64)
        for u in range(n_users * block // BLOCKS, n_users * (block + 1) // BLOCKS):
            out = negatives[drawn[u] : drawn[u + 1]]
            state = mix(key ^ mix(users[u] + GOLDEN))
            _one_user(indices[indptr[u] : indptr[u + 1]], w, table, state, taken, out)


def sample_negatives(
    indptr: np.ndarray, indices: np.ndarray, w: np.ndarray, n: np.ndarray, seed: int,
    users: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Algorithm 1 of Fang et al. (2015): for each user j, n_j negatives from the items without a view.

    Drawn one after the other without replacement, each with probability proportional to `w` among the
    items that user j has neither viewed nor been given yet (that is the normalisation per user of eq. 2).
    A user with fewer unseen items of positive weight than n_j gets them all; compare `np.diff` of the
    result with n to see whom that concerns. Each user has a random stream of their own, made from
    (seed, user), so the result does not depend on the number of threads or on other users. Where the rows are
    those of some users only, `users`, integers (N,), says of whom.

    V is given as `filtering.to_csr` makes it, no pair twice; w is float (M,), see `weights`; n integers (N,),
    or one for all. Returns the same form: indptr int64 (N + 1,) and indices int32, the negatives of each user
    in the order they were drawn. Raises BadInput for values that do not fit, as does `by_ratio`."""
    w = np.ascontiguousarray(w, np.float64)
    n = np.ascontiguousarray(np.broadcast_to(n, len(indptr) - 1), np.int64)
    if len(w) == 0 or not np.all(np.isfinite(w)) or w.min() < 0 or w.max() == 0:
        raise BadInput("negatives: weights must be finite, not negative, and not all zero")
    if len(indices) and not (0 <= indices.min() and indices.max() < len(w)):
        raise BadInput(f"negatives: items run to {indices.max()}, but there are weights for {len(w)}")
    if len(n) and n.min() < 0:
        raise BadInput("negatives: the number of negatives of a user is below zero")
    rows = np.ascontiguousarray(indptr, np.int64), np.ascontiguousarray(indices, np.int32)
    users = np.ascontiguousarray(np.arange(len(n)) if users is None else users, np.uint64)
    drawn = np.concatenate([[0], np.cumsum(np.minimum(n, _available(*rows, w > 0)))])
    # NumPy asks for large pages of memory, Numba does not, which would take a third of the time
    negatives = np.empty(drawn[-1], np.int32)
    _sample(*rows, w, drawn, np.uint64(seed), users, negatives)
    return drawn, negatives


def by_ratio(
    user: np.ndarray, item: np.ndarray, n_items: int, ratio: float = 2, kind: str = "log", seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Algorithm 1 with n_j = ratio x positives of user j (section 4.1: 2), rounded, weights of this kind.

    From distinct pairs of V, integers (n,), dense ids from 0, to the pairs of the negatives, user int32 and
    item int32, grouped by user in ascending order."""
    if len(user) == 0:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    indptr, indices = to_csr(user, item, int(user.max()) + 1)
    n = np.rint(ratio * np.diff(indptr)).astype(np.int64)
    drawn, negatives = sample_negatives(indptr, indices, weights(popularity(item, n_items), kind), n, seed)
    return np.repeat(np.arange(len(n), dtype=np.int32), np.diff(drawn)), negatives


def sample_rows(
    indptr: np.ndarray, indices: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a row uniformly among those that are not empty, then one of its entries uniformly.

    With words as rows and images as entries this is the class-uniform sampling of Joulin et al. (2016),
    section 3: a word uniformly, then one of its images. With images as rows and words as entries it is
    natural sampling: an image uniformly, then one of its words. From `filtering.to_csr` (BadInput if every
    row is empty) to row int32 (size,) and entry int32 (size,), drawn with replacement."""
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
    stay as they are. Counts are integers (tags,), 0 gives 1. BadInput for a cap that is not above 0."""
    if not cap > 0:
        raise BadInput(f"balanced sampling: cap {cap}; expected a number above 0")
    return np.minimum(1.0, cap / np.maximum(counts, 1))


def balance(tag: np.ndarray, cap: float, rng: np.random.Generator) -> np.ndarray:
    """Which occurrences, given as codes of tags from 0, int (n,), stay by `keep_probability`: bool (n,)."""
    keep = keep_probability(np.bincount(tag), cap) if len(tag) else np.empty(0)
    return rng.random(len(tag)) < keep[tag]


def effective_number(counts: np.ndarray) -> float:
    """exp(entropy) of a distribution: how many equally frequent classes would be as spread out.

    K if all of K are equal, 1 if one has everything. BadInput for no positive count, or a negative one."""
    counts = np.asarray(counts, np.float64)
    if len(counts) == 0 or counts.min() < 0 or counts.sum() == 0:
        raise BadInput("effective number: expected non-negative counts, at least one of them positive")
    return float(np.exp(entr(counts / counts.sum()).sum()))
