"""Running notebooks with papermill, side by side where neither needs the other."""

import logging
import os
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar
from weakref import WeakSet

from filelock import FileLock, Timeout
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from papermill import PapermillExecutionError, execute_notebook

from helpers import paths
from helpers.claims import board
from helpers.errors import BadInput, NotTestable
from helpers.notebook import artefacts, conclusions, parts, provenance, results
from helpers.notebook import sources as notebooks
from helpers.notebook.run import DONE, NOT_TESTABLE
from helpers.runner import report
from helpers.runner.compare import reference_of
from helpers.runner.plan import Job


class SameInterpreter(AsyncKernelManager):
    """Starts kernels with the Python that runs this, whatever kernels are installed (even none)."""

    made: ClassVar[WeakSet] = WeakSet()  # to end their kernels when the command is interrupted

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.made.add(self)

    @property
    def kernel_spec(self) -> KernelSpec:
        # the kernel's own messages (about encryption, about being stopped) would stand between our lines
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict(["--log-level=CRITICAL"]))


class Failure(Exception):
    """A notebook did not finish; the message is one line."""


class Untestable(Failure):
    """A notebook found that these data cannot show what it is about."""


def perform(file: Path, output: Path, overrides: Mapping[str, object]) -> None:
    """Execute a notebook into `output`, which is written after every cell and kept after a failure.
    A Failure names the notebook, the cell and the error."""
    output.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it logs is said by Failure
    try:
        execute_notebook(
            file, output, dict(overrides), kernel_name="python3", language="python", progress_bar=False,
            start_timeout=180, cwd=paths.ROOT, kernel_manager_class=SameInterpreter,
        )  # fmt: skip
    except PapermillExecutionError as error:
        detail = " ".join(str(error.evalue).split())
        if error.ename == NotTestable.__name__:
            raise Untestable(detail.partition(NOT_TESTABLE)[2] or detail) from None
        raise Failure(f"{file.stem}, cell [{error.exec_count}]: {error.ename}: {detail}") from None
    except RuntimeError as error:  # nbclient's own for a kernel that died, a plain one where it did not start
        cells = notebooks.code_cells(notebooks.read(output))
        begun = sum(cell.metadata.papermill.get("start_time") is not None for cell in cells)
        told = f"the kernel died, or did not start, mostly for want of memory ({error})"
        raise Failure(f"{file.stem}, cell [{begun}]: {told}") from None


def run_notebook(job: Job) -> None:
    """Run one job; when this returns, everything is written and stamped as done. The stamp is written last,
    so a notebook whose run was killed counts as not done; after a Failure the copy is at `job.failed`."""
    running = job.folder / f"{job.file.stem}.running.ipynb"
    clear(job)
    before = time.perf_counter()
    try:
        perform(job.file, running, job.overrides)
        if not (job.folder / "run.json").is_file():
            raise Failure(f"{job.file.stem}: ended without results.save, so nothing is recorded")
    except Untestable:
        keep(job, running)
        raise
    except Failure:
        os.replace(running, job.failed)
        raise
    # the notebook measured itself from `start`; the kernel's start and the imports take time too
    seconds = round(time.perf_counter() - before, 2)
    about = artefacts.read_json(job.folder / "run.json")
    artefacts.write_json(job.folder / "run.json", about | {"seconds": seconds})
    keep(job, running)
    artefacts.write_json(job.folder / DONE, job.stamp())


def keep(job: Job, running: Path) -> None:
    """The executed copy, as a notebook and as a page."""
    report.write_html(running, job.executed.with_suffix(".html"), job.profile)
    os.replace(running, job.executed)


def lacking(job: Job) -> str | None:
    """Why the data cannot show what a notebook is about, or None."""
    return parts.first_reason(job.requires, parts.known(job.profile, job.number, job.after)[0])


def leave_out(job: Job, why: str) -> None:
    """Record that the data cannot show what a notebook is about: its claims say so, later notebooks know."""
    missing, _ = parts.known(job.profile, job.number, job.after)
    missing[job.number] = f"notebook {job.number} cannot be run: {why}"
    parts.record(job.profile, job.number, missing)
    claims = conclusions.not_testable(job.file.stem, why, job.profile)
    artefacts.write_json(job.folder / "claims.json", claims)
    about = {"notebook": job.file.stem, "profile": job.profile, "not_testable": why, "seconds": None}
    about |= {"peak_mb": None, "seed": job.parameters["seed"], "parameters": job.parameters, "inputs": {}}
    artefacts.write_json(job.folder / "run.json", about)


def clear(job: Job) -> None:
    """Remove what an earlier run left, so that nothing old passes for new. Checkpoints stay."""
    names = (DONE, artefacts.MANIFEST, "metrics.json", "claims.json", "run.json", job.executed.name)
    for old in [*names, f"{job.file.stem}.html", job.failed.name]:
        (job.folder / old).unlink(missing_ok=True)


def run_one(job: Job, forced: bool) -> dict:
    """Run a job unless it is done (and not `forced`), or the data lack what it requires. Returns its row:
    number, name, status (done, skipped, not testable, failed), seconds, peak_mb, and why or error."""
    row = {"number": job.number, "name": job.file.stem, "status": "done", "peak_mb": None}
    before = time.perf_counter()
    try:
        if why := lacking(job):
            clear(job)
            raise Untestable(why)
        if not forced and job.is_done():
            row["status"] = "skipped"
        else:
            run_notebook(job)
        about = artefacts.read_json(job.folder / "run.json")
        row |= {name: about[name] for name in ("seconds", "peak_mb")}
    except Untestable as error:
        leave_out(job, str(error))
        row |= {"status": "not testable", "why": str(error)}
    except Failure as error:
        row |= {"status": "failed", "error": str(error)}
    return {"seconds": round(time.perf_counter() - before, 2)} | row


def next_of(waiting: Sequence[Job], running: Collection[Job]) -> Job | None:
    """Of the jobs that wait for no other, one that must be alone, or else the one with the longest way to the
    end, its own seconds for the reference and those of jobs that follow it: what begins late ends long after
    the rest. None while what is running, or that one, must be alone."""
    left = {job.number for job in (*waiting, *running)}
    ready = [job for job in waiting if not job.follows & left]
    way: dict[str, float] = {}  # seconds from the beginning of a job to the end of all
    for job in sorted(waiting, key=lambda job: -len(job.follows)):  # those that follow come first
        after = max((way[other.number] for other in waiting if job.number in other.follows), default=0)
        way[job.number] = (reference_of(job).get("seconds") or 0) + after
    first = max(ready, key=lambda job: (job.alone, way[job.number]), default=None)
    if running and first and any(job.alone for job in (first, *running)):
        return None
    return first


def run_in_order(jobs: Sequence[Job], force: Collection[str], at_once: int) -> Iterator[dict]:
    """The rows of the jobs as they end, `at_once` side by side at most; no more begin after a failure. What
    runs when this is interrupted is ended."""
    waiting, running = list(jobs), {}
    with ThreadPoolExecutor(at_once) as pool:  # threads only wait: each notebook has a process
        try:
            while waiting or running:
                while len(running) < at_once and (job := next_of(waiting, running.values())):
                    waiting.remove(job)
                    running[pool.submit(run_one, job, job.number in force)] = job
                for ended in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[ended]
                    yield (row := ended.result())
                    if row["status"] == "failed":
                        waiting = []
        finally:
            while not all(future.done() for future in running):
                for kernel in [m.provisioner for m in SameInterpreter.made if m.provisioner]:
                    if kernel.has_process:
                        kernel.process.kill()
                wait(running, timeout=0.1)


def run_all(jobs: Sequence[Job], force: Collection[str] = (), at_once: int = 1) -> int:
    """Run the jobs, each after those that it follows, print a line each as it ends, stop at the first
    failure; then write the report. `force` holds numbers of notebooks that are run even if they are done.
    Returns 0, or 1 after a failure."""
    table = {}
    started, clock = datetime.now(UTC), time.perf_counter()
    width = max(len(job.file.stem) for job in jobs)
    with closing(run_in_order(jobs, force, at_once)) as rows:
        for row in rows:
            table[row["number"]] = row
            memory = f"{row['peak_mb']:6.0f} MB" if row["peak_mb"] is not None else ""
            told = f"{row['status']}: {row['why']}" if "why" in row else row["status"]
            print(f"{row['name']:<{width}}  {row['seconds']:7.1f} s {memory:>9}  {told}", flush=True)
    ended = [job for job in jobs if job.number in table]
    failed = [job for job in ended if "error" in table[job.number]]
    profile, folder = jobs[0].profile, paths.outputs() / jobs[0].profile
    about = {"profile": profile, "seconds": round(time.perf_counter() - clock, 2)}
    about |= {"started_at": started.isoformat(timespec="seconds"), "versions": provenance.versions()}
    about |= {"commit": provenance.commit(), "platform": provenance.machine(), "side_by_side": at_once}
    about["notebooks"] = [table[job.number] for job in ended]
    artefacts.write_json(folder / "run.json", about)
    scoreboard = results.write_scoreboard(profile)
    index = report.write_index(folder)
    for job in failed:
        print(f"error: {table[job.number]['error']}\nkept for inspection: {job.failed}", file=sys.stderr)
    if failed:
        return 1
    print(board.printed(scoreboard["claims"]))
    print(f"report: {index}")
    return 0


@contextmanager
def one_runner(profile: str):
    """Keep two commands from writing into one profile at the same time: BadInput if another holds it."""
    (paths.outputs() / profile).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(paths.outputs() / profile / ".runner", timeout=0):
            yield
    except Timeout:
        raise BadInput(f"another command runs the profile {profile} now; wait for it or end it") from None
