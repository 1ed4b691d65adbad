"""Pinterest's published lists, tiny and invented, each in its exact layout."""

import gzip
import sys

import pytest
from PIL import Image

from helpers.data import BadInput, load


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path / "outputs"))


def pictures(folder, *names):
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        Image.new("RGB", (20, 30), (40 * k, 0, 0)).save(folder / "images" / name)


def zhong(folder):
    pictures(folder, "17.jpg", "3.jpg", "4.png")
    with gzip.open(folder / "repins.csv.gz", "wt") as stream:
        stream.write("10|17|2|70\n11|17|31|80\n10|3|31|71\n12|999|2|90\n12|17|31|91\n")
    (folder / "category_id.txt").write_text("art|2\nhealth_fitness|13\nwomens_fashion|31\n")


def he(folder):
    pictures(folder, "0.jpg", "1.jpg", "2.jpg")
    (folder / "pinterest-20.train.rating").write_text("0\t0\t1\t0\n0\t1\t1\t0\n1\t1\t1\t0\n1\t5\t1\t0\n")
    (folder / "pinterest-20.test.rating").write_text("0\t2\t1\t0\n1\t2\t1\t1400000000\n")
    (folder / "pinterest-20.test.negative").write_text("(0,2)\t5\t7\n(1,2)\t0\t9\n")


BOARDS = [
    {"board_id": "5", "board_url": "/ann/food/", "pins": ["101", "102", "103"]},
    {"board_id": "6", "board_url": "/ann/art/", "pins": ["103", "104", "777"]},
]
PINS = [
    {"pin_id": "101", "im_name": "aa.jpg", "im_url": "http://media.example/aa.jpg"},
    {"pin_id": "102", "im_name": "aa.jpg", "im_url": "http://media.example/aa.jpg"},
    {"pin_id": "103", "im_name": "bb.jpg", "im_url": "http://media.example/bb.jpg"},
    {"pin_id": "104", "im_name": "cc.jpg", "im_url": "http://media.example/cc.jpg"},
]
CATEGORIES = [
    {"board_id": "5", "board_url": "/ann/food/", "cate_id": "3"},
    {"board_id": "6", "board_url": "/ann/art/", "cate_id": "1"},
]


def documents(file, rows):
    bson = pytest.importorskip("bson", reason="pymongo is not installed")
    file.write_bytes(b"".join(bson.encode({"_id": bson.ObjectId(), **row}) for row in rows))


def geng(folder):
    pictures(folder, "aa.jpg", "103.jpg", "zz.jpg")
    documents(folder / "subset_iccv_board_pins.bson", BOARDS)
    documents(folder / "subset_iccv_pin_im.bson", PINS)
    documents(folder / "subset_iccv_board_cate.bson", CATEGORIES)
    (folder / "categories.txt").write_text("Art\nSports\nFood\n")


def read(folder):
    return load("pinterest", data_dir=str(folder), size=8)


def views(collection) -> list[tuple[str, str]]:
    item = collection.items["original_id"].to_numpy()[collection.views["item"]]
    user = collection.users["original_id"].to_numpy()[collection.views["user"]]
    return sorted(zip(user, item, strict=True))


def labels(collection) -> list[tuple[str, str]]:
    assert set(collection.labels["kind"]) == {"category"}
    item = collection.items["original_id"].to_numpy()[collection.labels["item"]]
    return sorted(zip(item, collection.labels["label"], strict=True))


def test_repins_and_the_category_of_the_first(tmp_path):
    zhong(tmp_path / "pinterest")
    collection = read(tmp_path)
    assert collection.items["path"].tolist() == ["3.jpg", "17.jpg"], "4.png is nobody's, 999 has no picture"
    assert views(collection) == [("10", "17"), ("10", "3"), ("11", "17"), ("12", "17")]
    assert labels(collection) == [("17", "art"), ("3", "womens_fashion")]
    assert not collection.has("view_times")
    assert not collection.has("owners")
    assert "1 views of such items" in collection.missing["left_out"]


def test_numbered_pins_for_training_and_testing(tmp_path):
    he(tmp_path)
    collection = read(tmp_path)
    assert views(collection) == [("0", "0"), ("0", "1"), ("0", "2"), ("1", "1"), ("1", "2")]
    known = collection.views["at"].dropna()
    assert known.tolist() == [known.iloc[0]]
    assert known.iloc[0].isoformat() == "2014-05-13T16:53:20"
    assert not collection.has("labels")


def test_boards_and_the_images_of_their_pins(tmp_path):
    geng(tmp_path)
    collection = read(tmp_path)
    assert collection.items["path"].tolist() == ["aa.jpg", "103.jpg"]
    assert collection.items["original_id"].tolist() == ["aa.jpg", "bb.jpg"]
    assert views(collection) == [("5", "aa.jpg"), ("5", "aa.jpg"), ("5", "bb.jpg"), ("6", "bb.jpg")]
    assert labels(collection) == [("aa.jpg", "Food"), ("bb.jpg", "Art"), ("bb.jpg", "Food")]


@pytest.mark.parametrize(("write", "items"), [(zhong, 3), (he, 4), (geng, 3)])
def test_without_pictures_every_item_is_grey(tmp_path, write, items):
    write(tmp_path)
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    collection = read(tmp_path)
    assert len(collection.items) == items
    assert (collection.images[:] == 128).all()
    assert collection.missing["images"] == "was loaded without pictures: every one is a grey square"


def text(name, content):
    return lambda folder: (folder / name).write_text(content)


WRONG = {
    "a letter": (zhong, text("repins.csv", "1|2|2|3\n4|x|2|5\n"), r"repins.csv, line 2: item is 'x', exp"),
    "three values": (zhong, text("repins.csv", "1|2|2\n"), r"repins.csv, line 1: expected 4 .* found 3"),
    "an unknown category": (zhong, text("repins.csv", "1|2|2|3\n4|5|7|5\n"), r"record 2: category 7 is"),
    "no names": (zhong, lambda f: (f / "category_id.txt").unlink(), r"category_id.txt is missing; found"),
    "half a .gz": (zhong, lambda f: halve(f / "repins.csv.gz"), r"repins.csv.gz: cannot be read"),
    "a rating of 9": (he, text("pinterest-20.test.rating", "0\t1\t9\t0\n"), r"line 1: rating is '9'"),
    "no test list": (he, lambda f: (f / "pinterest-20.test.rating").unlink(), r"test.rating is missing"),
    "half a .bson": (geng, lambda f: halve(f / "subset_iccv_pin_im.bson"), r"pin_im.bson, document 2"),
    "no im_name": (
        geng, lambda f: documents(f / "subset_iccv_pin_im.bson", [PINS[0], {"pin_id": "1"}]),
        r"pin_im.bson, document 2: KeyError\('im_name'\); expected pin_id, im_name",
    ),
    "no images": (geng, lambda f: (f / "subset_iccv_pin_im.bson").unlink(), r"pin_im.bson, document 0: "),
    "a category too many": (geng, text("categories.txt", "Art\n"), r"cate_id 3 is no line of categories"),
    "another list": (lambda f: f.mkdir(exist_ok=True), text("pins.txt", "1"), r"none of repins.csv, .* here"),
}  # fmt: skip


def halve(file):
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 5 // 8])


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path, case):
    write, damage, message = WRONG[case]
    write(tmp_path)
    damage(tmp_path)
    with pytest.raises(BadInput, match=message):
        read(tmp_path)


def test_bson_needs_pymongo(tmp_path, monkeypatch):
    geng(tmp_path)
    monkeypatch.setitem(sys.modules, "bson", None)
    with pytest.raises(BadInput, match=r"needs pymongo, which reads BSON; pip install pymongo"):
        read(tmp_path)
