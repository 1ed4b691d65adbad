"""The loops behind `helpers.crowd.negatives.sample_negatives`."""

import numpy as np
from numba import njit, prange

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
BLOCKS = 64  # users are dealt out in so many pieces, for the threads to share


@njit(cache=True, inline="always")
def _mix(x):
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): a 64-bit hash."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def alias_table(w):
    """Vose's alias method: a cell and a coin give an item with probability w / sum(w).

    Returns uint64 (M,): in the upper half the coin's threshold in units of 2^-32, in the lower half the
    item that is taken when the coin fails.
    """
    m = len(w)
    scaled = w * (m / w.sum())
    table = np.empty(m, np.uint64)
    small, large = np.empty(m, np.int64), np.empty(m, np.int64)
    n_small, n_large = 0, 0
    for i in range(m):
        if scaled[i] < 1.0:
            small[n_small] = i
            n_small += 1
        else:
            large[n_large] = i
            n_large += 1
    while n_small and n_large:
        n_small -= 1
        s, l = small[n_small], large[n_large - 1]
        table[s] = (np.uint64(scaled[s] * 4294967296.0) << HALF) | np.uint64(l)
        scaled[l] -= 1.0 - scaled[s]
        if scaled[l] < 1.0:
            n_large -= 1
            small[n_small] = l
            n_small += 1
    # what is left has probability 1 up to rounding: an alias to itself makes the coin irrelevant. An item
    # of weight 0 could only be left by rounding, and gets the heaviest item instead
    heaviest = np.argmax(w)
    for k in range(n_small):
        s = small[k]
        table[s] = np.uint64(s if w[s] > 0.0 else heaviest)
    for k in range(n_large):
        table[large[k]] = np.uint64(large[k])
    return table


@njit(cache=True)
def _exact(w, taken, k, state, out):
    """Fill `out[:k]` from the items that are not `taken`, by exponential races (Efraimidis, Spirakis 2006).

    The k smallest of E_i / w_i with E_i exponential have the distribution of k draws one after the other
    without replacement. The cost does not depend on how little weight is left.
    """
    items = np.empty(len(w), np.int32)
    times = np.empty(len(w), np.float64)
    n = 0
    for i in range(len(w)):
        if w[i] > 0.0 and not (taken[i >> 6] >> np.uint64(i & 63)) & np.uint64(1):
            state += GOLDEN
            # 53 random bits, moved into (0, 1]
            uniform = (np.float64(_mix(state) >> np.uint64(11)) + 1.0) * 2.0**-53
            items[n], times[n] = i, -np.log(uniform) / w[i]
            n += 1
    order = np.argsort(times[:n])
    for j in range(k):
        out[j] = items[order[j]]


@njit(cache=True)
def _one_user(seen, w, table, state, taken, out):
    """Fill `out` with distinct items that are not in `seen`. `taken` is a cleared bitmap, left cleared."""
    m, k = np.uint64(len(w)), len(out)
    for i in seen:
        taken[i >> 6] |= np.uint64(1) << np.uint64(i & 63)
    got = 0
    # Draw from all items and reject what is taken. If that fails so often that one pass over all items
    # would have been cheaper, draw the rest exactly. A draw does not know how many failed before it, so
    # the moment of changing over may depend on the failures without touching the distribution.
    for _ in range(4 * k + len(w)):
        if got == k:
            break
        state += GOLDEN
        r = _mix(state)
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
def sample(indptr, indices, w, n, seed):
    """See `helpers.crowd.negatives.sample_negatives`."""
    n_users, m = len(indptr) - 1, len(w)
    weightless = np.zeros(m, np.bool_)
    available = 0
    for i in range(m):
        weightless[i] = w[i] == 0.0
        available += not weightless[i]
    drawn = np.zeros(n_users + 1, np.int64)
    for u in prange(n_users):
        left = available - (indptr[u + 1] - indptr[u])
        if available < m:
            for i in indices[indptr[u] : indptr[u + 1]]:
                left += weightless[i]
        drawn[u + 1] = min(n[u], left)
    for u in range(n_users):
        drawn[u + 1] += drawn[u]
    negatives = np.empty(drawn[n_users], np.int32)
    table = alias_table(w)
    key = _mix(seed + GOLDEN)
    for block in prange(BLOCKS):
        taken = np.zeros(m // 64 + 1, np.uint64)
        for u in range(n_users * block // BLOCKS, n_users * (block + 1) // BLOCKS):
            out = negatives[drawn[u] : drawn[u + 1]]
            state = _mix(key ^ _mix(np.uint64(u) + GOLDEN))
            _one_user(indices[indptr[u] : indptr[u + 1]], w, table, state, taken, out)
    return drawn, negatives
