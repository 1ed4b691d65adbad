"""How fast lock-free SGD is with each number of threads, and what the machine would allow."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from helpers.crowd.factorize import Entries, initial, padded, sgd_kernel, sweep
from helpers.errors import BadInput


def sample_of_users(
    popularity: np.ndarray, n_items: int, density: float, cells: int, positive: float,
    rng: np.random.Generator,
) -> Entries:  # fmt: skip
    """Some users of a crowd far larger than ours: about `cells` known cells, each user's as many as `density`
    (share of the matrix) means, of at least n_items items. An item is one of ours, by its share of the known
    cells in `popularity` float[M], in one of several copies, so that the long tail stays. A cell is 1 with
    the probability `positive`. Only the time of an epoch is like that of a real crowd: nothing can be learnt.
    Raises BadInput where the density leaves a user without a cell."""
    M = len(popularity)
    copies = -(-n_items // M)
    each = round(density * M * copies)
    if each < 1:
        raise BadInput(f"sample_of_users: {density} of {M * copies} items leaves a user without a cell")
    n_users = max(2, round(cells / each))
    n = n_users * each
    item = rng.choice(M, n, p=popularity / popularity.sum()) + M * rng.integers(copies, size=n)
    value = (rng.random(n) < positive).astype(np.float32)
    return Entries(np.arange(0, n + 1, each), item.astype(np.int32), value, M * copies)


def apart(entries: Entries, threads: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """The same entries, but that each of some threads has items of its own: item int32[n], moved into one of
    `threads` ranges of equal length, and the users int64 of each thread."""
    blocks = np.array_split(np.arange(len(entries.indptr) - 1), threads)
    owner = np.repeat(np.arange(threads), [np.diff(entries.indptr)[users].sum() for users in blocks])
    room = entries.n_items // threads
    return (entries.item % room + room * owner).astype(np.int32), blocks


def race(
    entries: Entries, d: int, lam: float, eta: float, threads: list[int], rounds: int = 5, seed: int = 0
) -> np.ndarray:  # fmt: skip
    """Seconds of an epoch of equation 3, float (rounds, threads, 2): lock-free, and where no two threads
    share an item (nor a user), hence nothing. The latter is all that this machine's cores and memory can
    give; what lock-free takes beyond it is the price of sharing. All take turns: a busy machine hurts all."""
    rng, kernel = np.random.default_rng(seed), sgd_kernel(padded(d))
    mean = float(entries.value.mean())
    X, Y = (initial(n, d, mean, rng) for n in (len(entries.indptr) - 1, entries.n_items))
    alone = [apart(entries, k) for k in threads]
    start, state = np.zeros(len(X), np.int64), (X, Y, eta, lam)

    def lock_free(turn: int, which: int) -> None:
        sweep(kernel, entries[:3], seed, turn, threads[which], *state)

    def unshared(turn: int, which: int) -> None:
        item, blocks = alone[which]
        with ThreadPoolExecutor(len(blocks)) as pool:
            visit = (entries.indptr, item, entries.value)
            list(pool.map(lambda users: kernel(*visit, users, start, *state), blocks))

    seconds = np.empty((rounds, len(threads), 2))
    lock_free(0, 0)  # compiles, and brings the memory near
    for turn in range(rounds):
        for which in range(len(threads)):
            for way, epoch in enumerate((lock_free, unshared)):
                began = time.perf_counter()
                epoch(turn, which)
                seconds[turn, which, way] = time.perf_counter() - began
    return seconds
