"""The book: everything is in it, it can be searched, and neither building nor reading it needs a network."""

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from helpers.notebook import sources as notebooks
from helpers.paths import NOTEBOOKS, ROOT

for needed in ("sphinx", "myst_nb", "furo", "autoapi", "mmdr"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: python install.py --tests")

WITHOUT_NETWORK = """
import socket, sys
def refuse(*address):
    raise OSError(f"the build asked for {address}")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""
LOADS = {
    ("script", "src"),
    ("img", "src"),
    ("link", "href"),
    ("iframe", "src"),
    ("source", "src"),
    ("object", "data"),
}
FROM_AFAR = re.compile(r"(https?:)?//")


def build(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Build the book of a copy of the project; a warning is an error."""
    command = [sys.executable, "-c", WITHOUT_NETWORK, "-M", "html", ".", "out", "-c", "docs", "-W", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the pages."""
    copy = tmp_path_factory.mktemp("project")
    for page in ROOT.glob("*.md"):
        shutil.copy(page, copy)
    shutil.copy(ROOT / "CITATION.cff", copy)
    ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "api")
    for name in ("docs", "notebooks", "helpers", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    built = build(copy)
    assert built.returncode == 0, built.stderr
    return copy / "out" / "html"


class Page(HTMLParser):
    """What a page links to, loads, and can be linked at."""

    def __init__(self, file: Path):
        super().__init__()
        self.links, self.loads, self.ids = set(), set(), {""}
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.ids.add(value)
            elif (tag, name) == ("a", "href"):
                self.links.add(value)
            elif (tag, name) in LOADS:
                self.loads.add(value)


@cache
def page(file: Path) -> Page:
    return Page(file)


def dead(file: Path) -> list[str]:
    """The links of a page that lead nowhere in the book, and what it loads that is not there."""
    found = []
    for link in page(file).links | page(file).loads:
        if re.match(r"[a-z]+:|#!", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (file.parent / path.partition("?")[0]).resolve() if path else file
        if not target.is_file() or (target.suffix == ".html" and anchor not in page(target).ids):
            found.append(link)
    return found


def test_everything_is_in_it(site):
    sources = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *NOTEBOOKS.glob("*.ipynb")]
    sources += (NOTEBOOKS / "solutions").glob("*.ipynb")
    pages = [source.relative_to(ROOT).with_suffix(".html") for source in sources]
    modules = [file.relative_to(ROOT).with_suffix("") for file in (ROOT / "helpers").rglob("*.py")]
    modules = [module.parent if module.name == "__init__" else module for module in modules]
    pages += [Path("docs/api") / module / "index.html" for module in modules if module.name != "__main__"]
    assert [str(wanted) for wanted in pages if not (site / wanted).is_file()] == []
    menu = page(site / "README.html").links
    assert {name for name in map(str, pages[: len(sources)]) if Path(name).as_posix() not in menu} <= {
        "README.html"
    }


def test_outputs_are_in_it(site):
    file = notebooks.find(NOTEBOOKS)["03"]
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    pictures = sum(any(kind.startswith("image/") for kind in output.get("data", {})) for output in outputs)
    html = (site / "notebooks" / f"{file.stem}.html").read_text(encoding="utf-8")
    assert html.count('src="../_images/') == html.count('alt="Figure of the section “') == pictures > 5
    printed = next(o["text"] for o in outputs if o["output_type"] == "stream")
    assert "".join(printed).splitlines()[0] in html


def test_words_of_notebooks_pages_and_library_are_found(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))

    def documents(word: str) -> set[str]:
        found = [index[kind].get(word, []) for kind in ("terms", "titleterms")]
        numbers = [n for of in found for n in (of if isinstance(of, list) else [of])]
        return {index["docnames"][n] for n in numbers}

    assert "notebooks/07b_user_conditional" in documents("warp")
    assert "docs/course/plan" in documents("rubric")
    assert "README" in documents("papermil")  # as the search stems it
    assert "docs/api/helpers/crowd/factorize/index" in documents("overwritten")
    assert "helpers.crowd.factorize" in index["objects"]


def test_nothing_is_loaded_from_afar(site):
    pages = sorted(site.rglob("*.html"))
    assert {
        str(file): loads for file in pages if (loads := [x for x in page(file).loads if FROM_AFAR.match(x)])
    } == {}
    styles = "".join(file.read_text(encoding="utf-8") for file in site.rglob("*.css"))
    assert not re.search(r"""(@import|url\()\s*["']?(https?:)?//""", styles)


def test_formulas_and_the_diagram_are_drawn(site):
    assert (site / "docs" / "notation.html").read_text(encoding="utf-8").count("<math") > 50
    drawn = (site / "docs" / "map.html").read_text(encoding="utf-8")
    assert "<svg" in drawn.partition('class="diagram"')[2][:20]
    assert "07b · user" in drawn


def test_links_lead_somewhere(site):
    assert {
        str(file.relative_to(site)): links for file in sorted(site.rglob("*.html")) if (links := dead(file))
    } == {}
    front = (site / "index.html").read_text(encoding="utf-8")
    assert (site / re.search(r"url=([^\"]+)", front)[1]).is_file()


def test_a_dead_link_is_seen(tmp_path):
    """By the build, and by the test above."""
    (tmp_path / "docs").mkdir()
    for name in ("conf.py", "book.css"):
        shutil.copy(ROOT / "docs" / name, tmp_path / "docs")
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").write_text('"""A library."""\n', encoding="utf-8")
    (tmp_path / "README.md").write_text(
        "# A\n\n[x](gone.md) $x^2$ [web](https://example.org)\n", encoding="utf-8"
    )
    built = build(tmp_path)
    assert built.returncode == 1
    assert "gone.md" in built.stderr
    file = tmp_path / "page.html"
    file.write_text('<p id="a"><a href="#a"></a><a href="#b"></a><a href="page.html#c"></a><img src="d.png">')
    assert sorted(dead(file)) == ["#b", "d.png", "page.html#c"]
