"""Grading runs the cells that the graded ones need and no others."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers.course import editions
from helpers.course.needed import SKIP, OnlyNeeded, needed
from helpers.notebook import sources as notebooks
from helpers.paths import NOTEBOOKS

FILES = notebooks.find(NOTEBOOKS)


def lesson(*sources):
    """A notebook of which the last cell is graded."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    editions.mark(notebook.cells[-1], "answer", solution=True)
    return notebook


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a = 1", "b = 2", "a"], "0 2"),
        (["a = 1", "a = 2", "a"], "1 2"),  # the first value is gone
        (["a = 1", "if b:\n    a = 2", "a"], "0 1 2"),  # or may not be
        (["a = 1", "a += 1", "a"], "0 1 2"),
        (["a = []", "a.append(1)", "a"], "0 1 2"),
        (["a = make()", "fit(a, b)", "a"], "0 1 2"),
        (["a: int = 1", "fit(a)", "a"], "0 2"),
        (["a = 1", "print(a)", "show.table(a)", "run.measured('F1', a)", "a"], "0 4"),
        (["import numpy as np", "np.fill_diagonal(b, 0)", "np.ones(2)"], "0 2"),
        (["x = 1", "def f():\n    return x", "x = 2", "f()"], "1 2 3"),  # f reads x when it is called
        (["x = 1", "def f(x):\n    return x", "f(2)"], "1 2"),
        (["d = {}", "def f():\n    d['k'] = 1", "f()", "d"], "0 1 2 3"),
        (["x = 1", "f = lambda: x", "f()"], "0 1 2"),
        (["x = 1", "y = [x for x in range(3)]", "y"], "1 2"),
        (["n = 3", "y = [n for _ in range(3)]", "y"], "0 1 2"),
        (["x = 1", "for x in range(3):\n    y = x", "y"], "1 2"),
        (["m = {}", "m['a'] = slow()", "m['b'] = 2", "m['b']"], "0 2 3"),
        (["m = {}", "m['a'] = slow()", "m['b'] = 2", "m"], "0 1 2 3"),
        (["m = {}", "m['a'] = slow()", "m = {'b': 2}", "m"], "2 3"),
        (["try:\n    a = 1\nexcept ValueError:\n    a = 2", "with f() as b:\n    c = b", "a, c"], "0 1 2"),
        (["%%needs tags\na = 1", "%%needs tags\na"], "0 1"),
        (["a = = 1", "b = 1", "c"], "0 2"),  # fails by itself
    ],
)
def test_by_hand(sources, expected):
    notebook = lesson(*sources)
    found = [notebook.cells.index(cell) for cell in needed(notebook)]
    assert " ".join(map(str, found)) == expected


def test_cells_that_are_not_needed_are_tagged():
    notebook = lesson("a = 1", "b = 2", "a")
    notebook.cells[0].metadata.tags = ["hide-input", SKIP]  # a student cannot skip what is needed
    OnlyNeeded().preprocess(notebook, {})
    assert [cell.metadata.tags for cell in notebook.cells] == [["hide-input"], [SKIP], []]


@pytest.mark.parametrize(("number", "most"), {"00": 9, "04": 3, "06": 5, "07b": 3, "09": 3}.items())
def test_few_cells_of_a_lesson_are_needed(number, most):
    found = needed(editions.instructor(FILES[number]))
    lessons = [c for c in found if not (c.metadata.nbgrader.grade or c.metadata.nbgrader.solution)]
    assert len(lessons) <= most


def test_what_an_answer_reads_is_needed_too():
    notebook = editions.instructor(FILES["00"])
    before = {cell.id for cell in needed(notebook)}
    (answer,) = [c for c in notebooks.code_cells(notebook) if c.metadata.nbgrader.grade_id == "00-2-answer"]
    answer.source += "\nsenses"
    assert {cell.id for cell in needed(notebook)} - before == {"00-33", "00-31b", "00-31"} - before
