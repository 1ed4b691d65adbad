"""Slides of a notebook with its outputs, by nbconvert and reveal.js: → to the next section, ↓ within one."""

import re
from pathlib import Path

from jinja2 import pass_context
from nbconvert.exporters.slides import SlidesExporter
from traitlets.config import Config

from helpers.notebook import sources as notebooks
from helpers.runner import report

TEMPLATE = Path(__file__).with_name("slides.html.j2")
REVEAL = "reveal.js"


class Exporter(SlidesExporter):
    """Formulas as MathML, which needs no script."""

    @pass_context
    def markdown2html(self, context, source: str) -> str:
        return report.markdown(source, report.Lenient)


def reveal_of(folder: Path) -> str:
    """Where slides in a folder find reveal.js: in `reveal.js/` beside them, if somebody put it there, so that
    no network is needed, or where nbconvert finds it, at unpkg.com."""
    beside = (folder / REVEAL / "dist" / "reveal.js").is_file()
    return REVEAL if beside else SlidesExporter().reveal_url_prefix


def html(file: Path, reveal: str) -> str:
    """A notebook as a page of slides. A section `##` begins a slide, each text and code cell is one below it;
    the code of cells tagged `hide-input` is left out, and so are those of them that show nothing else."""
    notebook = notebooks.read(file)
    for cell in notebook.cells:
        begins = cell.cell_type == "markdown" and re.match(r"##? ", cell.source)
        empty = "hide-input" in cell.metadata.get("tags", []) and not cell.outputs
        cell.metadata.slideshow = {"slide_type": "slide" if begins else "skip" if empty else "subslide"}
    options = Config({"TagRemovePreprocessor": {"enabled": True, "remove_input_tags": {"hide-input"}}})
    look = {"template_file": str(TEMPLATE), "reveal_theme": "white"}  # which brings its own fonts
    exporter = Exporter(config=options, reveal_url_prefix=reveal, **look)
    return exporter.from_notebook_node(notebook)[0]
