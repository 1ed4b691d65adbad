"""What a notebook leaves behind: metrics, verdicts on claims, and how the run went."""

import json
import math
import numbers
import re
import time
from collections.abc import Iterator, Mapping

from helpers.claims import board
from helpers.errors import BadInput
from helpers.notebook import parts, provenance
from helpers.notebook.artefacts import write_json
from helpers.notebook.run import Run
from helpers.paths import of_notebooks, outputs


def save(run: Run, metrics: Mapping) -> None:
    """Write metrics.json, claims.json and run.json of a run, and the profile's scoreboard.json.

    Args:
        metrics: name -> finite number. A name may be a tuple, and a mapping may stand for a number: `flat`
            makes one name of all. Only what repeats with the seed is compared with the reference; a name that
            ends in `_seconds`, `_speedup` or `_mb` is left out of that comparison.

    Raises:
        BadInput: a metric is not a finite number, or a claim of the notebook was not judged.
    """
    seconds = time.perf_counter() - run.clock
    metrics = {name: finite(name, value) for name, value in flat(metrics)}
    claims = run.concluded()
    parts.record(run.profile, run.number, run.missing)
    write_json(run.folder / "metrics.json", metrics)
    write_json(run.folder / "claims.json", claims)
    about = {
        "notebook": run.name,
        "profile": run.profile,
        "seconds": round(seconds, 2),
        "processor_seconds": round(time.process_time(), 2),  # of all cores; does not depend on who else runs
        "peak_mb": round(provenance.peak_mb(), 1),
        "seed": run.seed,
        "parameters": run.parameters,
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "platform": provenance.machine(),
        "device": provenance.device(run.used_device),
        "processor": provenance.processor(),
        "threads": provenance.threads(),
        "linear_algebra": provenance.linear_algebra(),
        "inputs": dict(sorted(run.inputs.items())),
        "started_at": run.started_at.isoformat(timespec="seconds"),
    }
    write_json(run.folder / "run.json", about)
    write_scoreboard(run.profile)
    print(f"{run.name}: {len(metrics)} metrics and {len(claims)} claims recorded")


def flat(metrics: Mapping, *before) -> Iterator[tuple[str, object]]:
    """{"map": {("image-only", 0.1): 0.2}} -> ("map_image_only_0.1", 0.2): names joined, other signs "_"."""
    for name, value in metrics.items():
        names = [*before, *(name if isinstance(name, tuple) else [name])]
        if isinstance(value, Mapping):
            yield from flat(value, *names)
        else:
            yield re.sub(r"[^\w.@]", "_", "_".join(map(str, names))), value


def finite(name: str, value) -> float | int:
    """A metric as a Python number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise BadInput(f"metric {name} is {value!r} ({type(value).__name__}), expected a number")
    if not math.isfinite(value):
        raise BadInput(f"metric {name} is {value}; a metric is a finite number")
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def write_scoreboard(profile: str) -> dict:
    """Gather every notebook's claims of a profile, with Holm's correction, into its scoreboard.json."""
    folder = outputs() / profile
    claims = []
    for file in of_notebooks(folder, "claims.json"):
        claims += json.loads(file.read_text(encoding="utf-8"))
    scoreboard = {"claims": board.corrected(claims)}
    write_json(folder / "scoreboard.json", scoreboard)
    return scoreboard
