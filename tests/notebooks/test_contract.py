"""Every notebook keeps the contract; and each clause of the contract can fail."""

import re
import subprocess
import sys

import nbformat
import plumbing
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from notebook_contract import any_notebook, notebook_problems

from helpers.notebook import sources as notebooks
from helpers.paths import NOTEBOOKS, PARAMS, ROOT
from helpers.runner.plan import SMOKE, Project, plan

FILES = list(notebooks.find(NOTEBOOKS).values())
SOLUTIONS = list(notebooks.find(NOTEBOOKS / "solutions").values())
PROFILES = [p for p in Project().profiles() if p != SMOKE]


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_notebook(file):
    found = notebook_problems(file)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("file", SOLUTIONS, ids=lambda f: f.stem)
def test_solutions(file):
    found = any_notebook(file)
    assert not found, "\n".join(found)
    assert (NOTEBOOKS / f"{file.stem.removesuffix('_solutions')}.ipynb").is_file()


def test_nothing_else_lies_among_the_notebooks():
    known = {*FILES, *SOLUTIONS}
    assert {f for f in NOTEBOOKS.rglob("*.ipynb") if ".ipynb_checkpoints" not in f.parts} == known


@pytest.mark.parametrize("profile", PROFILES)
def test_profile(profile):
    jobs = plan(Project(), profile)
    assert {job.parameters["profile"] for job in jobs} == {profile}
    files = {f.stem for f in (PARAMS / profile).glob("*.yaml")}
    assert files <= {job.number for job in jobs}, "a file of parameters without its notebook"


@pytest.mark.parametrize("job", plan(Project(), SMOKE), ids=lambda job: job.number)
def test_a_notebook_follows_all_that_it_reads(job):
    """Or the runner would have it beside a notebook whose results it needs."""
    code = "\n".join(cell.source for cell in notebooks.code_cells(notebooks.read(job.file)))
    read = set(re.findall(r'run\.(?:read_\w+|has)\(\s*"(\d\d\w?)"', code))
    assert read | {part for part in job.requires if re.fullmatch(r"\d\d\w?", part)} <= job.follows


def good():
    """A notebook that keeps the contract."""
    card = "# 03 · Title\n\nPaper, claim, what differs, minutes and memory, reads, writes."
    cells = [
        new_markdown_cell(card),
        new_code_cell("profile: str = 'smoke'  # the folder\nseed: int = 0\nlr: float = 0.1",
                      metadata={"tags": ["parameters"]}),
        new_code_cell('run = start("03_tiny", globals())', outputs=[new_output("stream", text="ready\n")]),
        *[new_markdown_cell(f"Text {n} with $x_{n}^2$.") for n in range(14)],
        new_code_cell("assert 1 + 1 == 2"),
        new_code_cell("results.save(run, {})"),
        new_markdown_cell("## Exercises"),
        new_markdown_cell("## Next"),
    ]  # fmt: skip
    made = nbformat.v4.new_notebook(cells=cells, metadata=nbformat.from_dict(notebooks.METADATA))
    for number, cell in enumerate(notebooks.code_cells(made), start=1):
        cell.execution_count = number
    return made


def problems(folder, notebook):
    (folder / "solutions").mkdir(exist_ok=True)
    (folder / "solutions" / "03_tiny_solutions.ipynb").touch()
    nbformat.write(notebook, folder / "03_tiny.ipynb")
    return notebook_problems(folder / "03_tiny.ipynb")


def test_a_good_notebook_passes(tmp_path):
    assert problems(tmp_path, good()) == []


def unexecuted(n):
    for cell in notebooks.code_cells(n):
        cell.execution_count, cell.outputs = None, []


def out_of_order(n):
    n.cells[2].execution_count = 7


def source(k, text):
    return lambda n: n.cells[k].update(source=text)


def output(*arguments, **more):
    return lambda n: n.cells[2].outputs.append(new_output(*arguments, **more))


PARAMETERS = "profile: str = 'smoke'\nseed: int = 0\n"
BREAKS = [
    (unexecuted, "not executed"),
    (out_of_order, "not executed"),
    (lambda n: n.cells.__delitem__(slice(3, 8)), "expected at least 20"),
    (lambda n: n.metadata.update(papermill={}), "keep kernelspec"),
    (lambda n: n.cells[2].metadata.update(papermill={}), "keep tags, jupyter"),
    (lambda n: n.cells[2].metadata.update(tags=["injected-parameters"]), "injected by papermill"),
    (lambda n: n.cells[1].metadata.update(tags=[]), "0 cells are tagged"),
    (lambda n: n.cells[2].metadata.update(tags=["parameters"]), "2 cells are tagged"),
    (source(1, PARAMETERS + "lr = 0.1"), "expected `name: type = value`"),
    (source(1, PARAMETERS + "lrr: float = 0.1"), "lrr has no rule"),
    (source(1, PARAMETERS + "lr: float = -0.1"), "must be more than 0"),
    (source(1, PARAMETERS + "lr: float = 0.1  # lr=1 is much"), "holds `=`"),
    (source(1, "seed: int = 0\nprofile: str = 'smoke'"), "must begin with profile"),
    (source(2, "run = start('03_other', globals())"), "one cell must call start"),
    (source(2, "run = start('03_tiny', globals())\nx: int = 3"), "only parameters are annotated"),
    (source(2, "x = 1\n" * 31), "31 lines"),
    (source(2, "axis.legend();"), "ends with `;`"),
    (source(2, "!ls"), "uses the shell"),
    (source(2, "%cd somewhere"), "uses the shell"),
    (source(2, "import sys; sys.path.append('..')"), "changes sys.path"),
    (source(2, "pd.read_csv('data/x.csv')"), "a path from the current folder"),
    (source(2, "open('x.txt')"), "a path from the current folder"),
    (source(17, "1 + 1"), "no assertion"),
    (source(18, "pass"), "0 calls of results.save"),
    (source(18, "run.showed('F4', 'x')\nresults.save(run, {})"), "does not show them"),
    (source(19, "text"), "no section `## Exercises`"),
    (source(20, "The end"), "the last cell"),
    (source(0, "# Title"), "the first cell must be the card"),
    (source(0, "# 03 · Title\npaper, claim, differs, memory, reads"), "nothing on 'writes'"),
    (source(3, r"$\unknown{x}$"), r"\unknown is not known"),
    (source(3, r"$$\frac{1}{$$"), "formula"),
    (source(3, "```\n" + "─" * 89 + "\n```"), "89 characters wide"),
    (output("stream", name="stderr", text="UserWarning: old\n"), "wrote to stderr: UserWarning"),
    (output("error", ename="ValueError", evalue="x", traceback=[]), "ended with ValueError"),
    (output("display_data", {"image/svg+xml": "<svg/>"}), "image/svg+xml"),
    (output("stream", text="/home/somebody/file\n"), "a path of one machine"),
    (output("display_data", {"image/png": "A" * 700_000}), "expected less than 600"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"), BREAKS, ids=[f"{k}-{m[:20]}" for k, (_, m) in enumerate(BREAKS)]
)
def test_every_clause_can_fail(tmp_path, change, message):
    notebook = good()
    change(notebook)
    assert re.search(re.escape(message), "\n".join(problems(tmp_path, notebook)))


def test_missing_solutions_are_seen(tmp_path):
    problems(tmp_path, good())
    (tmp_path / "solutions" / "03_tiny_solutions.ipynb").unlink()
    assert "missing" in "\n".join(notebook_problems(tmp_path / "03_tiny.ipynb"))


def test_cells_that_can_be_left_out_are_linted_too(tmp_path):
    """ruff does not look into cells that begin with a magic; in these copies that line is a comment."""
    for file in [*FILES, *SOLUTIONS]:
        notebook = notebooks.read(file)
        for cell in notebooks.code_cells(notebook):
            cell.source = re.sub(r"\A%%needs", "# %%needs", cell.source)
        nbformat.write(notebook, tmp_path / file.name)
    settings = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", str(tmp_path)]
    for command in (["check", "--ignore", "PT018"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, *settings]
        found = subprocess.run(ruff, capture_output=True, encoding="utf-8")
        assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_teaching_cells_are_short(file):
    """What more lines are for: python tests/notebooks/plumbing.py prints it."""
    lengths = plumbing.teaching_lengths(file)
    assert len(lengths) > 3
    assert max(lengths) <= plumbing.LONGEST, f"{file.stem}: teaching cells of {sorted(lengths)[-3:]} lines"


def test_what_the_lines_of_a_cell_are_for():
    source = (
        "%%needs tags\nimport x\nfor a in b:\n    y = a + 1\n    axis.plot(y)\nrun.measured('F4', y)  # so"
    )
    source += "\ntext = f'{y}'\nif run.has('tags'):\n    z = 2\n\n# a remark\nprint(f'{z}')"
    expected = {"guards": 2, "imports": 1, "teaching": 4, "plots": 1, "claims": 1, "tables": 1}
    assert plumbing.lines_of(source) == expected
