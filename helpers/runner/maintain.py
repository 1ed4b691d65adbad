"""What maintainers run after a change: notebooks written back with new outputs, reference metrics renewed."""

import base64
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

from helpers import paths
from helpers.errors import BadInput
from helpers.notebook import artefacts
from helpers.notebook import sources as notebooks
from helpers.notebook.palette import with_palette
from helpers.runner.compare import OR, REFERENCE, found, reference_of
from helpers.runner.execute import Failure, perform, run_all
from helpers.runner.plan import SMOKE, Job, Project, plan


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
        notebook = notebooks.with_outputs(notebooks.read(file), notebooks.read(executed))
    except BadInput as error:
        raise Failure(f"{file.stem}: {error}") from None
    for output in (output for cell in notebooks.code_cells(notebook) for output in cell.outputs):
        if "image/png" in output.get("data", {}):
            output["data"]["image/png"] = lighter(output["data"]["image/png"])
    notebooks.write(notebook, file)
    print(f"{file.stem}: written back")


def lighter(figure: str) -> str:
    """A PNG in base64 with a palette of its own: half of the bytes, for git."""
    return base64.b64encode(with_palette(base64.b64decode(figure))).decode()


def other_seeds(
    project: Project, profile: str, seeds: int, data_dir: str | None = None, at_once: int = 1
) -> dict[str, list[dict]]:
    """Run a profile again with the seeds 1, 2, …, on the data of seed 0: number -> what `found` gives, by
    seed. Each has its own folder, outputs/seeds/<seed>, where a repeated command finds what is done."""
    runs: dict[str, list[dict]] = {}
    home = paths.outputs()
    for seed in range(1, seeds + 1):
        with patch.dict(os.environ, CROWD_OUTPUTS=str(home / "seeds" / str(seed))):
            data, *later = plan(project, profile, data_dir=data_dir)
            numbers = [job.number for job in later]
            again = plan(project, profile, only=numbers, assignments=[f"seed={seed}"], data_dir=data_dir)
            if run_all([data, *again], at_once=at_once):
                raise Failure(f"seed {seed} did not come to an end")
            for job in again:
                if (job.folder / "metrics.json").is_file():
                    runs.setdefault(job.number, []).append(found(job))
    return runs


def write_reference(
    jobs: Sequence[Job], folder: Path = REFERENCE, others: Mapping[str, Sequence[Mapping]] | None = None
) -> None:
    """Renew `<profile>/<NN>.json` from a run and from other seeds' (`other_seeds`), which tell the spread of
    each metric and what other verdicts a claim may get. Without them the spreads that are there stay, and so
    do several verdicts ("undecided or contradicted") of which this run has one."""
    for job in jobs:
        ours, old, more = found(job), reference_of(job, folder), (others or {}).get(job.number, [])
        metrics = {}
        for name, value in ours["metrics"].items():
            values = [value, *(run["metrics"][name] for run in more if name in run["metrics"])]
            sd = (
                statistics.stdev(values)
                if more and len(values) > 1
                else old["metrics"].get(name, {}).get("sd", 0)
            )
            metrics[name] = {"value": value, "sd": float(f"{sd:.3g}")}
        verdicts = {}
        for id, verdict in ours["verdicts"].items():
            known = [] if more else old["verdicts"].get(id, "").split(OR)
            given = (
                known if verdict in known else [verdict, *(run["verdicts"].get(id, verdict) for run in more)]
            )
            verdicts[id] = OR.join(dict.fromkeys(given))
        seeds = len(more) + 1 if more else old.get("seeds", 1)
        new = {"seeds": seeds, "seconds": ours["seconds"], "metrics": metrics, "verdicts": verdicts}
        new["claims"] = ours["claims"]
        artefacts.write_json(folder / job.profile / f"{job.number}.json", new)
        print(f"{job.file.stem}: {len(metrics)} reference metrics, {len(verdicts)} verdicts, {seeds} seeds")
