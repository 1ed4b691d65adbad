"""Running notebooks one after another with papermill."""

import logging
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill import PapermillExecutionError, execute_notebook

from helpers import paths
from helpers.claims import rows
from helpers.errors import BadInput
from helpers.notebook import artefacts, provenance, results
from helpers.notebook import sources as notebooks
from helpers.notebook.run import DONE
from helpers.runner import report
from helpers.runner.plan import Job


class SameInterpreter(AsyncKernelManager):
    """Starts kernels with the Python that runs this, whatever kernels are installed (even none)."""

    @property
    def kernel_spec(self) -> KernelSpec:
        # the kernel's own messages (about encryption, about being stopped) would stand between our lines
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict(["--log-level=CRITICAL"]))


class Failure(Exception):
    """A notebook did not finish; the message is one line."""


def perform(file: Path, output: Path, overrides: Mapping[str, object]) -> None:
    """Execute a notebook into `output`, which is written after every cell and kept after a failure.

    Raises:
        Failure: naming the notebook, the cell and the error.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it logs is said by Failure
    try:
        execute_notebook(
            file, output, dict(overrides), kernel_name="python3", language="python", progress_bar=False,
            start_timeout=180, cwd=paths.ROOT, kernel_manager_class=SameInterpreter,
        )  # fmt: skip
    except PapermillExecutionError as error:
        detail = " ".join(str(error.evalue).split())
        raise Failure(f"{file.stem}, cell [{error.exec_count}]: {error.ename}: {detail}") from None
    except DeadKernelError:
        cells = notebooks.code_cells(notebooks.read(output))
        begun = sum(cell.metadata.papermill.get("start_time") is not None for cell in cells)
        raise Failure(f"{file.stem}, cell [{begun}]: the kernel died, mostly for want of memory") from None


def run_notebook(job: Job) -> None:
    """Run one job; when this returns, everything is written and stamped as done.

    The stamp is written last, so a notebook whose run was killed counts as not done.

    Raises:
        Failure: the notebook did not finish; the executed copy is kept at `job.failed`.
    """
    running = job.folder / f"{job.file.stem}.running.ipynb"
    clear(job, running)
    before = time.perf_counter()
    try:
        perform(job.file, running, job.overrides)
        if not (job.folder / "run.json").is_file():
            raise Failure(f"{job.file.stem}: ended without results.save, so nothing is recorded")
    except Failure:
        os.replace(running, job.failed)
        raise
    # the notebook measured itself from `start`; the kernel's start and the imports take time too
    seconds = round(time.perf_counter() - before, 2)
    about = artefacts.read_json(job.folder / "run.json")
    artefacts.write_json(job.folder / "run.json", about | {"seconds": seconds})
    report.write_html(running, job.executed.with_suffix(".html"), job.profile)
    os.replace(running, job.executed)
    artefacts.write_json(job.folder / DONE, job.stamp())


def clear(job: Job, running: Path) -> None:
    """Remove what an earlier run left, so that nothing old passes for new. Checkpoints stay."""
    names = (DONE, artefacts.MANIFEST, "metrics.json", "claims.json", "run.json")
    stale = [job.folder / name for name in names]
    for old in [*stale, job.executed, job.executed.with_suffix(".html"), job.failed, running]:
        old.unlink(missing_ok=True)


def run_all(jobs: Sequence[Job], force: Collection[str] = ()) -> int:
    """Run the jobs in order, print a line each, stop at the first failure; then write the report.

    Args:
        force: numbers of notebooks that are run even if they are done.

    Returns:
        0, or 1 after a failure.
    """
    table, failure = [], None
    started, clock = datetime.now(UTC), time.perf_counter()
    width = max(len(job.file.stem) for job in jobs)
    for job in jobs:
        print(f"{job.file.stem:<{width}}  ", end="", flush=True)
        row = {
            "number": job.number,
            "name": job.file.stem,
            "status": "done",
            "seconds": None,
            "peak_mb": None,
        }
        before = time.perf_counter()
        try:
            if job.number not in force and job.is_done():
                row["status"] = "skipped"
            else:
                run_notebook(job)
            about = artefacts.read_json(job.folder / "run.json")
            row |= {name: about[name] for name in ("seconds", "peak_mb")}
        except Failure as error:
            failure = error
            row |= {
                "status": "failed",
                "seconds": round(time.perf_counter() - before, 2),
                "error": str(error),
            }
        table.append(row)
        memory = f"{row['peak_mb']:6.0f} MB" if row["peak_mb"] is not None else ""
        print(f"{row['seconds']:7.1f} s {memory:>9}  {row['status']}", flush=True)
        if failure:
            break
    index = write_summary(jobs[0].profile, table, started, time.perf_counter() - clock)
    if failure:
        print(f"error: {failure}\nkept for inspection: {job.failed}", file=sys.stderr)
        return 1
    print(rows.printed(artefacts.read_json(index.parent / "scoreboard.json")["claims"]))
    print(f"report: {index}")
    return 0


def write_summary(profile: str, table: list[dict], started: datetime, seconds: float) -> Path:
    """Write the profile's run.json, scoreboard.json and index.html; returns the last."""
    folder = paths.outputs() / profile
    summary = {
        "profile": profile,
        "seconds": round(seconds, 2),
        "started_at": started.isoformat(timespec="seconds"),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "platform": provenance.machine(),
        "notebooks": table,
    }
    artefacts.write_json(folder / "run.json", summary)
    results.write_scoreboard(profile)
    return report.write_index(folder)


@contextmanager
def one_runner(profile: str):
    """Keep two commands from writing into one profile at the same time.

    Raises:
        BadInput: another runner, still alive, holds the profile.
    """
    file = paths.outputs() / profile / ".runner"
    file.parent.mkdir(parents=True, exist_ok=True)
    me = psutil.Process()
    if file.is_file():
        pid, _, created = file.read_text(encoding="utf-8").partition(" ")
        # a file without a living owner was left by a runner that was killed
        if pid.isdigit() and psutil.pid_exists(int(pid)):
            if str(psutil.Process(int(pid)).create_time()) == created:
                raise BadInput(f"process {pid} is running the profile {profile} now; wait for it or end it")
    file.write_text(f"{me.pid} {me.create_time()}", encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
