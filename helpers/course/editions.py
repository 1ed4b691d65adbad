"""The editions of a notebook: for instructors (which is nbgrader's source), for students, and clean.

The instructor edition holds everything: the cell of each exercise with an answer between `### BEGIN SOLUTION`
and `### END SOLUTION`, and its check, with points, and with hidden tests between `### BEGIN HIDDEN TESTS` and
`### END HIDDEN TESTS`. The student edition is what nbgrader makes of it, made without nbgrader.
"""

import re
from pathlib import Path

from nbformat import NotebookNode, from_dict

from helpers.course import exercises
from helpers.course.exercises import Exercise, Grading
from helpers.errors import BadInput
from helpers.notebook import sources as notebooks
from helpers.paths import number_of

STUB = """# YOUR ANSWER: change what stands above, then delete this line and the next
raise NotImplementedError("no answer yet")"""
HOW = """Each exercise has a cell for your answer and, below it, a cell that checks it: run that when you have
answered. It fails where something is wrong. Grading checks more than you see.
*Run All* stops at the first exercise that has no answer. Notebooks from 01 on read what others wrote: before
them, `python -m helpers.run smoke` must have run once, with the project's environment active.
A prediction gives 1 point, a changed parameter 2, an extension 3."""
# what is not so in a course: solutions beside the notebook, and checks that pass where nothing was answered
SOLVED = r"(?:Solved\s+in|Solutions:|The\s+solutions\s+are\s+in)\s+\[[^]]*\]\([^)]*_solutions\.ipynb\)\.\s*"
REMOVED = re.compile(SOLVED + r"|A\s+check\s+prints[^.]*\.\s*")
ANSWER = re.compile(r"^ *<details>.*?</details>\n", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[([^]]*)\]\([^)]*\b(?:solutions|helpers/course|tests)\b[^)]*\)")


def instructor(file: Path) -> NotebookNode:
    """The instructor edition of a notebook. BadInput where exercises.yaml or the solutions do not fit it."""
    notebook, number = notebooks.without_outputs(notebooks.read(file)), number_of(file.stem)
    found, added = exercises.split(notebook), exercises.gradings(file)
    if len(found) != len(added):
        here = f"{file.name} has {len(found)} exercises, {exercises.ANSWERS.name} {len(added)} for {number}"
        raise BadInput(f"{here}; there must be one entry for each exercise, in order")
    for cell in notebooks.code_cells(notebook):
        mark(cell, cell.id, locked=True)
    for n, (exercise, grading) in enumerate(zip(found, added, strict=True), start=1):
        grade(exercise, grading, f"{number}-{n}", n)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = REMOVED.sub("", cell.source).strip("\n")
            cell.source = exercises.HEADING.sub(rf"\g<0>\n\n{HOW}", text)
    notebook.cells = [cell for cell in notebook.cells if cell.source]
    return notebook


def mark(cell, grade_id: str, **about) -> None:
    """Give a cell nbgrader's metadata. `locked` means that grading puts back what an instructor wrote."""
    plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    cell.metadata.nbgrader = from_dict(plain | {"grade_id": grade_id, "cell_type": "code"} | about)


def grade(exercise: Exercise, grading: Grading, name: str, points: int) -> None:
    """Put an answer and hidden tests into the cells of an exercise. BadInput if nothing in them checks it."""
    answer = ["### BEGIN SOLUTION", grading.answer, "### END SOLUTION"]
    exercise.blank.source = "\n".join([exercise.blank.source, "", *answer, f"answered_{points} = True"])
    mark(exercise.blank, f"{name}-answer", solution=True)
    checks = [cell for cell in exercise.check if re.search(r"\bcheck\(", cell.source)]
    if not checks:
        raise BadInput(f"exercise {name} has no check; add a cell below it that calls `check`")
    test = checks[-1]
    needs, shown = exercises.guarded(test.source)
    hidden = grading.hidden.strip("\n")
    # a blank is no answer, though it sets a name: only what stands after the stub tells
    known = f'"answered_{points}" in globals() and answered_{points}'
    first = f'assert {known}, "run the cell with your answer first"\n'
    test.source = f"{needs}{first}\n{shown}\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
    mark(test, f"{name}-check", grade=True, locked=True, points=points)


def student(instructors: NotebookNode) -> NotebookNode:
    """The student edition of an instructor edition, which is changed: no answers, no hidden tests."""
    for cell in notebooks.code_cells(instructors):
        about = cell.metadata.nbgrader
        for name, instead in (("SOLUTION", STUB), ("HIDDEN TESTS", "")):
            before, begin, rest = cell.source.partition(f"### BEGIN {name}\n")
            if begin:
                cell.source = (before + instead + rest.partition(f"### END {name}")[2]).rstrip("\n")
        if about.grade or about.solution:
            cell.metadata.deletable = False
        if about.grade:
            cell.metadata.editable = False
    return instructors


def unsolved(notebook: NotebookNode) -> NotebookNode:
    """A notebook as it is, outputs and all, that names no solutions."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(SOLVED, "", cell.source).strip("\n")
    notebook.cells = [cell for cell in notebook.cells if cell.source]
    return notebook


def without_answers(page: str) -> str:
    """A page without folded answers, and without links to what students do not get."""
    return LINK.sub(r"\1", ANSWER.sub("", page))


def clean(file: Path) -> NotebookNode:
    """Headings and code of a notebook, for who teaches in words of their own."""
    notebook = notebooks.without_outputs(notebooks.read(file))
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"^```.*?^```", "", cell.source, flags=re.DOTALL | re.MULTILINE)
            cell.source = "\n\n".join(re.findall(r"^#+ .*", text, re.MULTILINE))
    notebook.cells = [cell for cell in notebook.cells if cell.source]
    return notebook
