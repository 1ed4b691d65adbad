"""A small timing harness: interleaved runs, medians, ratios to the first entry."""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd


def compare(candidates: dict[str, Callable[[], object]], repeats: int = 5, warm: bool = True) -> pd.DataFrame:
    """Time callables side by side; the first one is ours.

    The runs are interleaved (one of each, then one of each again), so that a disturbance of the machine
    hits all of them. Ratios under 1.2 are ties on a busy machine.

    Args:
        candidates: name -> callable without arguments; do the set-up outside.
        repeats: timed runs of each.
        warm: run each once before, untimed (compilation, caches).

    Returns:
        One row per candidate: median, fastest and slowest in seconds, and ratio = median / median of the
        first (above 1: ours is faster).
    """
    if warm:
        for run in candidates.values():
            run()
    seconds = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    table = pd.DataFrame(
        {
            "median": {name: np.median(s) for name, s in seconds.items()},
            "fastest": {name: min(s) for name, s in seconds.items()},
            "slowest": {name: max(s) for name, s in seconds.items()},
        }
    )
    table["ratio"] = table["median"] / table["median"].iloc[0]
    return table


def best_peer(table: pd.DataFrame) -> tuple[str, float]:
    """The fastest of the others, and how many times its median is ours."""
    peers = table["ratio"].iloc[1:]
    return str(peers.idxmin()), float(peers.min())


def show(title: str, table: pd.DataFrame, target: float | None = None) -> None:
    """Print the table, the ratio to the best peer and whether the target is met."""
    name, ratio = best_peer(table)
    print(f"\n{title}\n{table.round(4).to_string()}")
    verdict = "" if target is None else f"; target {target:g}: {'met' if ratio >= target else 'missed'}"
    print(f"best peer: {name}, {ratio:.2f} x our time{verdict}")


def parser(description: str, **numbers: int) -> argparse.ArgumentParser:
    """A command line with one `--name N` per keyword, plus `--repeats`."""
    made = argparse.ArgumentParser(description=description)
    for name, value in {**numbers, "repeats": 5}.items():
        made.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    return made
