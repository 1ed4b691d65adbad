"""The exercises of a notebook: what a student fills in, what checks it, and what grading adds.

An exercise begins with a code cell under `## Exercises` that opens with a *blank*: names set to None, or a
function without a body. What follows the blank, up to the next one, is its check, which calls `check` of
helpers/notebook/check.py. Answers and hidden tests stand in exercises.yaml, one entry for each exercise, in
order:

    answer  code that solves it; a line that is only a name stands for its definition in the solutions
    hidden  assertions that students do not see
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from pydantic import BaseModel, ConfigDict, ValidationError

from helpers.errors import BadInput
from helpers.notebook import sources as notebooks
from helpers.paths import number_of

ANSWERS = Path(__file__).with_suffix(".yaml")
HEADING = re.compile(r"^#+ Exercises$", re.MULTILINE)


class Grading(BaseModel):
    """An entry of exercises.yaml."""

    model_config = ConfigDict(extra="forbid")

    answer: str
    hidden: str


@dataclass
class Exercise:
    """One exercise: cells of its notebook."""

    blank: NotebookNode  # what students change
    check: list[NotebookNode]  # what comes after it, up to the next exercise


def split(notebook) -> list[Exercise]:
    """The exercises of a notebook, in order; a cell that holds a blank and more becomes two cells there."""
    found: list[Exercise] = []
    cells, inside = [], False
    for cell in notebook.cells:
        cells.append(cell)
        inside = inside or (cell.cell_type == "markdown" and bool(HEADING.search(cell.source)))
        if not inside or cell.cell_type != "code":
            continue
        blank, rest = parted(cell.source)
        if blank:
            cell.source = blank
            found.append(Exercise(cell, []))
            if rest:
                cells.append(new_code_cell(rest, id=f"{cell.id}-check"))
        if rest and found:
            found[-1].check.append(cells[-1])
    notebook.cells = cells
    return found


def parted(source: str) -> tuple[str, str]:
    """A cell's source as what ends with its last blank, and the rest; each begins with the `%%needs` line, if
    the cell does. ("", source) if it has no blank."""
    needs, body = guarded(source)
    lines, end = body.splitlines(), 0
    for statement in ast.parse(body).body:
        if is_blank(statement):
            end = statement.end_lineno
    blank, rest = ("\n".join(part).strip("\n") for part in (lines[:end], lines[end:]))
    return blank and needs + blank, rest and needs + rest


def guarded(source: str) -> tuple[str, str]:
    """The `%%needs` line that a cell begins with, or "", and the rest of its source."""
    end = source.find("\n") + 1 if source.startswith("%%needs") else 0
    return source[:end], source[end:]


def is_blank(statement: ast.stmt) -> bool:
    """Whether a statement sets names to None, or defines a function of which there is only the docstring."""
    if isinstance(statement, ast.Assign):
        values = statement.value.elts if isinstance(statement.value, ast.Tuple) else [statement.value]
        return all(isinstance(value, ast.Constant) and value.value is None for value in values)
    return (
        isinstance(statement, ast.FunctionDef)
        and len(statement.body) == 1
        and ast.get_docstring(statement) is not None
    )


def definitions(notebook) -> dict[str, str]:
    """Name -> source of the functions that the cells of a notebook define."""
    found: dict[str, str] = {}
    for cell in notebooks.code_cells(notebook):
        _, source = guarded(cell.source)
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.FunctionDef):
                found[statement.name] = ast.get_source_segment(source, statement)
    return found


def gradings(file: Path) -> list[Grading]:
    """What exercises.yaml says of a notebook, with the solutions' definitions in place. BadInput if it says
    something that is not known, or names what the solutions do not define."""
    number = number_of(file.stem)
    entries = (yaml.safe_load(ANSWERS.read_text(encoding="utf-8")) or {}).get(number, [])
    solutions = file.parent / "solutions" / f"{file.stem}_solutions.ipynb"
    known = definitions(notebooks.read(solutions)) if entries else {}
    found = []
    for n, entry in enumerate(entries, start=1):
        where = f"{ANSWERS.name}, {number}, exercise {n}"
        try:
            grading = Grading.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        lines = []
        for line in grading.answer.splitlines():
            if line.isidentifier() and line not in known:
                raise BadInput(f"{where}: {solutions.name} defines no function {line}")
            lines.append(f"{known[line]}\n\n" if line.isidentifier() else line)
        found.append(grading.model_copy(update={"answer": "\n".join(lines).strip("\n")}))
    return found
