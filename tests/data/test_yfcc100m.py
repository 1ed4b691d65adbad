"""The files of YFCC100M, tiny and invented, in their exact layout with the odd lines of the real ones."""

import bz2
import json
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image

from helpers.data import BadInput, load

SEA, CITY, HASHED, BARE, VIDEO, ABSENT = "28605", "6985418911", "14068203843", "29060", "29205", "29294"
HASHES = {HASHED: "41dd8720fc6b7ffac962e3121dab33", ABSENT: "b75c2d5c2ed427a78037a8e67ed79b3"}
FIELDS = {
    "owner": "39089491@N00", "nickname": "a+%22quoted%22+name", "taken": "2012-02-16 09:56:37.0",
    "at": "1331840483", "device": "Canon+PowerShot+ELPH+310+HS", "title": "", "description": "", "tags": "",
    "machine_tags": "geo:lat=24.55,uploaded:by=flickr", "longitude": "", "latitude": "", "accuracy": "",
    "page": "http://www.flickr.com/photos/39089491@N00/1/",
    "url": "http://farm8.staticflickr.com/7205/1_df7747990d.jpg", "licence": "Attribution License",
    "licence_url": "http://creativecommons.org/licenses/by/2.0/", "server": "7205", "farm": "8",
    "secret": "df7747990d", "secret_original": "692d7e0a7f", "ending": "jpg", "marker": "0",
}  # fmt: skip


def line(photo: str, **fields: str) -> list[str]:
    return [photo, *(FIELDS | fields).values()]


LINES = [
    line(ABSENT, title="no+picture", tags="lost"),
    line(SEA, title="Caf%C3%A9%2C+sea%09%22%23%22", tags="new+york,%23sea,,sea,%E6%B5%B7,sea", taken="null"),
    line(CITY, owner="10350073@N03", tags="caf%C3%A9", at="1200000000", longitude="-81.804885",
         latitude="24.550558", accuracy="12", description='a raw " is no quote'),
    line(VIDEO, marker="1", tags="film"),
    line(HASHED, title="+", tags="a%2Cb", taken="2012-02-31 25:61:00.0"),
    line(BARE, owner="7@N01"),
]  # fmt: skip


def text(lines: list[list[str]]) -> bytes:
    return "".join("\t".join(values) + "\n" for values in lines).encode()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Pictures of all photos but one, and the dataset in two parts, of which one is packed."""
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path / "outputs"))
    place = tmp_path / "data"
    names = (
        f"{SEA}.jpg",
        f"{CITY}_df7747990d.jpg",
        f"41d/d87/{HASHES[HASHED]}.jpg",
        f"{BARE}.png",
        f"{VIDEO}.jpg",
    )
    for k, name in enumerate([*names, "99.jpg"]):
        (place / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 30), (40 * k, 0, 0)).save(place / "images" / name)
    (place / "yfcc100m_dataset-0").write_bytes(text(LINES[:3]) + b"\n")
    (place / "yfcc100m_dataset-1.bz2").write_bytes(bz2.compress(text(LINES[3:])))
    (place / "yfcc100m_hash").write_text("".join(f"{k}\t{v}\n" for k, v in HASHES.items()))
    (place / "yfcc100m_autotags-v1").write_text(
        f"{ABSENT}\tcat:0.9\n{SEA}\t\n{CITY}\toutdoor:0.91,street+view:5e-1,outdoor:0.5\n{HASHED}\tsea:1\n"
    )
    (place / "yfcc100m_places").write_text(
        f"{SEA}\t\n{CITY}\t24703176:Admiralty:Suburb,12:Hong+Kong:Town,3:China:Country,9:Asia%2FHong_Kong:Timezone\n"
    )
    return place


def read(folder, **options):
    return load("yfcc100m", data_dir=str(folder), size=8, **options)


def test_photos_their_uploaders_and_hashtags(folder):
    collection = read(folder)
    items = collection.items.set_index("original_id")
    assert sorted(items.index) == sorted([SEA, CITY, HASHED, BARE]), (
        "neither the video nor what has no picture"
    )
    assert items["title"].dropna().to_dict() == {SEA: 'Café, sea\t"#"'}
    assert items.loc[CITY, "uploaded_at"].isoformat() == "2008-01-10T21:20:00"
    owners = collection.users["original_id"].to_numpy()[items["owner"]]
    assert dict(zip(items.index, owners, strict=True)) == {
        SEA: "39089491@N00", CITY: "10350073@N03", HASHED: "39089491@N00", BARE: "7@N01"
    }  # fmt: skip
    tags = collection.tags.merge(collection.items, on="item")
    assert (tags["user"] == tags["owner"]).all()
    assert (tags["at"] == tags["uploaded_at"]).all()
    given = tags.groupby("original_id")["tag"].agg(list).to_dict()
    assert given == {SEA: ["new york", "#sea", "sea", "海"], CITY: ["café"], HASHED: ["a,b"]}
    assert not collection.has("views")
    assert collection.missing["unlisted"] == "was loaded without 2 pictures of no photo in its files"
    red = {i: int(collection.images[k][4, 4, 0]) for k, i in enumerate(items.index)}
    assert red == pytest.approx({SEA: 0, CITY: 40, HASHED: 80, BARE: 120}, abs=4)


def test_concepts_and_places_are_labels(folder):
    labels = read(folder).labels.merge(read(folder).items, on="item")
    assert sorted(zip(labels["original_id"], labels["kind"], labels["label"], strict=True)) == sorted([
        (CITY, "concept", "outdoor"), (CITY, "concept", "street view"), (HASHED, "concept", "sea"),
        (CITY, "town", "Hong Kong"), (CITY, "country", "China"),
    ])  # fmt: skip


def test_without_concepts_and_places_there_are_no_labels(folder):
    (folder / "yfcc100m_autotags-v1").unlink()
    (folder / "yfcc100m_places").unlink()
    assert not read(folder).has("labels")


def test_every_form_of_the_files_gives_the_same(folder, tmp_path):
    expected = read(folder)
    numbered = [[str(n), row[0], HASHES.get(row[0], "ab"), *row[1:]] for n, row in enumerate(LINES)]
    other = tmp_path / "other" / "yfcc100m"
    other.mkdir(parents=True)
    (other / "yfcc100m_dataset").write_bytes(text(numbered).removesuffix(b"\n"))
    for name in ("autotags-v1", "places"):
        packed = bz2.compress((folder / f"yfcc100m_{name}").read_bytes())
        (other / f"yfcc100m_{name}.bz2").write_bytes(packed)
    with tarfile.open(other / "pictures.tar", "w") as tar:
        tar.add(folder / "images", arcname=".")
    found = read(tmp_path / "other", on_the_fly=True)
    for table in ("items", "users", "tags", "labels"):
        assert getattr(found, table).equals(getattr(expected, table)), table
    assert np.array_equal(found.images[:], expected.images[:])


def test_an_unpacked_part_stands_for_its_packed_twin(folder):
    (folder / "yfcc100m_dataset-0.bz2").write_bytes(b"half a downl")
    assert len(read(folder).items) == 4


def replaced(row: int, **fields: str):
    """The first part with other values in one line."""

    def damage(folder):
        lines = [*LINES[:3]]
        lines[row] = line(lines[row][0], **fields)
        (folder / "yfcc100m_dataset-0").write_bytes(text(lines))

    return damage


def written(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


WRONG = {
    "a value too few": (
        written("yfcc100m_dataset-0", text([LINES[0], LINES[1][:-1]])),
        r"dataset-0, line 2: 22 values, expected 23",
    ),
    "no user": (replaced(1, owner=""), r"dataset-0, line 2: owner is '', expected a user"),
    "no time": (replaced(2, at="null"), r"dataset-0, line 3: at is 'null', expected seconds"),
    "no marker": (replaced(2, marker="2"), r"dataset-0, line 3: marker is '2', expected 0 \(photo\) or 1"),
    "no utf-8": (
        written("yfcc100m_dataset-0", text(LINES[:2]).replace(b"Caf%C3%A9", "Café".encode("latin-1"))),
        r"dataset-0, line 2: title is .*, expected utf-8 text",
    ),
    "twice": (
        written("yfcc100m_dataset-2", text(LINES[1:2])), r"dataset-2, line 1: id is '28605', expected .* once"
    ),
    "another table": (
        written("yfcc100m_dataset-0", b"1\t2\n"),
        r"dataset-0, line 1: 2 values between tabs, expected 23 or 25",
    ),
    "an empty file": (written("yfcc100m_dataset-0", b""), r"dataset-0, line 1: 1 values"),
    "half a download": (
        written("yfcc100m_dataset-1.bz2", bz2.compress(text(LINES[3:]))[:-9]),
        r"-1\.bz2.*: .*; download it again",
    ),
    "no bz2": (written("yfcc100m_dataset-1.bz2", b"<html>"), r"-1\.bz2.*: .*; download it again"),
    "no confidence": (
        written("yfcc100m_autotags-v1", f"1\tcat:1\n{SEA}\tcat\n".encode()),
        r"v1, line 2: labels is 'cat', exp",
    ),
    "no place": (
        written("yfcc100m_places", f"{SEA}\tParis:Town\n".encode()), r"places, line 1: labels is 'Paris:Town'"
    ),
    "two pictures": (written(f"images/{SEA}.webp", b""), r"two pictures of photo 28605: .* remove one"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(folder, case):
    damage, message = WRONG[case]
    damage(folder)
    with pytest.raises(BadInput, match=message):
        read(folder)


def test_what_is_absent_is_named(folder, tmp_path):
    for part in ("-0", "-1.bz2"):
        (folder / f"yfcc100m_dataset{part}").unlink()
    with pytest.raises(BadInput, match=r"no yfcc100m_dataset or yfcc100m_dataset-0\.bz2 here"):
        read(folder)
    (folder / "yfcc100m_dataset").write_bytes(text(LINES[:1]))
    with pytest.raises(BadInput, match=r"none of its 6 pictures belongs to an item"):
        read(folder)
    (folder / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="no images or pictures"):
        read(folder)


MEASURE = """
import json, sys
from helpers.data.yfcc100m import load
from helpers.notebook.provenance import peak_mb
before = peak_mb()
items = load(sys.argv[1], size=8).items
print(json.dumps([peak_mb() - before, len(items)]))
"""


def test_memory_does_not_grow_with_the_file(folder):
    """200 MB of lines without a picture take little more memory than none."""
    filler = text([line(str(10**9 + n), tags="x" * 400) for n in range(10_000)])
    with open(folder / "yfcc100m_dataset-0", "ab") as stream:
        for _ in range(200_000_000 // len(filler) + 1):
            stream.write(filler)
    assert (folder / "yfcc100m_dataset-0").stat().st_size > 200e6
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder)], capture_output=True, text=True, check=True
    )
    grown, items = json.loads(done.stdout)
    assert items == 4
    assert grown < 120, f"{grown:.0f} MiB more than before"
