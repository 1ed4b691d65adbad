"""Matrix factorisation of view entries: equation 3 of Fang et al. (2015), by SGD, serial or lock-free.

The non-missing entries of V are grouped by user: a user's factor x_j stays in the processor's nearest memory
while all of that user's entries are visited, so only item factors y_i travel. In the lock-free variant every
user belongs to one thread, hence only item factors can be overwritten by another thread.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import numba
import numpy as np

from helpers.errors import BadInput
from helpers.measures.metrics import rmse
from helpers.measures.ranking import grouped

AHEAD = 4  # entries between the first look at an item factor and its turn


class Entries(NamedTuple):
    """Non-missing entries of V grouped by user; `group` makes them."""

    indptr: np.ndarray  # int64[N+1]; user j has the entries indptr[j] to indptr[j+1]
    item: np.ndarray  # int32[n]
    value: np.ndarray  # float32[n], 1 for a positive, 0 for a sampled negative
    n_items: int

    @property
    def user(self) -> np.ndarray:
        """int32[n]: the user of each entry."""
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))


def group(user: np.ndarray, item: np.ndarray, value: np.ndarray, n_users: int, n_items: int) -> Entries:
    """Group entries by user; within a user they keep their order, so shuffle them before (`fit` expects it).
    Raises BadInput for different lengths, or a user or item outside its range."""
    if not len(user) == len(item) == len(value):
        raise BadInput(f"entries: {len(user)} users, {len(item)} items, {len(value)} values; give one each")
    for name, ids, size in [("user", user, n_users), ("item", item, n_items)]:
        if len(ids) and not (ids.min() >= 0 and ids.max() < size):
            raise BadInput(f"entries: {name} {ids.min()} to {ids.max()}; expected 0 to {size - 1}")
    places = np.arange(len(user), dtype=np.int32 if len(user) < 2**31 else np.int64)
    indptr, order = grouped(np.ascontiguousarray(user, np.int32), places, n_users)
    return Entries(indptr, np.asarray(item, np.int32)[order], np.asarray(value, np.float32)[order], n_items)


def visiting_plan(indptr: np.ndarray, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """The order in which an epoch visits the entries, decided by (seed, epoch): int64[N] each, the users in
    random order, and the entry, counted from 0, that user j begins with, going round at the end."""
    rng, counts = np.random.default_rng([seed, epoch]), np.diff(indptr)
    return rng.permutation(len(counts)), (rng.random(len(counts)) * counts).astype(np.int64)


def visited_entries(indptr: np.ndarray, users: np.ndarray, start: np.ndarray) -> np.ndarray:
    """int64[n]: the plan spelt out as positions of entries. What the compiled kernel visits, for checking."""
    counts = np.diff(indptr)
    rounds = [(np.arange(counts[j]) + start[j]) % counts[j] + indptr[j] for j in users if counts[j]]
    return np.concatenate(rounds) if rounds else np.empty(0, np.int64)


@dataclass
class Factors:
    """What a factorisation found; `history` has one dict an epoch, see `fit`."""

    X: np.ndarray  # float32[N, d], row j is the user factor x_j
    Y: np.ndarray  # float32[M, d], row i is the item factor y_i
    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0  # the epoch that X and Y are from

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
    the gradient step of equation 3 with the factor 2 of the derivative taken into η. It looks at an item
    factor some entries early, a number in each 64 bytes, so that it is near when its turn comes; what it saw
    is returned, or the compiler would leave the looking out."""

    @numba.njit(nogil=True, fastmath={"reassoc", "contract", "nsz"}, cache=True)
    def sgd(indptr, item, value, users, start, X, Y, eta, lam):
        x, step, keep = np.empty(width, np.float32), np.float32(eta), np.float32(1 - eta * lam)
        seen = np.float32(0)
        for j in users:
            begin, end = indptr[j], indptr[j + 1]
            x[:] = X[j]
            for visit in range(begin + start[j], end + start[j]):
                t = visit if visit < end else visit - end + begin
                if t + AHEAD < end:
                    for k in range(0, width, 16):
                        seen += Y[item[t + AHEAD], k]
                y, predicted = Y[item[t]], np.float32(0)
                for k in range(width):
                    predicted += x[k] * y[k]
                g = step * (value[t] - predicted)
                for k in range(width):
                    x_k = x[k]
                    x[k] = keep * x_k + g * y[k]
                    y[k] = keep * y[k] + g * x_k
            X[j] = x
        return seen

    return sgd


def padded(d: int) -> int:
    """The row length used inside the kernel: d rounded up to a multiple of 8 (one 256-bit vector)."""
    return -(-d // 8) * 8


def initial(n: int, d: int, mean: float, rng: np.random.Generator) -> np.ndarray:
    """float32[n, padded d]: factors whose products start at the mean of the entries, plus noise of 0.1 / √d.
    From zero the first epochs would be spent on finding the mean. Padding stays 0 throughout."""
    factors = np.zeros((n, padded(d)), np.float32)
    for first in range(0, n, 8192):  # the noise is float64, twice the factors if drawn at once
        rows = factors[first : first + 8192, :d]
        rows[:] = np.sqrt(mean / d) + rng.normal(0, 0.1 / np.sqrt(d), rows.shape)
    return factors


def parts_of(indptr: np.ndarray, users: np.ndarray, threads: int) -> list[np.ndarray]:
    """Cut the users' order into runs of about equal numbers of entries: several a thread, so that nobody
    waits long for the slowest; a single run for one thread."""
    if threads == 1:
        return [users]
    done, n = np.cumsum(np.diff(indptr)[users]), 4 * threads
    return np.split(users, np.searchsorted(done, done[-1] * np.arange(1, n) / n))


def sweep(kernel, entries: tuple, seed: int, epoch: int, threads: int, *state) -> None:
    """An epoch of a kernel over `entries`, indptr first, in the order of `visiting_plan`."""
    users, start = visiting_plan(entries[0], seed, epoch)
    with ThreadPoolExecutor(threads) as pool:
        parts = parts_of(entries[0], users, threads)
        list(pool.map(lambda part: kernel(*entries, part, start, *state), parts))


def epochs(
    entries: Entries, d: int, lam: float, eta: float, decay: float, seed: int, threads: int = 1
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Endless SGD: yields (η of the epoch, X, Y) after each epoch; X and Y are views that go on changing."""
    rng, mean = np.random.default_rng(seed), float(entries.value.mean())
    X, Y = (initial(n, d, mean, rng) for n in (len(entries.indptr) - 1, entries.n_items))
    for epoch in count():
        step = eta / (1 + decay * epoch)
        sweep(sgd_kernel(padded(d)), entries[:3], seed, epoch, threads, X, Y, step, lam)
        yield step, X[:, :d], Y[:, :d]


def check_finite(X: np.ndarray, Y: np.ndarray, where: str) -> None:
    """Raises BadInput where a factor is infinite or NaN."""
    if not (np.isfinite(X).all() and np.isfinite(Y).all()):
        raise BadInput(f"{where}: the factors diverged; halve eta")


def fit(
    entries: Entries, d: int = 100, lam: float = 0.01, eta: float = 0.1, decay: float = 0.1,
    max_epochs: int = 60, seed: int = 0, validation: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    patience: int = 10, threads: int = 1,
) -> Factors:  # fmt: skip
    """Minimise equation 3, Σ (V_ij − y_iᵀ x_j)² + λ (‖x_j‖² + ‖y_i‖²) over the non-missing entries.

    Entries are from `group`, shuffled before; lam is λ, counted once an entry; epoch e (from 0) has the step
    eta / (1 + decay · e); the seed decides first factors and visiting order. With `validation`, (user, item,
    value) of held-out entries, training stops when their RMSE has not improved for `patience` epochs
    (until the factors have found a direction, it may rise for several before it falls), and the factors of
    the best epoch are returned. One thread repeats bit for bit on one machine; more are the paper's
    asynchronous SGD (lock-free, as in Hogwild), which does not repeat. The history has "epoch", "eta", and
    "rmse" where there are validation entries. Raises BadInput for no entries, or factors that became infinite
    or NaN. Source: Fang et al. 2015, equation 3 and section 4.1."""
    if len(entries.item) == 0:
        raise BadInput("fit: there are no entries to factorise")
    best, history, lowest = Factors(np.empty(0), np.empty(0)), [], np.inf
    for epoch, (step, X, Y) in enumerate(epochs(entries, d, lam, eta, decay, seed, threads), 1):
        check_finite(X, Y, f"fit, epoch {epoch}, eta {eta}, lam {lam}")
        error = None
        history.append({"epoch": epoch, "eta": step})
        if validation is not None:
            history[-1]["rmse"] = error = rmse(validation[2], Factors(X, Y).predict(*validation[:2]))
        if error is None or error < lowest:
            best, lowest = Factors(X.copy(), Y.copy(), history, epoch), error
        if epoch == max_epochs or epoch - best.best_epoch >= patience:
            return best
