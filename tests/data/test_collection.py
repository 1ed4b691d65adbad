"""The shape that all datasets share: checked at the border, saved and read without loss."""

import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.data import BadInput, Collection, load
from helpers.data.collection import TIME, empty_table
from helpers.data.images import ArrayImages, FileImages, open_images
from helpers.files import replacing


@pytest.fixture
def collection(tmp_path):
    pictures = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)
    np.save(tmp_path / "pictures.npy", pictures)
    items = pd.DataFrame({
        "item": np.arange(3, dtype=np.int32), "owner": np.array([0, 1, -1], np.int32),
        "uploaded_at": pd.Series(["2020-01-01", None, "2020-01-03"], dtype=TIME),
        "path": ["a.jpg", "b.jpg", "c.jpg"], "title": ["A", None, "C"], "original_id": ["7", "9", "11"],
    })  # fmt: skip
    users = pd.DataFrame({
        "user": np.arange(2, dtype=np.int32), "age": np.array([30, np.nan], np.float32),
        "gender": pd.array(["female", None], dtype="str"), "country": pd.array([None, "FR"], dtype="str"),
        "lat": np.array([1, np.nan], np.float32), "lon": np.array([2, np.nan], np.float32),
        "occupation": pd.array([None, "cook"], dtype="str"),
        "original_id": pd.array(["u1", "u2"], dtype="str"),
    })  # fmt: skip
    views = pd.DataFrame({
        "user": np.array([0, 1], np.int32), "item": np.array([2, 0], np.int32),
        "at": pd.Series([None, "2020-02-02"], dtype=TIME),
    })  # fmt: skip
    return Collection(
        "toy", False, items, users, views, empty_table("tags"), empty_table("labels"),
        ArrayImages(tmp_path / "pictures.npy"), {}, {"tags": "has no tags"},
    )  # fmt: skip


def test_saved_and_read_without_loss(collection, tmp_path):
    collection.save(tmp_path / "saved")
    again = Collection.read(tmp_path / "saved")
    for table in ("items", "users", "views", "tags", "labels"):
        pd.testing.assert_frame_equal(getattr(again, table), getattr(collection, table))
    assert np.array_equal(again.images[:], collection.images[:])
    assert again.missing == collection.missing
    assert not again.has("tags")
    assert again.missing["tags"] == "has no tags"
    assert not list(tmp_path.glob(".saved*")), "nothing temporary is left"


def test_saving_replaces_an_older_collection_as_a_whole(collection, tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "left over.txt").write_text("old")
    collection.save(tmp_path / "saved")
    assert not (tmp_path / "saved" / "left over.txt").exists()


def test_nothing_half_written_when_saving_fails(collection, tmp_path):
    broken = replace(collection, truth={"x": "no frame"})
    with pytest.raises(AttributeError):
        broken.save(tmp_path / "saved")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pictures.npy"]


def test_reading_what_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="no collection here"):
        Collection.read(tmp_path)


@pytest.mark.parametrize("can_link", [True, False])
def test_a_saved_collection_can_be_moved_and_needs_no_cache(collection, tmp_path, monkeypatch, can_link):
    if not can_link:
        monkeypatch.setattr("os.link", lambda *_: (_ for _ in ()).throw(OSError("not on this file system")))
    pixels = collection.images[:]
    collection.save(tmp_path / "a" / "saved")
    assert ((tmp_path / "a/saved/pictures.npy").stat().st_nlink > 1) == can_link
    (tmp_path / "pictures.npy").unlink()
    (tmp_path / "a").rename(tmp_path / "b")
    assert str(tmp_path) not in (tmp_path / "b/saved/collection.json").read_text()
    again = Collection.read(tmp_path / "b" / "saved")
    assert np.array_equal(again.images[:], pixels)
    again.save(tmp_path / "b" / "saved")
    assert np.array_equal(Collection.read(tmp_path / "b" / "saved").images[:], pixels)
    (tmp_path / "b" / "saved" / "pictures.npy").unlink()
    with pytest.raises(BadInput, match=r"pictures\.npy: the images are gone; run notebook 00 again"):
        Collection.read(tmp_path / "b" / "saved")


def test_pictures_on_the_fly_are_found_by_a_relative_path(collection, folder, tmp_path):
    names = ["0.png", "1.png", "2.png"]
    replace(collection, images=FileImages(folder, names, 8)).save(tmp_path / "out" / "saved")
    assert str(tmp_path) not in (tmp_path / "out/saved/collection.json").read_text()
    assert np.array_equal(Collection.read(tmp_path / "out/saved").images[:], FileImages(folder, names, 8)[:])
    (folder / "1.png").unlink()
    with pytest.raises(
        BadInput, match=r"1 of 3 pictures are gone, the first is 1\.png; put them there, or run"
    ):
        Collection.read(tmp_path / "out" / "saved")
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(
        BadInput, match=r"its pictures lie in .*pictures, which is gone; put it there, or run"
    ):
        Collection.read(tmp_path / "out" / "saved")


def test_what_is_absent_is_told_whatever_the_loader_says(collection):
    assert collection.missing == {
        "tags": "has no tags", "tag_times": "has no tags", "labels": "has no labels",
    }  # fmt: skip
    nobody = collection.users.assign(age=np.float32(np.nan), gender=None, lat=np.float32(np.nan))
    nobody = nobody.assign(country=None, lon=np.float32(np.nan), occupation=None).astype(
        collection.users.dtypes
    )
    less = replace(collection, users=nobody, views=empty_table("views"), missing={"views": "has no views"})
    assert less.missing["views"] == less.missing["view_times"] == "has no views"
    assert not less.has("attributes")
    assert not less.has("places")
    assert less.has("owners")
    assert not replace(collection, items=collection.items.assign(owner=np.int32(-1))).has("owners")


def test_parts_can_be_taken_away(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    whole = load("emojigram", posts=60, users=20, views_per_user=5.0, image_size=16, contents=4)
    less = whole.without(["views", "times", "attributes", "owners", "titles"])
    assert less.views.empty
    assert less.tags["at"].isna().all()
    assert less.items["uploaded_at"].isna().all()
    assert (less.items["owner"] == -1).all()
    assert less.items["title"].isna().all()
    assert less.users[["age", "gender", "country", "lat", "lon", "occupation"]].isna().all(axis=None)
    assert less.missing["views"] == "was loaded without its views"
    assert less.missing["tag_times"] == "was loaded without its times"
    assert less.missing["places"] == "was loaded without its attributes"
    assert "posts" not in less.truth
    assert "generation" not in less.truth["people"]
    assert less.has("tags")
    assert not whole.missing
    assert "generation" in whole.truth["people"]
    bare = whole.without(["tags", "labels"])
    assert set(bare.missing) == {"tags", "tag_times", "labels"}
    assert bare.tags["tag"].dtype == "category"
    assert not {"senses", "tag_kinds", "content_taste"} & set(bare.truth)
    bare.save(tmp_path / "saved")
    assert Collection.read(tmp_path / "saved").missing == bare.missing
    with pytest.raises(BadInput, match="without: no part tagz; choose from views, tags, times"):
        whole.without(["tagz"])


@pytest.mark.parametrize("name", ["tags", "labels"])
def test_an_empty_table_stays_categorical_on_disk(tmp_path, name):
    empty_table(name).to_parquet(tmp_path / "x.parquet", index=False)
    again = pd.read_parquet(tmp_path / "x.parquet")
    assert again.dtypes.astype(str).tolist() == empty_table(name).dtypes.astype(str).tolist()


@pytest.mark.parametrize(
    ("table", "column", "value", "expected"),
    [
        ("views", "item", [2, -1], r"table views, column item: row 1: .*-1"),
        ("views", "item", [2, 3], r"views.item is 3 at row 1, but there are only 3 items"),
        ("views", "user", [0, 2], r"views.user is 2 at row 1, but there are only 2 users"),
        ("users", "age", [30, 200], r"table users, column age: row 1: .*200"),
        ("users", "gender", ["female", "x"], r"table users, column gender: row 1: 'x'"),
        ("items", "original_id", ["7", "7", "8"], r"table items, column original_id"),
        ("items", "item", [0, 2, 1], r"items.item must be 0, 1, 2"),
    ],
)
def test_a_bad_row_is_named(collection, table, column, value, expected):
    frame = getattr(collection, table)
    bad = frame.assign(**{column: pd.Series(value, dtype=frame[column].dtype)})
    with pytest.raises(BadInput, match=expected) as caught:
        replace(collection, **{table: bad})
    assert "\n" not in str(caught.value)


def test_a_wrong_type_or_column_is_named(collection):
    with pytest.raises(BadInput, match="column item"):
        replace(collection, views=collection.views.astype({"item": "int64"}))
    with pytest.raises(BadInput, match="views"):
        replace(collection, views=collection.views.drop(columns="at"))


def test_one_image_per_item(collection, tmp_path):
    np.save(tmp_path / "two.npy", np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(BadInput, match="2 images for 3 items"):
        replace(collection, images=ArrayImages(tmp_path / "two.npy"))


def test_an_array_of_another_shape_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8), np.float32))
    with pytest.raises(BadInput, match="expected uint8"):
        ArrayImages(tmp_path / "x.npy")


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "pictures"
    inside.mkdir()
    rng = np.random.default_rng(0)
    for k, shape in enumerate([(20, 30, 3), (40, 16, 3), (16, 16, 3)]):
        Image.fromarray(rng.integers(0, 255, shape).astype(np.uint8)).save(inside / f"{k}.png")
    return inside


def test_files_and_tar_give_the_same_squares(folder, tmp_path):
    with tarfile.open(tmp_path / "p.tar", "w") as tar:
        for k in range(3):
            tar.add(folder / f"{k}.png", f"./{k}.png")
    names = [f"{k}.png" for k in range(3)]
    loose, packed = FileImages(folder, names, 16), FileImages(tmp_path / "p.tar", names, 16)
    assert loose[np.array([2, 0])].shape == (2, 16, 16, 3)
    assert np.array_equal(loose[:], packed[:])
    assert np.array_equal(loose[2], np.asarray(Image.open(folder / "2.png"))), "16 x 16 is kept as it is"
    assert np.array_equal(open_images(packed.save(tmp_path), tmp_path)[1], packed[1])


def test_a_corrupt_or_missing_picture_is_named(folder):
    (folder / "1.png").write_bytes(b"not a picture")
    with pytest.raises(BadInput, match=r"1\.png is not a readable picture"):
        FileImages(folder, ["0.png", "1.png"], 16)[:]
    cut = (folder / "2.png").read_bytes()[:200]
    (folder / "2.png").write_bytes(cut)
    with pytest.raises(BadInput, match=r"2\.png is not a readable picture"):
        FileImages(folder, ["2.png"], 16)[0]
    with pytest.raises(BadInput, match=r"2 pictures are not readable: 1\.png \(of no known.*\), 2\.png \("):
        FileImages(folder, ["0.png", "1.png", "2.png"], 16)[:]
    with pytest.raises(BadInput, match=r"no picture named 5\.png"):
        FileImages(folder, ["5.png"], 16)[0]
    with pytest.raises(BadInput, match="expected a folder or a tar"):
        FileImages(folder / "nowhere", ["5.png"], 16)


def test_replacing_leaves_the_old_file_when_the_block_fails(tmp_path):
    target = tmp_path / "x.txt"
    target.write_text("old")

    def fail():
        with replacing(target) as new:
            new.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_an_unknown_dataset_or_option_is_refused():
    with pytest.raises(BadInput, match="choose one of emojigram, openmoji, movielens"):
        load("emojigramm")
    with pytest.raises(BadInput, match=r"openmoji: .*'posts'; options are size, include"):
        load("openmoji", posts=3)


@pytest.mark.parametrize("text", ["a\0b", "x" * 5000])
def test_an_impossible_path_is_named(text):
    with pytest.raises(BadInput, match=r"data_dir: .* cannot be used as a path") as caught:
        load("movielens", data_dir=text)
    assert len(str(caught.value)) < 300
    with pytest.raises(BadInput, match=r"posters: .* cannot be used as a path"):
        load("movielens", data_dir=Path(__file__).parent / "fixtures" / "ml-latest", posters=text)
