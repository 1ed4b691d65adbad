"""The board as one page that needs no network: per claim the paper's effect and ours, on every profile."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup, escape

from helpers.claims import board
from helpers.claims.papers import CLAIMS, PAPERS, ROWS, Claim, row_of
from helpers.claims.rule import VERDICTS, would_decide
from helpers.notebook.artefacts import read_json
from helpers.paths import NOTEBOOKS, number_of
from helpers.runner.compare import REFERENCE
from helpers.runner.evidence import Line, Profile, gather, lines, parts
from helpers.runner.report import slug, write_page

WIDTH, REACH, FAR = 320, 150, 1000.0  # of a drawing and of its half axis, in pixels; and what lies at its end
TICKS = (-100, -10, -1, 0, 1, 10, 100)
ZONES = {  # what the verdict "supported" needs the whole interval to lie in, in margins
    "above": (1, FAR), "equal": (-1, 1), "not below": (-1, FAR), "not above": (-FAR, 1), "procedure": (0, 0),
}  # fmt: skip
SIDES = {
    "above": "more than 0", "equal": "none", "not below": "not below 0", "not above": "not above 0",
}  # fmt: skip


class Shown(NamedTuple):
    """A claim in one profile, as the page shows it."""

    profile: str
    record: Mapping
    drawing: Markup | None
    link: str  # to the cell that judges it
    minutes: str  # of the notebooks up to it
    decide: str  # what would decide it, where it is undecided and its effect is known


def place(x: float) -> float:
    """Where a difference of so many margins lies, in pixels: straight near 0, by powers of ten beyond."""
    x = max(-FAR, min(FAR, x))
    return round(WIDTH / 2 + REACH * math.asinh(x) / math.asinh(FAR), 1)


def drawing(claim: Claim, found: Sequence[Line], verdict: str) -> Markup:
    """The differences of a claim on one axis: a dot and its interval each, a diamond for the paper's."""
    step = 8 if len(found) < 4 else 5
    height = step * len(found) + 8
    low, high = (place(x) for x in ZONES[claim.says])
    svg = [f'<rect class="zone" x="{low}" width="{round(high - low, 1)}" height="{height}"/>']
    svg += [f'<path class="{"zero" if t == 0 else "tick"}" d="M{place(t)} 0V{height}"/>' for t in TICKS]
    for k, line in enumerate(found):
        y = step * k + 4 + step / 2
        ends = [place(x) for x in (line.low, line.mean, line.high)]
        title = f"{line.part} {line.mean:+.1f} [{line.low:+.1f}, {line.high:+.1f}] margins".strip()
        svg.append(f'<g><title>{escape(title)}</title><path class="bar" d="M{ends[0]} {y}H{ends[2]}"/>')
        svg.append(f'<circle class="dot" cx="{ends[1]}" cy="{y}" r="3"/></g>')
        for x in sorted({place(theirs) for theirs in line.paper}):
            svg.append(f'<path class="theirs" d="M{x - 4} {y}l4 -4 4 4 -4 4z"/>')
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    about = f'role="img" aria-label="{claim.id}: {len(found)} differences in margins, {verdict}"'
    return Markup(f'<svg class="plot {slug(verdict)}" {size} {about}>{"".join(svg)}</svg>')


def axis() -> Markup:
    """The axis with its numbers, in margins."""
    marks = "".join(f'<text x="{place(t)}" y="11">{named(t)}</text>' for t in TICKS)
    size = f'viewBox="0 0 {WIDTH} 14" width="{WIDTH}" height="14"'
    return Markup(f'<svg class="plot axis" {size} aria-hidden="true">{marks}</svg>')


def named(tick: int) -> str:
    """ "+10", "−1", "0"."""
    return f"{tick:+d}".replace("-", "−") if tick else "0"


def beside(profile: Profile) -> Markup | None:
    """Ours against the paper's, a dot for each difference whose effect the paper gives; None without any."""
    dots = []
    for id, record in profile.claims.items():
        for line in [line for line in lines(CLAIMS[id], record) if line.paper]:
            x, y = place(sum(line.paper) / len(line.paper)), WIDTH - place(line.mean)
            title = f"<title>{escape(f'{id} {line.part}'.strip())}, {record['verdict']}</title>"
            link = f'<a href="#{id}"><circle class="dot {slug(record["verdict"])}" cx="{x}" cy="{y}" r="4">'
            dots.append(f"{link}{title}</circle></a>")
    if not dots:
        return None
    grid = [f"M{place(t)} 0V{WIDTH}M0 {place(t)}H{WIDTH}" for t in TICKS]
    svg = [f'<path class="tick" d="{"".join(grid)}"/>', f'<path class="same" d="M0 {WIDTH}L{WIDTH} 0"/>']
    svg.append(f'<path class="zero" d="M{place(0)} 0V{WIDTH}M0 {place(0)}H{WIDTH}"/>')
    svg += [f'<text x="{place(t)}" y="{WIDTH + 12}">{named(t)}</text>' for t in TICKS]
    svg += [f'<text x="{WIDTH + 14}" y="{WIDTH + 4 - place(t)}">{named(t)}</text>' for t in TICKS]
    size = f'viewBox="0 0 {WIDTH + 30} {WIDTH + 16}" width="{WIDTH + 30}" height="{WIDTH + 16}"'
    about = f'role="img" aria-label="{profile.name}: {len(dots)} differences, ours against the papers\'"'
    return Markup(f'<svg class="plot axis square" {size} {about}>{"".join(svg + dots)}</svg>')


@cache
def _cells(file: Path) -> list[tuple[str, str]]:
    """id and source of a notebook's code cells, in reverse order."""
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"] if file.is_file() else []
    return [(c.get("id", ""), "".join(c["source"])) for c in reversed(cells) if c["cell_type"] == "code"]


def link(claim: Claim, profile: str, folder: Path, outputs: Path) -> str:
    """To the cell that judges a claim: on the page of this profile's run, else in the committed notebook."""
    page = outputs / profile / number_of(claim.notebook) / f"{claim.notebook}.html"
    if not page.is_file():
        return Path(os.path.relpath(NOTEBOOKS / f"{claim.notebook}.ipynb", folder)).as_posix()
    cells = _cells(page.with_suffix(".ipynb"))
    wanted = (f'"{claim.id}', f" {claim.id}", "run.verdicts(")
    ids = (id for text in wanted for id, source in cells if text in source)
    anchor = next((f"#cell-id={id}" for id in ids), "")
    return Path(os.path.relpath(page, folder)).as_posix() + anchor


def minutes(seconds: float | None) -> str:
    """ "3 min", or "" where it is not known."""
    return "" if seconds is None else f"{max(1, round(seconds / 60))} min"


def shown(claim: Claim, profiles: Sequence[Profile], folder: Path, outputs: Path) -> list[Shown]:
    """A claim in every profile that says something of it."""
    made = []
    for profile in [p for p in profiles if claim.id in p.claims]:
        record = profile.claims[claim.id]
        found = lines(claim, record)
        picture = drawing(claim, found, record["verdict"]) if found else None
        took = minutes(profile.until(number_of(claim.notebook)))
        open_ = record["verdict"] == "undecided"
        decide = would_decide(claim, parts(claim, record)) if open_ else ""
        where = link(claim, profile.name, folder, outputs)
        made.append(Shown(profile.name, record, picture, where, took, decide))
    return made


def write(folder: Path, reference: Path = REFERENCE) -> list[Profile]:
    """Write `board.html` into a profile's folder; what is on it."""
    outputs, profiles = folder.parent, gather(folder.parent, reference)
    _cells.cache_clear()
    rows = {row: [c for c in CLAIMS.values() if row_of(c.id) == row] for row in ROWS}
    each = {c.id: shown(c, profiles, folder, outputs) for c in CLAIMS.values()}
    content = {
        "profile": folder.name,
        "profiles": profiles,
        "counts": {p.name: board.counts(p.claims.values()) for p in profiles},
        "claims": len(CLAIMS),
        "papers": [(k, title, [r for r in rows if r[0] == k]) for k, title in PAPERS.items()],
        "titles": ROWS,
        "rows": rows,
        "each": each,
        "undecided": [(c, one) for c in CLAIMS.values() for one in each[c.id] if one.decide],
        "verdicts": VERDICTS,
        "sides": SIDES,
        "axis": axis(),
        "beside": {p.name: picture for p in profiles if (picture := beside(p))},
        "example": drawing(CLAIMS["F11b"], [Line("", 40, 12, 90, [11])], "supported"),
        "index": (folder / "index.html").is_file(),
        "minutes": {p.name: minutes(p.until("09")) for p in profiles},
        "about": {p.name: read_json(f) for p in profiles if (f := outputs / p.name / "run.json").is_file()},
    }
    write_page(folder / "board.html", "board.html.j2", content)
    return profiles
