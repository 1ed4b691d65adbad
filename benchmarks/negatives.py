"""Algorithm 1 at 9 M positives: ours, vectorised numpy, and `Generator.choice` per user.

    python -m benchmarks.negatives --positives 9200000

The per-user choice takes more than a minute at full size, so it runs on a sample of users and its time is
scaled by the share of users; its row says so.
"""

import numpy as np
import pandas as pd

from benchmarks.common import compare, parser, report
from helpers.crowd import filtering, negatives


def world(n: int, n_users: int, n_items: int, seed: int = 0):
    """CSR of about n distinct long-tailed pairs, every user with a view, and the weights log(1 + p_i)."""
    rng = np.random.default_rng(seed)

    def draw(size: int, spread: float) -> np.ndarray:
        share = np.cumsum(rng.lognormal(0, spread, size))
        return np.minimum(np.searchsorted(share / share[-1], rng.random(n)), size - 1)

    user, item = filtering.unique_views(
        pd.DataFrame({"user": draw(n_users, 1.0), "item": draw(n_items, 1.5)})
    )
    user, _ = filtering.reindex(user)
    indptr, indices = filtering.to_csr(user, item, int(user.max()) + 1)
    return indptr, indices, negatives.weights(negatives.popularity(item, n_items), "log1p")


def with_numpy(indptr, indices, w, ratio, rng):
    """All users at once: draw what is missing, reject what is seen or repeated, until nothing is missing."""
    n_users, n_items = len(indptr) - 1, len(w)
    n = np.diff(indptr)
    cumulated = np.cumsum(w) / w.sum()
    taken = np.zeros(n_users * n_items, bool)
    taken[np.repeat(np.arange(n_users), n) * n_items + indices] = True
    missing = np.minimum(ratio * n, np.count_nonzero(w) - n)
    parts = []
    while missing.sum():
        owner = np.repeat(np.arange(n_users), missing)
        cell = np.searchsorted(cumulated, rng.random(len(owner)), side="right")
        key = owner * n_items + np.minimum(cell, n_items - 1)
        key = np.sort(key[~taken[key]])
        key = key[np.diff(key, prepend=-1) > 0]  # np.unique hashes integers, which takes ten times as long
        taken[key] = True
        missing -= np.bincount(key // n_items, minlength=n_users)
        parts.append(key)
    return np.concatenate(parts)


def with_choice(indptr, indices, w, ratio, users, rng):
    """One `choice` without replacement per user."""
    parts = []
    for u in users:
        seen = indices[indptr[u] : indptr[u + 1]]
        p = w.copy()
        p[seen] = 0
        k = min(ratio * len(seen), np.count_nonzero(p))
        parts.append(rng.choice(len(w), k, replace=False, p=p / p.sum()))
    return parts


def main(arguments: list[str] | None = None) -> None:
    made = parser(__doc__, positives=9_200_000, users=170_000, items=10_000, ratio=2, sample=500)
    options = made.parse_args(arguments)
    indptr, indices, w = world(options.positives, options.users, options.items)
    n = options.ratio * np.diff(indptr)
    rng = np.random.default_rng(0)
    users = rng.choice(len(n), min(options.sample, len(n)), replace=False)
    _, items = negatives.sample_negatives(indptr, indices, w, n, 0)
    assert len(with_numpy(indptr, indices, w, options.ratio, rng)) == len(items)
    print(f"{len(indices):,} positives -> {len(items):,} negatives, {len(n):,} users x {len(w):,} items")
    runs = {
        "ours": lambda: negatives.sample_negatives(indptr, indices, w, n, 0),
        "numpy": lambda: with_numpy(indptr, indices, w, options.ratio, rng),
        "choice": lambda: with_choice(indptr, indices, w, options.ratio, users, rng),
    }
    # the first two ran above, the third has nothing to warm
    times = compare(runs, options.repeats, warm=False)
    times.loc["choice"] *= n.sum() / n[users].sum()
    times = times.rename(index={"choice": f"choice per user (scaled from {len(users)} users)"})
    report("negative sampling", times, options, 50, negatives=len(items))


if __name__ == "__main__":
    main()
