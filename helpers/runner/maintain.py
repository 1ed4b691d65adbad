"""What maintainers run after a change: notebooks written back with new outputs, reference metrics renewed."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from helpers import paths
from helpers.errors import BadInput
from helpers.notebook import artefacts
from helpers.notebook import sources as notebooks
from helpers.runner.execute import Failure, perform
from helpers.runner.plan import SMOKE, Job, Project

REFERENCE = paths.ROOT / "outputs" / "reference" / SMOKE  # in git, so never under CROWD_OUTPUTS
NOT_REPEATABLE = ("_seconds", "_speedup", "_mb")
TOLERANCE = 0.02
REASON = "same seed and code; other processors and package versions round sums differently"


def stale_sources(jobs: Sequence[Job]) -> list[str]:
    """Numbers whose executed copy differs from the notebook in a code cell, if only in a comment."""

    def sources(file: Path) -> list[str]:
        return [cell.source for cell in notebooks.code_cells(notebooks.read(file))]

    ran = [job for job in jobs if job.executed.is_file()]
    return [job.number for job in ran if sources(job.executed) != sources(job.file)]


def refresh(project: Project, jobs: Sequence[Job]) -> None:
    """Put the outputs of the smoke run into the notebooks; execute their solutions and write these too.
    Failure if a solution did not run, or a cell wrote to stderr."""
    for job in jobs:
        write_back(job.file, job.executed)
    solutions = notebooks.find(project.notebooks / "solutions")
    for file in [solutions[job.number] for job in jobs if job.number in solutions]:
        executed = paths.outputs() / SMOKE / "solutions" / file.name
        perform(file, executed, {})
        write_back(file, executed)


def write_back(file: Path, executed: Path) -> None:
    try:
        notebooks.write(notebooks.with_outputs(notebooks.read(file), notebooks.read(executed)), file)
    except BadInput as error:
        raise Failure(f"{file.stem}: {error}") from None
    print(f"{file.stem}: written back")


def write_reference(jobs: Sequence[Job], folder: Path = REFERENCE) -> None:
    """Renew `<NN>.json` from the metrics of a smoke run; tolerances and reasons that are there stay."""
    for job in jobs:
        metrics = artefacts.read_json(job.folder / "metrics.json")
        file = folder / f"{job.number}.json"
        old = artefacts.read_json(file) if file.is_file() else {}
        new = {
            name: {"rel_tol": TOLERANCE, "reason": REASON} | old.get(name, {}) | {"value": value}
            for name, value in metrics.items()
            if not name.endswith(NOT_REPEATABLE)
        }
        artefacts.write_json(file, new)
        print(f"{job.file.stem}: {len(new)} reference metrics")


def differences(metrics: Mapping[str, float], reference: Mapping[str, Mapping]) -> list[str]:
    """What differs from the reference, a line each. Tolerances are relative only, so zero matches zero only;
    BadInput for one that would let a zeroed metric pass, or an entry without a reason."""
    found = []
    for name, entry in reference.items():
        if not 0 <= entry["rel_tol"] < 1 or not entry["reason"].strip():
            raise BadInput(f"reference of {name}: rel_tol must be from 0 to below 1, and a reason given")
        if name not in metrics:
            found.append(f"{name} is missing")
        elif not math.isclose(metrics[name], entry["value"], rel_tol=entry["rel_tol"], abs_tol=0):
            found.append(f"{name} is {metrics[name]}, expected {entry['value']} ± {entry['rel_tol']:.1%}")
    compared = {name for name in metrics if not name.endswith(NOT_REPEATABLE)}
    return found + [f"{name} has no reference value" for name in sorted(compared - reference.keys())]
