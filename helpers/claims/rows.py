"""Every row of the five papers that this project is to show, and what the notebooks found for each.

A claim's id is a row's id with a letter where a row has several: "F10a" belongs to F10.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from helpers.claims.cited import read
from helpers.claims.claim import Claim
from helpers.errors import BadInput
from helpers.paths import number_of

_READ = read("rows")
PAPERS, ROWS = _READ["papers"], _READ["rows"]  # letter -> paper; id -> what is done there


class Found(NamedTuple):
    """What one profile has for a row: the claims, and the numbers of the notebooks that made them."""

    id: str
    title: str
    claims: list[Mapping]
    notebooks: list[str]


def row_of(claim: str) -> str:
    """ "F10a" -> "F10".

    Raises:
        BadInput: there is no such row.
    """
    match = re.fullmatch(r"([FVBJD]\d{1,2})[a-z]?", claim)
    if match is None or match[1] not in ROWS:
        raise BadInput(f"claim {claim!r} belongs to no row; rows are {', '.join(list(ROWS)[:3])}, …")
    return match[1]


def by_row(claims: Iterable[Mapping]) -> list[Found]:
    """All rows in the order of `ROWS`, each with its claims; a row without one is there too.

    Args:
        claims: as in scoreboard.json; "id" and "notebook" are read.
    """
    found: dict[str, list[Mapping]] = {row: [] for row in ROWS}
    for claim in claims:
        found[row_of(claim["id"])].append(claim)
    numbers = {row: sorted({number_of(c["notebook"]) for c in mine}) for row, mine in found.items()}
    return [Found(r, ROWS[r], sorted(found[r], key=lambda c: c["id"]), numbers[r]) for r in ROWS]


def printed(claims: Iterable[Mapping]) -> str:
    """The scoreboard as text: counts by verdict, a line for each row, and what has no claim."""
    claims = list(claims)
    verdicts = Counter(c["verdict"] for c in claims).most_common()
    lines = ["claims: " + (", ".join(f"{n} {verdict}" for verdict, n in verdicts) or "none")]
    found, width = by_row(claims), max(map(len, ROWS.values()))
    for row in found:
        each = Counter(c["verdict"] for c in row.claims)
        text = ", ".join(verdict if n == 1 else f"{n} {verdict}" for verdict, n in each.items())
        if text:
            lines.append(f"{row.id:<4} {row.title:<{width}}  {' '.join(row.notebooks)}  {text}")
    if without := [row.id for row in found if not row.claims]:
        lines.append(f"without a claim in this profile: {', '.join(without)}")
    return "\n".join(lines)


def claim_ids(code: str) -> list[str]:
    """The claims that code names in quotes, "F10a", in order."""
    quoted = re.findall(r"""["']([FVBJD]\d{1,2})([a-z]?)["']""", code)
    return list(dict.fromkeys(row + letter for row, letter in quoted if row in ROWS))


def not_testable(ids: Iterable[str], why: str) -> list[Claim]:
    """A claim for each id that says why nothing can be said."""
    verdict = "not testable on this data"
    return [Claim(id, ROWS[row_of(id)], PAPERS[id[0]], verdict, note=why) for id in ids]


def mentioned(source: str) -> set[str]:
    """The rows that a text names: "F4", 'F10a', "rows F7–F10"."""
    letters = "".join(PAPERS)
    ranges = re.findall(rf"\b([{letters}])(\d{{1,2}})\s?[–-]\s?(?:[{letters}])?(\d{{1,2}})\b", source)
    found = {f"{letter}{n}" for letter, low, high in ranges for n in range(int(low), int(high) + 1)}
    return (found | set(re.findall(rf"\b([{letters}]\d{{1,2}})[a-z]?\b", source))) & ROWS.keys()
