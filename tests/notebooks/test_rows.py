"""Every row of the papers is in a notebook; the list is the checklist's; the scoreboard shows all rows."""

import re

import pytest

from helpers import paths
from helpers.claims import rows
from helpers.claims.claim import VERDICTS
from helpers.errors import BadInput
from helpers.notebook import sources as notebooks
from helpers.runner import report

CHECKLIST = paths.ROOT.parent / "shared" / "PAPERS.md"


def mentioned(source: str) -> set[str]:
    """The rows that a text names: "F4", 'F10a', "rows F7–F10"."""
    letters = "".join(rows.PAPERS)
    ranges = re.findall(rf"\b([{letters}])(\d{{1,2}})\s?[–-]\s?(?:[{letters}])?(\d{{1,2}})\b", source)
    found = {f"{letter}{n}" for letter, low, high in ranges for n in range(int(low), int(high) + 1)}
    return (found | set(re.findall(rf"\b([{letters}]\d{{1,2}})[a-z]?\b", source))) & rows.ROWS.keys()


def sources() -> dict[str, tuple[set[str], set[str]]]:
    """Number of each notebook -> rows that its code names in quotes, and rows that its card names."""
    found = {}
    for number, file in notebooks.find(paths.NOTEBOOKS).items():
        notebook = notebooks.read(file)
        code = "\n".join(cell.source for cell in notebooks.code_cells(notebook))
        quoted = " ".join(re.findall(r"""["']([FVBJD]\d{1,2}[a-z]?)["']""", code))
        found[number] = mentioned(quoted), mentioned(notebook.cells[0].source)
    return found


def uncovered(found: dict[str, tuple[set[str], set[str]]]) -> list[str]:
    """Rows on which no notebook's code makes a claim; that a card names one is not enough."""
    claimed = set().union(*(claims for claims, _ in found.values()))
    return [row for row in rows.ROWS if row not in claimed]


def unkept(found: dict[str, tuple[set[str], set[str]]], cards: dict[str, str]) -> dict[str, list[str]]:
    """Number -> rows that its card names, but neither it claims nor another notebook that the card names."""
    out = {}
    for number, (claimed, announced) in found.items():
        named = set(re.findall(rf"(?<![\w.])({paths.NUMBER})(?![\w.])", cards[number])) & found.keys()
        missing = announced - claimed.union(*(found[other][0] for other in named))
        if missing:
            out[number] = sorted(missing)
    return out


def test_every_row_is_in_a_notebook():
    missing = uncovered(sources())
    assert not missing, f"no notebook makes a claim on {', '.join(missing)}"


def test_what_a_card_announces_is_claimed():
    cards = {n: notebooks.read(f).cells[0].source for n, f in notebooks.find(paths.NOTEBOOKS).items()}
    assert unkept(sources(), cards) == {}


def test_a_row_without_a_notebook_is_found():
    found = sources()
    assert "F11" not in uncovered(found)
    claimed, announced = found["09"]
    assert "F11" in uncovered(found | {"09": (claimed - {"F11"}, announced)}), "its card alone does not count"
    small = {"03": ({"F4"}, {"F4", "B8"}), "01": ({"B8"}, set())}
    assert unkept(small, {"03": "F4; B8 is in 01", "01": ""}) == {}
    assert unkept(small, {"03": "F4 and B8, Fig. 01.2", "01": ""}) == {"03": ["B8"]}
    assert unkept(small, {"03": "B8 is in 02", "01": ""}) == {"03": ["B8"]}, "there is no 02"


def test_the_list_is_complete():
    """The rows of the five papers, counted by hand: one that is dropped from the list is missed here."""
    numbers = {"F": 11, "V": 10, "B": 9, "J": 11, "D": 7}
    assert list(rows.ROWS) == [f"{paper}{n}" for paper, last in numbers.items() for n in range(1, last + 1)]
    assert numbers.keys() == rows.PAPERS.keys()


@pytest.mark.skipif(not CHECKLIST.is_file(), reason="the checklist is not beside this project")
def test_the_list_is_the_checklist():
    listed = re.findall(r"^\| ([FVBJD]\d{1,2}) \|", CHECKLIST.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows.ROWS) == sorted(listed)


def claim(id, verdict="direction only", **more):
    return {
        "id": id, "statement": "a statement", "paper": "a paper", "cited": None, "ours": "0.2",
        "spread": None, "note": "", "data": "emojigram", "simulated": True, "notebook": "05_pseudo",
        "verdict": verdict, **more,
    }  # fmt: skip


def test_claims_by_row():
    found = rows.by_row([claim("F10b"), claim("F10a"), claim("J8", notebook="09_bench"), claim("F1")])
    assert [f.id for f in found] == list(rows.ROWS)
    (ten,) = [f for f in found if f.id == "F10"]
    assert [c["id"] for c in ten.claims] == ["F10a", "F10b"]
    assert ten.notebooks == ["05"]
    assert sum(bool(f.claims) for f in found) == 3
    for wrong in ("F12", "X1", "F1ab", "F"):
        with pytest.raises(BadInput, match="belongs to no row"):
            rows.row_of(wrong)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rows F7–F10", {"F7", "F8", "F9", "F10"}),
        ("(row F6)", {"F6"}),
        ("'F10a', \"B1c\"", {"F10", "B1"}),
        ("D1-D3 and J8", {"D1", "D2", "D3", "J8"}),
        ("F60, XF1, F1x2, FC6, V99", set()),
    ],
)
def test_rows_in_a_text(text, expected):
    assert mentioned(text) == expected


def test_the_printed_scoreboard():
    text = rows.printed(
        [claim("F10a"), claim("F10b", "does not hold"), claim("F10c"), claim("V1", "procedure run")]
    )
    lines = text.splitlines()
    assert lines[0] == "claims: 2 direction only, 1 does not hold, 1 procedure run"
    assert re.fullmatch(r"F10  retrieval .* 05  2 direction only, does not hold", lines[1])
    assert lines[2].startswith("V1 ")
    assert lines[3].startswith("without a claim in this profile: F1, F2,")
    assert len(lines) == 4
    assert rows.printed([]).startswith("claims: none")


def test_the_link_leads_to_the_table_of_the_claim():
    notebook = notebooks.read(paths.NOTEBOOKS / "03_matrix_factorization.ipynb")
    shown = [c["id"] for c in notebook.cells if c.cell_type == "code" and "comparison(" in c.source]
    assert report.anchor(notebook.cells, "B1a") == f"#cell-id={shown[0]}"
    assert report.anchor(notebook.cells, "F4") == f"#cell-id={shown[1]}", "F4 has a table of its own"
    assert report.anchor(notebook.cells, "D7") == ""
    for number, file in notebooks.find(paths.NOTEBOOKS).items():
        cells = notebooks.read(file).cells
        for name in re.findall(
            r"""Claim\(\s*["']([FVBJD]\d{1,2}[a-z]?)["']""", "\n".join(c.source for c in cells)
        ):
            assert report.anchor(cells, name), f"{number}: {name} is in no table"
    assert set(VERDICTS) >= {"direction only", "procedure run"}
