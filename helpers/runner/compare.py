"""A run beside the committed reference of its profile: metrics within tolerances, verdicts the same."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from helpers import paths
from helpers.claims.papers import CLAIMS
from helpers.notebook import artefacts
from helpers.runner.plan import Job

REFERENCE = paths.ROOT / "outputs" / "reference"  # in git, so never under CROWD_OUTPUTS
NOT_REPEATABLE = ("_seconds", "_speedup", "_mb")
OR = " or "  # between verdicts of a claim: other seeds gave them, or a file is there that cannot be shipped
SPREADS = 3  # a metric may be so many standard deviations of the seeds away from the reference
LEAST, MOST = 0.005, 0.9  # of the value: what rounding alone may do; and a zeroed metric must never pass
CLOSE = (0.005, 0.5)  # p of a verdict that another processor's rounding may make, or unmake, undecided


EVIDENCE = ("ours", "note", "p", "effects", "open", "data", "simulated")  # beside a verdict


def reference(profile: str, number: str, folder: Path = REFERENCE) -> dict:
    """`metrics` (name -> value and sd, its standard deviation over `seeds`), `verdicts` (by claim), and in
    files that are young enough `claims` (id -> `EVIDENCE`) and the run's `seconds`; empty where there is no
    file."""
    file = folder / profile / f"{number}.json"
    return artefacts.read_json(file) if file.is_file() else {"metrics": {}, "verdicts": {}}


def reference_of(job: Job, folder: Path = REFERENCE) -> dict:
    """The `reference` of a job."""
    return reference(job.profile, job.number, folder)


def found(job: Job) -> dict:
    """The same of a finished notebook, metrics as numbers, without what a clock decides; and `p` by claim."""
    metrics = artefacts.read_json(job.folder / "metrics.json")
    claims = [c for c in artefacts.read_json(job.folder / "claims.json") if not CLAIMS[c["id"]].timed]
    return {
        "metrics": {name: value for name, value in metrics.items() if not name.endswith(NOT_REPEATABLE)},
        "verdicts": {claim["id"]: claim["verdict"] for claim in claims},
        "p": {claim["id"]: claim["p"] for claim in claims if claim["p"] is not None},
        "claims": {claim["id"]: {name: claim[name] for name in EVIDENCE} for claim in claims},
        "seconds": artefacts.read_json(job.folder / "run.json")["processor_seconds"],  # whoever else runs
    }


def rows(ours: Mapping[str, Mapping], reference: Mapping[str, Mapping]) -> list[dict]:
    """kind, name, value, reference, tolerance and same (bool) of all that is here or there.
    A metric is the same within `tolerance`, so zero matches zero only."""
    table = []
    for name in {**reference["metrics"], **ours["metrics"]}:
        entry, value = reference["metrics"].get(name), ours["metrics"].get(name)
        expected, within = (entry["value"], tolerance(**entry)) if entry else (None, None)
        same = bool(entry) and value is not None and abs(value - expected) <= within
        table.append(_row("metrics", name, value, expected, within, same))
    for name in {**reference["verdicts"], **ours["verdicts"]}:
        value, expected = ours["verdicts"].get(name), reference["verdicts"].get(name)
        same = expected is not None and value in expected.split(OR)
        close = name in ours["p"] and CLOSE[0] < ours["p"][name] < CLOSE[1]
        # which try is best is decided by rounding, too, and with it what lies at an edge
        close = close or any(of.get("claims", {}).get(name, {}).get("open") for of in (ours, reference))
        same = same or (
            close and expected not in (None, "not testable") and "undecided" in (value, *expected.split(OR))
        )
        table.append(_row("verdicts", name, value, expected, None, same))
    return table


def tolerance(value: float, sd: float) -> float:
    """How far a metric may be from its reference, in its own unit: another processor's rounding sends
    training another way, at most as another seed would."""
    return min(max(SPREADS * sd, LEAST * abs(value)), MOST * abs(value))


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
        within = f" ± {row['tolerance']:.2g}" if row["tolerance"] else ""
        lines.append(
            f"  {row['notebook']} {row['name']}: {row['value']}, reference {row['reference']}{within}"
        )
    return "\n".join(lines)
