"""What an educator hands out and grades, made from the notebooks and their solutions.

python -m helpers.course ../course                       all editions, each in a folder of its name
python -m helpers.course ../course --edition instructor  one: student, instructor, clean, slides or project

project is a copy of the files that git knows, without what holds answers: what students install. Neither its
pages nor a book made of it have solutions; they lie in its history, so hand out the copy, not the repository.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from helpers.course import editions, slides
from helpers.errors import BadInput
from helpers.files import given_path, write_text
from helpers.notebook import sources as notebooks
from helpers.paths import NOTEBOOKS, ROOT

HOLD_ANSWERS = ("helpers/course/", "notebooks/solutions/", "tests/", ".ci/")  # .ci/ runs the tests

CONFIG = f'''"""How nbgrader handles these notebooks. This file is yours: it is written once."""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "learning-from-the-crowd"
# a submission runs as you wrote it but for the answers; only the cells run that these and the checks need
c.Autograde.autograde_preprocessors.insert(0, "helpers.course.needed.OnlyNeeded")
c.LockCells.lock_readonly_cells = False  # students may try things in the lessons; grading puts them back
c.ClearSolutions.code_stub = {{"python": {editions.STUB!r}}}
c.Execute.timeout = 600  # seconds for a cell
'''


def student(file: Path, folder: Path) -> Path:
    target = folder / file.name
    notebooks.write(editions.student(editions.instructor(file)), target)
    return target


def instructor(file: Path, folder: Path) -> Path:
    target = folder / "source" / file.stem / file.name  # as nbgrader wants it
    notebooks.write(editions.instructor(file), target)
    if not (folder / "nbgrader_config.py").exists():
        write_text(folder / "nbgrader_config.py", CONFIG)
    return target


def clean(file: Path, folder: Path) -> Path:
    target = folder / file.name
    notebooks.write(editions.clean(file), target)
    return target


def shown(file: Path, folder: Path) -> Path:
    target = folder / f"{file.stem}.slides.html"
    write_text(target, slides.html(file, slides.reveal_of(folder)))
    return target


def project(folder: Path) -> list[Path]:
    """Copy the project without answers. BadInput if this is no checkout of git's."""
    asked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8")
    if asked.returncode:
        raise BadInput(f"git does not list the files of {ROOT}, so no copy is made: {asked.stderr.strip()}")
    made = []
    for name in asked.stdout.split("\0"):
        file, target = ROOT / name, folder / name
        if not file.is_file() or name.startswith(HOLD_ANSWERS):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.parent == NOTEBOOKS:
            notebooks.write(editions.unsolved(notebooks.read(file)), target)
        elif file.suffix == ".md":
            write_text(target, editions.without_answers(file.read_text(encoding="utf-8")))
        else:
            shutil.copy(file, target)
        made.append(target)
    return made


EDITIONS: dict[str, Callable[[Path, Path], Path]] = {
    "student": student,
    "instructor": instructor,
    "clean": clean,
    "slides": shown,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 if the folder cannot be used or exercises.yaml does not fit the notebooks."""
    parser = argparse.ArgumentParser(
        "python -m helpers.course", description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("folder", help="where the editions go, each into a folder of its name")
    parser.add_argument("--edition", choices=[*EDITIONS, "project"], help="one of them; all if none is given")
    given = parser.parse_args(arguments)
    try:
        folder = given_path("folder", given.folder)
        if folder.exists() and not folder.is_dir():
            raise BadInput(f"folder: {folder} is a file; name a folder, which need not exist")
        files = notebooks.find(NOTEBOOKS).values()
        for edition in [given.edition] if given.edition else [*EDITIONS, "project"]:
            place = folder / edition
            make = EDITIONS.get(edition)
            made = [make(file, place) for file in files] if make else project(place)
            print(f"{edition}: {len(made)} files, {made[0]}, …")
    except (BadInput, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
