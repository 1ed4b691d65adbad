"""Flickr style as a collection: caffe's table, tiny and invented, in its exact layout."""

import gzip

import pytest
from PIL import Image

from helpers.data import BadInput, load

HEAD = ",image_url,page_url,label,_split"
ROWS = [
    (51, "48664097@N02", 1, "train"), (85, "48664097@N02", 0, "train"), (13, "92325042@N02", 1, "test"),
    (99, "1@N01", 2, "test"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """All photos but the last are at hand."""
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path / "outputs"))
    base = tmp_path / "flickr_style"
    (base / "images").mkdir(parents=True)
    (base / "style_names.txt").write_text("Detailed\nHDR\nLong Exposure\n")
    write(base, [
        f"{i},http://farm2.staticflickr.com/9/{i}_ab.jpg,http://www.flickr.com/photos/{o}/{i},{k},{s}"
        for i, o, k, s in ROWS
    ])  # fmt: skip
    for k, (photo, *_) in enumerate(ROWS[:3]):
        Image.new("RGB", (20, 30), (60 * k, 0, 0)).save(base / "images" / f"{photo}_ab.jpg")
    return tmp_path


def write(base, rows):
    with gzip.open(base / "flickr_style.csv.gz", "wt") as stream:
        stream.write("\n".join([HEAD, *rows]) + "\n")


def read(folder):
    return load("flickr", data_dir=str(folder), size=8)


def test_photos_owners_and_styles(folder):
    collection = read(folder)
    assert collection.items["original_id"].tolist() == ["13", "51", "85"]
    owners = collection.users["original_id"].to_numpy()[collection.items["owner"]]
    assert owners.tolist() == ["92325042@N02", "48664097@N02", "48664097@N02"]
    assert set(collection.labels["kind"]) == {"style"}
    assert collection.labels.sort_values("item")["label"].tolist() == ["HDR", "HDR", "Detailed"]
    assert collection.images[:][:, 4, 4, 0].tolist() == pytest.approx([120, 0, 60], abs=4)
    assert [part for part in ("views", "tags", "titles", "uploads") if collection.has(part)] == []


def test_what_is_wrong_is_named(folder):
    good = f"51,http://x/9/51_ab.jpg,http://www.flickr.com/photos/{ROWS[0][1]}/51,1,train"
    write(folder / "flickr_style", [good, "85,http://x/9/85_ab.jpg,http://www.flickr.com/85,0,train"])
    with pytest.raises(BadInput, match=r"line 3: page_url 'http://www.flickr.com/85', expected .*<owner>"):
        read(folder)
    write(folder / "flickr_style", [good.replace(",1,train", ",3,train")])
    with pytest.raises(BadInput, match=r"line 2: label '3', expected one of 3"):
        read(folder)
    (folder / "flickr_style" / "style_names.txt").unlink()
    with pytest.raises(BadInput, match=r"style_names.txt is not there; to get it: .*caffe"):
        read(folder)
