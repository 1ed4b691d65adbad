"""The book: README, executed notebooks, the pages of docs/ and the library as one searchable site.

    python -m sphinx -M html . outputs/book -c docs -W     (make book; open outputs/book/html/index.html)

Nothing is executed and nothing fetched, neither by the build nor by the pages: formulas are MathML, the
diagram is drawn by the build, helpers/ is read and not imported. The sources are the files where they stand,
so a link between them means the same on a Git host and in the book.
"""

import re
import sys
from pathlib import Path

import mmdr
from astroid.astroid_manager import MANAGER, AstroidManager
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from helpers.runner.report import mathml

project = html_title = "Learning from the crowd"
language = "en"
root_doc = "README"
include_patterns = ["*.md", "docs/**", "notebooks/**"]
exclude_patterns = [".*", "outputs", "**/.ipynb_checkpoints"]  # not even looked into
extensions = ["myst_nb", "sphinx.ext.viewcode", "autoapi.extension", "sphinx.ext.napoleon"]
suppress_warnings = ["autoapi.python_import_resolution"]  # constants, which are left out

# what follows README in the menu; README itself stays plain Markdown
CONTENTS = """
```{toctree}
:hidden:
:caption: Notebooks
:glob:
notebooks/*
```
```{toctree}
:hidden:
:caption: Course
docs/course/plan
docs/map
docs/notation
docs/ethics
```
```{toctree}
:hidden:
:caption: Papers
:glob:
docs/papers/*
```
SOLUTIONS
```{toctree}
:hidden:
:caption: The project
docs/api/helpers/index
CONTRIBUTING
CHANGELOG
```
"""
SOLUTIONS = """```{toctree}
:hidden:
:caption: Solutions
:glob:
notebooks/solutions/*
```"""
there = (Path(__file__).parent.parent / "notebooks" / "solutions").is_dir()  # not in a copy for students
CONTENTS = CONTENTS.replace("SOLUTIONS", SOLUTIONS if there else "")

html_theme = "furo"
html_static_path = ["book.css"]
html_css_files = ["book.css"]
html_copy_source = html_show_copyright = False
html_show_search_summary = False  # a page that is opened as a file may not fetch others
html_math_renderer = "mathml"

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # the anchors that Git hosts give headings
myst_fence_as_directive = ["mermaid"]

autoapi_dirs = ["helpers"]
autoapi_root = "docs/api"  # written there for the time of the build
autoapi_add_toctree_entry = False
autoapi_options = ["members", "undoc-members"]
viewcode_follow_imported_members = False  # to follow them, modules would be imported
add_module_names = False
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 90
default_role = "literal"  # `name` in a docstring


# in a docstring: arguments and errors, for napoleon; indented lines; `names`; what would be markup
DOCSTRING = re.compile(
    r"^(?:Args|Raises):\n(?: {4}.*\n?)+|^(?P<shown>(?: {4}.*\n?)+)|`[^`]*`|(?P<sign>[|\\]|_(?!\w))",
    re.MULTILINE,
)


class Elsewhere:
    """Other people's modules: reading them, too, would take a minute, and copy their docstrings into ours."""

    def __contains__(self, module: str) -> bool:
        return module.partition(".")[0] not in {"helpers", *sys.stdlib_module_names}


MANAGER.module_denylist = AstroidManager.brain["module_denylist"] = Elsewhere()


class Mermaid(SphinxDirective):
    """A fence of Mermaid as a drawing."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        drawing = mmdr.render("\n".join(self.content)).svg()
        return [nodes.raw("", f'<div class="diagram">{drawing}</div>', format="html")]


def visit_math(self, node: nodes.math) -> None:
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def visit_math_block(self, node: nodes.math_block) -> None:
    self.body.append(f'<div class="formula">{mathml(node.astext(), block=True)}</div>')
    raise nodes.SkipNode


def plain_docstring(app: Sphinx, what: str, name: str, obj, options, lines: list[str]) -> None:
    """Docstrings are written to be read as they stand, and not for Sphinx."""

    def written(match: re.Match) -> str:
        if match["shown"]:
            return f"\n::\n\n{match['shown']}\n"
        return rf"\{match[0]}" if match["sign"] else match[0]

    lines[:] = DOCSTRING.sub(written, "\n".join(lines)).splitlines()


def skip_constants(app: Sphinx, what: str, name: str, obj, skip: bool, options) -> bool | None:
    return True if what == "data" else None


def append_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == root_doc:
        source[0] += CONTENTS


def unlink_folders(app: Sphinx, doctree: nodes.document) -> None:
    """A folder is no page: its name stands without a link."""
    for link in list(doctree.findall(pending_xref)):
        if (
            link["reftype"] == "myst"
            and (app.srcdir / link["refdoc"]).parent.joinpath(link["reftarget"]).is_dir()
        ):
            link.replace_self(link.children)


def name_figures(app: Sphinx, doctree: nodes.document) -> None:
    """What is read aloud for a figure: as in the report of a run, the section that it stands in."""
    for section in reversed(list(doctree.findall(nodes.section))):  # inner ones first
        for image in section.findall(nodes.image):
            image.setdefault("alt", f"Figure of the section “{section.next_node(nodes.title).astext()}”")


def write_front(app: Sphinx, error: Exception | None) -> None:
    """index.html, which whoever opens a site looks for, leads to README."""
    if not error and app.builder.format == "html":
        moved = f'<meta http-equiv="refresh" content="0; url={root_doc}.html">'
        front = f"<!doctype html><title>{project}</title>{moved}\n"
        (app.outdir / "index.html").write_text(front, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.add_directive("mermaid", Mermaid)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("autoapi-skip-member", skip_constants)
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)  # before napoleon
    app.connect("source-read", append_contents)
    app.connect("doctree-read", unlink_folders)
    app.connect("doctree-read", name_figures)
    app.connect("build-finished", write_front)
