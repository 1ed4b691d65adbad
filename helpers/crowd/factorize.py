"""Matrix factorisation of view entries: equation 3 of Fang et al. (2015), by SGD, serial or lock-free.

Entries are grouped by user: a user's factor x_j stays in the processor's nearest memory while all of that
user's entries are visited, so only item factors y_i travel. In the lock-free variant every user belongs to
one thread, hence only item factors can be overwritten by another thread.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import numba
import numpy as np

from helpers.crowd.entries import Entries, visiting_plan
from helpers.crowd.prefetching import prefetch_row
from helpers.errors import BadInput
from helpers.measures.metrics import rmse

AHEAD = 4  # entries between asking for an item factor and needing it


@dataclass
class Factors:
    """What a factorisation found.

    Attributes:
        X: float32[N, d], row j is the user factor x_j.
        Y: float32[M, d], row i is the item factor y_i.
        history: one dict an epoch: "epoch", "eta", and "rmse" where there are validation entries.
        best_epoch: the epoch that X and Y are from.
    """

    X: np.ndarray
    Y: np.ndarray
    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """float32[n]: V̂_ij = y_iᵀ x_j for the pairs."""
        return _products(self.X, self.Y, np.asarray(user, np.int32), np.asarray(item, np.int32))


@numba.njit(nogil=True, fastmath={"reassoc", "contract", "nsz"}, cache=True)
def _products(X, Y, user, item):
    result = np.empty(len(user), np.float32)
    for t in range(len(user)):
        x, y, total = X[user[t]], Y[item[t]], np.float32(0)
        for k in range(len(x)):
            total += x[k] * y[k]
        result[t] = total
    return result


@lru_cache
def sgd_kernel(width: int):
    """The compiled SGD over some users, for rows of a fixed `width`, so that loops become vector code.

    The kernel does, for each entry in the plan's order, with e = V_ij − y_iᵀ x_j,
        x_j ← x_j + η (e y_i − λ x_j),   y_i ← y_i + η (e x_j − λ y_i)   (both from the old values),
    the gradient step of equation 3 with the factor 2 of the derivative taken into η.
    """

    @numba.njit(nogil=True, fastmath={"reassoc", "contract", "nsz"}, cache=True)
    def sgd(indptr, item, value, users, start, X, Y, eta, lam):
        x = np.empty(width, np.float32)
        keep = np.float32(1 - eta * lam)
        step = np.float32(eta)
        for j in users:
            begin, end = indptr[j], indptr[j + 1]
            x[:] = X[j]
            t = begin + start[j]
            for _ in range(end - begin):
                soon = t + AHEAD
                if soon < end:
                    prefetch_row(Y, np.int64(item[soon]))
                y = Y[item[t]]
                predicted = np.float32(0)
                for k in range(width):
                    predicted += x[k] * y[k]
                g = step * (value[t] - predicted)
                for k in range(width):
                    x_k = x[k]
                    x[k] = keep * x_k + g * y[k]
                    y[k] = keep * y[k] + g * x_k
                t += 1
                if t == end:
                    t = begin
            X[j] = x

    return sgd


def padded(d: int) -> int:
    """The row length used inside the kernel: d rounded up to a multiple of 8 (one 256-bit vector)."""
    return -(-d // 8) * 8


def initial(n: int, d: int, mean: float, rng: np.random.Generator) -> np.ndarray:
    """float32[n, padded d]: factors whose products start at the mean of the entries, plus noise of 0.1 / √d.

    Starting at zero instead would spend the first epochs on finding the mean. Padding stays 0 throughout.
    """
    factors = np.zeros((n, padded(d)), np.float32)
    factors[:, :d] = np.sqrt(mean / d) + rng.normal(0, 0.1 / np.sqrt(d), (n, d))
    return factors


def parts_of(indptr: np.ndarray, users: np.ndarray, threads: int) -> list[np.ndarray]:
    """Cut the users' order into runs of about equal numbers of entries: several a thread, so that nobody
    waits long for the slowest; a single run for one thread.
    """
    if threads == 1:
        return [users]
    done, n = np.cumsum(np.diff(indptr)[users]), 4 * threads
    return np.split(users, np.searchsorted(done, done[-1] * np.arange(1, n) / n))


def epochs(
    entries: Entries, d: int, lam: float, eta: float, decay: float, seed: int, threads: int = 1
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Endless SGD: yields (η of the epoch, X, Y) after each epoch; X and Y are views that go on changing.

    η of epoch e (from 0) is eta / (1 + decay · e).
    """
    n_users, n_items = len(entries.indptr) - 1, entries.n_items
    rng = np.random.default_rng(seed)
    mean = float(entries.value.mean())
    X, Y = initial(n_users, d, mean, rng), initial(n_items, d, mean, rng)
    sgd = sgd_kernel(padded(d))
    epoch = 0
    with ThreadPoolExecutor(threads) as pool:
        while True:
            step = eta / (1 + decay * epoch)
            users, start = visiting_plan(entries.indptr, seed, epoch)

            def run(some, start=start, step=step):
                sgd(entries.indptr, entries.item, entries.value, some, start, X, Y, step, lam)

            list(pool.map(run, parts_of(entries.indptr, users, threads)))
            yield step, X[:, :d], Y[:, :d]
            epoch += 1


def fit(
    entries: Entries,
    d: int = 100,
    lam: float = 0.01,
    eta: float = 0.1,
    decay: float = 0.1,
    max_epochs: int = 60,
    seed: int = 0,
    validation: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    patience: int = 10,
    threads: int = 1,
) -> Factors:
    """Minimise equation 3, Σ (V_ij − y_iᵀ x_j)² + λ (‖x_j‖² + ‖y_i‖²) over the non-missing entries.

    Args:
        entries: from `group`, shuffled before.
        d: size of the factors.
        lam: λ, the weight of the regularisation, counted once for every entry.
        eta: step size of the first epoch; epoch e has eta / (1 + decay · e).
        max_epochs: passes over the entries at most.
        seed: decides initial factors and visiting order.
        validation: (user, item, value) of held-out entries: then training stops when their RMSE has not
            improved for `patience` epochs, and the factors of the best epoch are returned. Be patient: until
            the factors have found a direction, the error may rise for several epochs before it falls.
        threads: 1 repeats bit for bit on one machine; more is the paper's asynchronous SGD (lock-free, as
            in Hogwild), which does not repeat.

    Raises:
        BadInput: no entries, or the factors became infinite or NaN (the message says what to lower).

    Source: Fang et al. 2015, equation 3 and section 4.1.
    """
    if len(entries.item) == 0:
        raise BadInput("fit: there are no entries to factorise")
    best, history = Factors(np.empty(0), np.empty(0)), []
    lowest = np.inf
    for epoch, (step, X, Y) in enumerate(epochs(entries, d, lam, eta, decay, seed, threads), 1):
        if not (np.isfinite(X).all() and np.isfinite(Y).all()):
            raise BadInput(f"fit: the factors diverged in epoch {epoch} (eta {eta}, lam {lam}); halve eta")
        row = {"epoch": epoch, "eta": step}
        if validation is None:
            best.X, best.Y, best.best_epoch = X, Y, epoch
        else:
            user, item, value = validation
            row["rmse"] = rmse(value, Factors(X, Y).predict(user, item))
            if row["rmse"] < lowest:
                lowest = row["rmse"]
                best.X, best.Y, best.best_epoch = X.copy(), Y.copy(), epoch
        history.append(row)
        if epoch == max_epochs or epoch - best.best_epoch >= patience:
            break
    return Factors(np.ascontiguousarray(best.X), np.ascontiguousarray(best.Y), history, best.best_epoch)
