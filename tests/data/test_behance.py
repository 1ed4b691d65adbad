"""Behance's release, tiny and invented, in the layout of its files; every mistake names its place."""

import gzip

import numpy as np
import pytest
from shops import START, behance, crowd, pictures, project, vectors, write

from helpers.data import BadInput, Collection, load
from helpers.data.visual import VisualFeatures


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path / "outputs"))


@pytest.fixture
def folder(tmp_path):
    return behance(tmp_path / "data" / "behance")


def names(collection, table, column="item") -> list[str]:
    of = collection.items if column == "item" else collection.users
    return of["original_id"].to_numpy()[getattr(collection, table)[column]].tolist()


def test_appreciates_are_views_and_features_take_the_place_of_pictures(folder):
    made = load("behance", data_dir=folder.parent)
    events = [(u, i, at) for u, i, at in crowd(40, 60) if i]
    assert names(made, "views") == [project(i) for _, i, _ in events]
    assert names(made, "views", "user") == [str(200 + u) for u, _, _ in events]
    assert (made.views["at"].astype("int64") // 10**9).tolist() == [at for *_, at in events]
    assert made.items["original_id"].tolist() == [project(i) for i in range(1, 60)]
    assert made.missing["left_out"].startswith("was loaded without 1 items without a feature vector")
    stored = vectors(folder / "again.b", [project(i) for i in range(1, 60)])
    np.testing.assert_array_equal(made.features, stored)
    owners = made.items["owner"]
    assert made.users["original_id"].iloc[owners.iloc[0]] == "201", "of two owners the first"
    assert owners.iloc[1] == -1
    assert not any(map(made.has, ("images", "tags", "labels", "titles", "uploads", "attributes")))
    assert all(map(made.has, ("features", "views", "view_times", "owners")))


def test_features_are_saved_and_read(folder, tmp_path):
    made = load("behance", data_dir=folder)
    made.save(tmp_path / "saved")
    again = Collection.read(tmp_path / "saved")
    np.testing.assert_array_equal(again.features, made.features)
    assert isinstance(again.features, np.memmap), "read from disk when it is needed"
    assert again.missing == made.missing
    assert (again.images[np.array([0, 3])] == 128).all()
    assert again.images[2].shape == (64, 64, 3)


def test_pictures_come_before_features(folder):
    pictures(folder / "images", [project(i) for i in (0, 1, 5)])
    made = load("behance", data_dir=folder, size=16)
    assert made.items["original_id"].tolist() == [project(i) for i in (0, 1, 5)]
    assert made.features is None
    assert made.has("images")


def test_unpacked_files_without_owners(folder):
    packed = folder / "Behance_appreciate_1M.gz"
    (folder / "Behance_appreciate_1M").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    (folder / "Behance_Item_to_Owners.gz").unlink()
    made = load("behance", data_dir=folder)
    assert len(made.views) == sum(i > 0 for _, i, _ in crowd(40, 60))
    assert not made.has("owners")


def damaged(folder, name, change):
    file = folder / name
    file.write_bytes(change(file.read_bytes()))


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("Behance_appreciate_1M.gz", lambda b: b[: len(b) // 2], r"1M\.gz: cannot be read .*again"),
        (
            "Behance_appreciate_1M.gz",
            lambda b: gzip.compress(b"1 00001000 5\n2 00001000\n"),
            "1M.gz, line 2: ",
        ),
        ("Behance_appreciate_1M.gz", lambda b: gzip.compress(b"1 00001000 May\n"), "line 1: at is 'May'"),
        ("Behance_appreciate_1M.gz", lambda b: b"", "the file is empty"),
        (
            "Behance_Image_Features.b",
            lambda b: b[:-7],
            r"Features\.b: .* no multiple of .* 16,392 .* 8 letters",
        ),
        ("Behance_Image_Features.b", lambda b: b"", "Features.b: 0 bytes"),
        ("Behance_Image_Features.b", lambda b: b[:16392] + b"\0" * 16392, r"record 2: the id is b''"),
        ("Behance_Image_Features.b", lambda b: b[:16388] + b"\xff" * 4 + b[16392:], "record 1: not finite"),
        ("Behance_Image_Features.b", lambda b: b"00000001" + b[8:16392], "none of its 1 ids"),
    ],
)
def test_what_is_wrong_is_named(folder, name, change, expected):
    damaged(folder, name, change)
    with pytest.raises(BadInput, match=expected):
        load("behance", data_dir=folder)


def test_a_folder_without_the_files(folder, tmp_path):
    with pytest.raises(BadInput, match=r"is no folder"):
        load("behance", data_dir=tmp_path / "nowhere")
    (folder / "Behance_appreciate_1M").touch()
    with pytest.raises(BadInput, match=r"Behance_appreciate_1M, Behance_appreciate_1M\.gz lie here"):
        load("behance", data_dir=folder)
    for file in folder.glob("Behance_appreciate*"):
        file.unlink()
    with pytest.raises(BadInput, match=r"no Behance_appreciate_1M.gz here, only Behance_Image_Features.b"):
        load("behance", data_dir=folder)


def test_only_asked_features_are_copied(folder, tmp_path):
    stored = VisualFeatures(folder / "Behance_Image_Features.b", 8)
    wanted = stored.ids[[7, 3]]
    first = stored.of(wanted)
    assert first.shape == (2, 4096)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first[0], stored.of(stored.ids)[7])
    before = first.filename
    vectors(stored.file, [project(i) for i in range(1, 60)], seed=1)
    again = VisualFeatures(stored.file, 8).of(wanted)
    assert again.filename != before, "a replaced file is read anew"


def test_times_are_those_of_the_file(tmp_path):
    write(
        tmp_path / "Behance_appreciate_1M.gz", [f"1 00000007 {START}", f"1 00000007 {START}", "2 00000007 0"]
    )
    made = load("behance", data_dir=tmp_path)
    assert len(made.views) == 2, "a line that repeats another counts once"
    assert not made.has("features")
