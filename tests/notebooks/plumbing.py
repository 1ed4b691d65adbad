"""What the lines of the notebooks' code are for: teaching, plotting or plumbing.

    python tests/notebooks/plumbing.py [FOLDER]

A statement is plumbing if it records claims or metrics, dresses a table, or asks whether the data have a
part; everything else that is no plot, import, parameter or exercise teaches. Blank lines and comments do
not count.
"""

import ast
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from helpers.notebook import sources as notebooks
from helpers.paths import NOTEBOOKS

LONGEST = 12  # lines of a teaching cell
NAMES = {  # in this order: the first kind that a statement's names belong to
    "claims": "Claim claims claim VERDICTS verdict verdicts cited judge comparison judged concluded measured"
    " showed cannot rise fall left left_open open_ends"
    " metrics save save_arrays save_table save_weights save_collection board scoreboard",
    "tables": "DataFrame Series display option_context style Styler format fillna rename_axis table reindex",
    "guards": "has lacks missing left_out not_testable",
    "plots": "plt axes axis figure plots sns ax fig",
}
KIND = {name: kind for kind, names in NAMES.items() for name in names.split()}
PLUMBING = ("claims", "tables", "guards")


def kind_of(statement: ast.stmt) -> str:
    """Teaching, one of `NAMES`, or "imports"; a text that is put together and not printed dresses a table."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return "imports"
    nodes = list(ast.walk(statement))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    kinds = {KIND[name] for name in used if name in KIND}
    if any(isinstance(node, ast.JoinedStr) for node in nodes) and not used & {"print", "say", "plots"}:
        kinds.add("tables")
    return next((kind for kind in NAMES if kind in kinds), "teaching")


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a cell without their blocks, whose statements count for themselves."""
    for statement in body:
        blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
        if any(blocks):
            for name in ("body", "orelse", "finalbody"):
                if getattr(statement, name, []):
                    setattr(statement, name, [])
            statement.end_lineno = min(block[0].lineno for block in blocks if block) - 1
        yield statement
        for block in blocks:
            yield from statements(block)


def lines_of(source: str) -> Counter:
    """kind -> lines of one code cell."""
    found: Counter = Counter()
    lines = source.splitlines()
    if lines and lines[0].startswith("%%needs"):
        found["guards"] += 1
        lines[0] = ""
    for statement in statements(ast.parse("\n".join(lines)).body):
        part = lines[statement.lineno - 1 : max(statement.end_lineno, statement.lineno)]
        found[kind_of(statement)] += sum(bool(re.sub("#.*", "", line).strip()) for line in part)
    return found


def cells(file: Path) -> list[tuple[Counter, bool]]:
    """The lines of each code cell before the exercises, but the parameters cell; and whether it is a teaching
    cell: most of it teaches, and its input is not hidden."""
    found = []
    for cell in notebooks.read(file).cells:
        if cell.cell_type == "markdown" and re.search(r"^#+ Exercises", cell.source, re.MULTILINE):
            break
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and "parameters" not in tags:
            lines = lines_of(cell.source)
            found.append((lines, "hide-input" not in tags and lines["teaching"] > sum(lines.values()) / 2))
    return found


def teaching_lengths(file: Path) -> list[int]:
    """Lines of each teaching cell."""
    return [sum(lines.values()) for lines, teaches in cells(file) if teaches]


def main(folder: Path) -> None:
    kinds, total, every = ("teaching", "plots", *PLUMBING), Counter(), []
    print(f"{'':32}{''.join(f'{kind:>10}' for kind in kinds)}    median  longer than {LONGEST}")

    def line(name: str, lines: Counter, lengths: list[int]) -> None:
        numbers = "".join(f"{lines[kind]:10}" for kind in kinds)
        longer = sum(length > LONGEST for length in lengths)
        print(f"{name:32}{numbers}{statistics.median(lengths):10.0f}{longer:8}")

    for file in sorted(folder.glob("*.ipynb")):
        lines, lengths = sum((lines for lines, _ in cells(file)), Counter()), teaching_lengths(file)
        line(file.stem, lines, lengths)
        total, every = total + lines, every + lengths
    line("all", total, every)
    print(f"plumbing: {sum(total[kind] for kind in PLUMBING)} of {sum(total[kind] for kind in kinds)} lines")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOKS)
