"""The pages in docs/ say what notebooks, claims and README say; nothing is run."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import pytest
import yaml

from helpers.claims.papers import CLAIMS, PAPERS, ROWS
from helpers.notebook import sources as notebooks
from helpers.paths import NOTEBOOKS, ROOT
from helpers.pictures.transfer import LEARNT
from helpers.runner.found import CARD, MARKED, card, current, renewed

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *PAGES]
NAMES = [str(file.relative_to(ROOT)) for file in FILES]
FENCE = re.compile(r"^(```|~~~).*?^\1[ ]*$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
MEASURED = re.compile(r"^\| \[(\w+)\]\(notebooks/.*\| (\d+ s \| \d+ s \| [\d.]+ GB) \|$", re.MULTILINE)


def prose(file: Path) -> str:
    """A page without what stands in fences."""
    return FENCE.sub("", file.read_text(encoding="utf-8"))


def anchors(file: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} +(.+?) *$", prose(file), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        same = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in found)
        found.append(f"{slug}-{same}" if same else slug)
    return set(found)


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_links_resolve(file):
    text = CODE.sub("", prose(file))
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    dead = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (file.parent / path).resolve() if path else file
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert not dead
    assert links or file.name == "CHANGELOG.md"


def test_a_dead_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A `b` & c\n\n## Twice\n\n## Twice\n\n```\n# none\n```\n", encoding="utf-8")
    assert anchors(page) == {"a-b--c", "twice", "twice-1"}
    for link in ("gone.md", "#none", "page.md#a-b"):
        page.write_text(f"# A `b` & c\n\n[x]({link})", encoding="utf-8")
        with pytest.raises(AssertionError):
            test_links_resolve(page)


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_rows_that_a_page_names_exist(file):
    text = CODE.sub("", prose(file))
    named = set(re.findall(rf"\b([{''.join(PAPERS)}]\d{{1,2}}[a-z]?)\b", text))
    assert named <= ROWS.keys() | CLAIMS.keys()


def test_every_row_is_explained():
    glossary = (DOCS / "notation.md").read_text(encoding="utf-8")
    for row, title in ROWS.items():
        assert f"| {row} | {title} |" in glossary


@pytest.mark.parametrize("file", PAGES, ids=[str(page.relative_to(DOCS)) for page in PAGES])
def test_values_from_references_are_what_stands_there(file):
    text = file.read_text(encoding="utf-8")
    wrong = [f"{m[1]}: {now}" for m in MARKED.finditer(text) if (now := current(*m.groups())) != m[1]]
    assert not wrong, "run python -m helpers.runner.found"
    assert renewed(text) == text, "seconds of notebooks: run python -m helpers.runner.found"


@pytest.mark.parametrize("number", notebooks.find(NOTEBOOKS))
def test_cards_say_what_notebooks_cost(number):
    first = notebooks.read(notebooks.find(NOTEBOOKS)[number]).cells[0].source
    assert CARD.findall(first) == [card(number)], "run python -m helpers.runner.found"


@pytest.mark.parametrize("letter", PAPERS)
def test_a_paper_page_names_each_of_its_rows_and_its_notebooks(letter):
    (page,) = [text for file in (DOCS / "papers").glob("*.md") if f"rows {letter}1" in (text := prose(file))]
    rows = [row for row in ROWS if row[0] == letter]
    assert [row for row in rows if not re.search(rf"^\| {row} \|", page, re.MULTILINE)] == []
    decided = {claim.notebook for claim in CLAIMS.values() if claim.id[0] == letter}
    assert {name for name in decided if f"notebooks/{name}.ipynb" not in page} == set()
    unmeasured = {c.id for c in CLAIMS.values() if c.id[0] == letter and c.unmeasured}
    assert {id for id in unmeasured if not re.search(rf"\b{id}\b", page)} == set()


class Facts(NamedTuple):
    """What the cells of a notebook say of it."""

    requires: list[str]
    uses: list[str]  # parts without which a section is left out
    reads: dict[str, list[str]]  # number of an earlier notebook -> what of it
    writes: list[str]
    after: list[str] | None  # notebooks that it waits for; None: all before it
    minutes: int  # of reading
    core: int  # of these for what the plan calls core


@cache
def tree(cell: str) -> ast.Module:
    """The syntax of a cell; its first line `%%needs tags` is a call of `needs`."""
    return notebooks.parse(cell, "cell")


def calls(cell: str, *names: str) -> Iterator[ast.Call]:
    """Calls of the functions or methods of these names."""
    for node in ast.walk(tree(cell)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in names:
            yield node


def texts(node: ast.AST) -> list[str]:
    return [c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str)]


@cache
def facts() -> dict[str, Facts]:
    """Number of each notebook -> facts."""
    files = notebooks.find(NOTEBOOKS)
    cells = {n: json.loads(file.read_text(encoding="utf-8"))["cells"] for n, file in files.items()}
    code = {n: ["".join(c["source"]) for c in of if c["cell_type"] == "code"] for n, of in cells.items()}
    kinds = ("save_collection", "save_table", "save_arrays", "save_weights", "save_json")
    saved = {
        n: [(texts(call) or ["collection"])[0] for c in of for call in calls(c, *kinds)]
        for n, of in code.items()
    }
    return {n: of_notebook(n, cells[n], code[n], saved) for n in files}


def of_notebook(number: str, cells: list[dict], code: list[str], saved: dict[str, list[str]]) -> Facts:
    (start,) = [call for cell in code for call in calls(cell, "start")]
    said = {keyword.arg: ast.literal_eval(keyword.value) for keyword in start.keywords}
    needs = [text for cell in code for call in calls(cell, "needs", "has") for text in texts(call)]
    uses = {part for need in needs for part in re.split(r", | or ", need)} - {*said.get("requires", [])}
    reads: dict[str, list[str]] = {}
    for cell in code:
        for _ in calls(cell, "collection"):
            reads["00"] = ["collection"]
        for call in calls(cell, "read_table", "read_arrays", "read_weights"):
            other, *names = texts(call)
            # read_table("01", name) for each name of a list that stands in the same cell
            names = names[:1] or [t for t in texts(tree(cell)) if t in saved[other]]
            reads.setdefault(other, []).extend(names)
        for _ in calls(cell, "gather"):
            for source in LEARNT.values():
                reads.setdefault(source.notebook, []).append("features")
    return Facts(
        requires=said.get("requires", []),
        uses=sorted(uses),
        reads={other: list(dict.fromkeys(names)) for other, names in sorted(reads.items())},
        writes=saved[number] + ["training"] * any(True for c in code for _ in calls(c, "save_trainings")),
        after=said.get("after"),
        minutes=minutes(cells),
        core=minutes(core(cells, number)),
    )


def minutes(cells: list[dict]) -> int:
    """How long it takes to read some cells, as the plan says."""
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    pictures = sum("image/png" in o.get("data", {}) for c in cells for o in c.get("outputs", []))
    words = len(re.findall(r"[A-Za-z']+", re.sub(r"\$\$.*?\$\$", "", prose, flags=re.DOTALL)))
    lines = sum(bool(line.strip()) for cell in code for line in cell.splitlines())
    return 5 * round((words / 150 + lines / 15 + 0.75 * pictures + prose.count("$$") / 2) / 5)


def core(cells: list[dict], number: str) -> list[dict]:
    """What the plan calls core: these sections, and what comes before the first."""
    page = (DOCS / "course" / "plan.md").read_text(encoding="utf-8")
    (said,) = re.findall(rf"^\*\*Core\*\*: (?:.*; )?{number} (all|sections [\d, toand]+)", page, re.MULTILINE)
    wanted = set(map(int, re.findall(r"\d+", said)))
    for first, last in re.findall(r"(\d+) to (\d+)", said):
        wanted |= set(range(int(first), int(last)))
    picked, inside = [], True
    for cell in cells:
        heading = re.search(r"^## (?:(\d+) · )?", "".join(cell["source"]), re.MULTILINE)
        if heading and cell["cell_type"] == "markdown" and (heading[1] or not inside):
            inside = int(heading[1] or 0) in wanted
        inside = inside and "## Exercises" not in "".join(cell["source"])
        picked += [cell] if inside or said == "all" else []
    return picked


def table(*columns: str) -> str:
    return f"| {' | '.join(column or '–' for column in columns)} |"


def expected_map() -> tuple[list[str], set[tuple[str, str]]]:
    """The rows of the two tables of the map, and the arrows of its diagram."""
    measured = dict(MEASURED.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    files, rows = notebooks.find(NOTEBOOKS), []
    for n, about in facts().items():
        link = f"[{n}](../notebooks/{files[n].name})"
        rows.append(table(link, "; ".join(about.requires), ", ".join(about.uses)))
        reads = "; ".join(
            f"{other}: {', '.join(f'`{x}`' for x in names)}" for other, names in about.reads.items()
        )
        writes = ", ".join(f"`{name}`" for name in about.writes)
        after = "all before it" if about.after is None else ", ".join(about.after)
        rows.append(table(link, reads, writes, "" if n == "00" else after, measured[files[n].stem]))
    arrows = {(o, n) for n, about in facts().items() for o in about.reads if o != "00" or n == "01"}
    return rows, arrows


def test_the_map_agrees_with_the_notebooks():
    page = (DOCS / "map.md").read_text(encoding="utf-8")
    rows, arrows = expected_map()
    missing = [row for row in rows if row not in page.splitlines()]
    assert not missing, "docs/map.md lacks these rows:\n" + "\n".join(missing)
    assert len(re.findall(r"^\| \[\d", page, re.MULTILINE)) == len(rows), "rows of no notebook"
    assert set(re.findall(r"^ *n(\w+) -- .* --> n(\w+)$", page, re.MULTILINE)) == arrows


def test_the_plan_has_every_notebook_and_its_minutes():
    page = (DOCS / "course" / "plan.md").read_text(encoding="utf-8")
    measured = dict(MEASURED.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    weeks: dict[int, int] = {}
    for n, file in notebooks.find(NOTEBOOKS).items():
        seconds = measured[file.stem].rpartition(" | ")[0]
        link = rf"\[{n} · .*\]\(../../notebooks/{file.name}\)"
        row = rf"^\| (\d) \| {link} \|.*\| (\d+) \| (\d+) \| {re.escape(seconds)} \|$"
        shown, now = re.findall(row, page, re.MULTILINE), (facts()[n].minutes, facts()[n].core)
        assert len(shown) == 1, f"docs/course/plan.md needs a row of {n}, of {now} minutes | {seconds}"
        week, *minutes = map(int, shown[0])
        assert np.allclose(minutes, now, rtol=0, atol=5), f"{n} takes {now} minutes: all, core"
        weeks[week] = weeks.get(week, 0) + minutes[1]
    total = re.findall(r"^\| (\d) \| (\d+) \| [\d ]*\|", page, re.MULTILINE)
    assert {int(week): int(minutes) for week, minutes in total} == weeks, "core minutes of a week"


def test_the_citation_file_is_one():
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert about["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "type"} <= about.keys()
    assert about["version"] == PROJECT["version"]
    assert about["license"] == PROJECT["license"]
    assert all(reference.keys() >= {"type", "title", "authors"} for reference in about["references"])
    assert len(about["references"]) == len(PAPERS)


def test_the_hooks_run_what_is_there():
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert local["repo"] == "local", "a hook from elsewhere needs a network"
    for hook in local["hooks"]:
        assert hook["language"] == "system"
        assert all((ROOT / word).exists() for word in hook["entry"].split() if word.endswith(".py"))
