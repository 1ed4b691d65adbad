"""What a notebook concludes: metrics, and the paper's claims beside what was found here."""

import json
import math
import numbers
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

import pandas as pd

from helpers.claims.claim import Claim
from helpers.errors import BadInput
from helpers.notebook import provenance
from helpers.notebook.artefacts import write_json
from helpers.notebook.run import Run
from helpers.paths import NUMBER, notebook_outputs, outputs


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
    claims = [filled(run, claim) for claim in claims]
    for n, claim in enumerate(claims):
        if claim.id in [c.id for c in claims[:n]]:
            raise BadInput(f"{run.name}: claim {claim.id} is given twice; name them {claim.id}a, {claim.id}b")
    write_json(run.folder / "metrics.json", metrics)
    rows = [asdict(c) | {"simulated": c.simulated, "notebook": run.name} for c in claims]
    write_json(run.folder / "claims.json", rows)
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
        "threads": provenance.threads(),
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


def filled(run: Run, claim: Claim) -> Claim:
    """The claim with the name of the run's dataset where it names none."""
    if claim.data is not None:
        return claim
    file = notebook_outputs(run.profile, "00") / "collection" / "collection.json"
    if not file.is_file():
        raise BadInput(f"claim {claim.id}: no collection to name; give data=… or run: {run.remedy('00')}")
    about = json.loads(file.read_text(encoding="utf-8"))
    return replace(claim, data=about["name"])


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
