"""Claims are judged by the rule, none is forgotten, and each says why."""

import json
import re

import pytest

from helpers.claims import papers
from helpers.errors import BadInput
from helpers.measures import stats
from helpers.measures.stats import Effect, Interval
from helpers.notebook import conclusions, results
from helpers.notebook.artefacts import write_json
from helpers.notebook.run import start

YAML = {
    "paper": "a paper",
    "measures": {"A@10": {"unit": "points", "scale": 100, "digits": 1, "margin": 1, "because": "a tenth"}},
    "claims": {
        "V7a": {"notebook": "07_toy", "statement": "a beats b", "where": "Table 2", "compared": "a and b",
                "over": "users", "measure": "A@10", "cited": "43.65, 41.66",
                "numbers": {"x": [43.65, 41.66]}},
        "V8a": {"notebook": "07_toy", "statement": "owners matter", "where": "Table 2", "compared": "a and b",
                "over": "users", "measure": "A@10", "needs": ["owners"]},
        "V6": {"notebook": "07_toy", "statement": "a model", "where": "section 3", "says": "procedure"},
        "B1": {"notebook": "03_other", "statement": "another", "where": "1", "says": "procedure"},
    },
}  # fmt: skip
GAP = Effect(0.03, 0.015, 0.045, 0.44, 0.41, 200)


@pytest.fixture(autouse=True)
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    monkeypatch.setattr(papers, "CLAIMS", papers.claims_of(YAML))


def a_run(simulated=False, **missing):
    about = {"name": "toygram", "simulated": simulated}
    write_json(conclusions.notebook_outputs("demo", "00") / "collection" / "collection.json", about)
    run = start("07_toy", {"__annotations__": {"profile": str, "seed": int}, "profile": "demo", "seed": 0})
    run.missing |= missing
    return run


def test_a_whole_notebook(tmp_path):
    run = a_run(owners="toygram has no owners")
    run.measured("V7a", GAP, note="both on the same features")
    run.showed("V6", "64 numbers a user")
    page = run.verdicts().data
    rows = [re.findall("<td>(.*?)</td>", row) for row in page.split("<tr>")[1:]]
    assert [(row[0], row[5]) for row in rows] == [
        ("V7a", "reproduced"), ("V8a", "not testable"), ("V6", "procedure"),
    ]  # fmt: skip
    assert rows[0][2:5] == ["43.65, 41.66", "44.0 and 41.0: +3.0 [1.5, 4.5] points", "±1 points"]
    assert rows[1][6] == "toygram has no owners"
    results.save(run, {"a": 1.0})
    board = json.loads((tmp_path / "demo" / "scoreboard.json").read_text())["claims"]
    assert [c["corrected"] for c in board] == ["reproduced", "not testable", "procedure"]
    assert 0 < board[0]["p"] < 0.05
    assert (board[0]["margin"], board[0]["because"], board[0]["data"]) == ("±1 points", "a tenth", "toygram")
    assert board[0]["effects"][""]["low"] == 0.015


def test_nothing_to_measure_says_why():
    run = a_run()
    run.measured("V7a", {}, otherwise="too few users")
    assert (run.found["V7a"]["verdict"], run.found["V7a"]["note"]) == ("not testable", "too few users")
    run.measured("V8a", GAP, otherwise="too few users")
    assert run.found["V8a"]["verdict"] == "supported"


def test_simulated_people_and_seen_pictures():
    run = a_run(simulated=True)
    run.measured("V7a", GAP)
    assert run.found["V7a"]["verdict"] == "supported (planted)"
    run = a_run()
    run.measured("V7a", GAP, seen=0.96)
    assert run.found["V7a"]["verdict"] == "supported"
    assert run.found["V7a"]["note"] == "96% of the test items were seen in training"


def test_what_is_undecided_says_what_would_decide():
    run = a_run()
    run.measured("V7a", {"first": GAP, "second": Effect(0.02, -0.02, 0.06, units=200)})
    assert run.found["V7a"]["verdict"] == "undecided"
    assert run.found["V7a"]["note"] == "second: about 3,200 users would decide it (200 here)"
    run = a_run()
    run.measured("V7a", Interval(-0.02, -0.03, -0.01))
    assert run.found["V7a"]["verdict"] == "contradicted"
    assert "a" not in run.found["V7a"]["effects"][""], "there are no two levels, and JSON knows no NaN"


def test_who_loses_at_an_edge_of_a_search_leaves_the_claim_open():
    run = a_run()
    run.measured("V7a", GAP, "two networks", fall="pairs (lr)", rise="tensor (D)")
    found = run.found["V7a"]
    assert found["verdict"] == "undecided"
    assert found["note"] == (
        "two networks; supported if more tries could not help pairs (lr); "
        "at an edge of what was tried: pairs (lr), tensor (D)"
    )
    assert found["open"] == ["pairs (lr)", "tensor (D)"]
    run = a_run()
    run.measured("V7a", {"first": GAP, "second": GAP}, rise={"first": "tensor (D)", "second": ""})
    assert run.found["V7a"]["verdict"] == "reproduced", "who wins may win by more"
    assert run.found["V7a"]["open"] == ["tensor (D)"]
    run = a_run()
    run.measured("V7a", GAP)
    assert run.found["V7a"]["open"] == []


def test_what_the_data_lack_or_a_difference_that_is_missing_is_not_testable():
    run = a_run(owners="toygram has no owners")
    run.measured("V8a", GAP)  # it needs owners
    run.measured("V7a", {"first": GAP, "second": None}, otherwise="one user only")
    run.showed("V6", "done")
    found = {claim["id"]: (claim["verdict"], claim["note"]) for claim in run.concluded()[:2]}
    expected = {"V7a": "one user only", "V8a": "toygram has no owners"}
    assert found == {id: ("not testable", why) for id, why in expected.items()}


def test_nothing_is_forgotten_twice_or_elsewhere():
    run = a_run()
    with pytest.raises(BadInput, match=r"claim V7a was not judged; measure it or say run\.cannot"):
        results.save(run, {})
    run.cannot("V7a, V8a", "this profile trains one network")
    for call, message in (
        (lambda: run.cannot("V7a", "again"), "claim V7a is given twice"),
        (lambda: run.measured("B1", GAP), "'B1' is no claim of this notebook; they are V7a, V8a, V6"),
        (lambda: run.showed("Z9", "x"), "'Z9' is no claim"),
        (lambda: run.measured("V6", GAP), "V6 is a procedure"),
    ):
        with pytest.raises(BadInput, match=message):
            call()
    with pytest.raises(BadInput, match="claims something"):
        a_run().showed("V7a", "x")
    with pytest.raises(BadInput, match="has no difference"):
        a_run().measured("V7a", {})


def test_claims_of_a_notebook_that_is_not_run():
    a_run()
    claims = conclusions.not_testable("07_toy", "toygram has no posts", "demo")
    assert [(c["id"], c["verdict"], c["note"]) for c in claims] == [
        (id, "not testable", "toygram has no posts") for id in ("V7a", "V8a", "V6")
    ]
    assert conclusions.not_testable("01_none", "x", "demo") == []


def test_too_few_to_measure_is_not_testable_and_other_mistakes_are_not_hidden():
    run = a_run()
    with run.measuring("V7a, V8a"):
        run.measured("V7a", GAP)
        run.measured("V8a", stats.compare([1.0], [0.0], run.rng("one user")))
    assert run.found["V7a"]["verdict"] == "reproduced"
    assert run.found["V8a"]["verdict"] == "not testable"
    assert "1 values; at least two are needed" in run.found["V8a"]["note"]
    with pytest.raises(BadInput, match="all finite"), run.measuring("V6"):
        stats.compare([1.0, float("nan")], [0.0, 0.0], run.rng("not finite"))
