"""Claims and metrics: what is recorded is finite, honest and complete."""

import json
import re

import numpy as np
import pytest

from helpers.claims.claim import Claim
from helpers.errors import BadInput
from helpers.notebook import results
from helpers.notebook.artefacts import write_json
from helpers.notebook.run import start
from helpers.runner.maintain import differences, write_reference
from helpers.runner.plan import Job

CLAIM = {"statement": "MF ranks better than chance", "paper": "Fang et al. 2015, section 2.1"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    annotations = {"profile": str, "seed": int}
    return start("03_factors", {"__annotations__": annotations, "profile": "demo", "seed": 7})


def collection(tmp_path, name, simulated):
    about = {"name": name, "simulated": simulated}
    write_json(tmp_path / "demo" / "00" / "collection" / "collection.json", about)


def test_files_of_a_run(run, tmp_path):
    claims = [Claim("F4", **CLAIM, verdict="direction only", ours="PR 0.21", data="emojigram")]
    results.save(run, {"pr": np.float32(0.25), "users": np.int64(3)}, claims)
    folder = tmp_path / "demo" / "03"
    assert json.loads((folder / "metrics.json").read_text()) == {"pr": 0.25, "users": 3}
    about = json.loads((folder / "run.json").read_text())
    assert about["seed"] == 7
    assert about["parameters"] == {"profile": "demo", "seed": 7}
    assert about["seconds"] >= 0
    assert about["peak_mb"] > 10
    assert {"python", "numpy", "torch"} <= about["versions"].keys()
    assert about["commit"]
    (row,) = json.loads((tmp_path / "demo" / "scoreboard.json").read_text())["claims"]
    expected = {"id": "F4", "cited": None, "ours": "PR 0.21", "data": "emojigram", "simulated": True}
    assert expected.items() <= row.items()
    assert row["notebook"] == "03_factors"
    assert {"statement", "paper", "spread", "verdict", "note"} <= row.keys()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "0.5", None, 1j, [1.0]])
def test_a_metric_is_a_finite_number(run, value):
    with pytest.raises(BadInput, match="metric pr is"):
        results.save(run, {"pr": value})
    assert not (run.folder / "metrics.json").exists()


def test_the_data_of_a_claim_are_those_of_the_run(run, tmp_path):
    claim = Claim("F4", **CLAIM, verdict="reproduced", ours="0.2")
    with pytest.raises(BadInput, match=r"no collection to name.*run notebook 00"):
        results.save(run, {}, [claim])
    collection(tmp_path, "movielens", False)
    results.save(run, {}, [claim])
    (row,) = json.loads((run.folder / "claims.json").read_text())
    assert row["data"] == "movielens"
    assert row["simulated"] is False


def test_reproduced_is_refused_on_simulated_data(run, tmp_path):
    collection(tmp_path, "emojigram", True)
    claim = Claim("F4", **CLAIM, verdict="reproduced", ours="0.2")
    with pytest.raises(BadInput, match="emojigram is simulated, so the verdict is at most 'direction only'"):
        results.save(run, {}, [claim])
    with pytest.raises(BadInput, match="simulated"):
        Claim("F4", **CLAIM, verdict="reproduced", ours="0.2", data="groups of Emojigram")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "X4"}, "the id is a row of the checklist"),
        ({"verdict": "proved"}, "choose one of reproduced, direction only"),
        ({"ours": 0.2}, "ours is 0.2, expected a text"),
        ({"ours": None}, "needs our number"),
        ({"statement": " "}, "statement is empty"),
    ],
)
def test_a_claim_is_complete(change, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        Claim(**({"id": "F4", **CLAIM, "verdict": "does not hold", "ours": "0.2"} | change))


def test_an_id_occurs_once_in_a_notebook(run):
    claim = Claim("F4", **CLAIM, verdict="procedure run", data="digits")
    with pytest.raises(BadInput, match="F4 is given twice; name them F4a, F4b"):
        results.save(run, {}, [claim, claim])


def test_comparison_keeps_our_numbers_out_of_the_papers_column():
    claims = [
        Claim("F5", **CLAIM, verdict="direction only", cited="PR 0.1891", ours="PR 0.21", data="emojigram"),
        Claim("F6", **CLAIM, verdict="procedure run", data="emojigram"),
    ]
    table = results.comparison(claims)
    assert list(table.index) == ["F5", "F6"]
    assert table.loc["F5", ["paper", "ours"]].tolist() == ["PR 0.1891", "PR 0.21"]
    assert table.loc["F6", ["paper", "ours", "spread"]].tolist() == ["–", "–", "–"]


def reference(value, rel_tol=0.02):
    return {"value": value, "rel_tol": rel_tol, "reason": "rounding"}


def test_equal_metrics_pass_and_small_differences_are_tolerated():
    expected = {"a": reference(0.5), "b": reference(3), "zero": reference(0)}
    assert differences({"a": 0.505, "b": 3, "zero": 0, "fit_seconds": 9.0}, expected) == []


@pytest.mark.parametrize(
    "metrics",
    [{"a": 0.0, "b": 3}, {"a": 3, "b": 0.5}, {"a": 0.52, "b": 3}, {"a": 0.5}, {"a": 0.5, "b": 3, "c": 1}],
    ids=["zeroed", "shuffled", "off", "missing", "new"],
)
def test_other_metrics_fail(metrics):
    assert differences(metrics, {"a": reference(0.5), "b": reference(3)})


@pytest.mark.parametrize("entry", [reference(1, 1.0), reference(1, -0.1), reference(1) | {"reason": " "}])
def test_a_tolerance_that_lets_zero_pass_is_refused(entry):
    with pytest.raises(BadInput, match="rel_tol must be from 0 to below 1"):
        differences({"a": 1}, {"a": entry})


def test_renewing_the_reference_keeps_tolerances_and_reasons(run, tmp_path):
    results.save(run, {"a": 0.5, "b": 2, "fit_seconds": 3.0})
    job = Job("03", tmp_path / "03_factors.ipynb", "demo", {}, {}, [], "")
    kept = {"value": 1, "rel_tol": 0.3, "reason": "depends on the number of threads"}
    write_json(tmp_path / "reference" / "03.json", {"a": kept, "gone": kept})
    write_reference([job], tmp_path / "reference")
    new = json.loads((tmp_path / "reference" / "03.json").read_text())
    assert new["a"] == kept | {"value": 0.5}
    assert new.keys() == {"a", "b"}
    assert differences(json.loads((run.folder / "metrics.json").read_text()), new) == []
