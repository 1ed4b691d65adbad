"""What a notebook concludes: metrics, and the paper's claims beside what was found here."""

import json
import math
import numbers
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

import pandas as pd

from helpers.claims import rows
from helpers.claims.claim import Claim
from helpers.errors import BadInput
from helpers.notebook import parts, provenance
from helpers.notebook.artefacts import write_json
from helpers.notebook.run import Run
from helpers.paths import NUMBER, notebook_outputs, number_of, outputs


def save(run: Run, metrics: Mapping[str, float], claims: Sequence[Claim] = ()) -> None:
    """Write metrics.json, claims.json and run.json of a run, and the profile's scoreboard.json.

    Args:
        metrics: name -> finite number. Only what repeats with the seed is compared with the reference;
            a name that ends in `_seconds`, `_speedup` or `_mb` is left out of that comparison.
        claims: the rows of the paper-versus-ours table.

    Raises:
        BadInput: a metric is not a finite number, an id occurs twice, or "reproduced" on simulated data.
    """
    seconds = time.perf_counter() - run.clock
    metrics = {name: finite(name, value) for name, value in metrics.items()}
    left_out = {id: why for id, why in run.left_out.items() if id not in {claim.id for claim in claims}}
    claims = [*claims, *(rows.not_testable([id], why)[0] for id, why in left_out.items())]
    for n, claim in enumerate(claims):
        if claim.id in [c.id for c in claims[:n]]:
            raise BadInput(f"{run.name}: claim {claim.id} is given twice; name them {claim.id}a, {claim.id}b")
    parts.record(run.profile, run.number, run.found_missing)
    write_json(run.folder / "metrics.json", metrics)
    write_claims(run.profile, run.name, claims)
    about = {
        "notebook": run.name,
        "profile": run.profile,
        "seconds": round(seconds, 2),
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


def finite(name: str, value) -> float | int:
    """A metric as a Python number."""
    if not re.fullmatch(r"[\w.@-]+", name):
        raise BadInput(f"metric {name!r}: a name holds letters, digits and _ . @ - only")
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise BadInput(f"metric {name} is {value!r} ({type(value).__name__}), expected a number")
    if not math.isfinite(value):
        raise BadInput(f"metric {name} is {value}; a metric is a finite number")
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def write_claims(profile: str, name: str, claims: Iterable[Claim]) -> None:
    """Write claims.json of a notebook; a claim that names no data gets the name of the collection."""
    file = notebook_outputs(profile, "00") / "collection" / "collection.json"
    data = json.loads(file.read_text(encoding="utf-8"))["name"] if file.is_file() else None
    claims = [claim if claim.data else replace(claim, data=data) for claim in claims]
    if unnamed := [claim.id for claim in claims if claim.data is None]:
        raise BadInput(f"claim {unnamed[0]}: no collection to name; give data=… or run notebook 00")
    board = [asdict(c) | {"simulated": c.simulated, "notebook": name} for c in claims]
    write_json(notebook_outputs(profile, number_of(name)) / "claims.json", board)


def write_scoreboard(profile: str) -> dict:
    """Gather every notebook's claims of a profile into `outputs/<profile>/scoreboard.json`."""
    folder = outputs() / profile
    claims = []
    for file in sorted(f for f in folder.glob("*/claims.json") if re.fullmatch(NUMBER, f.parent.name)):
        claims += json.loads(file.read_text(encoding="utf-8"))
    scoreboard = {"claims": claims}
    write_json(folder / "scoreboard.json", scoreboard)
    return scoreboard


def comparison(claims: Iterable[Claim]) -> pd.DataFrame:
    """The paper-versus-ours table for display, one row per claim, indexed by its id."""
    rows = [
        {
            "": claim.id,
            "statement": claim.statement,
            "paper": claim.cited or "–",
            "ours": claim.ours or "–",
            "spread": claim.spread or "–",
            "verdict": claim.verdict,
        }
        for claim in claims
    ]
    return pd.DataFrame(rows).set_index("")
