"""WARP, the weighted approximate-rank pairwise loss (Weston et al. 2010), as Denton et al. 2015 use it.

For an example and one of its true tags, negatives are tried until one scores above the true tag minus a
margin. Few tries mean that many tags stand above it, so the number of tries tells the rank, and errors at a
bad rank weigh more.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.randomness import mix

MARGIN = 0.1  # Denton et al. 2015, section 3, after Weston et al. 2014
MOST_DRAWS = 1000  # Denton et al. 2015, section 3
FAST = {"reassoc", "contract", "nsz"}


class Violators(NamedTuple):
    """What the search found for each of B examples."""

    negative: np.ndarray  # int64 (B,), the violating tag, −1 where none was found
    draws: np.ndarray  # int64 (B,), how many negatives were tried
    rank: np.ndarray  # int64 (B,), the estimated rank of the true tag, 0 where no violator was found
    weight: np.ndarray  # float32 (B,), L(rank)


def rank_weights(n: int) -> np.ndarray:
    """L(k) = 1 + 1/2 + … + 1/k for k = 0..n: float32 (n + 1,). It puts the weight on precision at the top."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))]).astype(np.float32)


def violators(
    phi: np.ndarray, V: np.ndarray, positive: np.ndarray, row: np.ndarray, true, seed: int,
    margin: float = MARGIN, most: int = MOST_DRAWS,
) -> Violators:  # fmt: skip
    """For each example the first negative y, of `most` drawn, with φ·V_y > φ·V_positive − margin; φ is
    float32 (B, d), V float32 (K, d). BadInput for shapes that do not fit, or an embedding that is not finite.

    Each example has a true tag `positive` and the set `row` of true tags, both int (B,), of `true` (indptr
    int64, indices int32). Negatives are drawn uniformly among the others (`candidate`, with draw 0, 1, …).
    With n of them, of which r violate, the expected number of draws is n / r, so the rank is estimated as ⌊n
    / draws⌋."""
    if phi.shape != (len(positive), V.shape[1]) or len(row) != len(positive):
        raise BadInput(f"warp: φ is {phi.shape}, V {V.shape}, and there are {len(positive)} positives")
    if not (np.isfinite(phi).all() and np.isfinite(V).all()):
        raise BadInput("warp: an embedding is not finite; lower the learning rate")
    phi, V = np.ascontiguousarray(phi, np.float32), np.ascontiguousarray(V, np.float32)
    negative, draws = np.empty(len(phi), np.int64), np.empty(len(phi), np.int64)
    search, _ = kernels(V.shape[1])
    search(phi, V, positive, row, *true, np.float32(margin), most, seed, negative, draws)
    others = len(V) - np.diff(true[0])[row]
    rank = np.where(negative >= 0, others // np.maximum(draws, 1), 0)
    return Violators(negative, draws, rank, rank_weights(len(V))[rank])


def warp_loss(phi: Tensor, V: Tensor, positive: Tensor, row: Tensor, true, seed: int,
              margin: float = MARGIN, most: int = MOST_DRAWS) -> Tensor:  # fmt: skip
    """Mean over a batch of L(rank) · (margin − φ·V_positive + φ·V_negative); 0 where no negative violates.
    Arguments as for `violators`. The search is compiled and runs on the CPU; gradients flow through the two
    scores only, as in the paper."""
    embedded = [x.detach().float().cpu().numpy() for x in (phi, V)]
    found = violators(*embedded, positive.cpu().numpy(), row.cpu().numpy(), true, int(seed), margin, most)
    negative, weight = (torch.from_numpy(x).to(phi.device) for x in (found.negative, found.weight))
    apart = (phi * (V[negative.clamp_min(0)] - V[positive])).sum(1)
    return (weight * (margin + apart)).mean()


def fit_tables(
    train, n_tags: int, d: int, epochs: int, step: float = 0.05, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """WARP with a free vector for each row (a user, a post), by AdaGrad: a factorisation without features.

    AdaGrad divides each step by the root of the sum of squared gradients of that number. A constant step is
    too large for a frequent tag or too small for a rare one. `train` has the true tags of each row: (indptr
    int64 (N + 1,), indices int32); none at all, or one outside 0..K−1, raises BadInput. Returns X float32 (N,
    d) and V float32 (K, d); scores are X Vᵀ."""
    indptr, indices = train
    if len(indices) == 0 or indices.min() < 0 or indices.max() >= n_tags:
        raise BadInput(f"fit_tables: needs true tags, all from 0 to {n_tags - 1}")
    rng = np.random.default_rng(seed)
    N, width = len(indptr) - 1, math.ceil(d / 8) * 8  # whole vector registers; the rest stays 0
    X, V = np.zeros((N, width), np.float32), np.zeros((n_tags, width), np.float32)
    X[:, :d], V[:, :d] = rng.normal(0, 0.1, (N, d)), rng.normal(0, 0.1, (n_tags, d))
    G, H = np.full_like(X, 0.01), np.full_like(V, 0.01)
    rows = np.repeat(np.arange(N), np.diff(indptr))
    (_, learn), weight = kernels(width), rank_weights(n_tags)
    for _ in range(epochs):
        order, draws = rng.permutation(len(rows)), int(rng.integers(2**62))
        pairs = (rows[order], indices[order], indptr, indices)
        learn(X, V, G, H, *pairs, weight, np.float32(MARGIN), MOST_DRAWS, np.float32(step), draws)
    return np.ascontiguousarray(X[:, :d]), np.ascontiguousarray(V[:, :d])


@numba.njit(cache=True, inline="always")
def candidate(seed, example, draw, n):
    """The negative, 0..n-1, that an example tries at its draw-th attempt: fixed by the arguments."""
    key = mix(np.uint64(seed) + np.uint64(example) * np.uint64(0x9E3779B97F4A7C15))
    key = mix(key + np.uint64(draw) * np.uint64(0xD1B54A32D192ED03))
    return np.int64(((key >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@lru_cache
def kernels(width: int):
    """The compiled loops for embeddings of `width` numbers: the search of `violators` for a batch, and one
    pass of AdaGrad over examples (row of X, positive row of V), as `fit_tables` describes."""

    @numba.njit(nogil=True, fastmath=FAST, inline="always")
    def find(x, V, threshold, true, most, seed, example):
        """The first negative of an example that scores above the threshold (−1: none), and the tries."""
        count, attempt = 0, 0
        while count < most and len(true) < len(V):
            y = candidate(seed, example, attempt, len(V))
            attempt += 1
            if y in true:
                continue
            count += 1
            v, score = V[y], np.float32(0)
            for k in range(width):
                score += x[k] * v[k]
            if score > threshold:
                return y, count
        return -1, count

    @numba.njit(nogil=True, fastmath=FAST, cache=True)
    def search(phi, V, positive, row, indptr, indices, margin, most, seed, negative, draws):
        for b in range(len(positive)):
            x, v, score = phi[b], V[positive[b]], np.float32(0)
            for k in range(width):
                score += x[k] * v[k]
            true = indices[indptr[row[b]] : indptr[row[b] + 1]]
            negative[b], draws[b] = find(x, V, score - margin, true, most, seed, b)

    @numba.njit(nogil=True, fastmath=FAST, cache=True)
    def learn(X, V, G, H, row, positive, indptr, indices, weight, margin, most, step, seed):
        x = np.empty(width, np.float32)
        for b in range(len(row)):
            mine, up, score = X[row[b]], V[positive[b]], np.float32(0)
            for k in range(width):
                x[k] = mine[k]
                score += x[k] * up[k]
            true = indices[indptr[row[b]] : indptr[row[b] + 1]]
            found, count = find(x, V, score - margin, true, most, seed, b)
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

    return search, learn
