"""What every notebook of the project must be, as functions that list what is wrong.

They take the file, so that the tests can show on broken copies that each rule is able to fail.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import papermill

from helpers import paths
from helpers.claims import papers
from helpers.errors import BadInput
from helpers.notebook import sources as notebooks
from helpers.notebook.params import check
from helpers.paths import ROOT
from helpers.runner import report

CARD = ("paper", "claim", "differs", "memory", "reads", "writes")
WIDEST = 88  # characters that JupyterLab shows of a drawing in a window of 1,280 pixels
TEXT_FILES = ("open", "Path", "read_csv", "read_parquet", "load", "loadtxt", "savefig", "imread")
MACHINE = re.compile(
    r"(?:/home|/Users|/root|/tmp|/var/folders|[A-Z]:\\Users)[/\\]\w+|" + re.escape(str(ROOT))
)


def notebook_problems(file: Path) -> list[str]:
    """Everything that is wrong with a notebook of the sequence."""
    notebook = notebooks.read(file)
    cells, code = notebook.cells, notebooks.code_cells(notebook)
    found = any_notebook(file)
    if len(cells) < 20:
        found.append(f"{len(cells)} cells, expected at least 20")
    found += card(notebook, file) + parameters(notebook, file)
    source = "\n".join(c.source for c in code)
    names = re.findall(r"""start\(\s*["'](\w+)["'],\s*globals\(\)""", source)
    if names != [file.stem]:
        found.append(f"one cell must call start({file.stem!r}, globals())")
    if source.count("results.save(") != 1:
        found.append(f"{source.count('results.save(')} calls of results.save, expected one")
    for one in papers.of_notebook(file.stem):
        if not one.unmeasured and not re.search(rf"""["' ]{one.id}["',]""", source):
            found.append(f"claim {one.id} is neither measured nor said to be out of reach")
    if re.search(r"run\.(measured|showed)\(", source) and "run.verdicts(" not in source:
        found.append("claims are judged, but run.verdicts() does not show them")
    if not re.search(r"^#+ Next\b", cells[-1].source, re.MULTILINE):
        found.append("the last cell must hold `## Next`")
    if not any(
        re.search(r"^#+ Exercises", c.source, re.MULTILINE) for c in cells if c.cell_type == "markdown"
    ):
        found.append("no section `## Exercises`")
    if not (file.parent / "solutions" / f"{file.stem}_solutions.ipynb").is_file():
        found.append(f"solutions/{file.stem}_solutions.ipynb is missing")
    return found


def any_notebook(file: Path) -> list[str]:
    """What holds for solutions too: executed, quiet, clean, and independent of the current folder."""
    notebook = notebooks.read(file)
    code = notebooks.code_cells(notebook)
    found = []
    if [c.execution_count for c in code] != list(range(1, len(code) + 1)):
        found.append("not executed from top to bottom: execution counts are not 1, 2, 3, …")
    if notebook.metadata != notebooks.METADATA:
        found.append(f"metadata {sorted(notebook.metadata)}: keep kernelspec and language_info only")
    if len({c.get("id") for c in notebook.cells}) != len(notebook.cells):
        found.append("cell ids are missing or repeated")
    if file.stat().st_size >= 600_000:
        found.append(f"{file.stat().st_size / 1000:.0f} kB, expected less than 600")
    if not any(re.search(r"^\s*assert\b", c.source, re.MULTILINE) for c in code):
        found.append("no assertion")
    for number, cell in enumerate(code, start=1):
        found += [f"cell [{number}]: {problem}" for problem in [*code_cell(cell), *outputs(cell)]]
    return found + formulas(notebook) + diagrams(notebook)


def code_cell(cell) -> list[str]:
    found = []
    # a list of imports or of parameters is as long as it must be: it is read by looking things up
    lines = [line for line in cell.source.splitlines() if not line.startswith(("import ", "from "))]
    if len(lines) > 30 and "parameters" not in cell.metadata.get("tags", []):
        found.append(f"{len(lines)} lines, expected at most 30")
    if extra := cell.metadata.keys() - {"tags", "jupyter", "nbgrader"}:
        found.append(f"metadata {sorted(extra)}: keep tags, jupyter (hidden input) and nbgrader only")
    if "injected-parameters" in cell.metadata.get("tags", []):
        found.append("was injected by papermill")
    if re.search(r"^\s*(!|%%(bash|sh|cmd|script)|%(cd|pip|system|sx)\b)", cell.source, re.MULTILINE):
        found.append("uses the shell")
    if cell.source.rstrip().endswith(";"):
        found.append("ends with `;`, which nbval does not heed; write `_ = …` instead")
    if re.search(r"sys\.path|os\.(chdir|system|getcwd)|subprocess", cell.source):
        found.append("changes sys.path or the folder, or starts a program")
    for call in [n for n in ast.walk(notebooks.parse(cell.source, "cell")) if isinstance(n, ast.Call)]:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        first = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
        if name in TEXT_FILES and isinstance(first, str) and re.search(r"[/\\]|\.\w+$", first):
            found.append(f"{name}({first!r}): a path from the current folder; use helpers.paths or run")
    return found


def outputs(cell) -> list[str]:
    found = []
    for output in cell.outputs:
        if output.output_type == "error":
            found.append(f"ended with {output.ename}")
        elif output.get("name") == "stderr":
            found.append(f"wrote to stderr: {output.text.strip().splitlines()[-1]}")
        data = output.get("data", {})
        if strange := data.keys() & {"application/javascript", *report.NEEDS_SCRIPT}:
            found.append(f"shows {', '.join(sorted(strange))}, which cannot be compared or needs a script")
        text = output.get("text", "") + "".join(v for k, v in data.items() if k.startswith("text/"))
        if "image/svg+xml" in data and "nbval-ignore-output" not in cell.metadata.get("tags", []):
            found.append("shows an image/svg+xml, which differs in every run; tag it nbval-ignore-output")
        if place := MACHINE.search(text):
            found.append(f"shows a path of one machine: {place[0]}")
    return found


def formulas(notebook) -> list[str]:
    """Formulas that the report cannot draw without a network."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            try:
                report.markdown(cell.source)
            except BadInput as error:
                found.append(str(error))
    return found


def diagrams(notebook) -> list[str]:
    """Drawings in characters of which JupyterLab would break the lines."""
    text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    drawn = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    widest = max((len(line) for block in drawn for line in block.splitlines()), default=0)
    return [f"a diagram is {widest} characters wide, expected at most {WIDEST}"] if widest > WIDEST else []


def card(notebook, file: Path) -> list[str]:
    first = notebook.cells[0]
    number = paths.number_of(file.stem)
    if first.cell_type != "markdown" or not first.source.startswith(f"# {number} · "):
        return [f"the first cell must be the card, a text that begins with `# {number} · `"]
    return [f"the card says nothing on {word!r}" for word in CARD if word not in first.source.lower()]


def parameters(notebook, file: Path) -> list[str]:
    """The parameters cell as we read it, as papermill reads it, and as Python would."""
    try:
        ours = notebooks.parameters(notebook, file.name)
        for name, parameter in ours.items():
            check(name, parameter.kind, parameter.default, file.name)
    except BadInput as error:
        return [str(error)]
    found = []
    if list(ours)[:2] != ["profile", "seed"]:
        found.append("the parameters must begin with profile and seed")
    (cell,) = [c for c in notebooks.code_cells(notebook) if "parameters" in c.metadata.get("tags", [])]
    tokens = tokenize.generate_tokens(io.StringIO(cell.source).readline)
    if any(t.type == tokenize.COMMENT and "=" in t.string for t in tokens):
        found.append("a comment of the parameters cell holds `=`, which hides the line from papermill")
    theirs = papermill.inspect_notebook(str(file))
    seen = {name: ast.literal_eval(about["default"]) for name, about in theirs.items()}
    if seen != {name: parameter.default for name, parameter in ours.items()}:
        found.append(f"papermill reads other parameters: {seen}")
    for other in [c for c in notebooks.code_cells(notebook) if c is not cell]:
        body = notebooks.parse(other.source, file.name).body
        found += [
            f"`{ast.unparse(s)}`: only parameters are annotated" for s in body if isinstance(s, ast.AnnAssign)
        ]
    return found
