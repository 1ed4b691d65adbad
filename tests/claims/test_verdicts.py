"""The rule that turns a comparison into a verdict."""

import shutil
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from helpers import paths
from helpers.claims import cited, verdicts
from helpers.claims.verdicts import Comparison
from helpers.measures.stats import Interval
from helpers.notebook.sources import code_digest

ABOVE, ACROSS = Interval(0.1, 0.05, 0.15), Interval(0.02, -0.01, 0.05)


@pytest.mark.parametrize(
    ("comparison", "pair", "simulated", "expected"),
    [
        (Comparison(ABOVE, 0.3, 0.2), (45.0, 30.0), False, "reproduced"),
        (Comparison(ABOVE, 0.3, 0.2), (45.0, 30.0), True, "direction only"),
        (Comparison(ABOVE, 0.3, 0.2), None, False, "direction only"),
        (Comparison(ABOVE, 0.3, 0.2), (90.0, 30.0), False, "direction only"),
        (Comparison(ABOVE, 0.6, 0.2), (45.0, 30.0), False, "direction only"),
        (Comparison(ACROSS, 0.3, 0.2), (45.0, 30.0), False, "does not hold"),
        (Comparison(Interval(0.0, 0.0, 0.0), 0.2, 0.2), None, False, "does not hold"),
    ],
)
def test_verdict(comparison, pair, simulated, expected):
    assert verdicts.verdict(comparison, pair, simulated) == expected


def test_nothing_is_reproduced_where_most_test_images_were_seen_in_training():
    real = SimpleNamespace(name="movielens", simulated=False)
    one = next(c for c in cited.CLAIMS if c.id == "V8a")
    near = Comparison(ABOVE, one.pair[0], one.pair[1])
    few, many = (verdicts.judge(one, near, real, "tags are visual", seen) for seen in (0.3, 0.9))
    assert (few.verdict, few.note) == ("reproduced", "tags are visual")
    assert many.verdict == "direction only"
    assert many.note == "tags are visual; 90% of the test images show an item seen in training"


def test_values_in_a_sentence():
    assert verdicts.listed({"a": 0.12345, "b": 2, "c": 1}, ["b", "a"]) == "b 2.000, a 0.123"


def test_comparisons_see_differences_and_their_absence():
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    assert verdicts.paired(a + 0.2, a, rng).interval.low == pytest.approx(0.2)
    assert verdicts.between(a, rng.normal(size=300), rng).interval.contains(0)
    apart = verdicts.between(a + 1, rng.normal(size=300), rng)
    assert apart.interval.low > 0.7
    assert apart.a - apart.b == pytest.approx(apart.interval.mean)
    least = verdicts.worst([apart, Comparison(ACROSS, 1, 1)])
    assert least.interval is ACROSS


def test_what_the_papers_say_is_part_of_the_code_of_notebooks_that_cite_it(tmp_path):
    package = tmp_path / "helpers"
    shutil.copytree(paths.ROOT / "helpers", package, ignore=shutil.ignore_patterns("__pycache__"))
    cells = [
        "from helpers.claims import cited",
        "from helpers.claims import rows",
        "from helpers.words import bags",
    ]
    books = [nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]) for cell in cells]

    def digests():
        return [code_digest(book, package, "a notebook") for book in books]

    for name in ("veit2018", "joulin2016", "rows"):
        before, file = digests(), package / "claims" / f"{name}.yaml"
        file.write_text(file.read_text(encoding="utf-8") + "# other numbers\n", encoding="utf-8")
        assert [a == b for a, b in zip(before, digests(), strict=True)] == [False, False, True]


def test_every_cited_claim_can_be_judged():
    simulated = SimpleNamespace(name="emojigram", simulated=True)
    claims = cited.CLAIMS + cited.WORD_CLAIMS
    ids = [c.id for c in claims] + list(cited.PROCEDURES) + list(cited.OTHERS)
    assert len(ids) == len(set(ids))
    for one in claims:
        assert verdicts.judge(one, Comparison(ABOVE, 0.3, 0.2), simulated).verdict == "direction only"
        assert verdicts.judge(one, None, simulated).verdict == "not testable on this data"
        if one.pair is not None and "%" in one.text:
            for number in one.pair:
                assert f"{number:.2f} %" in one.text
    assert {name for _, _, name in cited.PROCEDURES.values()} <= set(cited.TABLE2)
