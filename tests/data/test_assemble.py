"""Tables with a dataset's own ids become a Collection: dense, sorted, and what is left out is told."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.data import BadInput
from helpers.data.assemble import assemble
from helpers.data.collection import TABLES
from helpers.data.images import aliases, ends


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path / "outputs"))
    for shade, name in enumerate(["b.png", "deep/a.JPG", "deep/c.d.png", ".hidden.png", "notes.txt"]):
        file = tmp_path / "pictures" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            file.write_text("x")
        else:
            Image.new("RGB", (9, 12), (50 * shade,) * 3).save(file)
    return tmp_path / "pictures"


ITEMS = pd.DataFrame({
    "id": ["c.d", "a", "b", "gone"], "owner": ["zoë", None, "10", "nobody"], "title": ["C", None, "B", "G"],
})  # fmt: skip
VIEWS = pd.DataFrame({"user": ["10", "9", "10", "9", "lost"], "item": ["b", "a", "b", "unlisted", "gone"]})
TAGS = pd.DataFrame({
    "user": ["x", "x", "9"], "item": ["a", "a", "gone"], "tag": ["sea", "sea", "sand"],
    "at": pd.Series(["2020-01-02"] * 3, dtype="datetime64[ns]"),
})  # fmt: skip
LABELS = pd.DataFrame({"item": ["b", "a", "b"], "label": ["blue", "red", "blue"]})
USERS = pd.DataFrame({"id": ["x", "idle", "9"], "age": [30, 40, np.nan], "occupation": ["cook", None, None]})
ALL = {"items": ITEMS, "users": USERS, "views": VIEWS, "tags": TAGS, "labels": LABELS}


def test_ids_become_dense_and_what_is_left_out_is_counted(pictures):
    made = assemble("toy", **ALL, pictures=pictures, size=8)
    assert made.items["original_id"].tolist() == ["a", "b", "c.d"]
    assert made.items["path"].tolist() == ["deep/a.JPG", "b.png", "deep/c.d.png"]
    assert [int(made.images[i][0, 0, 0]) // 50 for i in range(3)] == [1, 0, 2]
    assert made.users["original_id"].tolist() == ["10", "9", "x", "zoë"], "nobody and idle left nothing"
    assert made.items["owner"].tolist() == [-1, 0, 3]
    assert made.users["age"].tolist()[2] == 30
    assert made.users["occupation"].tolist()[2] == "cook"
    assert made.views[["user", "item"]].to_numpy().tolist() == [[0, 1], [1, 0], [0, 1]], "a pair may repeat"
    assert made.tags[["user", "item", "tag"]].to_numpy().tolist() == [[2, 0, "sea"]]
    assert made.tags["tag"].cat.categories.tolist() == ["sea"]
    assert made.labels.to_numpy().tolist() == [[1, "label", "blue"], [0, "label", "red"]]
    for table in TABLES:
        assert getattr(made, table).index.equals(pd.RangeIndex(len(getattr(made, table))))
    told = "was loaded without 1 items without a picture, 2 views of such items, 1 tags of such items"
    assert made.missing["left_out"] == told
    assert made.has("tag_times")
    assert not made.has("view_times")


def test_the_order_of_rows_and_the_types_of_ids_change_nothing(pictures):
    made = assemble("toy", **ALL, pictures=pictures, size=8)
    turned = {name: table.iloc[::-1] for name, table in ALL.items()}
    turned["views"] = turned["views"].astype("category")
    again = assemble("toy", **turned, pictures=pictures, size=8)
    for table in ("items", "users"):
        pd.testing.assert_frame_equal(getattr(again, table), getattr(made, table))
    assert sorted(again.views["user"]) == sorted(made.views["user"])


def test_the_caller_may_choose_the_order_and_do_without_pictures(pictures):
    made = assemble("toy", **ALL, sort=False, missing={"images": "has none"})
    assert made.items["original_id"].tolist() == ITEMS["id"].tolist()
    assert made.users["original_id"].tolist() == ["x", "9", "10", "lost", "nobody", "zoë"]
    assert (made.images[:] == 128).all()
    assert made.missing["images"] == "has none"


@pytest.mark.parametrize(
    ("table", "columns", "expected"),
    [
        ("items", {"id": ["a", "b", "a", "c"]}, "toy: items: id 'a' is in row 0 and in row 2"),
        ("items", {"id": ["a", "b", "", "c"]}, "toy: items: row 2 has no id"),
        (
            "items",
            {"id": ["p", "q", "r", "s"]},
            "none of its 3 pictures belongs to an item; .* b.png, deep/a",
        ),
        ("users", {"id": ["x", None, "9"]}, "toy: users: row 1 has no id"),
        ("views", {"user": ["10", "9", None, "9", "9"]}, "toy: views: row 2 .* has no user"),
        ("users", {"age": [30, 200, -1]}, "table users, column age"),
    ],
)
def test_bad_tables(pictures, table, columns, expected):
    with pytest.raises(BadInput, match=expected):
        assemble("toy", **(ALL | {table: ALL[table].assign(**columns)}), pictures=pictures)


def test_names_of_pictures():
    names = ["a.jpg", "x/a.jpg", "x/b.png", "y/b.png", "y/c.tar.png", "cafe\u0301.png"]
    assert ends(names) == {
        "a.jpg": "a.jpg", "x/a.jpg": "x/a.jpg", "x/b.png": "x/b.png", "y/b.png": "y/b.png",
        "y/c.tar.png": "y/c.tar.png", "x/a": "x/a.jpg", "x/b": "x/b.png", "y/b": "y/b.png",
        "y/c.tar": "y/c.tar.png", "c.tar.png": "y/c.tar.png", "c.tar": "y/c.tar.png",
        "caf\xe9.png": "cafe\u0301.png", "caf\xe9": "cafe\u0301.png", "a": None, "b": None, "b.png": None,
    }  # fmt: skip
    assert aliases(names).keys() == ends(names).keys() - {"a", "b", "b.png"}
