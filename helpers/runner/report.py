"""Executed notebooks and results as web pages that need no network: nothing is loaded from afar."""

import copy
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, pass_context
from latex2mathml.converter import convert
from markupsafe import Markup, escape
from nbconvert.exporters.html import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from helpers.claims import board
from helpers.claims.papers import PAPERS
from helpers.errors import BadInput
from helpers.files import write_text
from helpers.notebook import sources as notebooks
from helpers.notebook.artefacts import read_json
from helpers.paths import NOTEBOOKS, NUMBER, number_of, of_notebooks

PAGES = Path(__file__).parent / "pages"
NEEDS_SCRIPT = ("application/javascript", "application/vnd.jupyter.widget-view+json")
# LaTeX that latex2mathml does not know or sets too tightly, in words that it knows
REWRITTEN = (
    (r"(begin|end)\{aligned\}", r"\1{split}"),
    (r"\\operatorname\*?\{([^{}]*)\}", lambda m: rf"\text{{{m[1].replace(chr(92) + ',', ' ')}}}"),
    (r"\\arg(?![a-z])", r"\\text{arg }"),
    # TeX parts a function from what follows it, unless that is a bracket, an index or an end
    (
        r"\\(log|ln|exp|max|min|cos|sin)(?![A-Za-z])\s*(?=[A-Za-z0-9{]|\\(?!left|big|Big|right|end)[A-Za-z])",
        r"\\\1\\, ",
    ),
)


def mathml(latex: str, block: bool = False) -> str:
    """A formula as MathML, which browsers draw without a script; BadInput if latex2mathml cannot draw it."""
    text = " ".join(latex.split())
    for pattern, replacement in REWRITTEN:
        text = re.sub(pattern, replacement, text)
    try:
        made = convert(text, display="block" if block else "inline")
    except Exception as error:  # latex2mathml's errors have no common class
        raise BadInput(f"formula {latex.strip()!r}: {type(error).__name__} {error}".strip()) from None
    if leftover := re.search(r"\\[A-Za-z]+|>&<", made):
        raise BadInput(f"formula {latex.strip()!r}: {leftover[0].strip('<>')} is not known to latex2mathml")
    return made


class Renderer(IPythonRenderer):
    """Markdown with formulas as MathML instead of text for a script to find."""

    formula = staticmethod(mathml)

    def block_math(self, body: str) -> str:
        return self.formula(body, block=True)

    def inline_math(self, body: str) -> str:
        return self.formula(body)

    def latex_environment(self, name: str, body: str) -> str:
        return self.formula(rf"\begin{{{name}}}{body}\end{{{name}}}", block=True)


class Lenient(Renderer):
    """Shows the source of a formula that cannot be drawn: after a long run a page is better than none."""

    @staticmethod
    def formula(latex: str, block: bool = False) -> str:
        try:
            return mathml(latex, block)
        except BadInput:
            return f"<code>{escape(latex)}</code>"


def markdown(source: str, renderer: type[Renderer] = Renderer, **options) -> str:
    """Markdown as HTML. Raises BadInput if a formula cannot be drawn (not with `Lenient`)."""
    return MarkdownWithMath(renderer=renderer(escape=False, **options)).render(source)


class Exporter(HTMLExporter):
    """The body of a page, formulas as MathML."""

    @pass_context
    def markdown2html(self, context, source: str) -> str:
        return markdown(source, Lenient, attachments=context.get("cell", {}).get("attachments", {}))


def body(notebook) -> str:
    """A notebook as HTML without scripts."""
    shown, heading = copy.deepcopy(notebook), ""
    for cell in shown.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+\s+(.+)$", cell.source, flags=re.MULTILINE)
            heading = headings[-1] if headings else heading
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in NEEDS_SCRIPT:
                data.pop(kind, None)
            if "text/latex" in data:
                data["text/html"] = Lenient.formula(data.pop("text/latex").strip().strip("$"), block=True)
            if "image/png" in data:
                output.metadata.setdefault("image/png", {})["alt"] = f"Figure of the section “{heading}”"
    return Exporter(template_name="basic").from_notebook_node(shown)[0]


def write_html(executed: Path, target: Path, profile: str) -> None:
    """Write an executed notebook as one self-contained page."""
    html = Markup(relinked(body(notebooks.read(executed)), target.parent))
    about = {"title": target.stem, "profile": profile, "body": html}
    for theme, style in {"light": "default", "dark": "github-dark"}.items():
        about[f"highlight_{theme}"] = Markup(HtmlFormatter(style=style).get_style_defs(".highlight"))
    write_page(target, "notebook.html.j2", about)


def write_explorer(answers: Path, target: Path, profile: str) -> None:
    """Write the answers of an `Explorer` as a page with menus that works without a kernel and a network."""
    data = re.sub(
        "[<>&]", lambda m: f"\\u{ord(m[0]):04x}", json.dumps(read_json(answers))
    )  # no end of script
    write_page(target, "explorer.html.j2", {"profile": profile, "answers": Markup(data)})


def relinked(html: str, folder: Path) -> str:
    """Links between notebooks lead to their pages; other relative links to where they led from notebooks/."""

    def new(match: re.Match) -> str:
        target, anchor = match[1], match[2] or ""
        if notebook := re.fullmatch(rf"(?:\./)?(({NUMBER})_\w+)\.ipynb", target):
            return f'href="../{notebook[2]}/{notebook[1]}.html{anchor}"'
        return f'href="{Path(os.path.relpath(NOTEBOOKS / target, folder)).as_posix()}{anchor}"'

    return re.sub(r'href="(?![a-z]+:|[#/])([^"#]+)(#[^"]*)?"', new, html)


def write_index(folder: Path) -> Path:
    """Write `index.html` of a profile from the JSON files in its folder."""
    summary = read_json(folder / "run.json")
    claims = read_json(folder / "scoreboard.json")["claims"]
    places: dict[str, list] = {}
    for claim in claims:
        name = claim["notebook"]
        number = claim["number"] = number_of(name)
        if name not in places:
            executed = folder / number / f"{name}.ipynb"
            places[name] = notebooks.read(executed).cells if executed.is_file() else []
        claim["link"] = f"{number}/{name}.html{anchor(places[name])}"
    rows = board.by_row(claims)
    table = _notebook_rows(folder, summary["notebooks"])
    content = summary | {
        "started": summary["started_at"].replace("T", " ").removesuffix("+00:00") + " UTC",
        "commit": re.sub(r"^(\w{12})\w*", r"\1", summary["commit"]),
        "failure": next((row["error"] for row in summary["notebooks"] if row["status"] == "failed"), None),
        "simulated": any(claim["simulated"] for claim in claims),
        "counts": board.counts(claims),
        "papers": [(k, title, [r for r in rows if r.id[0] == k]) for k, title in PAPERS.items()],
        "claimed": sum(bool(row.claims) for row in rows),
        "listed": len(rows),
        "notebooks": table,
        "total": sum(row["seconds"] or 0 for row in table),
    }
    write_page(folder / "index.html", "index.html.j2", content)
    return folder / "index.html"


def anchor(cells) -> str:
    """Where a notebook's page shows its verdicts: "#cell-id=…", or ""."""
    shown = [cell.id for cell in cells if "run.verdicts(" in cell.source and "id" in cell]
    return f"#cell-id={shown[0]}" if shown else ""


def _notebook_rows(folder: Path, latest: list[dict]) -> list[dict]:
    """A row per notebook: those of the latest command, and those that only an earlier one ran."""
    table = {row["name"]: dict(row) for row in latest}
    for file in of_notebooks(folder, "run.json"):
        about = read_json(file)
        row = table.setdefault(about["notebook"], {"name": about["notebook"], "status": "earlier"})
        row |= {name: about[name] for name in ("seconds", "peak_mb", "seed")}
        row["metrics"] = f"{number_of(about['notebook'])}/metrics.json"
    longest = max((row["seconds"] or 0 for row in table.values()), default=0)
    for name, row in table.items():
        row.setdefault("seed", None)
        pages = [f"{number_of(name)}/{name}{suffix}" for suffix in (".html", ".failed.ipynb")]
        row["link"] = next((page for page in pages if (folder / page).is_file()), None)
        folder_of = folder / number_of(name)
        row["explorer"] = None
        if (folder_of / "explorer.json").is_file():
            write_explorer(folder_of / "explorer.json", folder_of / "explorer.html", folder.name)
            row["explorer"] = f"{number_of(name)}/explorer.html"
        row["share"] = round(100 * row["seconds"] / longest, 1) if row["seconds"] and longest else 0
    return [table[name] for name in sorted(table)]


def slug(verdict: str) -> str:
    """The class of a verdict in CSS."""
    return re.sub(r"\W+", "-", verdict).strip("-")


def write_page(target: Path, template: str, content: Mapping[str, object]) -> None:
    """Write a page of the report, or a text beside it, from one of the templates in pages/."""
    style, marks = (Markup((PAGES / f"{n}.css").read_text(encoding="utf-8")) for n in ("style", "marks"))
    html = ".html" in template
    environment = Environment(loader=FileSystemLoader(PAGES), autoescape=html, trim_blocks=True)
    environment.filters["slug"] = slug
    page = environment.get_template(template).render(content, style=style, marks=marks)
    write_text(target, page)
