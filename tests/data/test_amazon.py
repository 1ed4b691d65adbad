"""Amazon's releases, tiny and invented, in the layouts of their files; every mistake names its line."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from shops import (
    TOP,
    amazon_2014,
    amazon_2018,
    amazon_2023,
    asin,
    crowd,
    person,
    pictures,
    title,
    vectors,
    write,
)

from helpers.data import BadInput, load
from helpers.data.amazon import category_labels

RELEASES = {"2014": amazon_2014, "2018": amazon_2018, "2023": amazon_2023}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path / "outputs"))


def events(made) -> list[tuple[str, str, int]]:
    """Views in original ids, with milliseconds."""
    users, items = (t["original_id"].to_numpy() for t in (made.users, made.items))
    at = made.views["at"].astype("int64") // 10**6
    return list(zip(users[made.views["user"]], items[made.views["item"]], at, strict=True))


@pytest.mark.parametrize("name", RELEASES)
def test_every_release_gives_the_same_views_titles_and_labels(name, tmp_path):
    made = load("amazon", data_dir=RELEASES[name](tmp_path / "amazon").parent)
    later = name == "2023"
    expected = [
        (f"AG{u:026d}" if later else person(u), asin(i), 1000 * at + 7 * later) for u, i, at in crowd(40, 60)
    ]
    assert events(made) == expected
    assert made.items["original_id"].tolist() == [asin(i) for i in range(60)]
    ending = ", the Tailor's & Co" if name == "2014" else ""
    assert made.items["title"][8] == title(8) + ending
    assert made.items["title"].isna().sum() == (name == "2014")
    found = made.labels.groupby("item")["label"].agg(set)
    assert found[8] == {"Men", "Men > Dresses"}
    assert found[9] == {"Women", "Women > Boots"}
    assert set(made.labels["kind"]) == {"category"}
    assert not any(map(made.has, ("images", "features", "tags", "owners", "uploads", "attributes")))
    assert made.missing["images"] == "has no pictures here; the addresses of 59 are in amazon_pictures.csv"
    listed = pd.read_csv(tmp_path / "outputs" / "amazon_pictures.csv", index_col="id")["address"]
    assert listed[asin(5)].endswith("pictures.example/5.jpg")
    assert asin(4) not in listed


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ratings_Clothing.csv", "{user},{item},5.0,{at}"),
        ("Clothing.csv", "{item},{user},5.0,{at}"),
        ("Clothing.csv.gz", "{user},{item},5.0,{at}000"),
    ],
)
def test_ratings_alone(tmp_path, name, line):
    rows = [line.format(user=person(u), item=asin(i), at=at) for u, i, at in crowd(40, 60)]
    titled = ["user_id,parent_asin,rating,timestamp"] if name.endswith(".gz") else []
    write(tmp_path / name, titled + rows)
    made = load("amazon", data_dir=tmp_path)
    assert events(made) == [(person(u), asin(i), 1000 * at) for u, i, at in crowd(40, 60)]
    assert not any(map(made.has, ("labels", "titles")))


def test_reviews_of_2014_may_be_literals_too(tmp_path):
    amazon_2014(tmp_path)
    before = events(load("amazon", data_dir=tmp_path))
    file = tmp_path / "reviews_Clothing_5.json.gz"
    loose = [str(json.loads(line)) for line in gzip.open(file, "rt")]
    write(file, loose)
    assert events(load("amazon", data_dir=tmp_path)) == before


def test_features_of_2014_and_pictures(tmp_path):
    amazon_2014(tmp_path)
    stored = vectors(tmp_path / "image_features_Clothing.b", [asin(i) for i in range(5, 80)])
    made = load("amazon", data_dir=tmp_path)
    assert made.items["original_id"].tolist() == [asin(i) for i in range(5, 60)]
    np.testing.assert_array_equal(made.features, stored[:55])
    assert made.has("features")
    assert not made.has("images")
    pictures(tmp_path / "images", [asin(i) for i in (7, 9, 70)])
    made = load("amazon", data_dir=tmp_path, size=16)
    assert made.items["original_id"].tolist() == [asin(7), asin(9)]
    assert made.has("images")
    assert made.features is None


def test_the_rule_of_labels():
    found = {f"a{n}": [[TOP, "Men", "Shoes", "Boots"]] for n in range(3)}
    found |= {
        f"b{n}": [[TOP, "Men", "Shoes", "Sandals", "Blue"], [TOP, "Novelty", "X", "Hats"]] for n in range(2)
    }
    found |= {"c": [["Sports", "Running"]], "d": [], "e": [[TOP]]}

    def labels(least):
        table = category_labels(found, least)
        return {item: set(of["label"]) for item, of in table.groupby("item")}

    by_hand = {"a0": {"Men", "Men > Shoes"}, "b0": {"Men", "Men > Shoes", "Men > Shoes > Sandals", "Novelty"}}
    assert {item: labels(1)[item] for item in by_hand} == by_hand
    assert labels(2)["b1"] == {"Men", "Men > Shoes"}, "two sandals are too few, and so is novelty"
    assert labels(4)["b1"] == {"Men", "Men > Shoes"}
    assert labels(5) == {}
    assert set(labels(1)) == {"a0", "a1", "a2", "b0", "b1"}
    assert category_labels({}).empty


REVIEW = '{"reviewerID": "A1", "asin": "B000000001", "unixReviewTime": 5}'


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            [REVIEW, "{'reviewerID': 'A1', 'asin'"],
            r"r\.json\.gz, line 2: no JSON object and no Python dictionary",
        ),
        ([REVIEW, "", "__import__('os').getcwd()"], "line 3: no JSON object and no Python dictionary"),
        ([REVIEW, "[1, 2]"], "line 2: no JSON object"),
        ([REVIEW, REVIEW.replace('"asin"', '"isbn"')], "line 2: no review, which has reviewerID, asin and"),
        ([REVIEW, REVIEW.replace("5}", '"May"}')], "line 2: no review"),
        ([REVIEW, REVIEW.replace("5}", "-5}")], "line 2: no review"),
        ([REVIEW, REVIEW.replace("5}", "9000000000000}")], "line 2: no review"),
        ([REVIEW, REVIEW.replace('"A1"', "1")], "line 2: no review"),
        ([], "the file is empty"),
    ],
)
def test_a_wrong_review_is_named(tmp_path, lines, expected):
    write(tmp_path / "r.json.gz", lines)
    with pytest.raises(BadInput, match=expected):
        load("amazon", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["reviews_Clothing_5.json.gz", "meta_Clothing.json.gz"])
def test_a_file_that_is_cut_off_is_named(tmp_path, name):
    file = amazon_2014(tmp_path) / name
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(BadInput, match=rf"{name}, after line \d+: cut off or damaged"):
        load("amazon", data_dir=tmp_path)
    file.write_bytes(b"this is no gzip file")
    with pytest.raises(BadInput, match=rf"{name}, after line 0: cut off or damaged"):
        load("amazon", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["A1,B000000001,5.0,7", "A1,B000000002,5.0"], r"r\.csv: no table of .* Row #2: Expected 4 columns"),
        (["A1,B000000001,5.0,May"], "Row #1: .*May"),
        (["A1,B000000001,5.0,3", "A1,B000000001,5.0,-3"], "record 2 lacks"),
        ([], "no table of user, item, rating, time: Empty"),
    ],
)
def test_wrong_ratings_are_named(tmp_path, lines, expected):
    write(tmp_path / "r.csv", lines)
    with pytest.raises(BadInput, match=expected):
        load("amazon", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("product", "expected"),
    [
        ("{'asin': 'B000000001', 'title': 7}", "line 1: no product"),
        ("{'asin': 'B000000001', 'title': 'x', 'categories': 'y'}", "line 1: no product"),
        ("{'asin': 'B000000001', 'title': open('x')}", "line 1: no JSON object and no Python dictionary"),
        ("{'asin': 'B000000001', 'title': 'x'", "line 1: no JSON object"),
    ],
)
def test_a_wrong_product_is_named(tmp_path, product, expected):
    write(tmp_path / "r.json.gz", [REVIEW])
    write(tmp_path / "meta_r.json.gz", [product])
    with pytest.raises(BadInput, match=expected):
        load("amazon", data_dir=tmp_path)


def test_one_category_at_a_time(tmp_path):
    write(tmp_path / "a.json.gz", [REVIEW])
    write(tmp_path / "b.json.gz", [REVIEW])
    with pytest.raises(BadInput, match=r"a.json.gz, b.json.gz lie here"):
        load("amazon", data_dir=tmp_path)
