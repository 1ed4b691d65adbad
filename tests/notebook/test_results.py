"""Metrics: what is recorded is finite and complete, and compared with the reference."""

import json

import numpy as np
import pytest

from helpers.errors import BadInput
from helpers.notebook import results
from helpers.notebook.artefacts import write_json
from helpers.notebook.run import start
from helpers.runner.compare import compare, rows, told
from helpers.runner.maintain import REASON, write_reference
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


def test_a_metrics_name_is_put_together():
    nested = {"map": {("image-only", 0.1): 1, "loss": {"P@1": 2}}, ("f11", "ours (views)"): 3}
    expected = {"map_image_only_0.1": 1, "map_loss_P@1": 2, "f11_ours__views_": 3}
    assert dict(results.flat(nested)) == expected


def reference(value, rel_tol=0.02):
    return {"value": value, "rel_tol": rel_tol, "reason": "rounding"}


def differing(metrics, expected):
    ours = {"metrics": metrics, "verdicts": {}, "p": {}}
    return [row["name"] for row in rows(ours, {"metrics": expected, "verdicts": {}}) if not row["same"]]


def test_equal_metrics_pass_and_small_differences_are_tolerated():
    expected = {"a": reference(0.5), "b": reference(3), "zero": reference(0)}
    assert differing({"a": 0.505, "b": 3, "zero": 0}, expected) == []


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        ({"a": 0.0, "b": 3}, ["a"]),
        ({"a": 3, "b": 0.5}, ["a", "b"]),
        ({"a": 0.52, "b": 3}, ["a"]),
        ({"a": 0.5}, ["b"]),
        ({"a": 0.5, "b": 3, "c": 1}, ["c"]),
    ],
    ids=["zeroed", "exchanged", "off", "missing", "new"],
)
def test_other_metrics_fail(metrics, names):
    assert differing(metrics, {"a": reference(0.5), "b": reference(3)}) == names


@pytest.mark.parametrize("entry", [reference(1, 1.0), reference(1, -0.1), reference(1) | {"reason": " "}])
def test_a_tolerance_that_lets_zero_pass_is_refused(entry):
    with pytest.raises(BadInput, match="rel_tol must be from 0 to below 1"):
        differing({"a": 1}, {"a": entry})


def test_renewing_the_reference_keeps_tolerances_and_reasons(run, tmp_path):
    results.save(run, {"a": 0.5, "b": 2, "fit_seconds": 3.0})
    job = Job("03", tmp_path / "03_factors.ipynb", "demo", {}, {}, [], "")
    kept, folder = {"value": 1, "rel_tol": 0.3, "reason": "depends on threads"}, tmp_path / "reference"
    write_json(folder / "demo" / "03.json", {"metrics": {"a": kept, "gone": kept}, "verdicts": {}})
    write_reference([job], folder)
    new = json.loads((folder / "demo" / "03.json").read_text())
    assert new == {
        "metrics": {"a": kept | {"value": 0.5}, "b": reference(2) | {"reason": REASON}},
        "verdicts": {},
    }
    table = compare([job], folder)
    assert [(row["notebook"], row["name"]) for row in table] == [("03", "a"), ("03", "b")]
    assert told(table).startswith("2 of 2 metrics as in the reference\n0 of 0 verdicts")
    table[0] |= {"same": False}
    assert told(table).endswith("  03 a: 0.5, reference 0.5 ± 30.0%")
