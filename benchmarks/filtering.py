"""Threshold filtering to the fixed point, 20 M rows: ours, numpy bincount, polars, pandas.

python -m benchmarks.filtering --rows 20000000
"""

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.common import compare, parser, report
from helpers.crowd import filtering


def rows(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """About n distinct pairs with long-tailed users and items, in random order; about a third survives."""
    rng = np.random.default_rng(seed)

    def draw(size: int, spread: float) -> np.ndarray:
        share = np.cumsum(rng.lognormal(0, spread, size))
        return np.minimum(np.searchsorted(share / share[-1], rng.random(n)), size - 1).astype(np.int32)

    views = pd.DataFrame({"user": draw(n // 8, 1.2), "item": draw(n // 13, 1.0)})
    user, item = filtering.unique_views(views)
    order = rng.permutation(len(user))
    return user[order], item[order]


def with_numpy(user, item, low, high):
    while True:
        n = len(user)
        for side in (1, 0):
            ids = item if side else user
            count = np.bincount(ids)
            keep = ((count >= low) & (count <= high))[ids]
            user, item = user[keep], item[keep]
        if len(user) == n:
            return user, item


def with_polars(frame, low, high):
    while True:
        n = len(frame)
        for column in ("item", "user"):
            kept = frame.group_by(column).len().filter(pl.col("len").is_between(low, high))
            frame = frame.join(kept, on=column, how="semi")
        if len(frame) == n:
            return frame


def with_pandas(frame, low, high):
    while True:
        n = len(frame)
        for column in ("item", "user"):
            frame = frame[frame[column].map(frame[column].value_counts()).between(low, high)]
        if len(frame) == n:
            return frame


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, rows=20_000_000, low=10, high=20_000).parse_args(arguments)
    user, item = rows(options.rows)
    low, high = options.low, options.high
    as_polars = pl.DataFrame({"user": user, "item": item})
    as_pandas = pd.DataFrame({"user": user, "item": item})
    u, i, rounds = filtering.threshold(user, item, low, high)
    expected = with_numpy(user, item, low, high)
    assert np.array_equal(u, expected[0])
    assert np.array_equal(i, expected[1])
    assert len(with_polars(as_polars, low, high)) == len(with_pandas(as_pandas, low, high)) == len(u)
    print(f"{len(user):,} pairs -> {len(u):,} in {len(rounds) - 1} rounds")
    runs = {
        "ours": lambda: filtering.threshold(user, item, low, high),
        "numpy bincount": lambda: with_numpy(user, item, low, high),
        "polars": lambda: with_polars(as_polars, low, high),
        "pandas": lambda: with_pandas(as_pandas, low, high),
    }
    times = compare(runs, options.repeats, warm=False)  # each ran above
    report("threshold filtering", times, options, 3, left=len(u))


if __name__ == "__main__":
    main()
