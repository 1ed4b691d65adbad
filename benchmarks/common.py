"""Timing side by side, marks that all must reach, results: `benchmarks/results/<machine>.json`."""

import argparse
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from helpers.files import replacing
from helpers.learn import devices
from helpers.notebook import provenance

RESULTS = Path(__file__).with_name("results")
PEERS = ("cornac", "gensim", "lightfm-next", "pillow", "polars", "torchmetrics")
Table = pd.DataFrame


def parser(description: str, **numbers: int) -> argparse.ArgumentParser:
    """A command line with one `--name N` per keyword, `--repeats` and `--results`; of a module's docstring
    the first line."""
    made = argparse.ArgumentParser(description=description.splitlines()[0])
    for name, value in {"repeats": 5, **numbers}.items():
        made.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    made.add_argument("--results", type=Path, default=RESULTS, help="folder of <machine>.json")
    return made


def compare(candidates: dict[str, Callable[[], object]], repeats: int = 5, warm: bool = True) -> Table:
    """Time callables without arguments side by side; the first one is ours.

    Runs are interleaved (one of each, then one of each again), so that a disturbance of the machine hits all
    of them; `warm` runs each once before, untimed (compilation, caches). Do the set-up outside."""
    if warm:
        for run in candidates.values():
            run()
    seconds = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return table(seconds)


def table(seconds: dict[str, Sequence[float]]) -> Table:
    """One row per candidate: median, fastest and slowest in seconds, and ratio = median / median of the first
    (above 1: ours is faster). Ratios under 1.2 are ties on a busy machine."""
    rows = {name: [np.median(s), min(s), max(s)] for name, s in seconds.items()}
    made = pd.DataFrame.from_dict(rows, orient="index", columns=["median", "fastest", "slowest"])
    return made.assign(ratio=made["median"] / made["median"].iloc[0])


def curves(
    runs: dict[str, Callable[[int], object]],
    measures: Callable[[str, object], dict[str, float]],
    tries: dict[str, Sequence[int]],
) -> Table:
    """What each method, run(epochs) -> model, reaches in how many seconds, trained anew for each number of
    epochs: method, epochs, seconds and `measures(method, model)`, of which more is better."""
    rows = []
    for name, run in runs.items():
        run(1)  # compiled
        for epochs in tries[name]:
            start = time.perf_counter()
            model = run(epochs)
            row = {"method": name, "epochs": epochs, "seconds": time.perf_counter() - start}
            rows.append(row | measures(name, model))
    print(pd.DataFrame(rows).round(4).to_string(index=False), flush=True)
    return pd.DataFrame(rows)


def to_mark(found: Table, runs: dict[str, Callable], measure: str, by: str, slack: float, repeats: int):
    """Time to the best that the method `by` reaches, minus `slack`: the table of `compare`, without those who
    never reach it, and what there is to record besides: measure, mark, epochs needed, and the curves."""
    mark = float(found.loc[found.method == by, measure].max()) - slack
    needed = found[found[measure] >= mark].groupby("method", sort=False)["epochs"].min().to_dict()
    needed = {name: int(needed[name]) for name in runs if name in needed}
    print(f"to {measure} {mark:.4f}: epochs {needed}", flush=True)
    times = compare({n: lambda n=n: runs[n](needed[n]) for n in needed}, repeats, warm=False)
    rows = found.round(5).to_dict("records")
    return times, {"measure": measure, "mark": round(mark, 5), "epochs": needed, "curves": rows}


def report(name: str, times: Table, options, target: float | None = None, met: bool = True, **more) -> None:
    """Print and record the table of `compare`, the ratio to the best peer, and whether it meets the target
    (and the result whatever else it must, `met`). `more` goes into the file as it is."""
    print(times.round(4).to_string())
    found, peers = {"seconds": times.round(6).drop(columns="ratio").to_dict("index")}, times["ratio"].iloc[1:]
    if len(peers):  # else no other gets there
        found |= {"best_peer": peers.idxmin(), "ratio": round(float(peers.min()), 3)}
        print(f"best peer: {found['best_peer']}, {found['ratio']:.2f} x our time")
    if target is not None:
        found |= {"target": target, "met": bool(found.get("ratio", target) >= target and met)}
    record(name, options, **found, **more)


def record(name: str, options, **found) -> None:
    """Write one result into the machine's file at once, beside those of other benchmarks; under `name` the
    last one stays. It says when, on which code, with which load and sizes it was measured."""
    verdict = {True: "met", False: "missed", None: "none"}[found.get("met")]
    print(f"{name}: target {found.get('target', '')} {verdict}", flush=True)
    sizes = {k: v for k, v in vars(options).items() if isinstance(v, int | float | str)}
    found |= {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": provenance.commit()}
    found |= {"load": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None}
    file = options.results / f"{machine()}.json"
    old = json.loads(file.read_text(encoding="utf-8"))["results"] if file.is_file() else {}
    about = {"processor": provenance.processor(), "cores": os.cpu_count(), "device": _device()}
    results = old | {name: found | {"sizes": sizes, "versions": _versions()}}
    content = {"machine": about, "results": dict(sorted(results.items()))}
    with replacing(file) as new:
        new.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _device() -> dict:
    return devices.describe("cuda" if torch.cuda.is_available() else "cpu")


def _versions() -> dict[str, str]:
    found = provenance.versions()
    for name in PEERS:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def machine() -> str:
    """A short name of this machine from processor, cores and card: "intel-xeon-processor-2-cores"."""
    words = f"{provenance.processor()} {os.cpu_count()} cores {_device().get('name', '')}"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)|@.*(?= \d+ cores)", "", words.lower())).strip("-")
