"""ALS and BPR of the `implicit` library, quiet and with this project's arguments."""

import warnings

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from helpers.crowd.factorize import Factors


def _matrix(train: tuple[np.ndarray, np.ndarray], n_items: int) -> sp.csr_matrix:
    indptr, indices = train
    return sp.csr_matrix(
        (np.ones(len(indices), np.float32), indices, indptr), shape=(len(indptr) - 1, n_items)
    )


def als(
    train: tuple[np.ndarray, np.ndarray],
    n_items: int,
    d: int = 64,
    lam: float = 0.01,
    alpha: float = 1.0,
    epochs: int = 15,
    seed: int = 0,
    threads: int = 1,
) -> Factors:
    """Alternating least squares on all cells, seen ones with confidence 1 + alpha (Hu et al. 2008).

    Repeats bit for bit. Arguments as for `bpr.fit_bpr`; lam is implicit's `regularization`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # advice about BLAS threads, followed below
        from implicit.cpu.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(
            factors=d,
            regularization=lam,
            alpha=alpha,
            iterations=epochs,
            num_threads=threads,
            random_state=seed,
        )
    with threadpool_limits(1, "blas"):
        model.fit(_matrix(train, n_items), show_progress=False)
    return Factors(np.asarray(model.user_factors), np.asarray(model.item_factors), [], epochs)


def bpr(
    train: tuple[np.ndarray, np.ndarray],
    n_items: int,
    d: int = 64,
    lam: float = 0.01,
    eta: float = 0.05,
    epochs: int = 50,
    seed: int = 0,
    threads: int = 1,
) -> Factors:
    """BPR of `implicit`; repeats with one thread only. The item bias is an extra column of the factors."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=d,
        regularization=lam,
        learning_rate=eta,
        iterations=epochs,
        num_threads=threads,
        random_state=seed,
    )
    model.fit(_matrix(train, n_items), show_progress=False)
    return Factors(np.asarray(model.user_factors), np.asarray(model.item_factors), [], epochs)
