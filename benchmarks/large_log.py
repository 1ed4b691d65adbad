"""A log of many views on one machine: seconds and peak memory of filtering, negatives and one epoch of SGD.

    python -m benchmarks.large_log --views 100000000 --folder /somewhere/with/space

Each step is a process that reads what the one before wrote, as the notebooks do, so its peak memory is its
own. A log that is in the folder is taken as it is: parquet files `log/*`, columns user and item, from 0.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from benchmarks.common import parser, record
from helpers.crowd import factorize, filtering, negatives
from helpers.notebook.provenance import peak_mb

CHUNK = 4_000_000  # views to a file


class Clock:
    """Collects a row for each part of a step; the peak is that of the step so far."""

    def __init__(self, step: str):
        self.step, self.rows, self.began = step, [], time.perf_counter()

    def __call__(self, part: str, rows: int) -> None:
        now = time.perf_counter()
        row = {"step": self.step, "part": part, "seconds": now - self.began, "rows": rows}
        self.rows.append(row | {"peak_mb": peak_mb()})
        self.began = now


def generate(folder: Path, options, clock: Clock) -> None:
    """Views of users with long-tailed activity, of items with long-tailed popularity; pairs may repeat."""
    rng, n = np.random.default_rng(0), options.views

    def shares(size: int, spread: float) -> np.ndarray:
        cumulated = np.cumsum(rng.lognormal(0, spread, size))
        return cumulated / cumulated[-1]

    users, items = shares(max(n // 60, 20), 1.0), shares(max(n // 150, 20), 1.2)
    (folder / "log").mkdir(parents=True)
    for k, first in enumerate(range(0, n, CHUNK)):
        size = min(CHUNK, n - first)
        drawn = [np.searchsorted(cumulated[:-1], rng.random(size)) for cumulated in (users, items)]
        table = pa.table({"user": drawn[0].astype(np.int32), "item": drawn[1].astype(np.int32)})
        pq.write_table(table, folder / "log" / f"{k:05}.parquet")
    clock("write the log", n)


def filter_(folder: Path, options, clock: Clock) -> None:
    views = ds.dataset(folder / "log").to_table(columns=["user", "item"]).to_pandas()
    clock("read", len(views))
    user, item = filtering.unique_views(views)
    del views
    clock("distinct pairs", len(user))
    user, item, report = filtering.threshold(user, item, options.low, options.high)
    clock(f"thresholds, {len(report) - 1} rounds", len(user))
    (user, _), (item, _) = filtering.reindex(user), filtering.reindex(item)
    clock("codes from 0", len(user))
    np.save(folder / "positives.npy", [user, item])


def sample(folder: Path, options, clock: Clock) -> None:
    user, item = np.load(folder / "positives.npy")
    clock("read", len(user))
    unseen = negatives.by_ratio(user, item, int(item.max()) + 1, options.ratio)
    clock("negatives", len(unseen[0]))
    np.save(folder / "negatives.npy", unseen)


def epoch(folder: Path, options, clock: Clock) -> None:
    positives, unseen = np.load(folder / "positives.npy"), np.load(folder / "negatives.npy")
    n_users, n_items = positives.max(1) + 1
    clock("read", positives.shape[1] + unseen.shape[1])
    order = np.arange(positives.shape[1] + unseen.shape[1], dtype=np.int32)
    np.random.default_rng(0).shuffle(order)
    value = (order < positives.shape[1]).astype(np.float32)
    user, item = (np.concatenate(both)[order] for both in zip(positives, unseen, strict=True))
    del positives, unseen, order
    clock("shuffle", len(user))
    entries = factorize.group(user, item, value, n_users, n_items)
    del user, item, value
    clock("group by user", len(entries.item))
    factorize.sgd_kernel(factorize.padded(options.d))  # not compiled yet, but by the first epoch's
    factorize.fit(entries, options.d, max_epochs=1, threads=options.threads)
    clock(f"one epoch, d = {options.d}, {options.threads} threads", len(entries.item))


STEPS = {"generate": generate, "filter": filter_, "sample": sample, "epoch": epoch}


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    made = parser(__doc__, views=1_000_000, low=10, high=20_000, ratio=2, d=100, threads=2)
    made.add_argument("--folder", type=Path, help="default: a temporary one, removed at the end")
    made.add_argument("--step", choices=STEPS, help="used by the benchmark itself")
    options = made.parse_args(arguments)
    if options.step:
        numba.set_num_threads(options.threads)
        clock = Clock(options.step)
        STEPS[options.step](options.folder, options, clock)
        print(json.dumps(clock.rows))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder, rows = options.folder or Path(temporary), []
        for step in STEPS:
            if step != "generate" or not (folder / "log").exists():
                command = [sys.executable, "-m", "benchmarks.large_log", *arguments]
                command += ["--step", step, "--folder", str(folder)]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                rows += json.loads(done.stdout)
    print(pd.DataFrame(rows).round({"seconds": 2, "peak_mb": 0}).to_string(index=False))
    record("a large log", options, rows=rows)


if __name__ == "__main__":
    main()
