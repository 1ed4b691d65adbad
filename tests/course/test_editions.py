"""The editions hold what they promise, for every notebook; and what does not fit is refused in one line."""

import re
import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.course import __main__ as course
from helpers.course import editions, exercises, slides
from helpers.errors import BadInput
from helpers.notebook import sources as notebooks
from helpers.paths import NOTEBOOKS, ROOT

FILES = notebooks.find(NOTEBOOKS)
EACH = pytest.mark.parametrize("file", FILES.values(), ids=FILES)


def graded(notebook, key):
    return [cell for cell in notebooks.code_cells(notebook) if cell.metadata.nbgrader[key]]


@EACH
def test_three_exercises_with_answer_check_and_points(file):
    made = editions.instructor(file)
    nbformat.validate(made)
    answers, checks = graded(made, "solution"), graded(made, "grade")
    assert len(answers) == len(checks) == 3
    assert [cell.metadata.nbgrader.points for cell in checks] == [1, 2, 3]
    ids = [cell.metadata.nbgrader.grade_id for cell in notebooks.code_cells(made)]
    assert len(set(ids)) == len(ids)
    for cell in answers:
        assert re.search(
            r"\n### BEGIN SOLUTION\n.+\n### END SOLUTION\nanswered_\d = True$", cell.source, re.DOTALL
        )
    for cell in checks:
        hidden = cell.source.partition("\n### BEGIN HIDDEN TESTS\n")[2]
        assert re.search(r"^ *assert ", hidden, re.MULTILINE)
        assert hidden.endswith("\n### END HIDDEN TESTS")
    text = "\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    levels = re.findall(r"^\*\*(\d) · ([\w ]+)", text, re.MULTILINE)
    assert levels == [("1", "Predict"), ("2", "Change one parameter"), ("3", "Extend")]


@EACH
def test_students_see_blanks_and_no_answer(file):
    whole, given = editions.instructor(file), editions.student(editions.instructor(file))
    text = "\n".join(cell.source for cell in given.cells)
    assert not re.search(r"solutions/|(BEGIN|END) (SOLUTION|HIDDEN)|no answer yet\*", text)
    assert text.count(editions.STUB) == 3
    assert text.count(editions.HOW) == 1
    assert not any(cell.outputs or cell.execution_count for cell in notebooks.code_cells(given))
    for entry in exercises.gradings(file):
        answer = entry.answer.splitlines()[-1]
        assert answer not in text
    lessons = [cell.source for cell in notebooks.code_cells(notebooks.read(file))]
    assert [c.source for c in notebooks.code_cells(whole)[:9]] == lessons[:9]
    for before, after in zip(graded(whole, "solution"), graded(given, "solution"), strict=True):
        blank = before.source.partition("\n### BEGIN SOLUTION")[0]
        assert after.source == f"{blank}\n{editions.STUB}\n{before.source.splitlines()[-1]}"


@EACH
def test_clean_keeps_headings_and_code(file):
    made, whole = editions.clean(file), notebooks.read(file)
    assert [c.source for c in notebooks.code_cells(made)] == [c.source for c in notebooks.code_cells(whole)]
    text = [cell.source for cell in made.cells if cell.cell_type == "markdown"]
    assert all(line.startswith("#") for block in text for line in block.splitlines() if line)
    assert text[0].splitlines()[0] == whole.cells[0].source.splitlines()[0]
    assert not any(cell.outputs for cell in notebooks.code_cells(made))


def test_slides_fetch_reveal_and_nothing_else(tmp_path):
    page = slides.html(FILES["04"], slides.reveal_of(tmp_path))
    fetched = set(re.findall(r"""(?:src|href)="(https?://[^"]+)"|url\(['"]?(https?:[^)]+)""", page))
    home = "https://unpkg.com/reveal.js@4.0.2/dist/"
    expected = {home + name for name in ("reveal.js", "reveal.css", "theme/white.css")}
    assert {a or b for a, b in fetched if "reveal" in a or b} == expected
    assert "<math" in page
    assert "MathJax" not in page
    (tmp_path / "reveal.js" / "dist").mkdir(parents=True)
    (tmp_path / "reveal.js" / "dist" / "reveal.js").touch()
    alone = slides.html(FILES["04"], slides.reveal_of(tmp_path))
    assert "unpkg" not in alone
    assert '<script src="reveal.js/dist/reveal.js">' in alone


def test_the_command_makes_all_and_spares_what_is_the_educators(tmp_path, capsys, monkeypatch):
    folder, file = tmp_path / "my course", FILES["00"]
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    for name in (file.name, f"solutions/{file.stem}_solutions.ipynb"):
        shutil.copy(NOTEBOOKS / name, tmp_path / "notebooks" / name)
    monkeypatch.setattr(course, "NOTEBOOKS", tmp_path / "notebooks")
    assert course.main([str(folder)]) == 0
    source = f"instructor/source/{file.stem}/{file.name}"
    for made in (source, f"student/{file.name}", f"clean/{file.name}", f"slides/{file.stem}.slides.html"):
        assert (folder / made).is_file()
    config = folder / "instructor" / "nbgrader_config.py"
    compile(config.read_text(encoding="utf-8"), config.name, "exec")
    config.write_text("# mine", encoding="utf-8")
    shutil.rmtree(folder / "student")
    assert course.main([str(folder), "--edition", "instructor"]) == 0
    assert config.read_text(encoding="utf-8") == "# mine"
    assert not (folder / "student").exists()
    assert course.main([str(config)]) == 2
    assert "is a file; name a folder" in capsys.readouterr().err


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git lists the files")
def test_a_copy_for_students_holds_no_answers(tmp_path):
    assert course.main([str(tmp_path), "--edition", "project"]) == 0
    copy = tmp_path / "project"
    files = {file.relative_to(copy).as_posix() for file in copy.rglob("*") if file.is_file()}
    assert files >= {"install.py", "Makefile", "requirements-tests.lock", "helpers/run.py", "docs/conf.py"}
    assert not [name for name in files if name.startswith(("helpers/course", "notebooks/solutions", "tests"))]
    pages = [copy / name for name in files if name.endswith((".md", ".ipynb"))]
    assert not [p for p in pages if re.search(r"_solutions\.ipynb|\]\([^)]*solutions", p.read_text("utf-8"))]
    assert "<details>" not in (copy / "docs/course/plan.md").read_text(encoding="utf-8")
    theirs, ours = notebooks.read(copy / "notebooks" / FILES["04"].name), notebooks.read(FILES["04"])
    assert notebooks.code_cells(theirs) == notebooks.code_cells(ours)


def test_blanks_are_found():
    def parted(source):
        return exercises.parted(source)

    assert parted("x = None  # a number\n\nif x:\n    pass") == ("x = None  # a number", "if x:\n    pass")
    assert parted("a, b = None, None\nassert a") == ("a, b = None, None", "assert a")
    assert parted('def f(x):\n    """It."""\n\n\nassert f(1)') == ('def f(x):\n    """It."""', "assert f(1)")
    assert parted("n = 2\ny = None\nz = None  # a number\nz") == (
        "n = 2\ny = None\nz = None  # a number",
        "z",
    )
    assert parted("%%needs tags\nx = None\nassert x") == ("%%needs tags\nx = None", "%%needs tags\nassert x")
    assert parted("x = 1\nassert x") == ("", "x = 1\nassert x")


def project(
    folder,
    check="check(1, x, lambda x: x == 3, 'a hint')",
    entry='  - answer: "x = 3"\n    hidden: assert x == 3',
):
    (folder / "solutions").mkdir()
    cells = [new_markdown_cell("## Exercises"), new_code_cell(f"x = None\n{check}")]
    nbformat.write(new_notebook(cells=cells), folder / "03_tiny.ipynb")
    solved = new_notebook(cells=[new_code_cell("def f(x):\n    return x")])
    nbformat.write(solved, folder / "solutions" / "03_tiny_solutions.ipynb")
    (folder / "exercises.yaml").write_text(f'"03":\n{entry}\n', encoding="utf-8")
    return folder / "03_tiny.ipynb"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"check": "print(x)"}, "exercise 03-1 has no check"),
        ({"entry": "  []"}, "03_tiny.ipynb has 1 exercises, exercises.yaml 0 for 03"),
        (
            {"entry": "  - answer: g\n    hidden: g"},
            "exercise 1: 03_tiny_solutions.ipynb defines no function g",
        ),
        ({"entry": "  - answer: f"}, "exercises.yaml, 03, exercise 1: hidden: Field required"),
        ({"entry": "  - {answer: f, hidden: f, secret: true}"}, "exercise 1: secret: Extra inputs are not"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, monkeypatch, change, message):
    file = project(tmp_path, **change)
    monkeypatch.setattr(exercises, "ANSWERS", tmp_path / "exercises.yaml")
    with pytest.raises(BadInput, match=re.escape(message)):
        editions.instructor(file)
