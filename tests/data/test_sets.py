"""Every set in its published layout, small and with made-up pictures; and what is wrong is named."""

import gzip
import typing

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from helpers import paths
from helpers.data import BadInput
from helpers.data.sets import (
    ACCURACY,
    BROUGHT,
    PRECISION,
    Absent,
    LabelledSet,
    digits,
    open_set,
    own_sets,
    published,
)
from helpers.notebook.params import choices


def picture(file, shade=0):
    file.parent.mkdir(parents=True, exist_ok=True)
    kind = "PNG" if file.suffix == ".png" else "JPEG"
    Image.new("RGB", (40, 30), (shade, 255 - shade, 90)).save(file, kind)


def write(file, *lines):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def flickr_style(folder):
    base = folder / "flickr_style"
    write(base / "style_names.txt", "Noir", "HDR", "Macro")
    head = ",image_url,page_url,label,_split"
    rows = [
        f"{k},http://farm1.example/9/{k}_ab.jpg,http://x/{k},{k % 3},{'test' if k > 4 else 'train'}"
        for k in range(6)
    ]
    with gzip.open(base / "flickr_style.csv.gz", "wt") as stream:
        stream.write("\n".join([head, *rows]) + "\n")
    for k in range(6):
        picture(base / "images" / f"{k}_ab.jpg", 40 * k)


def wikipaintings(folder):
    base = folder / "wikipaintings"
    columns = "image_id,artist_slug,artwork_slug,date,genre,style,technique,keywords,name,page_url,image_url"
    styles = ["Cubism"] * 4 + ["Realism"] * 3 + ["Rare"]
    rows = [f"p_{k},a,b,1900,portrait,{s},,\"['x', 'y']\",n,u,v" for k, s in enumerate(styles)]
    write(base / "wikipaintings_oct2013.csv", columns, *rows, "p_9,a,b,1900,,Cubism,,,n,u,v")
    for k in range(7):
        picture(base / "images" / f"p_{k}.jpg", 30 * k)


def ava_style(folder):
    lists = folder / "AVA_dataset" / "style_image_lists"
    write(lists / "styles.txt", "1 Duotones", "2 HDR", "3 Macro")
    write(lists / "train.jpgl", "11", "12", "13")
    write(lists / "train.lab", "1", "3", "2")
    write(lists / "test.jpgl", "21", "22")
    write(lists / "test.multilab", "1 0 1", "0 1 0")
    for k in (11, 12, 13, 21, 22):
        picture(folder / "AVA_dataset" / "images" / f"{k}.jpg", k)


def caltech256(folder):
    for c, name in enumerate(["001.ak47", "002.flag", "257.clutter"]):
        for k in range(1, 5):
            picture(
                folder / "caltech256" / "256_ObjectCategories" / name / f"{c + 1:03d}_{k:04d}.jpg", 20 * k
            )


def indoor67(folder):
    base = folder / "indoor67"
    write(base / "TrainImages.txt", "kitchen/a.jpg", "bar/b.jpg", "bar/c.jpg")
    write(base / "TestImages.txt", "kitchen/d.jpg", "bar/e.jpg")
    for name in ("kitchen/a", "bar/b", "bar/c", "kitchen/d", "bar/e"):
        picture(base / "Images" / f"{name}.jpg")


def sun397(folder):
    base = folder / "SUN397"
    write(base / "ClassName.txt", "/a/abbey", "/b/bar/indoor")
    for p in (1, 2):
        write(base / f"Training_{p:02d}.txt", f"/a/abbey/sun_{p}.jpg", f"/b/bar/indoor/sun_{p}.jpg")
        write(base / f"Testing_{p:02d}.txt", f"/a/abbey/sun_{3 - p}.jpg", "/b/bar/indoor/sun_3.jpg")
    for name in (
        "a/abbey/sun_1",
        "a/abbey/sun_2",
        "b/bar/indoor/sun_1",
        "b/bar/indoor/sun_2",
        "b/bar/indoor/sun_3",
    ):
        picture(base / f"{name}.jpg")


def stanford40(folder):
    base = folder / "Stanford40"
    for action in ("applauding", "cooking"):
        write(base / "ImageSplits" / f"{action}_train.txt", f"{action}_001.jpg", f"{action}_002.jpg")
        write(base / "ImageSplits" / f"{action}_test.txt", f"{action}_003.jpg")
        for k in (1, 2, 3):
            picture(base / "JPEGImages" / f"{action}_{k:03d}.jpg")
    write(base / "ImageSplits" / "actions.txt", "action_name number_of_images", "applauding 3")


def flowers102(folder):
    base = folder / "flowers-102"
    for k in range(1, 7):
        picture(base / "jpg" / f"image_{k:05d}.jpg")
    savemat(base / "imagelabels.mat", {"labels": np.array([[1, 2, 1, 2, 1, 2]])})
    savemat(
        base / "setid.mat",
        {"trnid": np.array([[1, 2]]), "valid": np.array([[3]]), "tstid": np.array([[4, 5, 6]])},
    )


def sports8(folder):
    for name in ("RockClimbing", "bocce"):
        for k in range(3):
            picture(folder / "event_dataset" / name / f"Easy_{k}.jpg")


def voc2007(folder):
    base = folder / "VOCdevkit" / "VOC2007"
    values = {"cat": ((" 1", "-1", "-1"), ("-1", " 0")), "dog": (("-1", " 1", " 1"), (" 1", " 1"))}
    for kind, (trainval, test) in values.items():
        write(
            base / "ImageSets" / "Main" / f"{kind}_trainval.txt",
            *[f"00000{k} {v}" for k, v in enumerate(trainval)],
        )
        write(
            base / "ImageSets" / "Main" / f"{kind}_test.txt", *[f"00001{k} {v}" for k, v in enumerate(test)]
        )
    for k in ("000000", "000001", "000002", "000010", "000011"):
        picture(base / "JPEGImages" / f"{k}.jpg")


def imagenet(folder):
    for part, many in (("train", 3), ("val", 1)):
        for wnid in ("n01440764", "n02084071"):
            for k in range(many):
                picture(folder / "imagenet" / part / wnid / f"{wnid}_{part}_{k}.JPEG")


MAKERS: dict[str, typing.Callable] = {
    f.__name__: f
    for f in (
        flickr_style, wikipaintings, ava_style, caltech256, indoor67, sun397, stanford40, flowers102, sports8,
        voc2007, imagenet,
    )
}  # fmt: skip


@pytest.fixture(autouse=True)
def small_styles(monkeypatch):
    monkeypatch.setattr(published, "WIKI_LEAST", 3)


def test_every_set_has_a_fixture_and_a_rule():
    assert MAKERS.keys() == BROUGHT.keys()
    assert set(choices("sets")) == {"digits", "papers", *BROUGHT}


@pytest.mark.parametrize("name", BROUGHT)
def test_absent_sets_say_how_to_get_them(name, tmp_path):
    with pytest.raises(Absent, match="to get it:") as stop:
        open_set(name, tmp_path)
    assert BROUGHT[name].how in str(stop.value)


# pictures, classes, number of labels, train / validation / test
EXPECTED = {
    "flickr_style": (6, 3, 6, (5, 0, 1)),
    "wikipaintings": (7, 2, 7, (0, 0, 0)),
    "ava_style": (5, 3, 6, (3, 0, 2)),
    "caltech256": (8, 2, 8, (0, 0, 0)),
    "indoor67": (5, 2, 5, (3, 0, 2)),
    "sun397": (5, 2, 5, (0, 0, 0)),
    "stanford40": (6, 2, 6, (4, 0, 2)),
    "flowers102": (6, 2, 6, (2, 1, 3)),
    "sports8": (6, 2, 6, (0, 0, 0)),
    "voc2007": (5, 2, 5, (3, 0, 2)),
    "imagenet": (8, 2, 8, (6, 0, 2)),
}


@pytest.mark.parametrize("name", BROUGHT)
def test_the_published_layout(name, tmp_path):
    MAKERS[name](tmp_path)
    data = open_set(name, tmp_path)
    n, classes, labels, split = EXPECTED[name]
    assert (len(data), len(data.classes), int(data.labels.sum())) == (n, classes, labels)
    assert tuple((data.split == part).sum() for part in ("train", "validation", "test")) == split
    assert data.measure == (PRECISION if name == "voc2007" else ACCURACY)
    pixels = data.images(16)[data.rows]
    assert pixels.shape == (n, 16, 16, 3)
    assert pixels.std() > 0


def test_labels_belong_to_their_pictures(tmp_path):
    for make in MAKERS.values():
        make(tmp_path)
    flickr = open_set("flickr_style", tmp_path)
    assert flickr.labels.argmax(axis=1).tolist() == [0, 1, 2, 0, 1, 2]
    assert flickr.images(8)[flickr.rows][:, 4, 4, 0].tolist() == pytest.approx(
        [0, 40, 80, 120, 160, 200], abs=6
    )
    ava = open_set("ava_style", tmp_path)
    assert ava.labels.astype(int).tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 1], [0, 1, 0]]
    voc = open_set("voc2007", tmp_path)
    assert voc.labels.astype(int).tolist() == [[1, 0], [0, 1], [0, 1], [0, 1], [0, 1]]
    assert voc.ignored.astype(int).tolist() == [[0, 0], [0, 0], [0, 0], [0, 0], [1, 0]]
    assert open_set("caltech256", tmp_path).per_class == (50, 20)
    assert open_set("caltech256", tmp_path).classes == ["001.ak47", "002.flag"]
    sun = open_set("sun397", tmp_path)
    assert len(sun.partitions) == 2
    for p, (train, test) in enumerate(sun.partitions):
        assert [sun.images(8).names[i] for i in train] == [
            f"a/abbey/sun_{p + 1}.jpg",
            f"b/bar/indoor/sun_{p + 1}.jpg",
        ]
        assert [sun.images(8).names[i] for i in test] == [
            f"a/abbey/sun_{2 - p}.jpg",
            "b/bar/indoor/sun_3.jpg",
        ]


def test_pictures_that_are_not_there_are_left_out(tmp_path):
    flickr_style(tmp_path)
    (tmp_path / "flickr_style" / "images" / "2_ab.jpg").unlink()
    data = open_set("flickr_style", tmp_path)
    assert len(data) == 5
    assert data.labels.argmax(axis=1).tolist() == [0, 1, 0, 1, 2]
    voc2007(tmp_path)
    (tmp_path / "VOCdevkit/VOC2007/JPEGImages/000010.jpg").unlink()
    assert open_set("voc2007", tmp_path).ignored.shape == (4, 2)


AVA, VOC = "AVA_dataset/style_image_lists", "VOCdevkit/VOC2007/ImageSets/Main"
WIKI = "wikipaintings/wikipaintings_oct2013.csv"
WRONG = [
    ("flickr_style", "flickr_style/style_names.txt", ["Noir"], "flickr_style.csv.gz, line 3: label '1', exp"),
    ("wikipaintings", WIKI, ["image_id,genre"], "line 1: no column style"),
    ("wikipaintings", WIKI, ["image_id,style,genre", "a,b"], "line 2: fewer values"),
    ("wikipaintings", WIKI, ["image_id,style,genre", "a,b,c"], "0 styles have 3"),
    ("ava_style", f"{AVA}/train.lab", ["1", "4", "2"], "train.lab, line 2: style '4'"),
    ("ava_style", f"{AVA}/train.lab", ["1", "2"], "2 lines, but 3 in train.jpgl"),
    ("ava_style", f"{AVA}/test.multilab", ["1 0", "0 1 0"], "test.multilab, line 1: '1 0'"),
    ("indoor67", "indoor67/TestImages.txt", ["kitchen/d.jpg", "e.jpg"], "TestImages.txt, line 2: 'e.jpg'"),
    ("sun397", "SUN397/Testing_01.txt", ["/c/cave/sun_1.jpg"], "Testing_01.txt, line 1: class 'c/cave', exp"),
    ("stanford40", "Stanford40/ImageSplits/cooking_test.txt", ["x.jpg"], "cooking_test.txt, line 1: 'x.jpg'"),
    ("voc2007", f"{VOC}/cat_test.txt", ["000010 2"], "cat_test.txt, line 1: '000010 2'"),
    ("voc2007", f"{VOC}/cat_test.txt", ["000000 1"], "is in trainval and in test"),
    ("flowers102", "flowers-102/setid.mat", ["no matrix"], "setid.mat: not a readable MATLAB file"),
    ("indoor67", "indoor67/TrainImages.txt", [""], "TrainImages.txt: the file is empty"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file", "lines", "message"), WRONG, ids=[f"{k}-{w[0]}" for k, w in enumerate(WRONG)]
)
def test_a_bad_file_is_named_with_its_line(name, file, lines, message, tmp_path):
    MAKERS[name](tmp_path)
    write(tmp_path / file, *lines)
    with pytest.raises(BadInput, match=message) as stop:
        open_set(name, tmp_path)
    assert not isinstance(stop.value, Absent)
    assert "\n" not in str(stop.value)


def test_other_mistakes(tmp_path):
    flowers102(tmp_path)
    base = tmp_path / "flowers-102"
    savemat(
        base / "setid.mat", {"trnid": np.array([[1, 9]]), "valid": np.array([[3]]), "tstid": np.array([[4]])}
    )
    with pytest.raises(BadInput, match="trnid holds 1 to 9, expected 1 to 6"):
        open_set("flowers102", tmp_path)
    imagenet(tmp_path)
    picture(tmp_path / "imagenet" / "val" / "n999" / "x.JPEG")
    with pytest.raises(BadInput, match="folder n999 is none of the 2 classes"):
        open_set("imagenet", tmp_path)
    with pytest.raises(BadInput, match="set 'cifar' is unknown"):
        open_set("cifar", tmp_path)
    (tmp_path / "flickr_style").mkdir()
    write(tmp_path / "flickr_style" / "style_names.txt", "a", "b")
    (tmp_path / "flickr_style" / "flickr_style.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(BadInput, match="not a readable table"):
        open_set("flickr_style", tmp_path)


REAL = paths.ROOT.parent / "shared" / "data"


@pytest.mark.skipif(
    not (REAL / "flickr_style").is_dir(), reason="the published table is not beside this project"
)
def test_the_real_table_of_flickr_style(tmp_path):
    with pytest.raises(Absent, match=r"names 80000 photos; .*images.*is not there"):
        open_set("flickr_style", REAL)
    for name in ("flickr_style.csv.gz", "style_names.txt"):
        (tmp_path / "flickr_style").mkdir(exist_ok=True)
        (tmp_path / "flickr_style" / name).write_bytes((REAL / "flickr_style" / name).read_bytes())
    for k, name in enumerate(["5159730964_124c1e63d8.jpg", "8530766395_4229f47bf4.jpg"]):
        picture(tmp_path / "flickr_style" / "images" / name, k)
    data = open_set("flickr_style", tmp_path)
    assert (len(data), len(data.classes)) == (2, 20)
    assert data.split.tolist() == ["train", "train"]
    assert [data.classes[c] for c in data.labels.argmax(axis=1)] == ["Detailed", "Detailed"]


def test_digits_are_upright_and_of_any_size(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    data = digits()
    assert (len(data), len(data.classes)) == (1797, 10)
    pixels = data.images(32)[data.rows[:100]]
    assert pixels.shape == (100, 32, 32, 3)
    zero = pixels[data.labels[:100, 0]].mean(axis=(0, 3))
    assert zero[16, 16] < 40 < zero[16, 8:14].max(), "a zero is dark in the middle"
    with pytest.raises(BadInput, match="0 columns of labels"):
        LabelledSet("x", np.zeros((3, 0), bool), [], np.arange(3), data.images, np.full(3, ""))


def test_the_sets_of_a_collection():
    from helpers.data import load

    small = load("openmoji", size=24, include=["animals-nature", "food-drink"])
    items = np.arange(0, len(small.items), 2)
    found = own_sets(small, items, least=8)
    assert list(found) == ["group", "subgroup"]
    group, finer = found["group"], found["subgroup"]
    assert set(group.classes) == {"animals-nature", "food-drink"}
    assert np.isin(group.rows, items).all()
    assert (finer.labels.sum(axis=0) >= 8).all()
    assert finer.labels.sum(axis=1).max() == 1
    rows = small.labels[(small.labels["kind"] == "group")].set_index("item")["label"]
    assert [group.classes[c] for c in group.labels.argmax(axis=1)] == rows.loc[group.rows].tolist()
    assert group.images(96).size == 24, "a collection has pictures of one size"
