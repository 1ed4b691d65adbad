"""Reading parameters cells, digests of code, clean copies."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.errors import BadInput
from helpers.notebook import sources as notebooks
from helpers.notebook.sources import Parameter

TAG = {"tags": ["parameters"]}


def notebook(*sources, **parameters_cell):
    return new_notebook(
        cells=[new_code_cell(s) for s in sources]
        + [new_code_cell(s, metadata=TAG) for s in parameters_cell.values()]
    )


def test_parameters_are_read_without_running():
    source = 'profile: str = "smoke"  # the folder\nlr: float = -1.5\ngrid: list[ int ] = [1, 2]\n'
    assert notebooks.parameters(notebook("raise SystemExit", p=source), "x") == {
        "profile": Parameter("str", "smoke"),
        "lr": Parameter("float", -1.5),
        "grid": Parameter("list[int]", [1, 2]),
    }


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({}, "x: 0 cells are tagged `parameters`"),
        ({"a": "lr: float = 1", "b": "d: int = 2"}, "x: 2 cells are tagged"),
        ({"a": "lr = 1"}, "x, parameters cell, line 1: expected `name: type = value`, found `lr = 1`"),
        ({"a": "lr: float = 1\nimport os"}, "line 2: expected"),
        ({"a": "lr: dict = {}"}, "lr has the type dict"),
        ({"a": "lr: float = 1 / 3"}, "the default of lr must be a literal"),
        ({"a": "lr: float"}, "the default of lr must be a literal"),
        ({"a": "lr: float = 1\nlr: float = 2"}, "line 2: lr is defined twice"),
        ({"a": "lr: float = "}, "x, parameters cell, line 1: invalid syntax"),
    ],
)
def test_bad_parameters_cells(cells, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        notebooks.parameters(notebook(**cells), "x")


@pytest.fixture
def package(tmp_path):
    """A package whose modules import each other in every way that there is."""
    files = {
        "__init__.py": "",
        "run.py": "import numpy\nif __name__ == '__main__':\n    from pkg import commands\n",
        "commands.py": "x = 1",
        "method.py": "def f():\n    from pkg.data import load\n",
        "data/__init__.py": "from .reader import read as load\n",
        "data/reader.py": "from . import text as t\n",
        "data/text.py": "x = 1",
        "data/table/list.csv": "a,b",
        "unused.py": "x = 1",
        "loop_a.py": "import pkg.loop_b",
        "loop_b.py": "import pkg.loop_a",
    }
    for name, text in files.items():
        file = tmp_path / "pkg" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "pkg"


def digest(package, *sources):
    return notebooks.code_digest(notebook(*sources), package, "x")


def test_the_closure_follows_every_kind_of_import(package):
    reached = notebooks.closure({"pkg.method", "pkg.run"}, package).keys()
    assert reached == {"pkg", "pkg.method", "pkg.run", "pkg.data", "pkg.data.reader", "pkg.data.text"}
    assert notebooks.closure({"pkg.loop_a"}, package).keys() == {"pkg.loop_a", "pkg.loop_b", "pkg"}


@pytest.mark.parametrize("changed", ["method.py", "data/reader.py", "data/text.py", "data/table/list.csv"])
def test_a_changed_module_changes_the_digest(package, changed):
    before = digest(package, "from pkg import method")
    (package / changed).write_text("x = 22222")
    assert digest(package, "from pkg import method") != before


@pytest.mark.parametrize("changed", ["unused.py", "commands.py"])
def test_other_modules_do_not(package, changed):
    source = "from pkg import method, run"
    before = digest(package, source)
    (package / changed).write_text("x = 22222")
    assert digest(package, source) == before


def test_a_module_that_no_import_names_counts_where_told(package):
    before = notebooks.code_digest(notebook("x = 1"), package, "x", ["pkg.data.reader"])
    assert before != digest(package, "x = 1")
    (package / "data/text.py").write_text("x = 22222")
    assert notebooks.code_digest(notebook("x = 1"), package, "x", ["pkg.data.reader"]) != before


def test_only_code_counts(package):
    before = digest(package, "x = 1", "%matplotlib inline\nimport pkg.method")
    assert digest(package, "x  =  1  # a remark", "%matplotlib inline\nimport pkg.method") == before
    assert digest(package, "x = 2", "%matplotlib inline\nimport pkg.method") != before
    assert digest(package, "x = 1") != before


def test_two_notebooks_with_one_number_are_refused(tmp_path):
    for name in ("03_a", "03_b"):
        nbformat.write(notebook(), tmp_path / f"{name}.ipynb")
    with pytest.raises(BadInput, match=r"03_a\.ipynb has the number 03 too"):
        notebooks.find(tmp_path)


def test_an_unreadable_notebook_is_named(tmp_path):
    (tmp_path / "03_a.ipynb").write_text("{")
    with pytest.raises(BadInput, match=r"03_a\.ipynb: not a readable notebook"):
        notebooks.read(tmp_path / "03_a.ipynb")


def ran(outputs):
    """A notebook and the executed copy that papermill would make of it."""
    source = new_notebook(
        cells=[
            new_markdown_cell("# A"),
            new_code_cell("lr: float = 1", metadata=TAG),
            new_code_cell("print(1)"),
        ]
    )
    executed = nbformat.from_dict(source)
    executed.metadata["papermill"] = {"duration": 1.0}
    executed.cells.insert(2, new_code_cell("lr = 2", metadata={"tags": ["injected-parameters"]}))
    for number, cell in enumerate(notebooks.code_cells(executed), start=1):
        cell.execution_count = number
        cell.metadata["papermill"] = {"duration": 0.1}
    executed.cells[-1].outputs = outputs
    return source, executed


def test_outputs_are_taken_over_and_nothing_else():
    pieces = [new_output("stream", name="stdout", text=t) for t in ("1\n", "2\n")]
    result = new_output("execute_result", {"text/plain": "3"}, execution_count=3)
    source, executed = ran([*pieces, result])
    clean = notebooks.with_outputs(source, executed)
    assert [c.id for c in clean.cells] == [c.id for c in source.cells]
    assert [c.execution_count for c in notebooks.code_cells(clean)] == [1, 2]
    stream, shown = clean.cells[-1].outputs
    assert stream.text == "1\n2\n"
    assert shown.execution_count == 2
    assert clean.metadata == notebooks.METADATA
    assert [c.metadata for c in clean.cells] == [{}, TAG, {}]
    assert "papermill" not in str(clean)


def test_stderr_and_other_code_are_refused():
    source, executed = ran([new_output("stream", name="stderr", text="w.py:1: UserWarning: old\n")])
    with pytest.raises(
        BadInput, match=r"cell \[2\] writes to stderr; remove the cause: w\.py:1: UserWarning"
    ):
        notebooks.with_outputs(source, executed)
    source.cells[-1].source = "print(2)"
    with pytest.raises(BadInput, match="other code"):
        notebooks.with_outputs(source, executed)
