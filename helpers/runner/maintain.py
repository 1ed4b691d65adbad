"""What maintainers run after a change: notebooks written back with new outputs, reference metrics renewed."""

from collections.abc import Sequence
from pathlib import Path

from helpers import paths
from helpers.errors import BadInput
from helpers.notebook import artefacts
from helpers.notebook import sources as notebooks
from helpers.runner.compare import OR, REFERENCE, found, reference_of
from helpers.runner.execute import Failure, perform
from helpers.runner.plan import SMOKE, Job, Project

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
    """Renew `<profile>/<NN>.json` from a run. Tolerances and reasons that are there stay, and so do several
    verdicts ("undecided or contradicted") of which this run has one."""
    for job in jobs:
        ours, old = found(job), reference_of(job, folder)
        entry = {"rel_tol": TOLERANCE, "reason": REASON}
        metrics = {n: entry | old["metrics"].get(n, {}) | {"value": v} for n, v in ours["metrics"].items()}
        known = {id: old["verdicts"].get(id, "") for id in ours["verdicts"]}
        verdicts = {id: known[id] if v in known[id].split(OR) else v for id, v in ours["verdicts"].items()}
        new = {"metrics": metrics, "verdicts": verdicts}
        artefacts.write_json(folder / job.profile / f"{job.number}.json", new)
        print(f"{job.file.stem}: {len(metrics)} reference metrics, {len(verdicts)} verdicts")
