"""nbgrader itself makes the student edition of the instructor's, validates it and scores submissions."""

import os
import subprocess
import sys
import sysconfig

import pytest

from helpers.course import __main__ as course
from helpers.course import editions
from helpers.course.needed import SKIP, needed
from helpers.notebook import sources as notebooks
from helpers.paths import NOTEBOOKS, ROOT

nbgrader = pytest.importorskip("nbgrader", reason="nbgrader is not installed: python install.py --tests")
NAME = "04_latent_neighbours"  # its exercises need nothing but imports
FILE = NOTEBOOKS / f"{NAME}.ipynb"


def call(folder, *arguments, code=0):
    """The output of nbgrader, run in a folder as an educator does."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CROWD_OUTPUTS": str(folder / "outputs")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    # nbgrader calls a program of its environment, alembic, which lies on the path of an active one only
    environment["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), environment["PATH"]])
    ran = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments], cwd=folder, env=environment,
        capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def answered(notebook, *, first, others):
    """A submission: what the three answer cells hold."""
    cells = [cell for cell in notebooks.code_cells(notebook) if cell.metadata.nbgrader.solution]
    for cell, text in zip(cells, (first, *others), strict=True):
        cell.source = text
    return notebook


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A course of one notebook in which one student has answered all and one the first exercise only."""
    folder = tmp_path_factory.mktemp("course")
    course.instructor(FILE, folder)
    call(folder, "generate_assignment", NAME)
    released = folder / "release" / NAME / FILE.name
    right, blank = (
        [cell.source for cell in notebooks.code_cells(notebook) if cell.metadata.nbgrader.solution]
        for notebook in (editions.instructor(FILE), notebooks.read(released))
    )
    wrong = ['falls, content_will = "friendship", "stay"', blank[2]]
    for student, others in {"right": right[1:], "wrong": wrong}.items():
        notebook = answered(notebooks.read(released), first=right[0], others=others)
        lesson = next(cell for cell in notebooks.code_cells(notebook) if "import seaborn" in cell.source)
        lesson.source = "neighbours = None  # something tried in a lesson"
        notebooks.write(notebook, folder / "submitted" / student / NAME / FILE.name)
    call(folder, "autograde", NAME)
    return folder


def test_nbgrader_makes_the_student_edition(graded):
    theirs = notebooks.read(graded / "release" / NAME / FILE.name)
    ours = editions.student(editions.instructor(FILE))
    for cell in notebooks.code_cells(theirs):
        assert cell.metadata.nbgrader.pop("checksum", "") or cell.metadata.nbgrader.solution
    assert theirs.cells == ours.cells


def test_scores_differ_as_they_must(graded):
    from nbgrader.api import Gradebook

    scores = {}
    with Gradebook(f"sqlite:///{graded / 'gradebook.db'}") as book:
        for student in ("right", "wrong"):
            notebook = book.find_submission_notebook(NAME, NAME, student)
            scores[student] = {grade.name: grade.auto_score for grade in notebook.grades}
            assert notebook.max_score == 6
    checks = [f"04-{n}-check" for n in (1, 2, 3)]
    assert scores["right"] == dict(zip(checks, (1, 2, 3), strict=True))
    assert scores["wrong"] == dict(zip(checks, (1, 0, 0), strict=True))


def test_grading_ran_what_is_needed_and_put_lessons_back(graded):
    ran = notebooks.read(graded / "autograded" / "right" / NAME / FILE.name)
    left_out = [c for c in notebooks.code_cells(ran) if SKIP in c.metadata.get("tags", [])]
    assert len(left_out) > 30
    assert not any(cell.outputs for cell in left_out)
    assert "import seaborn" in "".join(cell.source for cell in ran.cells)


@pytest.mark.parametrize("edition", ["instructor", "release"])
def test_validate(graded, edition):
    place = "source" if edition == "instructor" else "release"
    whole = notebooks.read(graded / place / NAME / FILE.name)
    whole.cells = needed(whole)  # the lessons take a minute
    sheet = graded / f"{edition}.ipynb"
    notebooks.write(whole, sheet)
    told = call(graded, "validate", sheet.name)
    assert ("Success! Your notebook passes all the tests." in told) == (edition == "instructor")
    assert ("VALIDATION FAILED ON 3 CELL(S)" in told) == (edition == "release")
