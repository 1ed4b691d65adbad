"""The command line: `python -m helpers.run PROFILE`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers import paths
from helpers.errors import BadInput
from helpers.notebook import artefacts
from helpers.notebook import sources as notebooks
from helpers.runner import board_page, compare, exports, maintain
from helpers.runner.execute import Failure, lacking, one_runner, run_all
from helpers.runner.plan import SMOKE, Job, Project, plan

EPILOG = """examples:
  python -m helpers.run smoke                       everything, small: about ten minutes
  python -m helpers.run demo --from 03              from matrix factorisation on
  python -m helpers.run demo --only 05 -p epochs=3  one notebook, one parameter changed
  python -m helpers.run demo --list                 what is done and what is not
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m helpers.run",
        description="Execute the notebooks; tables, executed copies and a report go to outputs/PROFILE.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("profile", nargs="?", help="smoke (the notebooks' defaults) or a folder of params/")
    made.add_argument("--from", dest="first", metavar="NN", help="first notebook to run")
    made.add_argument("--to", dest="last", metavar="NN", help="last notebook to run")
    made.add_argument("--only", metavar="NN", action="append", default=[], help="this one; may be repeated")
    made.add_argument("-p", dest="assignments", metavar="NAME=VALUE", action="append", default=[],
                      help="a parameter, for every selected notebook that has it")  # fmt: skip
    made.add_argument("--data-dir", metavar="FOLDER", help="downloaded data, for notebooks that read them")
    made.add_argument("--force", action="store_true", help="run even what is done with the same digest")
    made.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N",
                      help="notebooks that run side by side where they can (here: %(default)s); "
                      "each takes memory of its own")  # fmt: skip
    made.add_argument("--list", action="store_true", help="show what is done, run nothing")
    made.add_argument("--refresh", action="store_true", help="maintainers: write a smoke run into notebooks/")
    made.add_argument("--strict", action="store_true",
                      help="exit with 1 where something is not as in outputs/reference")  # fmt: skip
    made.add_argument("--reference", action="store_true", help="maintainers: renew outputs/reference/PROFILE")
    made.add_argument("--seeds", type=int, default=0, metavar="N",
                      help="with --reference: run N more seeds, which give the tolerances")  # fmt: skip
    return made


def main(arguments: Sequence[str] | None = None, project: Project | None = None) -> int:
    """Returns 0, 1 if a notebook failed, 2 if the command or a parameter is wrong (nothing has run then)."""
    given = parser().parse_args(arguments)
    project = project or Project()
    # kernels start in another folder, where a relative path would mean another place
    for name in ("CROWD_OUTPUTS", "CROWD_DATA"):
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().resolve())
    try:
        if given.profile is None and not (given.refresh or given.reference):
            raise BadInput(f"name a profile: {', '.join(project.profiles())}")
        given.profile = SMOKE if given.profile is None else given.profile
        if given.refresh and given.profile != SMOKE:
            raise BadInput("--refresh is for the profile smoke")
        if given.jobs < 1:
            raise BadInput("--jobs is how many notebooks run side by side, 1 or more")
        if given.seeds < 0 or (given.seeds and not given.reference):
            raise BadInput("--seeds is a number of runs that --reference makes")
        if (given.refresh or given.reference or given.strict) and given.assignments:
            raise BadInput("--refresh, --reference and --strict are for a profile as it is, without -p")
        folder = given.data_dir if given.data_dir is None else existing(given.data_dir)
        jobs = plan(project, given.profile, given.first, given.last, given.only, given.assignments, folder)
        if given.list:
            show(jobs)
            return 0
        warn_of_old_inputs(project, jobs, folder)
        with one_runner(given.profile):
            home = paths.outputs() / given.profile
            (home / "comparison.json").unlink(missing_ok=True)  # of what was there before
            force = [job.number for job in jobs] if given.force else []
            code = run_all(jobs, force + (maintain.stale_sources(jobs) if given.refresh else []), given.jobs)
            if code == 0 and given.refresh:
                maintain.refresh(project, jobs)
            if code == 0 and given.reference:
                others = maintain.other_seeds(project, given.profile, given.seeds, folder, given.jobs)
                maintain.write_reference(jobs, others=others)
            if code == 0 and not given.assignments and (table := compare.compare(jobs)):
                artefacts.write_json(home / "comparison.json", table)
                print(compare.told(table))
                code = int(given.strict and not all(row["same"] for row in table))
            exports.write(home, board_page.write(home))
            return code
    except (BadInput, Failure) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, BadInput) else 1
    except KeyboardInterrupt:
        print("\nstopped; the same command continues with the notebook that was interrupted", file=sys.stderr)
        return 130


def existing(folder: str) -> str:
    """The whole path of a folder or file that must be there."""
    try:
        return str(Path(folder).expanduser().resolve(strict=True))
    except (OSError, ValueError, RuntimeError):  # a NUL, an endless name and an unknown ~ are no paths at all
        raise BadInput(f"--data-dir {folder[:80]!r}: there is no such folder or file") from None


def show(jobs: Sequence[Job]) -> None:
    """A line per notebook: done with these parameters and this code, or not."""
    for job in jobs:
        state = "to do"
        if why := lacking(job):
            state = f"not testable on this data: {why}"
        elif job.is_done():
            about = artefacts.read_json(job.folder / "run.json")
            state = f"done     {about['seconds']:7.1f} s {about['peak_mb']:6.0f} MB"
        print(f"{job.file.stem:<32}{state}")


def warn_of_old_inputs(project: Project, jobs: Sequence[Job], data_dir: str | None) -> None:
    """Say so when a notebook before the first selected one ran with other code or parameters."""
    before = [n for n in notebooks.find(project.notebooks) if n < jobs[0].number]
    earlier = plan(project, jobs[0].profile, only=before, data_dir=data_dir) if before else []
    if old := ", ".join(job.number for job in earlier if job.executed.is_file() and not job.is_done()):
        print(f"note: {old} ran with other parameters or code; leave out --from and --only to renew")
