"""The compiled steps of WARP (`warp`): the search for a violating negative, and SGD on two tables."""

from functools import lru_cache

import numba
import numpy as np

from helpers.data.emojigram.randomness import mix

FAST = {"reassoc", "contract", "nsz"}


@numba.njit(cache=True, inline="always")
def candidate(seed, example, draw, n):
    """The negative, 0..n-1, that an example tries at its draw-th attempt: fixed by the arguments."""
    key = mix(np.uint64(seed) + np.uint64(example) * np.uint64(0x9E3779B97F4A7C15))
    key = mix(key + np.uint64(draw) * np.uint64(0xD1B54A32D192ED03))
    return np.int64(((key >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@numba.njit(cache=True, inline="always")
def is_true(tags, y):
    """Whether y is in a short ascending list."""
    for t in tags:
        if t >= y:
            return t == y
    return False


@lru_cache
def finder(width: int):
    """Tries negatives for one example: the first that scores above the threshold (−1: none); the tries."""

    @numba.njit(nogil=True, fastmath=FAST, inline="always")
    def find(x, V, threshold, true, most, seed, example):
        count, attempt = 0, 0
        while count < most and len(true) < len(V):
            y = candidate(seed, example, attempt, len(V))
            attempt += 1
            if is_true(true, y):
                continue
            count += 1
            v, score = V[y], np.float32(0)
            for k in range(width):
                score += x[k] * v[k]
            if score > threshold:
                return y, count
        return -1, count

    return find


@lru_cache
def search_kernel(width: int):
    """The search of `warp.violators` for embeddings of `width` numbers."""
    find = finder(width)

    @numba.njit(nogil=True, fastmath=FAST, cache=True)
    def search(phi, V, positive, row, indptr, indices, margin, most, seed, first, negative, draws):
        for b in range(len(positive)):
            x, v, score = phi[b], V[positive[b]], np.float32(0)
            for k in range(width):
                score += x[k] * v[k]
            true = indices[indptr[row[b]] : indptr[row[b] + 1]]
            negative[b], draws[b] = find(x, V, score - margin, true, most, seed, first + b)

    return search


@lru_cache
def tables_kernel(width: int):
    """One pass of AdaGrad over examples (row of X, positive row of V), as `warp.fit_tables` describes."""
    find = finder(width)

    @numba.njit(nogil=True, fastmath=FAST, cache=True)
    def learn(X, V, G, H, row, positive, indptr, indices, weight, margin, most, step, seed, first):
        x = np.empty(width, np.float32)
        for b in range(len(row)):
            mine, up, score = X[row[b]], V[positive[b]], np.float32(0)
            for k in range(width):
                x[k] = mine[k]
                score += x[k] * up[k]
            true = indices[indptr[row[b]] : indptr[row[b] + 1]]
            found, count = find(x, V, score - margin, true, most, seed, first + b)
            if found < 0:
                continue
            c, down = weight[(len(V) - len(true)) // count], V[found]
            gx, gu, gd = G[row[b]], H[positive[b]], H[found]
            for k in range(width):
                dx, dv = c * (down[k] - up[k]), c * x[k]
                gx[k] += dx * dx
                gu[k] += dv * dv
                gd[k] += dv * dv
                mine[k] = x[k] - step * dx / np.sqrt(gx[k])
                up[k] += step * dv / np.sqrt(gu[k])
                down[k] -= step * dv / np.sqrt(gd[k])

    return learn
