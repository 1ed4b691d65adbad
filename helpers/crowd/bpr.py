"""Bayesian personalised ranking (Rendle et al. 2009) by SGD grouped by user, with item biases.

As in `factorize`, one user's positives are visited together, so x_u stays near; a bit per item says
what the user has, so a negative is drawn in a step or two.
"""

from collections.abc import Callable
from functools import lru_cache

import numba
import numpy as np

from helpers.crowd.factorize import Factors, check_finite, initial, padded, sweep
from helpers.errors import BadInput
from helpers.measures.ranking import Scorer, dot_scorer


@numba.njit(nogil=True, inline="always")
def _next(state):
    """xorshift64*: the next state of a small random generator, of which the upper 32 bits are good."""
    state ^= state >> np.uint64(12)
    state ^= state << np.uint64(25)
    state ^= state >> np.uint64(27)
    return state


@lru_cache
def bpr_kernel(width: int):
    """The compiled step over some users, for rows of `width` numbers.

    For each positive i of a user u, with j drawn uniformly from what u does not have and
    s = σ(−(b_i − b_j + x_uᵀ (y_i − y_j))), one gradient step on −ln σ(·) + λ/2 ‖·‖²."""

    @numba.njit(nogil=True, fastmath={"reassoc", "contract", "nsz"}, cache=True)
    def bpr(indptr, item, users, start, X, Y, bias, eta, lam, seed):
        n_items, has = np.uint64(len(Y)), np.zeros(len(Y), np.bool_)
        x, step, keep = np.empty(width, np.float32), np.float32(eta), np.float32(1 - eta * lam)
        for u in users:
            begin, end = indptr[u], indptr[u + 1]
            if end - begin == len(Y):
                continue  # a user who has everything has no negatives
            has[item[begin:end]] = True
            x[:] = X[u]
            # each user has a stream of their own, so the draws do not depend on who came before
            state = (np.uint64(seed) + np.uint64(u) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
            state = _next(_next(state | np.uint64(1)))
            for visit in range(begin + start[u], end + start[u]):
                i = item[visit if visit < end else visit - end + begin]
                while True:
                    state = _next(state)
                    draw = (state * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(32)
                    j = np.int64((draw * n_items) >> np.uint64(32))
                    if not has[j]:
                        break
                yi, yj = Y[i], Y[j]
                margin = bias[i] - bias[j]
                for k in range(width):
                    margin += x[k] * (yi[k] - yj[k])
                g = step / (np.float32(1) + np.exp(margin))
                for k in range(width):
                    x_k, difference = x[k], yi[k] - yj[k]
                    x[k] = keep * x_k + g * difference
                    yi[k] = keep * yi[k] + g * x_k
                    yj[k] = keep * yj[k] - g * x_k
                bias[i] = keep * bias[i] + g
                bias[j] = keep * bias[j] - g
            X[u] = x
            has[item[begin:end]] = False

    return bpr


def fit_bpr(
    train: tuple[np.ndarray, np.ndarray], n_items: int, d: int = 64, lam: float = 0.01, eta: float = 0.1,
    max_epochs: int = 50, seed: int = 0, validate: Callable[[Scorer], float] | None = None, every: int = 5,
    patience: int = 4, threads: int = 1,
) -> tuple[Factors, np.ndarray]:  # fmt: skip
    """BPR-MF with item biases: Rendle et al. 2009; compared in Bibas et al. 2022, Table 3.

    train is (indptr int64[N+1], indices int32[n]), the positives of each user; lam, eta (its decay is 0.05),
    seed (of the negatives too) and threads are those of `factorize.fit`. `validate`, Scorer -> a number to be
    maximised (AUC on held-out positives), is asked every `every` epochs; training stops when it has not risen
    `patience` times in a row, and the best factors are returned. The biases learn popularity first; then
    little happens until the factors set in. Returns (Factors, bias float32[M]); scores are
    `ranking.dot_scorer(X, Y, bias)`. history has "epoch" and, where asked, "validation". Raises BadInput for
    no positives, an item outside 0..M-1, or diverged factors."""
    indptr, item = train
    if len(item) == 0 or item.max() >= n_items or item.min() < 0:
        raise BadInput(f"fit_bpr: needs positives with items from 0 to {n_items - 1}")
    rng, bias = np.random.default_rng(seed), np.zeros(n_items, np.float32)
    X, Y = (initial(n, d, 0.0, rng) for n in (len(indptr) - 1, n_items))
    history, best, highest, worse = [], None, -np.inf, 0

    def found() -> tuple[Factors, np.ndarray]:
        check_finite(X, Y, f"fit_bpr, epoch {len(history)}, eta {eta}")
        return Factors(X[:, :d].copy(), Y[:, :d].copy(), history, len(history)), bias.copy()

    for epoch in range(1, max_epochs + 1):
        step, draws = eta / (1 + 0.05 * (epoch - 1)), int(rng.integers(2**62))
        sweep(bpr_kernel(padded(d)), train, seed, epoch, threads, X, Y, bias, step, lam, draws)
        history.append({"epoch": epoch})
        if validate is None or (epoch % every and epoch != max_epochs):
            continue
        now = found()
        history[-1]["validation"] = value = validate(dot_scorer(now[0].X, now[0].Y, now[1]))
        worse += 1
        if value > highest:
            best, highest, worse = now, value, 0
        if worse and worse == patience:
            break
    return best or found()
