"""What is handed from notebook to notebook comes back as it was, or is refused with a remedy."""

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.errors import BadInput
from helpers.notebook import artefacts

REMEDY = "python -m helpers.run demo --only 01"


def test_table_round_trip(tmp_path):
    frame = pd.DataFrame(
        {
            "item": np.array([3, 1], np.int32),
            "tag": pd.Categorical(["a", "b"]),
            "at": pd.to_datetime(["2015-06-07", None]).astype("datetime64[ns]"),
            "word": ["ein", "zwei"],
        }
    )
    artefacts.save_table(tmp_path, "views", frame)
    pd.testing.assert_frame_equal(artefacts.read_table(tmp_path, "views", REMEDY), frame)


def test_empty_table_keeps_its_types(tmp_path):
    frame = pd.DataFrame({"user": pd.Series(dtype="int32"), "word": pd.Series(dtype="str")})
    artefacts.save_table(tmp_path, "empty", frame)
    back = artefacts.read_table(tmp_path, "empty", REMEDY)
    assert back.dtypes.astype(str).to_dict() == frame.dtypes.astype(str).to_dict()


def test_arrays_round_trip(tmp_path):
    arrays = {"Y": np.eye(3, dtype=np.float32), "items": np.arange(2), "name": np.array(["x", "yy"])}
    artefacts.save_arrays(tmp_path, "factors", arrays)
    back = artefacts.read_arrays(tmp_path, "factors", REMEDY)
    assert back.keys() == arrays.keys()
    for name, value in arrays.items():
        assert back[name].dtype == value.dtype
        np.testing.assert_array_equal(back[name], value)


def test_weights_round_trip(tmp_path):
    layer = torch.nn.Linear(3, 2)
    artefacts.save_weights(tmp_path, "layer", layer.state_dict())
    back = artefacts.read_weights(tmp_path, "layer", REMEDY)
    assert {k: v.tolist() for k, v in back.items()} == {k: v.tolist() for k, v in layer.state_dict().items()}


def test_the_same_content_has_the_same_digest(tmp_path):
    for folder in ("a", "b"):
        artefacts.save_arrays(tmp_path / folder, "x", {"x": np.arange(5)})
        artefacts.save_table(tmp_path / folder, "t", pd.DataFrame({"x": [1, 2]}))
    assert artefacts.manifest(tmp_path / "a") == artefacts.manifest(tmp_path / "b")


def test_a_file_that_was_not_saved_here_is_refused(tmp_path):
    np.savez(tmp_path / "stray.npz", x=np.arange(3))
    with pytest.raises(BadInput, match="not there"):
        artefacts.read_arrays(tmp_path, "stray", REMEDY)


def test_objects_are_refused(tmp_path):
    with pytest.raises(BadInput, match="holds Python objects"):
        artefacts.save_arrays(tmp_path, "x", {"x": np.array([{"a": 1}, None], dtype=object)})
    with pytest.raises(BadInput, match="column x holds Python objects"):
        artefacts.save_table(tmp_path, "x", pd.DataFrame({"x": [{"a": 1}, [2]]}))
    with pytest.raises(BadInput, match="index would be lost"):
        artefacts.save_table(tmp_path, "x", pd.DataFrame({"x": [1]}, index=["row"]))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_has_a_digest_of_names_and_contents(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "file").write_text("content")
    assert artefacts.content_digest(tmp_path / "one") == artefacts.content_digest(tmp_path / "two")
    (tmp_path / "two" / "inner" / "file").rename(tmp_path / "two" / "inner" / "other")
    assert artefacts.content_digest(tmp_path / "one") != artefacts.content_digest(tmp_path / "two")


def test_json_is_strict(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        artefacts.write_json(tmp_path / "x.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x.json").write_text('{"x": ')
    with pytest.raises(BadInput, match="not readable as JSON"):
        artefacts.read_json(tmp_path / "x.json")
