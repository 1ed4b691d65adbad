"""Every layout of MovieLens, tiny and invented, gives the same collection; every mistake names its line."""

import gzip
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import paths
from helpers.data import BadInput, Collection, load
from helpers.data.images import decoded
from helpers.data.movielens import load as load_movielens

FIXTURES = Path(__file__).parent / "fixtures"
RELEASES = ("ml-100k", "ml-1m", "ml-10m", "ml-latest")
# (user, movie, second) of every fixture release
RATED = [(1, 1, 1), (1, 2, 2), (2, 1, 3), (2, 3, 4), (7, 5, 5), (7, 1, 6)]
START = 880_000_000


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))


@pytest.fixture
def posters(tmp_path) -> Path:
    """Posters of movies 1, 2 and 3, each of one colour, upright; and one of an unknown movie."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for movie in (1, 2, 3, 99):
        Image.new("RGB", (20, 30), (movie, 50 * (movie % 5), 200)).save(folder / f"{movie}.png")
    return folder


@pytest.fixture
def release(tmp_path):
    """Copies a fixture release, to be damaged by a test."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(FIXTURES / name, tmp_path / name))

    return copy


def read(folder, posters=None, **options) -> Collection:
    return load_movielens(folder, posters=posters, size=16, without_posters=posters is None, **options)


def events(collection: Collection) -> list[tuple[int, int, int]]:
    """Views in original ids."""
    user = collection.users["original_id"].astype(int).to_numpy()[collection.views["user"]]
    movie = collection.items["original_id"].astype(int).to_numpy()[collection.views["item"]]
    second = collection.views["at"].astype("int64").to_numpy() // 10**9 - START
    return list(zip(user.tolist(), movie.tolist(), second.tolist(), strict=True))


@pytest.mark.parametrize("name", RELEASES)
def test_every_layout_gives_the_same_views_and_titles(name, tmp_path):
    collection = read(FIXTURES / name)
    assert events(collection) == RATED
    assert collection.items["title"].tolist() == [
        "The Paper Lighthouse (1991)", "Café de la Lune, Le (1993)", "Seven: Ways: Home (1994)",
        "Untitled Reel (1995)",
    ]  # fmt: skip
    assert (collection.items["owner"] == -1).all()
    assert collection.items["uploaded_at"].isna().all()
    assert not collection.has("owners")
    assert collection.missing["images"].startswith("was loaded without")


@pytest.mark.parametrize("name", RELEASES)
def test_genres(name, tmp_path):
    labels = read(FIXTURES / name).labels
    assert set(labels["kind"]) == {"genre"}
    found = labels.groupby("item")["label"].agg(lambda x: "|".join(x)).to_dict()
    last = {3: "Drama"} if name == "ml-1m" else {}  # its movies.dat has no word for "no genre"
    assert found == {0: "Drama|Romance", 1: "Comedy", 2: "Adventure|Children's"} | last


@pytest.mark.parametrize("name", ["ml-10m", "ml-latest", "posters-only"])
def test_tags_keep_text_and_time(name, tmp_path):
    collection = read(FIXTURES / name)
    tags = collection.tags
    assert tags["tag"].tolist() == ["sea", "Sea", "road trip, long", 'so-called "art"']
    assert (tags["at"].astype("int64") // 10**9 - START).tolist() == [11, 12, 13, 14]
    assert collection.users["original_id"].to_numpy()[tags["user"]].tolist() == ["1", "2", "2", "9"]
    assert collection.has("views") == (name != "posters-only")
    assert collection.has("tags")


def test_attributes_of_100k_and_1m(tmp_path):
    users = read(FIXTURES / "ml-100k").users
    assert users["age"].tolist() == [34, 19, 61]
    assert users["gender"].tolist() == ["female", "male", "male"]
    users = read(FIXTURES / "ml-1m").users
    assert users["age"].tolist() == [29.5, 15, 60]
    assert users["country"].isna().all()
    assert users["occupation"].tolist() == ["K-12 student", "college/grad student", "retired"]
    assert read(FIXTURES / "ml-100k").has("attributes")
    assert not read(FIXTURES / "ml-10m").has("attributes")


@pytest.fixture
def views_and_tags(tmp_path) -> Path:
    """The people of ml-1m without ratings and times, and tags of the people of ml-latest."""
    folder = tmp_path / "crowd"
    folder.mkdir()
    shutil.copy(FIXTURES / "ml-latest" / "movies.csv", folder)
    (folder / "users.csv").write_text("user,gender,age,occupation\n1,F,25,10\n2,M,1,4\n7,M,56,13\n")
    rows = "".join(f"{user},{movie}\n" for user, movie, _ in RATED)
    (folder / "views.csv.gz").write_bytes(gzip.compress(f"user,movie\n{rows}".encode()))
    tags = (FIXTURES / "ml-latest" / "tags.csv").read_text(encoding="utf-8").splitlines()
    tags[0] = "user,movie,tag,time"
    (folder / "ml-10m-tags.csv.gz").write_bytes(gzip.compress("\n".join(tags).encode()))
    return folder


def test_views_of_1m_beside_tags_of_other_people(views_and_tags):
    collection = read(views_and_tags)
    users = collection.users
    assert users["original_id"].tolist() == [
        "ml-1m/1",
        "ml-1m/2",
        "ml-1m/7",
        "ml-10m/1",
        "ml-10m/2",
        "ml-10m/9",
    ]
    assert users["occupation"].tolist()[:3] == ["K-12 student", "college/grad student", "retired"]
    assert users["age"].isna().tolist() == [False] * 3 + [True] * 3
    seen = collection.views.assign(movie=collection.items["original_id"][collection.views["item"]].to_numpy())
    assert list(zip(seen["user"], seen["movie"].astype(int), strict=True)) == [
        ([1, 2, 7].index(user), movie) for user, movie, _ in RATED
    ]
    assert not collection.has("view_times")
    assert collection.tags["user"].tolist() == [3, 4, 4, 5]
    assert collection.has("tag_times")


@pytest.mark.parametrize("name", ["views.csv.gz", "ml-10m-tags.csv.gz"])
def test_a_damaged_gz_is_named(name, views_and_tags):
    file = views_and_tags / name
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(BadInput, match=rf"{re.escape(name)}: cannot be read .*; download the file again"):
        read(views_and_tags)
    file.write_bytes(b"")
    with pytest.raises(BadInput, match=rf"{re.escape(name)}: the file is empty"):
        read(views_and_tags)


def test_only_movies_with_a_poster_are_items(tmp_path, posters):
    collection = read(FIXTURES / "ml-latest", posters)
    assert collection.items["original_id"].tolist() == ["1", "2", "3"]
    assert collection.items["path"].tolist() == ["1.png", "2.png", "3.png"]
    assert events(collection) == [e for e in RATED if e[1] != 5]
    assert collection.images[np.array([0, 2])].shape == (2, 16, 16, 3)
    assert collection.images[2][8, 8].tolist() == [3, 150, 200]


def test_a_tar_of_posters_and_decoding_on_the_fly_give_the_same_pictures(tmp_path, posters):
    with tarfile.open(tmp_path / "posters.tar", "w") as tar:
        tar.add(posters, arcname=".")
    a = read(FIXTURES / "ml-latest", posters)
    b = read(FIXTURES / "ml-latest", tmp_path / "posters.tar")
    c = read(FIXTURES / "ml-latest", tmp_path / "posters.tar", on_the_fly=True)
    assert np.array_equal(a.images[:], b.images[:])
    assert np.array_equal(a.images[:], c.images[:])


def test_posters_are_found_beside_the_release(tmp_path, posters, release):
    folder = release("ml-latest")
    posters.rename(folder / "posters")
    assert len(load("movielens", data_dir=str(folder), size=8).items) == 3


def test_a_replaced_poster_is_decoded_again(tmp_path, posters):
    before = read(FIXTURES / "ml-latest", posters).images[0].copy()
    Image.new("RGB", (64, 64), "white").save(posters / "1.png")
    after = read(FIXTURES / "ml-latest", posters).images[0]
    assert (after == 255).all()
    assert not np.array_equal(before, after)


def test_several_releases_keep_their_people_apart(tmp_path, release):
    release("ml-latest")
    release("posters-only")
    collection = read(tmp_path)
    assert collection.users["original_id"].tolist() == [
        "ml-latest/1", "ml-latest/2", "ml-latest/7", "ml-latest/9",
        "posters-only/1", "posters-only/2", "posters-only/9",
    ]  # fmt: skip
    assert len(collection.tags) == 8
    assert set(collection.views["user"]) == {0, 1, 2}
    assert len(collection.labels) == 5, "genres must not be counted once per release"


def test_100k_is_not_mixed_with_others(tmp_path, release):
    release("ml-latest")
    release("ml-100k")
    with pytest.raises(BadInput, match="ml-100k numbers its movies differently"):
        read(tmp_path)


def test_a_zip_is_read_in_place(tmp_path):
    file = tmp_path / "ml-10m.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../outside.dat", "x")
        archive.writestr("__MACOSX/movies.dat", "x")
        for name in ("ratings.dat", "movies.dat", "tags.dat"):
            archive.write(FIXTURES / "ml-10m" / name, f"ml-10M100K/{name}")
    before = sorted(p for p in tmp_path.rglob("*") if "cache" not in p.parts)
    assert events(read(file)) == RATED
    assert sorted(p for p in tmp_path.rglob("*") if "cache" not in p.parts) == before
    assert not (tmp_path.parent.parent / "outside.dat").exists()


def test_an_exact_repetition_counts_once_and_a_second_rating_stays(tmp_path, release):
    folder = release("ml-latest")
    with open(folder / "ratings.csv", "a", encoding="utf-8") as file:
        file.write("1,1,4.0,880000001\r\n1,1,2.0,880000009\r\n")
    assert events(read(folder)) == [*RATED, (1, 1, 9)]


def test_bom_and_blank_lines_do_no_harm(tmp_path, release):
    for name, file in [("ml-latest", "ratings.csv"), ("ml-10m", "ratings.dat"), ("ml-100k", "u.data")]:
        folder = release(name)
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(b"\xef\xbb\xbf" + content + b"\n\n")
        assert events(read(folder)) == RATED


@pytest.mark.parametrize("name", RELEASES)
def test_missing_and_empty_files(name, tmp_path, release):
    folder = release(name)
    movies = next(f for f in folder.iterdir() if f.name in ("u.item", "movies.dat", "movies.csv"))
    movies.write_bytes(b"")
    with pytest.raises(BadInput, match=f"{movies.name}: the file is empty"):
        read(folder)
    movies.unlink()
    with pytest.raises(BadInput, match=f"{movies.name} is missing; found "):
        read(folder)


def test_pictures_that_cannot_be_used(tmp_path, posters):
    with pytest.raises(BadInput, match="no posters here; give posters="):
        load_movielens(FIXTURES / "ml-latest")
    (posters / "2.png").write_bytes(b"not a picture")
    with pytest.raises(BadInput, match=r"2\.png is not a readable picture"):
        read(FIXTURES / "ml-latest", posters)
    assert not list((tmp_path / "cache").rglob("*.npy*")), "a failed decoding must leave nothing behind"
    (posters / "02.jpg").write_bytes(b"x")
    with pytest.raises(BadInput, match="two pictures for number 2"):
        read(FIXTURES / "ml-latest", posters)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no picture is named <movie id>"):
        read(FIXTURES / "ml-latest", tmp_path / "empty")
    with pytest.raises(BadInput, match="expected a folder or a tar file"):
        read(FIXTURES / "ml-latest", tmp_path / "absent")


def test_all_unreadable_posters_are_named_at_once(tmp_path, posters):
    for movie in (1, 3):
        (posters / f"{movie}.png").write_bytes(b"not a picture")
    with pytest.raises(
        BadInput, match=r"2 pictures are not readable: 1\.png \(of.*3\.png.*leave_out_unreadable"
    ):
        read(FIXTURES / "ml-latest", posters)


@pytest.mark.parametrize("on_the_fly", [False, True])
def test_unreadable_posters_can_be_left_out(tmp_path, posters, on_the_fly):
    good = read(FIXTURES / "ml-latest", posters)
    (posters / "1.png").write_bytes((posters / "1.png").read_bytes()[:40])
    options = {"leave_out_unreadable": True, "on_the_fly": on_the_fly}
    for _ in range(2):  # decoded, and read from the cache
        less = read(FIXTURES / "ml-latest", posters, **options)
        assert less.items["original_id"].tolist() == ["2", "3"]
        assert less.items["item"].tolist() == [0, 1]
        assert np.array_equal(less.images[:], good.images[np.array([1, 2])])
        assert less.missing["unreadable"] == "was loaded without 1 items of unreadable pictures: 1.png"
        assert events(less) == [e for e in events(good) if e[1] != 1]
    with pytest.raises(BadInput, match=r"1\.png is not a readable picture"):
        _ = read(FIXTURES / "ml-latest", posters, on_the_fly=on_the_fly).images[:]
    for movie in (2, 3):
        (posters / f"{movie}.png").write_bytes(b"")
    with pytest.raises(BadInput, match="3 pictures are not readable"):
        read(FIXTURES / "ml-latest", posters, **options)


def test_items_may_share_an_unreadable_picture(tmp_path, posters):
    (posters / "1.png").write_bytes(b"not a picture")
    kept, unreadable = decoded(posters, ["1.png", "2.png", "1.png", "3.png"], 8, leave_out=True)
    assert list(unreadable) == ["1.png"]
    assert kept[:].shape == (2, 8, 8, 3)


def test_many_unreadable_posters_are_counted(tmp_path, posters):
    for movie in range(4, 20):
        (posters / f"{movie}.heic").write_bytes(b"x")
    files = [str(f.name) for f in posters.iterdir() if f.suffix == ".heic"]
    with pytest.raises(
        BadInput, match=r"16 pictures are not readable: (\w+\.heic \(of.*?\), ){10}…; replace"
    ):
        decoded(posters, files, 8)


def test_a_picture_too_large_to_be_meant_is_named(tmp_path, posters, monkeypatch, recwarn):
    Image.new("RGB", (30, 20)).save(posters / "2.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    assert len(read(FIXTURES / "ml-latest", posters).items) == 3, "up to twice the limit is read"
    Image.new("RGB", (41, 20)).save(posters / "2.png")
    with pytest.raises(
        BadInput, match=r"2\.png is .*\(820 pixels\) exceeds limit of 800 pixels: scale it down"
    ):
        read(FIXTURES / "ml-latest", posters)


@pytest.mark.parametrize("ending", ["webp", "gif", "bmp", "tif", "JPG"])
def test_other_kinds_of_picture_are_read(tmp_path, posters, ending):
    (posters / "2.png").unlink()
    Image.new("RGB", (20, 30), "white").save(posters / f"2.{ending}")
    collection = read(FIXTURES / "ml-latest", posters)
    assert (collection.images[1] == 255).all()


@pytest.mark.parametrize("ending", ["svg", "heic"])
def test_a_kind_that_cannot_be_read_is_named(tmp_path, posters, ending):
    (posters / "2.png").rename(posters / f"2.{ending}")
    (posters / f"2.{ending}").write_bytes(b"<svg/>")
    with pytest.raises(BadInput, match=rf"2\.{ending} is not a readable picture \(of no known format\)"):
        read(FIXTURES / "ml-latest", posters)


@pytest.mark.parametrize("name", ["posters.tar.gz", "posters.tgz", "posters.zip", "posters_h144.tar.bz2"])
def test_packed_posters_are_named(tmp_path, release, name):
    folder = release("ml-latest")
    (folder / name).write_bytes(b"x")
    with pytest.raises(
        BadInput, match=f"{name}: posters are read from a folder or an uncompressed .tar; unp"
    ):
        load("movielens", data_dir=folder)


def test_a_release_without_genres_tags_or_ratings_tells_so(tmp_path, release):
    folder = release("ml-latest")
    movies = (folder / "movies.csv").read_text(encoding="utf-8").splitlines()
    bare = [movies[0], *(line.rpartition(",")[0] + ",(no genres listed)" for line in movies[1:])]
    (folder / "movies.csv").write_text("\n".join(bare), encoding="utf-8")
    (folder / "tags.csv").unlink()
    collection = read(folder)
    assert collection.missing["labels"] == "names no genres in this release"
    assert not collection.has("tags")
    assert not collection.has("tag_times")
    assert collection.tags["tag"].dtype == "category"
    collection.save(tmp_path / "saved")
    assert Collection.read(tmp_path / "saved").missing == collection.missing
    views = read(FIXTURES / "posters-only").missing["views"]
    assert views == "records no ratings in this release"
    for name in ("ml-1m", "ml-100k"):
        assert {"tags", "tag_times"} <= read(FIXTURES / name).missing.keys()


def test_other_data_beside_a_release_are_passed_over(tmp_path, release):
    release("ml-latest")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "movies.csv").write_text("movie,name\n1,x\n")
    assert events(read(tmp_path)) == RATED


def test_the_real_posters_ratings_and_tags(tmp_path):
    shared = paths.data()
    if not (shared / "movielens-posters" / "posters_h144.tar").is_file():
        pytest.skip(f"no movielens-posters/posters_h144.tar in {shared}")
    collection = load_movielens(shared, size=16, on_the_fly=True)
    rated = collection.views["item"].nunique()
    assert (len(collection.items), len(collection.views), rated) == (3243, 58_380, 2859)
    posters_only = collection.users["original_id"].str.startswith("movielens-posters/")
    assert posters_only.sum() == 2596
    assert not posters_only.to_numpy()[collection.views["user"]].any()
    assert collection.tags["at"].notna().all()
    assert collection.images[0].std() > 10
