"""Two strong baselines for ranking that need no gradient: iALS and EASE."""

from collections.abc import Callable

import numba
import numpy as np
import scipy.sparse as sp

from helpers.crowd.factorize import Factors
from helpers.errors import BadInput
from helpers.measures.ranking import Scorer, dot_scorer

MOST_ITEMS = 10_000  # EASE's matrix of items × items then takes 0.8 GB, and its inverse a minute of a core


def _matrix(train: tuple[np.ndarray, np.ndarray], n_items: int) -> sp.csr_matrix:
    """The 0/1 matrix float32 of users and items."""
    indptr, item = train
    ones = np.ones(len(item), np.float32)
    return sp.csr_matrix((ones, item, indptr), shape=(len(indptr) - 1, n_items))


@numba.njit(nogil=True, cache=True)
def _solve(indptr, other, fixed, found, alpha0, lam):
    """For each row, the best vector while the vectors of the other side are fixed."""
    everywhere = alpha0 * (fixed.T @ fixed)
    for row in range(len(found)):
        mine = fixed[other[indptr[row] : indptr[row + 1]]]
        if len(mine) == 0:
            found[row] = 0
            continue
        A, b = everywhere + mine.T @ mine, np.zeros(fixed.shape[1], np.float32)
        for k in range(len(b)):
            A[k, k] += lam * (np.float32(len(mine)) + alpha0 * np.float32(len(fixed)))
        for vector in mine:
            b += vector
        found[row] = np.linalg.solve(A, b)


def fit_ials(
    train: tuple[np.ndarray, np.ndarray], n_items: int, d: int = 64, lam: float = 0.01, alpha0: float = 0.1,
    max_epochs: int = 16, seed: int = 0, validate: Callable[[Scorer], float] | None = None, patience: int = 2,
) -> Factors:  # fmt: skip
    """Implicit alternating least squares: minimises, for the pairs S that were seen,

        Σ_{(u, i) ∈ S} (1 − x_uᵀy_i)² + α0 Σ_{all u, i} (x_uᵀy_i)²
            + λ [Σ_u (|I_u| + α0 M) ‖x_u‖² + Σ_i (|U_i| + α0 N) ‖y_i‖²],

    one side at a time. train, d, seed and validate as for `bpr.fit_bpr`; validate is asked after each epoch
    (both sides once), training stops when it has not risen `patience` times in a row, and the best epoch's
    factors are returned, with a history of "epoch" and "validation". Repeats bit for bit. Raises BadInput for
    no positives, an item outside 0..M-1, or lam or alpha0 that are not above 0.
    Source: Rendle et al. 2021, "Revisiting the performance of iALS on item recommendation benchmarks", with
    its frequency-scaled λ (exponent 1) and start (normal, 0.1 / √d). `implicit` has one λ for all rows."""
    indptr, item = train
    if len(item) == 0 or item.max() >= n_items or item.min() < 0:
        raise BadInput(f"fit_ials: needs positives with items from 0 to {n_items - 1}")
    if not (lam > 0 and alpha0 > 0):
        raise BadInput(f"fit_ials: lam {lam} and alpha0 {alpha0}; both must be above 0")
    n_users, rng = len(indptr) - 1, np.random.default_rng(seed)
    S = _matrix(train, n_items).T.tocsr()  # `grouped` has threads of its own, which are refused inside others
    by_item = S.indptr.astype(np.int64), S.indices
    X, Y = (rng.normal(0, 0.1 / np.sqrt(d), (n, d)).astype(np.float32) for n in (n_users, n_items))
    best, highest, history, weights = None, -np.inf, [], (np.float32(alpha0), np.float32(lam))
    for epoch in range(1, max_epochs + 1):
        _solve(indptr, item, Y, X, *weights)
        _solve(*by_item, X, Y, *weights)
        history.append({"epoch": epoch})
        if validate is None:
            continue
        history[-1]["validation"] = value = validate(dot_scorer(X, Y))
        if best is None or value > highest:
            best, highest = Factors(X.copy(), Y.copy(), history, epoch), value
        elif epoch - best.best_epoch >= patience:
            break
    return best or Factors(X, Y, history, len(history))


def ease(train: tuple[np.ndarray, np.ndarray], n_items: int, lam: float = 100.0) -> Scorer:
    """Scores of EASE: a user's items times a matrix B, items × items, with a diagonal of 0, that best gives
    the user's items from each other: min ‖S − S B‖² + λ ‖B‖². In closed form, with P = (SᵀS + λ I)⁻¹,
    B_ij = −P_ij / P_jj. train as for `bpr.fit_bpr`. Raises BadInput for no positives, an item outside 0..M-1,
    a lam that is not above 0, or more than `MOST_ITEMS` items.
    Source: Steck 2019, "Embarrassingly shallow autoencoders for sparse data"."""
    item = train[1]
    if len(item) == 0 or item.max() >= n_items or item.min() < 0 or lam <= 0:
        raise BadInput(f"ease: needs positives with items from 0 to {n_items - 1}, and lam {lam} above 0")
    if n_items > MOST_ITEMS:
        raise BadInput(f"ease: {n_items:,} items; its matrix of items × items is for {MOST_ITEMS:,} at most")
    S = _matrix(train, n_items)
    G = (S.T @ S).toarray().astype(np.float64)
    G[np.diag_indices(n_items)] += lam
    P = np.linalg.inv(G)
    B = (P / -P.diagonal()).astype(np.float32)
    np.fill_diagonal(B, 0)
    return lambda users: S[users] @ B
