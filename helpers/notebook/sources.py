"""Reading notebooks without running them: their parameters, a digest of their code, a clean copy."""

import ast
import copy
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from helpers.errors import BadInput
from helpers.files import write_text
from helpers.notebook.params import TYPES
from helpers.paths import number_of

# these decide what is accepted and what is reported, never a number
NEUTRAL = {f"helpers.notebook.{name}" for name in ("params", "sources", "provenance")}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass(frozen=True)
class Parameter:
    """A line of a parameters cell: the name of its type (one of `TYPES`) and its default."""

    kind: str
    default: object


def find(folder: Path) -> dict[str, Path]:
    """Number -> notebook, in order, for every `NN_name.ipynb` of a folder."""
    found: dict[str, Path] = {}
    for file in sorted(folder.glob("*.ipynb")):
        if (number := number_of(file.stem)) in found:
            raise BadInput(f"{file}: {found[number].name} has the number {number} too; rename one of them")
        if number is not None:
            found[number] = file
    return found


def read(file: Path):
    """The notebook as an nbformat node."""
    import nbformat  # here and below, because it takes more than a second and a running notebook needs none

    try:
        return nbformat.read(file, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise BadInput(f"{file}: not a readable notebook ({str(error).splitlines()[0][:200]})") from None


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def parse(source: str, where: str) -> ast.Module:
    """The syntax tree of a cell; IPython's magics are turned into calls first."""
    # a cell for which the data must have something is ordinary code after its first line
    source = re.sub(r"\A%%needs (.*)", r"needs('\1')", source)
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError as error:
        raise BadInput(f"{where}, line {error.lineno}: {error.msg}") from None


def assigned_names(source: str) -> list[str]:
    """The names that the plain assignments of a cell set at its top level."""
    targets = [t for s in ast.parse(source).body if isinstance(s, ast.Assign) for t in s.targets]
    return [t.id for t in targets if isinstance(t, ast.Name)]


def parameters(notebook, where: str) -> dict[str, Parameter]:
    """The parameters cell, read as text: name -> type and default. BadInput unless there is exactly one such
    cell, of lines `name: type = literal`."""
    cells = [c for c in code_cells(notebook) if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise BadInput(f"{where}: {len(cells)} cells are tagged `parameters`; there must be exactly one")
    found: dict[str, Parameter] = {}
    for statement in parse(cells[0].source, f"{where}, parameters cell").body:
        at = f"{where}, parameters cell, line {statement.lineno}"
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            raise BadInput(f"{at}: expected `name: type = value`, found `{ast.unparse(statement)}`")
        name, kind = statement.target.id, ast.unparse(statement.annotation).replace(" ", "")
        if kind not in TYPES:
            raise BadInput(f"{at}: {name} has the type {kind}; a parameter is one of {', '.join(TYPES)}")
        if name in found:
            raise BadInput(f"{at}: {name} is defined twice")
        try:
            found[name] = Parameter(kind, ast.literal_eval(statement.value))
        except (ValueError, TypeError):
            raise BadInput(f"{at}: the default of {name} must be a literal scalar or list") from None
    return found


def told_to_start(notebook, where: str) -> dict[str, object]:
    """What the call of `start` says by keyword (`requires`, `after`, `alone`): literals, read as text."""
    for n, cell in enumerate(code_cells(notebook)):
        if "start(" not in cell.source:
            continue
        for node in ast.walk(parse(cell.source, f"{where}, code cell {n + 1}")):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "start":
                return {k.arg: ast.literal_eval(k.value) for k in node.keywords}
    return {}


def code_digest(notebook, package: Path, where: str, also: Iterable[str] = ()) -> str:
    """A digest of everything that a notebook executes, but not of its text, comments or outputs: the code
    cells and, transitively, the modules of `package` that they import, wherever the import stands, and those
    named in `also`."""
    total, modules = hashlib.sha256(), set(also)
    for n, cell in enumerate(code_cells(notebook)):
        tree = parse(cell.source, f"{where}, code cell {n + 1}")
        total.update(ast.dump(tree).encode())
        modules |= imported(tree, "", package)
    for module, content in sorted(closure(modules, package).items()):
        total.update(f"\n{module} {content}".encode())
    return total.hexdigest()


def closure(modules: set[str], package: Path) -> dict[str, str]:
    """Module -> digest of its content, for the given modules and all that they import in turn."""
    found: dict[str, str] = {}
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module in found or module in NEUTRAL:
            continue
        file = module_file(module, package)
        inside = module if file.name == "__init__.py" else module.rpartition(".")[0]
        code, imports = _parsed(file.read_text(encoding="utf-8"), inside, package)
        extra = b"".join(f.name.encode() + f.read_bytes() for f in data_files(file, package))
        found[module] = hashlib.sha256(code + extra).hexdigest()
        todo += imports
    return found


@cache
def _parsed(source: str, inside: str, package: Path) -> tuple[bytes, frozenset[str]]:
    """The syntax tree of a module as bytes, and its imports. Every notebook needs the same few modules."""
    tree = ast.parse(source)
    return ast.dump(tree).encode(), frozenset(imported(tree, inside, package))


def data_files(file: Path, package: Path) -> list[Path]:
    """The tables that lie with a module: in its package's folder, or in a folder of the module's name."""
    inner = [f for f in sorted(file.parent.iterdir()) if f.is_dir() and f.name != "__pycache__"]
    plain = [f for f in inner if not any(f.glob("*.py"))]  # hold no Python
    if file.name == "__init__.py":
        roots = [] if file.parent == package else [file.parent, *plain]
    else:
        roots = [f for f in plain if f == file.with_suffix("")]
    return [p for root in roots for p in sorted(root.iterdir()) if p.is_file() and p.suffix != ".py"]


def module_file(module: str, package: Path) -> Path | None:
    """The file of a module of `package`, or None if there is no such module."""
    top, *parts = module.split(".")
    base = package.joinpath(*parts)
    files = [base / "__init__.py", *([base.with_suffix(".py")] if parts else [])]
    return next((file for file in files if top == package.name and file.is_file()), None)


def imported(tree: ast.AST, inside: str, package: Path) -> set[str]:
    """The modules of `package` that a syntax tree imports, and the packages that hold them; no part of it are
    `if __name__ == "__main__":` blocks."""
    names: set[str] = set()
    todo = list(ast.iter_child_nodes(tree))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = resolve_name("." * node.level + (node.module or ""), inside)
            names |= {start} | {f"{start}.{alias.name}" for alias in node.names}
        todo += ast.iter_child_nodes(node)
    ancestors = {".".join(n.split(".")[:k]) for n in names for k in range(1, n.count(".") + 2)}
    return {name for name in ancestors if module_file(name, package)}


def without_outputs(notebook):
    """The notebook itself, its outputs gone."""
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    return notebook


def with_outputs(notebook, executed):
    """A clean copy of `notebook` that shows the outputs of `executed`, a run of the same code.
    Cells that papermill added are left out, as is every metadata except tags; cell ids stay. Neighbouring
    pieces of one stream are joined: where they were cut is chance. BadInput for other code or stderr."""
    import nbformat
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    joined, _ = CoalesceStreamsPreprocessor().preprocess(copy.deepcopy(executed), {})
    ran = [c for c in code_cells(joined) if "injected-parameters" not in c.metadata.get("tags", [])]
    clean = copy.deepcopy(notebook)
    if [c.source for c in ran] != [c.source for c in code_cells(clean)]:
        raise BadInput("the executed copy holds other code; run again with --force")
    clean.metadata = nbformat.from_dict(METADATA)
    clean.nbformat_minor = 5
    for number, cell in enumerate(clean.cells):
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": list(tags)} if tags else {})
        cell.setdefault("id", f"cell-{number:02d}")
    for number, (cell, source) in enumerate(zip(code_cells(clean), ran, strict=True), start=1):
        cell.execution_count = number
        cell.outputs = source.outputs
        for output in cell.outputs:
            if output.get("name") == "stderr":
                line = output.text.strip().splitlines()[-1]
                raise BadInput(f"cell [{number}] writes to stderr; remove the cause: {line}")
            if output.output_type == "execute_result":
                output.execution_count = number
    return clean


def write(notebook, file: Path) -> None:
    """Write a notebook as Jupyter does, with a rename at the end."""
    import nbformat

    nbformat.validate(notebook)
    write_text(file, nbformat.writes(notebook).rstrip("\n") + "\n")
