"""What a notebook gets from `start`."""

import random

import numpy as np
import pytest
import torch

from helpers.errors import BadInput
from helpers.notebook.run import start


def begin(name="03_factors", **parameters):
    values = {"profile": "demo", "seed": 7} | parameters
    return start(name, values | {"__annotations__": {name: type(value) for name, value in values.items()}})


@pytest.fixture(autouse=True)
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    return tmp_path


def test_one_line_is_printed_that_repeats_everywhere(capsys):
    begin(lr=0.1)
    assert capsys.readouterr().out == "03_factors: profile demo, seed 7, 3 parameters checked\n"


def test_streams_are_independent_and_repeat():
    run, again, other = begin(), begin(), begin(seed=8)
    first = run.rng("negatives", 3).random(4)
    np.testing.assert_array_equal(first, again.rng("negatives", 3).random(4))
    np.testing.assert_array_equal(first, run.rng("negatives", np.int64(3)).random(4))
    for different in (run.rng("negatives", 4), run.rng("negatives"), other.rng("negatives", 3)):
        assert not np.array_equal(first, different.random(4))
    assert not np.array_equal(first, begin("04_other").rng("negatives", 3).random(4))


def test_global_generators_are_seeded():
    draws = []
    for _ in range(2):
        begin()
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))  # noqa: NPY002
    assert draws[0] == draws[1]


def test_devices():
    assert begin().device == torch.device("cpu")
    assert begin(device="cpu").device.type == "cpu"
    assert begin(device="auto").device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    for unusable in ("cuda:99", "cpuu"):
        with pytest.raises(BadInput, match=r"not usable here .* try auto or cpu") as error:
            _ = begin(device=unusable).device
        assert "\n" not in str(error.value)


def test_folders(outputs):
    assert begin().folder == outputs / "demo" / "03"
    assert begin("03_factors_solutions").folder == outputs / "demo" / "solutions" / "03"


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("factors", {}, "is no notebook's name"),
        ("03_factors", {"profile": "../elsewhere"}, "is no folder name"),
        ("03_factors", {"seed": -1}, "seed is -1, must be at least 0"),
    ],
)
def test_bad_starts(name, parameters, message):
    with pytest.raises(BadInput, match=message):
        begin(name, **parameters)


def test_papermill_can_bring_a_text_for_a_number():
    annotations = {"profile": str, "seed": int, "lr": float}
    with pytest.raises(BadInput, match=r"03_x: lr is '1e-3', expected a number \(float\); write 1\.0e-3"):
        start("03_x", {"__annotations__": annotations, "profile": "x", "seed": 0, "lr": "1e-3"})


def test_a_parameter_without_a_value_and_one_that_is_missing():
    with pytest.raises(BadInput, match="lr has a type and no value"):
        start(
            "03_x", {"__annotations__": {"profile": str, "seed": int, "lr": float}, "profile": "x", "seed": 0}
        )
    with pytest.raises(BadInput, match="must define seed"):
        start("03_x", {"__annotations__": {"profile": str}, "profile": "x"})
