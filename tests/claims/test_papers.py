"""The papers' claims as data: complete, and part of the code of the notebooks that use them."""

import shutil

import nbformat
import pytest
from pydantic import ValidationError

from helpers import paths
from helpers.claims import papers
from helpers.errors import BadInput
from helpers.notebook.parts import PARTS
from helpers.notebook.sources import code_digest

CONTENT = {
    "paper": "a paper",
    "measures": {"A@10": {"unit": "points", "scale": 100, "margin": 1, "because": "tables print tenths"}},
    "claims": {
        "V7a": {
            "notebook": "07", "statement": "a beats b", "where": "Table 2", "compared": "a and b",
            "over": "users", "measure": "A@10", "margin": 2, "because": "another reason",
        },
        "V6": {"notebook": "07", "statement": "a model", "where": "section 3", "says": "procedure"},
    },
}  # fmt: skip


def changed(id: str, **more) -> dict:
    return CONTENT | {"claims": CONTENT["claims"] | {id: CONTENT["claims"][id] | more}}


def test_a_claim_may_have_a_margin_of_its_own():
    claims = papers.claims_of(CONTENT)
    assert (claims["V7a"].measure.margin, claims["V7a"].measure.because) == (2, "another reason")
    assert claims["V7a"].measure.unit == "points"
    assert claims["V6"].measure is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measure": "A@11"}, "measure 'A@11' is none of A@10"),
        ({"says": "below"}, "says"),
        ({"over": ""}, "needs a measure, what is compared, and the units"),
        ({"exceptions": {"toys": "equal"}}, "exception 'toys' has no numbers"),
        ({"citation": "1"}, "Extra inputs are not permitted"),
    ],
)
def test_a_faulty_claim_is_refused(change, message):
    with pytest.raises((BadInput, ValidationError), match=message):
        papers.claims_of(changed("V7a", **change))


def test_every_claim_belongs_to_its_paper_and_needs_what_exists():
    for name in papers.FILES:
        content = papers.read(name)
        for id, claim in papers.claims_of(content).items():
            assert papers.row_of(id)[0] == content["letter"]
            assert set(claim.needs) <= PARTS.keys(), id


def test_effects_of_a_dataset_or_of_all():
    claim = papers.claims_of(changed("V7a", numbers={"toys": [50, 40], "pinterest": [44, 40]}))["V7a"]
    assert claim.effects("toys") == [10]
    assert claim.effects("movielens") == [10, 4]
    assert claim.model_copy(update={"relative": True}).effects("toys") == [0.25]


def test_what_the_papers_say_is_part_of_the_code_of_notebooks_that_use_it(tmp_path):
    package = tmp_path / "helpers"
    shutil.copytree(paths.ROOT / "helpers", package, ignore=shutil.ignore_patterns("__pycache__"))
    cells = ["from helpers.notebook.run import start", "from helpers.words import bags"]
    books = [nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]) for cell in cells]
    for name in papers.FILES:
        before, file = (code_digest(book, package, "a notebook") for book in books), package / "claims" / name
        before, file = list(before), file.with_suffix(".yaml")
        file.write_text(file.read_text(encoding="utf-8") + "# other numbers\n", encoding="utf-8")
        after = [code_digest(book, package, "a notebook") for book in books]
        assert [a == b for a, b in zip(before, after, strict=True)] == [False, True]
