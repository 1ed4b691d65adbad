"""Metrics: what is recorded is finite and complete, and compared with the reference."""

import json

import numpy as np
import pytest

from helpers.errors import BadInput
from helpers.notebook import results
from helpers.notebook.artefacts import write_json
from helpers.notebook.run import start
from helpers.runner.maintain import differences, write_reference
from helpers.runner.plan import Job


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    annotations = {"profile": str, "seed": int}
    return start("03_factors", {"__annotations__": annotations, "profile": "demo", "seed": 7})


def test_files_of_a_run(run, tmp_path):
    results.save(run, {"pr": np.float32(0.25), "users": np.int64(3)})
    folder = tmp_path / "demo" / "03"
    assert json.loads((folder / "metrics.json").read_text()) == {"pr": 0.25, "users": 3}
    about = json.loads((folder / "run.json").read_text())
    assert about["seed"] == 7
    assert about["parameters"] == {"profile": "demo", "seed": 7}
    assert about["seconds"] >= 0
    assert about["peak_mb"] > 10
    assert {"python", "numpy", "torch"} <= about["versions"].keys()
    assert about["commit"]
    assert json.loads((tmp_path / "demo" / "scoreboard.json").read_text()) == {"claims": []}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "0.5", None, 1j, [1.0]])
def test_a_metric_is_a_finite_number(run, value):
    with pytest.raises(BadInput, match="metric pr is"):
        results.save(run, {"pr": value})
    assert not (run.folder / "metrics.json").exists()


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
