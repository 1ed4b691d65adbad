"""ALS and BPR of the `implicit` library, quiet and with this project's arguments."""

import warnings

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from helpers.crowd.factorize import Factors


def _fitted(model, train: tuple[np.ndarray, np.ndarray], n_items: int) -> Factors:
    indptr, indices = train
    rows = np.ones(len(indices), np.float32), indices, indptr
    model.fit(sp.csr_matrix(rows, shape=(len(indptr) - 1, n_items)), show_progress=False)
    return Factors(np.asarray(model.user_factors), np.asarray(model.item_factors), [], model.iterations)


def als(
    train: tuple[np.ndarray, np.ndarray], n_items: int, d: int = 64, lam: float = 0.01, alpha: float = 1.0,
    epochs: int = 15, seed: int = 0, threads: int = 1,
) -> Factors:  # fmt: skip
    """Alternating least squares on all cells, seen ones with confidence alpha (Hu et al. 2008).

    Repeats bit for bit. Arguments as for `bpr.fit_bpr`; lam is implicit's `regularization`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # advice about BLAS threads, followed below
        from implicit.cpu.als import AlternatingLeastSquares as ALS

        model = ALS(d, lam, alpha, iterations=epochs, num_threads=threads, random_state=seed)
    with threadpool_limits(1, "blas"):
        return _fitted(model, train, n_items)


def bpr(
    train: tuple[np.ndarray, np.ndarray], n_items: int, d: int = 64, lam: float = 0.01, eta: float = 0.05,
    epochs: int = 50, seed: int = 0, threads: int = 1,
) -> Factors:  # fmt: skip
    """BPR of `implicit`; repeats with one thread only. The item bias is an extra column of the factors."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking as BPR

    model = BPR(d, eta, lam, iterations=epochs, num_threads=threads, random_state=seed)
    return _fitted(model, train, n_items)
