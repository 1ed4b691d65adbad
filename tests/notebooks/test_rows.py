"""Every row of the papers is in a notebook; the list is the checklist's; the scoreboard shows all rows."""

import re

import pytest

from helpers import paths
from helpers.claims import board, papers
from helpers.errors import BadInput
from helpers.notebook import sources as notebooks

CHECKLIST = paths.ROOT.parent / "shared" / "PAPERS.md"


def sources() -> dict[str, tuple[set[str], set[str]]]:
    """Number of each notebook -> rows that it decides, and rows that its card names."""
    found = {}
    for number, file in notebooks.find(paths.NOTEBOOKS).items():
        decided = {papers.row_of(claim.id) for claim in papers.of_notebook(file.stem)}
        found[number] = decided, papers.mentioned(notebooks.read(file).cells[0].source)
    return found


def unkept(found: dict[str, tuple[set[str], set[str]]], cards: dict[str, str]) -> dict[str, list[str]]:
    """Number -> rows that its card names, but neither it claims nor another notebook that the card names."""
    out = {}
    for number, (claimed, announced) in found.items():
        named = set(re.findall(rf"(?<![\w.])({paths.NUMBER})(?![\w.])", cards[number])) & found.keys()
        missing = announced - claimed.union(*(found[other][0] for other in named))
        if missing:
            out[number] = sorted(missing)
    return out


def test_every_row_has_a_claim_and_every_claim_a_notebook():
    assert {papers.row_of(claim.id) for claim in papers.CLAIMS.values()} == set(papers.ROWS)
    names = {file.stem for file in notebooks.find(paths.NOTEBOOKS).values()}
    assert {claim.notebook for claim in papers.CLAIMS.values()} <= names


def test_what_a_card_announces_is_claimed():
    cards = {n: notebooks.read(f).cells[0].source for n, f in notebooks.find(paths.NOTEBOOKS).items()}
    assert unkept(sources(), cards) == {}


def test_a_card_that_announces_too_much_is_found():
    small = {"03": ({"F4"}, {"F4", "B8"}), "01": ({"B8"}, set())}
    assert unkept(small, {"03": "F4; B8 is in 01", "01": ""}) == {}
    assert unkept(small, {"03": "F4 and B8, Fig. 01.2", "01": ""}) == {"03": ["B8"]}
    assert unkept(small, {"03": "B8 is in 02", "01": ""}) == {"03": ["B8"]}, "there is no 02"


def test_the_list_is_complete():
    """The rows of the five papers, counted by hand: one that is dropped from the list is missed here."""
    numbers = {"F": 11, "V": 10, "B": 9, "J": 11, "D": 7}
    assert list(papers.ROWS) == [f"{paper}{n}" for paper, last in numbers.items() for n in range(1, last + 1)]
    assert numbers.keys() == papers.PAPERS.keys()


@pytest.mark.skipif(not CHECKLIST.is_file(), reason="the checklist is not beside this project")
def test_the_list_is_the_checklist():
    listed = re.findall(r"^\| ([FVBJD]\d{1,2}) \|", CHECKLIST.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(papers.ROWS) == sorted(listed)


def claim(id, verdict="supported", **more):
    return {
        "id": id, "statement": "a statement", "paper": "a paper", "cited": None, "ours": "0.2",
        "note": "", "data": "emojigram", "simulated": True, "notebook": "05_pseudo",
        "verdict": verdict, "corrected": verdict, **more,
    }  # fmt: skip


def test_claims_by_row():
    found = board.by_row([claim("F10b"), claim("F10a"), claim("J8", notebook="09_bench"), claim("F1")])
    assert [f.id for f in found] == list(papers.ROWS)
    (ten,) = [f for f in found if f.id == "F10"]
    assert [c["id"] for c in ten.claims] == ["F10a", "F10b"]
    assert ten.notebooks == ["05"]
    assert sum(bool(f.claims) for f in found) == 3
    for wrong in ("F12", "X1", "F1ab", "F"):
        with pytest.raises(BadInput, match="belongs to no row"):
            papers.row_of(wrong)


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
    assert papers.mentioned(text) == expected


def test_the_printed_scoreboard():
    text = board.printed(
        [claim("F10a"), claim("F10b", "contradicted"), claim("F10c"), claim("V1", "procedure")]
    )
    lines = text.splitlines()
    assert lines[0] == "claims: 2 supported, 1 contradicted, 1 procedure"
    assert re.fullmatch(r"F10  retrieval .* 05  2 supported, contradicted", lines[1])
    assert lines[2].startswith("V1 ")
    assert lines[3].startswith("without a claim in this profile: F1, F2,")
    assert len(lines) == 4
    assert board.printed([]).startswith("claims: none")
