"""The board of a profile: every row of the five papers, its claims, and their verdicts, raw and corrected."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from helpers.claims.papers import ROWS, row_of
from helpers.claims.rule import VERDICTS, holm
from helpers.paths import number_of


class Row(NamedTuple):
    """What one profile has for a row: the claims, and the numbers of the notebooks that decided them."""

    id: str
    title: str
    claims: list[Mapping]
    notebooks: list[str]


def corrected(claims: Iterable[Mapping]) -> list[dict]:
    """The claims with `corrected`: the verdict after Holm's correction over all claims that have a p value.

    A profile looks at some hundred differences, of which one in twenty passes by chance. A decided verdict
    whose corrected p is not below .05 becomes *undecided*.
    """
    claims = [dict(claim) for claim in claims]
    tested = [claim for claim in claims if claim.get("p") is not None]
    for claim in claims:
        claim["corrected"] = claim["verdict"]
    for claim, p in zip(tested, holm([claim["p"] for claim in tested]), strict=True):
        if p >= 0.05:
            claim["corrected"] = "undecided"
    return claims


def by_row(claims: Iterable[Mapping]) -> list[Row]:
    """All rows in the papers' order, each with its claims as in scoreboard.json, or without one."""
    found: dict[str, list[Mapping]] = {row: [] for row in ROWS}
    for claim in claims:
        found[row_of(claim["id"])].append(claim)
    numbers = {row: sorted({number_of(c["notebook"]) for c in mine}) for row, mine in found.items()}
    return [Row(r, ROWS[r], sorted(found[r], key=lambda c: c["id"]), numbers[r]) for r in ROWS]


def counts(claims: Iterable[Mapping]) -> dict[str, tuple[int, int]]:
    """verdict -> number of claims, raw and corrected, for all verdicts."""
    claims = list(claims)
    raw, after = (Counter(claim[which] for claim in claims) for which in ("verdict", "corrected"))
    return {verdict: (raw[verdict], after[verdict]) for verdict in VERDICTS}


def printed(claims: Iterable[Mapping]) -> str:
    """The board as text: counts by verdict, a line for each row, and what has no claim."""
    claims = list(claims)
    some = [f"{n} {v}" + f" ({m} after Holm)" * (n != m) for v, (n, m) in counts(claims).items() if n or m]
    lines = [f"claims: {', '.join(some) or 'none'}"]
    found, width = by_row(claims), max(map(len, ROWS.values()))
    for row in found:
        each = Counter(claim["verdict"] for claim in row.claims)
        if text := ", ".join(verdict if n == 1 else f"{n} {verdict}" for verdict, n in each.items()):
            lines.append(f"{row.id:<4} {row.title:<{width}}  {' '.join(row.notebooks)}  {text}")
    if without := [row.id for row in found if not row.claims]:
        lines.append(f"without a claim in this profile: {', '.join(without)}")
    return "\n".join(lines)
