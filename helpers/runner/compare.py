"""A run beside the committed reference of its profile: metrics within tolerances, verdicts the same."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from helpers import paths
from helpers.claims.papers import CLAIMS
from helpers.errors import BadInput
from helpers.notebook import artefacts
from helpers.runner.plan import Job

REFERENCE = paths.ROOT / "outputs" / "reference"  # in git, so never under CROWD_OUTPUTS
NOT_REPEATABLE = ("_seconds", "_speedup", "_mb")
OR = " or "  # between verdicts of a claim, for example with and without a file that cannot be shipped
CLOSE = (0.005, 0.5)  # p of a verdict that another processor's rounding may tip over: it may differ


def reference_of(job: Job, folder: Path = REFERENCE) -> dict:
    """`metrics` (name -> value, rel_tol, reason) and `verdicts` (by claim); empty where there is no file."""
    file = folder / job.profile / f"{job.number}.json"
    return artefacts.read_json(file) if file.is_file() else {"metrics": {}, "verdicts": {}}


def found(job: Job) -> dict:
    """The same of a finished notebook, metrics as numbers, without what a clock decides; and `p` by claim."""
    metrics = artefacts.read_json(job.folder / "metrics.json")
    claims = [c for c in artefacts.read_json(job.folder / "claims.json") if not CLAIMS[c["id"]].timed]
    return {
        "metrics": {name: value for name, value in metrics.items() if not name.endswith(NOT_REPEATABLE)},
        "verdicts": {claim["id"]: claim["verdict"] for claim in claims},
        "p": {claim["id"]: claim["p"] for claim in claims if claim["p"] is not None},
    }


def rows(ours: Mapping[str, Mapping], reference: Mapping[str, Mapping]) -> list[dict]:
    """kind, name, value, reference, tolerance and same (bool) of all that is here or there.
    Tolerances are relative, so zero matches zero only; BadInput for one that would let a zeroed metric pass,
    or an entry without a reason."""
    table = []
    for name in {**reference["metrics"], **ours["metrics"]}:
        entry, value = reference["metrics"].get(name), ours["metrics"].get(name)
        if entry and (not 0 <= entry["rel_tol"] < 1 or not entry["reason"].strip()):
            raise BadInput(f"reference of {name}: rel_tol must be from 0 to below 1, and a reason given")
        same = bool(entry) and value is not None
        same = same and math.isclose(value, entry["value"], rel_tol=entry["rel_tol"], abs_tol=0)
        expected, tolerance = (entry["value"], entry["rel_tol"]) if entry else (None, None)
        table.append(_row("metrics", name, value, expected, tolerance, same))
    for name in {**reference["verdicts"], **ours["verdicts"]}:
        value, expected = ours["verdicts"].get(name), reference["verdicts"].get(name)
        same = expected is not None and value in expected.split(OR)
        close = name in ours["p"] and CLOSE[0] < ours["p"][name] < CLOSE[1]
        same = same or (close and expected is not None and expected != "not testable")
        table.append(_row("verdicts", name, value, expected, None, same))
    return table


def _row(kind: str, name: str, value, reference, tolerance: float | None, same: bool) -> dict:
    return dict(kind=kind, name=name, value=value, reference=reference, tolerance=tolerance, same=same)


def compare(jobs: Iterable[Job], folder: Path = REFERENCE) -> list[dict]:
    """The rows of all notebooks that have run and have a reference, each with its `notebook`."""
    done = [job for job in jobs if (job.folder / "metrics.json").is_file()]
    able = [job for job in done if (folder / job.profile / f"{job.number}.json").is_file()]
    return [
        {"notebook": job.number, **r} for job in able for r in rows(found(job), reference_of(job, folder))
    ]


def told(table: Iterable[Mapping]) -> str:
    """The comparison as text: how many agree, and a line for each that does not."""
    table, lines = list(table), []
    for kind in ("metrics", "verdicts"):
        some = [row["same"] for row in table if row["kind"] == kind]
        lines.append(f"{sum(some)} of {len(some)} {kind} as in the reference")
    for row in (row for row in table if not row["same"]):
        within = f" ± {row['tolerance']:.1%}" if row["tolerance"] else ""
        lines.append(
            f"  {row['notebook']} {row['name']}: {row['value']}, reference {row['reference']}{within}"
        )
    return "\n".join(lines)
