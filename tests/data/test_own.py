"""Anybody's folder: odd but good files are read, bad ones are named with file and line."""

import gzip
import hashlib
import json
import tarfile
import time
import unicodedata

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.data import BadInput, Collection, load
from helpers.data.collection import TABLES

PICTURES = ("a.jpg", "beach/007.png", "beach/ü b.png", "x/1.png", "y/1.png")
FILES = {
    "views": "user,item,time\nann,a,2024-05-01\nbob,a.jpg,\n007,007,2024-05-02\n",
    "tags": "item,tag,user\nbeach/007.png,sea,ann\nü b,sand,zoë z\n",
    "labels": "label,item\nblue,a\n",
    "users": "user,age,gender,country,lat,lon,occupation\nann,30,F,FR,48.8,2.3,cook\nbob,,,,,,\n",
    "items": "id,path,title,owner,time\n5,x/1,Five,ann,2020-01-01\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with five pictures, each of one shade."""
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path / "outputs"))
    for n, name in enumerate(PICTURES):
        file = tmp_path / "own" / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 9), (40 * n,) * 3).save(file)
    return tmp_path / "own"


def write(folder, **files):
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.csv").write_bytes(data)


def own(folder, **options) -> Collection:
    return load("own", data_dir=folder, size=8, **options)


def rows(made: Collection, table: str) -> list[tuple]:
    """Rows of a table in original ids, without times."""
    frame = getattr(made, table).drop(columns=["at", "kind"], errors="ignore")
    for column, of in (("user", made.users), ("item", made.items)):
        if column in frame:
            frame[column] = of["original_id"].to_numpy()[frame[column]]
    return list(frame.astype(str).itertuples(index=False, name=None))


def test_pictures_alone_are_a_collection(folder):
    made = own(folder)
    assert made.items["original_id"].tolist() == sorted(PICTURES)
    assert {"views", "tags", "labels", "owners", "titles", "uploads", "attributes"} <= made.missing.keys()
    assert made.images[:].shape == (5, 8, 8, 3)


def test_everything_at_once(folder):
    write(folder, **FILES)
    made = own(folder)
    assert made.items["original_id"].tolist() == ["5", "a.jpg", "beach/007.png", "beach/ü b.png", "y/1.png"]
    assert made.items["path"].tolist()[0] == "x/1.png"
    assert made.items["title"].tolist()[0] == "Five"
    assert made.users["original_id"].tolist() == ["007", "ann", "bob", "zoë z"]
    assert made.items["owner"].tolist() == [1, -1, -1, -1, -1]
    assert rows(made, "views") == [("ann", "a.jpg"), ("bob", "a.jpg"), ("007", "beach/007.png")]
    assert made.views["at"].isna().tolist() == [False, True, False]
    assert made.views["at"][2] == pd.Timestamp("2024-05-02")
    assert rows(made, "tags") == [("ann", "beach/007.png", "sea"), ("zoë z", "beach/ü b.png", "sand")]
    assert rows(made, "labels") == [("a.jpg", "blue")]
    ann = made.users.iloc[1]
    assert (ann["age"], ann["gender"], ann["country"], ann["occupation"]) == (30, "female", "FR", "cook")
    assert np.isclose([ann["lat"], ann["lon"]], [48.8, 2.3]).all()
    assert made.users.iloc[2][["age", "gender", "country", "lat", "lon", "occupation"]].isna().all()
    assert "ignored" not in made.missing
    made.save(folder.parent / "saved")
    again = Collection.read(folder.parent / "saved")
    assert again.source == made.source
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(again, table), getattr(made, table))


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + FILES["views"],
        FILES["views"].replace("\n", "\r\n"),
        FILES["views"].rstrip("\n") + "\n\n\n",
        "Time, Item ,USER\n2024-05-01,a,ann\n,images/a.jpg,bob\n2024-05-02,beach\\007.png, 007 \n",
        'time,item,user\n"2024-05-01","a","ann"\n"",./a,"bob"\n2024-05-02 00:00:00Z,007,"007"\n',
        "timestamp,item,user\n1714521600,a,ann\n,a,bob\n1714608000,007,007\n",
        "timestamp,item,user\n1714521600.0,a,ann\n,a,bob\n1.7146080e9,007,007\n",
        "date,item,user\n2024-05-01T02:00+02:00,a,ann\n,a,bob\n1714608000,007,007\n",
    ],
)
def test_odd_but_good_files_say_the_same(folder, content):
    write(folder, views=FILES["views"])
    made = own(folder)
    write(folder, views=content)
    pd.testing.assert_frame_equal(own(folder).views, made.views)
    assert "ignored" not in own(folder).missing


def test_compressed_files_and_a_tar_say_the_same(folder):
    write(folder, **FILES)
    made = own(folder)
    for name, content in FILES.items():
        (folder / f"{name}.csv").unlink()
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(content.encode()))
    with tarfile.open(folder / "images.tar", "w") as tar:
        tar.add(folder / "images", arcname="images")
    (folder / "images").rename(folder / "elsewhere")
    again = own(folder)
    assert np.array_equal(again.images[:], own(folder, on_the_fly=True).images[:])
    assert again.items["original_id"].tolist()[:2] == ["5", "images/a.jpg"]
    assert rows(again, "labels") == [("images/a.jpg", "blue")]
    assert len(again.views) == len(made.views)
    (folder / "views.csv.gz").write_bytes((folder / "views.csv.gz").read_bytes()[:30])
    with pytest.raises(BadInput, match=r"views\.csv\.gz: cannot be read"):
        own(folder)


def test_a_decomposed_file_name_is_the_same_name(folder):
    name = unicodedata.normalize("NFD", "é.png")
    Image.new("RGB", (9, 9)).save(folder / "images" / name)
    write(folder, views="user,item\nann,é\n")
    assert rows(own(folder), "views") == [("ann", name)]


def test_what_is_left_out_is_told(folder):
    views = "user,item,mood,\nann,a,good,1\nbob,nothing,bad,2\n"
    write(folder, views=views, items="item,title\na,A\ngone,G\n", veiws="x\n1\n")
    made = own(folder)
    assert made.missing["left_out"] == "was loaded without 1 items without a picture, 1 views of such items"
    told = "the column mood of views.csv, the column (no name) of views.csv, the file veiws.csv"
    assert made.missing["ignored"] == f"was loaded without {told}"
    assert made.items["original_id"].tolist()[0] == "a"
    assert made.users["original_id"].tolist() == ["ann"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"views": "users,item\nann,a\n"}, r"views\.csv, line 1: expected one column user or id, .*users"),
        ({"views": "user,item,user\nann,a,x\n"}, r"views\.csv, line 1: expected one column user"),
        ({"views": "ann,a\nbob,a\n"}, r"views\.csv, line 1: expected one column user or id, found 'ann, a'"),
        ({"views": "user;item\nann;a\n"}, r"views\.csv, line 1: .*found 'user;item'"),
        ({"views": "user,item\n,a\n"}, r"views\.csv, line 2: user is '', expected some text; correct"),
        ({"views": "user,item\nann,a\nann, \n"}, r"views\.csv, line 3: item is '', expected some text"),
        ({"views": "user,item\nann,a,b\n"}, r"views\.csv, line 2: expected 2 values separated by"),
        ({"views": "user,item\nann,a\n\nann\n"}, r"views\.csv, line 4: expected 2 values"),
        ({"views": ""}, r"views\.csv: the file is empty"),
        ({"views": "user,item\n"}, r"views\.csv: the file holds no rows"),
        ({"views": "user,item\nann,q\nann,r\n"}, r"views\.csv: no row is about a picture: .*'q', .*'a.jpg'"),
        ({"views": "user,item\nann,a\nann,1\n"}, r"views\.csv, record 2: '1' fits several pictures"),
        ({"views": "user,item,time\nann,a,1.5.2024\n"}, r"views\.csv, line 2: time is '1.5.2024', expected"),
        ({"views": "user,item,time\nann,a,20240501\n"}, r"line 2: time is '20240501', .*, or nothing; corr"),
        ({"views": "user,item,time\nann,a,1714521600000\n"}, r"line 2: time is '1714521600000'"),
        ({"views": "user,item,time\nann,a,nan\n"}, r"line 2: time is 'nan'"),
        ({"tags": "user,item,tag\nann,a,\n"}, r"tags\.csv, line 2: tag is ''"),
        ({"tags": "user,item\nann,a\n"}, r"tags\.csv, line 1: expected one column tag, found"),
        ({"labels": "item,label\na,\n"}, r"labels\.csv, line 2: label is ''"),
        ({"users": "user,age\nann,old\n"}, r"users\.csv, line 2: age is 'old', expected an age in years"),
        ({"users": "user,age\nann,3\nbob,-1\n"}, r"users\.csv, line 3: age is '-1'"),
        ({"users": "user,lat\nann,91\n"}, r"users\.csv, line 2: lat is '91', expected degrees from -90"),
        ({"users": "user,lon\nann,nan\n"}, r"users\.csv, line 2: lon is 'nan'"),
        ({"users": "user,gender\nann,f\nbob,x\n"}, r"users\.csv, record 2: gender is 'x'; expected f, m"),
        ({"users": "user\nann\nann\n"}, r"users\.csv: user ann is listed twice, .* record 2"),
        ({"items": "item\na\nb\na\n"}, r"items\.csv: item a is listed twice, .* record 3"),
        ({"items": "item,path\np,a\nq,a.jpg\n"}, r"items\.csv, record 2: a\.jpg is the picture of record 1"),
        ({"items": "item,path\np,1\n"}, r"items\.csv, record 1: '1' fits several pictures"),
        ({"items": "item,path\na.jpg,x/1\n"}, r"own: items: id 'a\.jpg' is in row 0 and in row"),
        ({"views": "user,item\nj\xfc,a\n".encode("latin-1")}, r"views\.csv, line 2: not utf-8 text"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(folder, files, message):
    write(folder, **files)
    with pytest.raises(BadInput, match=message) as caught:
        own(folder)
    assert "\n" not in str(caught.value)


def test_places_without_pictures(folder):
    with pytest.raises(BadInput, match="no such folder"):
        own(folder / "nowhere")
    (folder / "images.tar").write_bytes(b"")
    with pytest.raises(
        BadInput, match=r"expected pictures in the folder images or in images\.tar, found images,"
    ):
        own(folder)
    (folder / "images.tar").unlink()
    (folder / "images").rename(folder / "pictures")
    with pytest.raises(BadInput, match=r"expected pictures .*, found pictures"):
        own(folder)
    (folder / "images").mkdir()
    with pytest.raises(BadInput, match="images: no pictures here"):
        own(folder)


def test_pictures_that_cannot_be_read_and_files_there_twice(folder):
    (folder / "images" / "z.jpg").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"z\.jpg is not a readable picture"):
        own(folder)
    made = own(folder, leave_out_unreadable=True)
    assert len(made.items) == 5
    assert made.missing["unreadable"].endswith("z.jpg")
    write(folder, views=FILES["views"])
    (folder / "views.csv.gz").write_bytes(gzip.compress(b"user,item\nann,a\n"))
    with pytest.raises(BadInput, match=r"views\.csv and views\.csv\.gz are both there"):
        own(folder, leave_out_unreadable=True)


word = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(str.strip)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.lists(st.tuples(word, st.sampled_from(PICTURES), word), min_size=1, max_size=6))
def test_any_text_names_a_user_or_is_a_tag(folder, table):
    pd.DataFrame(table, columns=["user", "item", "tag"]).to_csv(folder / "tags.csv", index=False)
    stripped = {(user.strip(" \t\n\r"), item, tag.strip(" \t\n\r")) for user, item, tag in table}
    plain = {tuple(text.strip() for text in row) for row in rows(own(folder), "tags")}
    assert plain == {tuple(text.strip() for text in row) for row in stripped}


def test_what_was_read_is_described_as_a_data_package(folder):
    write(folder, **FILES)
    before = {f: f.stat().st_mtime_ns for f in folder.rglob("*")}
    own(folder).save(folder.parent / "saved")
    assert {f: f.stat().st_mtime_ns for f in folder.rglob("*")} == before, "the user's folder is left alone"
    package = json.loads((folder.parent / "saved" / "datapackage.json").read_text(encoding="utf-8"))
    # what datapackage.org/profiles/2.0 requires, and the forms of what we give besides
    text, path = (
        {"type": "string"},
        {"type": "string", "pattern": r"^(?=[^./~])(?!file:)((?!/\.\./)(?!\\).)*$"},
    )
    types = ["string", "number", "integer", "boolean", "object", "array", "date", "time", "datetime", "any"]
    field = {"required": ["name"], "properties": {"name": text, "type": {"enum": types}}}
    fields = {"type": "array", "minItems": 1, "items": field}
    paths = {"oneOf": [path, {"type": "array", "minItems": 1, "items": path}]}
    resource = {"type": "object", "required": ["name", "path"], "properties": {
        "name": text, "path": paths, "bytes": {"type": "integer"}, "encoding": text, "format": text,
        "hash": {"type": "string", "pattern": "^[^:]+:[a-fA-F0-9]+$"},
        "schema": {"type": "object", "required": ["fields"], "properties": {"fields": fields}},
    }}  # fmt: skip
    resources = {"type": "array", "minItems": 1, "items": resource}
    jsonschema.validate(package, {"required": ["resources"], "properties": {"resources": resources}})
    described = {r["name"]: r for r in package["resources"]}
    assert described.keys() == {*FILES, "images"}
    for name, content in FILES.items():
        assert described[name]["hash"] == f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
        assert described[name]["bytes"] == len(content.encode())
        assert described[name]["rows"] == content.count("\n") - 1
        header = [f["name"] for f in described[name]["schema"]["fields"]]
        assert header == content.splitlines()[0].split(",")
    assert described["users"]["schema"]["fields"][1] == {"name": "age", "type": "number"}
    assert described["images"]["path"] == [f"images/{name}" for name in sorted(PICTURES)]


def test_two_million_views_are_read_in_a_moment(folder):
    n = 2_000_000
    rng = np.random.default_rng(0)
    some = np.array([f"user {u}" for u in range(5000)])[rng.integers(0, 5000, n)]
    item = np.array(PICTURES)[rng.integers(0, 5, n)]
    seconds = rng.integers(1_600_000_000, 1_700_000_000, n)
    pd.DataFrame({"user": some, "item": item, "time": seconds}).to_csv(folder / "views.csv", index=False)
    start = time.perf_counter()
    made = own(folder)
    assert time.perf_counter() - start < 10, "about 0.5 s where nothing else runs"
    assert len(made.views) == n
    at = made.views["at"].to_numpy().astype("datetime64[s]").astype(np.int64)
    assert np.array_equal(at, seconds)
    assert (made.users["original_id"].to_numpy()[made.views["user"]] == some).all()
