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


@lru_cache(8)
def rank_weights(n: int) -> np.ndarray:
    """L(k) = 1 + 1/2 + … + 1/k for k = 0..n: float32 (n + 1,). It puts the weight on precision at the top."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))]).astype(np.float32)


def violators(
    phi: np.ndarray, V: np.ndarray, positive: np.ndarray, row: np.ndarray, true, seed: int,
    margin: float = MARGIN, most: int = MOST_DRAWS,
) -> Violators:  # fmt: skip
    """For each example the first negative y, of `most` drawn, with φ·V_y > φ·V_positive − margin; φ is
    float32 (B, d), V float32 (K, d). BadInput for shapes or tags that do not fit, or values not finite.

    Each example has a true tag `positive` and the set `row` of true tags, both int (B,), of `true` (indptr
    int64, indices int32). Negatives are drawn uniformly among the others (`candidate`, with draw 0, 1, …).
    With n of them, of which r violate, the expected number of draws is n / r, so the rank is estimated as ⌊n
    / draws⌋."""
    if phi.shape != (len(positive), V.shape[1]) or len(row) != len(positive):
        raise BadInput(f"warp: φ is {phi.shape}, V {V.shape}, and there are {len(positive)} positives")
    if not (-1 < true[1].min(initial=0) and true[1].max(initial=0) < len(V)):
        raise BadInput(f"warp: true tags run from {true[1].min()} to {true[1].max()}, of {len(V)} in V")
    if not (
        np.isfinite(phi).all() and np.isfinite(V[positive]).all()
    ):  # of all V it would cost a step's time
        raise BadInput("warp: an embedding is not finite; lower the learning rate")
    phi, V = np.ascontiguousarray(phi, np.float32), np.ascontiguousarray(V, np.float32)
    negative, draws = np.empty(len(phi), np.int64), np.empty(len(phi), np.int64)
    search, _ = kernels(V.shape[1])
    search(phi, V, positive, row, *true, np.float32(margin), most, seed, negative, draws)
    others = len(V) - np.diff(true[0])[row]
    rank = np.where(negative >= 0, others // np.maximum(draws, 1), 0)
    return Violators(negative, draws, rank, rank_weights(len(V))[rank])


def keys(true, n_tags: int) -> Tensor:
    """True tags (indptr, indices) as sorted numbers row · K + tag, int64: what a search on a GPU looks up."""
    owner = np.repeat(np.arange(len(true[0]) - 1), np.diff(true[0]))
    return torch.from_numpy(np.unique(owner * n_tags + true[1]))


@torch.no_grad()
def search_at_once(
    phi: Tensor, V: Tensor, positive: Tensor, row: Tensor, true: Tensor, seed: int, margin: float, most: int
) -> tuple[Tensor, Tensor]:
    """Negatives and ranks of `violators`, int64 (B,) each, by torch: nothing leaves the device.

    All tries are made at once, twice `most` of them, so that up to half may be true tags (`true` from `keys`)
    before an example gets fewer draws than there. Scores are rounded differently."""
    phi, V, device, K = phi.double(), V.double(), phi.device, len(V)  # of float, autocast would make bf16
    # `candidate`, on int64, which wraps around as uint64 does but keeps the sign when it is shifted
    example = torch.arange(len(phi), device=device)[:, None]
    z = _mixed(seed + example * (0x9E3779B97F4A7C15 - 2**64))
    z = _mixed(z + torch.arange(2 * most, device=device) * (0xD1B54A32D192ED03 - 2**64))
    tries = (z >> 32 & 0xFFFFFFFF) * K >> 32
    key = row[:, None] * K + tries
    free = true[torch.searchsorted(true, key).clamp_max(len(true) - 1)] != key
    draws = free.cumsum(1)
    scores = phi @ V.T
    over = scores.gather(1, tries) > scores.gather(1, positive[:, None]) - margin
    hit = free & over & (draws <= most)
    first, found = hit.int().argmax(1, keepdim=True), hit.any(1)
    low, high = torch.searchsorted(true, torch.stack([row, row + 1]) * K)
    rank = (K - (high - low)) // draws.gather(1, first)[:, 0].clamp_min(1)
    return torch.where(found, tries.gather(1, first)[:, 0], -1), torch.where(found, rank, 0)


def _mixed(z: Tensor) -> Tensor:
    """`randomness.mix` of int64."""
    z = (z ^ (z >> 30 & 2**34 - 1)) * (0xBF58476D1CE4E5B9 - 2**64)
    z = (z ^ (z >> 27 & 2**37 - 1)) * (0x94D049BB133111EB - 2**64)
    return z ^ (z >> 31 & 2**33 - 1)


def warp_loss(phi: Tensor, V: Tensor, positive: Tensor, row: Tensor, true, seed,
              margin: float = MARGIN, most: int = MOST_DRAWS) -> Tensor:  # fmt: skip
    """Mean over a batch of L(rank) · (margin − φ·V_positive + φ·V_negative); 0 where no negative violates.
    Arguments as for `violators`, whose compiled search runs on the CPU; with true tags from `keys`, on the
    device of φ, `search_at_once` runs there. Gradients flow through the two scores only, as in the paper.
    For C models at once all tensors have one more axis, the first; `seed` and the result have C numbers."""
    if phi.ndim == 2:
        return warp_loss(phi[None], V[None], positive[None], row[None], true, [seed], margin, most)[0]
    each = zip(phi.detach(), V.detach(), positive, row, seed, strict=True)
    if isinstance(true, Tensor):
        found = [search_at_once(*given, true, s, margin, most) for *given, s in each]
        negative, rank = (torch.stack(of) for of in zip(*found, strict=True))
        weight = (torch.digamma(rank + 1.0) + np.euler_gamma) * (rank > 0)  # L(rank)
    else:
        found = []
        for *embedded, y, r, s in each:
            embedded = [x.float().cpu().numpy() for x in embedded]
            found.append(violators(*embedded, y.cpu().numpy(), r.cpu().numpy(), true, int(s), margin, most))
        negative, _, _, weight = (torch.from_numpy(np.stack(of)) for of in zip(*found, strict=True))
        negative, weight = negative.to(phi.device), weight.to(phi.device)
    copy = torch.arange(len(phi), device=phi.device)[:, None]
    apart = (phi * (V[copy, negative.clamp_min(0)] - V[copy, positive])).sum(-1)
    return (weight * (margin + apart)).mean(-1)


def fit_tables(
    train, n_tags: int, d: int, epochs: int, step: float = 0.05, seed: int = 0,
    scale: float = 0.01, start: float = 1.0, margin: float = 1.0, most: int = MOST_DRAWS,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """WARP with a free vector for each row (a user, a post), by AdaGrad: a factorisation without features.

    AdaGrad divides each step by the root of the sum of squared gradients of that number. A constant step is
    too large for a frequent tag or too small for a rare one. The sums begin with `start`, so that the first
    steps are no leaps, the vectors with a standard deviation of `scale`: of large ones much stays as noise
    where rows have few tags. The margin of Denton et al., 0.1, is for rows inside a ball; these are in none.

    `train` has the true tags of each row: (indptr int64 (N + 1,), indices int32); none at all, or one outside
    0..K−1, raises BadInput. Returns X float32 (N, d) and V float32 (K, d); scores are X Vᵀ."""
    indptr, indices = train
    if len(indices) == 0 or indices.min() < 0 or indices.max() >= n_tags:
        raise BadInput(f"fit_tables: needs true tags, all from 0 to {n_tags - 1}")
    rng = np.random.default_rng(seed)
    N, width = len(indptr) - 1, math.ceil(d / 8) * 8  # whole vector registers; the rest stays 0
    X, V = np.zeros((N, width), np.float32), np.zeros((n_tags, width), np.float32)
    X[:, :d], V[:, :d] = rng.normal(0, scale, (N, d)), rng.normal(0, scale, (n_tags, d))
    G, H = np.full_like(X, start), np.full_like(V, start)
    rows = np.repeat(np.arange(N), np.diff(indptr))
    (_, learn), weight = kernels(width), rank_weights(n_tags)
    for _ in range(epochs):
        order, draws = rng.permutation(len(rows)), int(rng.integers(2**62))
        pairs = (rows[order], indices[order], indptr, indices)
        learn(X, V, G, H, *pairs, weight, np.float32(margin), most, np.float32(step), draws)
    return np.ascontiguousarray(X[:, :d]), np.ascontiguousarray(V[:, :d])


@numba.njit(cache=True, inline="always")
def candidate(seed, example, draw, n):
    """The negative, 0..n-1, that an example tries at its draw-th attempt: fixed by the arguments."""
    key = mix(np.uint64(seed) + np.uint64(example) * np.uint64(0x9E3779B97F4A7C15))
    key = mix(key + np.uint64(draw) * np.uint64(0xD1B54A32D192ED03))
    return np.int64(((key >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@numba.njit(nogil=True, fastmath=FAST, inline="always")
def find(x, V, width, threshold, true, mine, most, seed, example):
    """The first negative of an example that scores above the threshold (−1: none), and the tries. `mine`
    is bool (K,), all False, and is left so: asking it is faster than looking through many true tags."""
    for y in true:
        mine[y] = True
    count, attempt, found = 0, 0, -1
    while found < 0 and count < most and len(true) < len(V):
        y = candidate(seed, example, attempt, len(V))
        attempt += 1
        if not mine[y]:
            count += 1
            v, score = V[y], np.float32(0)
            for k in range(width):
                score += x[k] * v[k]
            if score > threshold:
                found = y
    for y in true:
        mine[y] = False
    return found, count


@lru_cache
def kernels(width: int):
    """The compiled loops for embeddings of `width` numbers: the search of `violators` for a batch, and one
    pass of AdaGrad over examples (row of X, positive row of V), as `fit_tables` describes."""

    @numba.njit(nogil=True, fastmath=FAST, cache=True)
    def search(phi, V, positive, row, indptr, indices, margin, most, seed, negative, draws):
        mine = np.zeros(len(V), np.bool_)
        for b in range(len(positive)):
            x, v, score = phi[b], V[positive[b]], np.float32(0)
            for k in range(width):
                score += x[k] * v[k]
            true = indices[indptr[row[b]] : indptr[row[b] + 1]]
            negative[b], draws[b] = find(x, V, width, score - margin, true, mine, most, seed, b)

    @numba.njit(nogil=True, fastmath=FAST, cache=True)
    def learn(X, V, G, H, row, positive, indptr, indices, weight, margin, most, step, seed):
        x, mine = np.empty(width, np.float32), np.zeros(len(V), np.bool_)
        for b in range(len(row)):
            own, up, score = X[row[b]], V[positive[b]], np.float32(0)
            for k in range(width):
                x[k] = own[k]
                score += x[k] * up[k]
            true = indices[indptr[row[b]] : indptr[row[b] + 1]]
            found, count = find(x, V, width, score - margin, true, mine, most, seed, b)
            if found < 0:
                continue
            c, down = weight[(len(V) - len(true)) // count], V[found]
            gx, gu, gd = G[row[b]], H[positive[b]], H[found]
            for k in range(width):
                dx, dv = c * (down[k] - up[k]), c * x[k]
                gx[k] += dx * dx
                gu[k] += dv * dv
                gd[k] += dv * dv
                own[k] = x[k] - step * dx / np.sqrt(gx[k])
                up[k] += step * dv / np.sqrt(gu[k])
                down[k] -= step * dv / np.sqrt(gd[k])

    return search, learn
