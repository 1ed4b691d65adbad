"""The published sets: four of Fang et al. 2015, Table 1, and the seven of Joulin et al. 2016, section 4.2."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from helpers.data.delimited import text_lines
from helpers.data.sets.shape import PRECISION, Absent, LabelledSet, by_folder, needed, of_files, one_of, wrong
from helpers.errors import BadInput
from helpers.files import DAMAGED

WIKI_LEAST = 1000  # Karayev et al. 2014 keep the styles with more than a thousand paintings: 25 of them


def table(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of a .csv or .csv.gz with a header. Raises BadInput: a column is absent, a row is
    short, or the file is no text."""
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            found, wanted = reader.fieldnames or [], ", ".join(columns)
            if missing := [c for c in columns if c not in found]:
                told = f"no column {missing[0]}; expected {wanted}, found {', '.join(found)}"
                raise BadInput(f"{file}, line 1: {told}")
            for row in reader:
                if any(row[c] is None for c in columns):
                    told = "fewer values than its header; correct or remove the line"
                    raise BadInput(f"{file}, line {reader.line_num}: {told}")
                yield reader.line_num, row
    except (UnicodeDecodeError, OSError, EOFError, zlib.error, csv.Error) as error:
        raise BadInput(f"{file}: not a readable table ({error}); download it again") from None


def first_there(folder: Path, *names: str) -> Path:
    """The first of several spellings that exists."""
    for candidate in names:
        if (folder / candidate).exists():
            return folder / candidate
    raise Absent(f"none of {', '.join(names)} is in {folder}")


def flickr_style(folder: Path) -> LabelledSet:
    """20 styles of 80,000 photos: caffe's table, and pictures named by the last part of their URL.

    Layout: flickr_style/flickr_style.csv.gz, style_names.txt, images/<last part of image_url>."""
    base = folder / "flickr_style"
    needed(base / "style_names.txt")
    file = first_there(base, "flickr_style.csv.gz", "flickr_style.csv")
    classes = [text for _, text in text_lines(base / "style_names.txt")]
    numbers, splits = {str(k): k for k in range(len(classes))}, {"train": "train", "test": "test"}
    paths, labels, split = [], [], []
    for line, row in table(file, ("image_url", "label", "_split")):
        labels.append(one_of(file, line, row["label"], numbers, "label"))
        split.append(one_of(file, line, row["_split"], splits, "_split"))
        paths.append(name_in(row["image_url"]))
        if not paths[-1]:
            raise wrong(file, line, row["image_url"], "a URL that ends with a file name", "image_url ")
    if not (base / "images").is_dir():
        told = f"the table names {len(paths)} photos; {base / 'images'}, the folder of the downloaded photos,"
        raise Absent(f"{told} is not there (the first would be images/{paths[0]})")
    return of_files("flickr_style", base / "images", paths, labels, classes, split)


def name_in(url: str) -> str:
    """The file that a URL names."""
    return re.split("[?#]", url)[0].rpartition("/")[2]


def wikipaintings(folder: Path) -> LabelledSet:
    """25 styles of 85,000 paintings: Karayev's table, and pictures named by image_id.

    Layout: wikipaintings/wikipaintings_oct2013.csv with image_id and style, images/<image_id>.jpg. Styles
    with fewer than `WIKI_LEAST` rows are left out; paintings without a genre too, as in Karayev et al. 2014.
    """
    base = folder / "wikipaintings"
    file = first_there(base, "wikipaintings_oct2013.csv", "wikipaintings_oct2013.csv.gz")
    ids, styles = [], []
    for line, row in table(file, ("image_id", "style", "genre")):
        if not row["image_id"].strip():
            raise BadInput(f"{file}, line {line}: image_id is empty; correct or remove the line")
        if row["style"].strip() and row["genre"].strip():
            ids.append(f"{row['image_id'].strip()}.jpg")
            styles.append(row["style"].strip())
    classes, codes, counts = np.unique(np.array(styles, dtype=str), return_inverse=True, return_counts=True)
    large = np.flatnonzero(counts >= WIKI_LEAST)
    if len(large) < 2:
        found = f"{len(large)} styles have {WIKI_LEAST} paintings or more"
        raise BadInput(f"{file}: {found}; expected 25, the whole table")
    kept = np.flatnonzero(np.isin(codes, large))
    paths, labels = [ids[i] for i in kept], np.searchsorted(large, codes[kept])
    return of_files("wikipaintings", base / "images", paths, labels, classes[large].tolist())


def ava_style(folder: Path) -> LabelledSet:
    """14 photographic styles of 14,000 photos of AVA; training photos have one style, test photos several.

    Layout: AVA_dataset/style_image_lists/{styles.txt, train.jpgl, train.lab, test.jpgl, test.multilab},
    AVA_dataset/images/<image id>.jpg. Styles are numbered from 1."""
    base = folder / "AVA_dataset"
    names = ("styles.txt", "train.jpgl", "train.lab", "test.jpgl", "test.multilab")
    files = {n: base / "style_image_lists" / n for n in names}
    needed(*files.values())
    content = {n: text_lines(file) for n, file in files.items()}
    classes = [text.partition(" ")[2].strip() or text for _, text in content["styles.txt"]]
    L, numbers = len(classes), {str(k): k - 1 for k in range(1, len(classes) + 1)}
    for pictures, labels in (("train.jpgl", "train.lab"), ("test.jpgl", "test.multilab")):
        many, lines = len(content[pictures]), len(content[labels])
        if many != lines:
            raise BadInput(f"{files[labels]}: {lines} lines, but {many} in {pictures}")
    single = [one_of(files["train.lab"], k, text, numbers, "style") for k, text in content["train.lab"]]
    several = [text.split() for _, text in content["test.multilab"]]
    for (k, text), values in zip(content["test.multilab"], several, strict=True):
        if len(values) != L or set(values) - {"0", "1"} or "1" not in values:
            raise wrong(files["test.multilab"], k, text, f"{L} numbers 0 or 1 and a 1")
    labels = np.concatenate([np.eye(L, dtype=bool)[single], np.array(several) == "1"])
    paths = [f"{text}.jpg" for n in ("train.jpgl", "test.jpgl") for _, text in content[n]]
    split = ["train"] * len(single) + ["test"] * len(several)
    return of_files("ava_style", base / "images", paths, labels, classes, split)


def caltech256(folder: Path) -> LabelledSet:
    """256 classes of objects in folders of their own; 257.clutter is no class of objects.

    Layout: caltech256/256_ObjectCategories/001.ak47/001_0001.jpg, as torchvision's Caltech256. 50 pictures of
    a class for training and 20 for testing (Fang et al. 2015, section 4.4)."""
    base = folder / "caltech256" / "256_ObjectCategories"
    return of_files("caltech256", base, *by_folder(base, skip="257.clutter"), per_class=(50, 20))


def indoor67(folder: Path) -> LabelledSet:
    """67 kinds of rooms, 80 pictures of each for training and 20 for testing.

    Layout: indoor67/Images/<class>/<picture>, TrainImages.txt and TestImages.txt with <class>/<picture>."""
    base = folder / "indoor67"
    files = {"train": base / "TrainImages.txt", "test": base / "TestImages.txt"}
    needed(*files.values())
    lines = [(part, file, k, text) for part, file in files.items() for k, text in text_lines(file)]
    for _, file, k, text in lines:
        if text.count("/") != 1:
            raise wrong(file, k, text, "<class>/<picture>")
    split, _, _, paths = zip(*lines, strict=True)
    classes, labels = np.unique([text.partition("/")[0] for text in paths], return_inverse=True)
    return of_files("indoor67", base / "Images", paths, labels, classes.tolist(), split)


def sun397(folder: Path) -> LabelledSet:
    """397 kinds of scenes; ten published splits with 50 pictures of each for training and for testing.

    Layout: SUN397/ClassName.txt with /a/abbey; SUN397/Training_01.txt, Testing_01.txt, … 10 (or in
    SUN397/Partitions/) with /a/abbey/sun_….jpg; the pictures under SUN397/a/abbey/, as torchvision's SUN397.
    """
    base = folder / "SUN397"
    lists = base / "Partitions" if (base / "Partitions").is_dir() else base
    needed(base / "ClassName.txt", lists / "Training_01.txt", lists / "Testing_01.txt")
    numbers = {text.strip("/"): i for i, (_, text) in enumerate(text_lines(base / "ClassName.txt"))}
    labels, place, partitions = {}, {}, []
    for p in range(1, 11):
        files = [lists / f"{part}_{p:02d}.txt" for part in ("Training", "Testing")]
        if not all(file.is_file() for file in files):
            break  # fewer partitions than published: those that are there are used
        parts = []
        for file in files:
            listed = [(k, text.strip("/")) for k, text in text_lines(file)]
            for k, path in listed:
                labels[path] = one_of(file, k, path.rpartition("/")[0], numbers, "class")
            parts.append(np.array([place.setdefault(path, len(place)) for _, path in listed]))
        partitions.append(tuple(parts))
    codes = list(labels.values())
    return of_files("sun397", base, list(labels), codes, list(numbers), partitions=partitions)


def stanford40(folder: Path) -> LabelledSet:
    """40 human actions, 100 pictures of each for training.

    Layout: Stanford40/ImageSplits/<action>_train.txt and <action>_test.txt, Stanford40/JPEGImages/."""
    base = folder / "Stanford40"
    classes, lines = class_lists(base / "ImageSplits", ("train", "test"), 40)
    for number, _, file, k, text in lines:
        if not text.startswith(f"{classes[number]}_"):
            raise wrong(file, k, text, f"a picture named {classes[number]}_<number>")
    labels, split, _, _, paths = zip(*lines, strict=True)
    return of_files("stanford40", base / "JPEGImages", paths, labels, classes, split)


def class_lists(lists: Path, parts: tuple[str, str], expected: int) -> tuple[list[str], list[tuple]]:
    """The classes with lists <class>_<part>.txt; (class number, part, file, line number, text) of all lines.
    Raises Absent: fewer than two classes have a list of the first part, or one has no list of the other."""
    needed(lists)
    ending, lines = f"_{parts[0]}.txt", []
    classes = sorted(f.name.removesuffix(ending) for f in lists.glob(f"*{ending}"))
    if len(classes) < 2:
        raise Absent(f"{lists} holds {len(classes)} lists <class>{ending}, expected {expected}")
    for (number, kind), part in product(enumerate(classes), parts):
        file = lists / f"{kind}_{part}.txt"
        needed(file)
        lines += [(number, part, file, k, text) for k, text in text_lines(file)]
    return classes, lines


def flowers102(folder: Path) -> LabelledSet:
    """102 kinds of flowers, 10 pictures of each for training, 10 for validation, the rest for testing.

    Layout: flowers-102/{imagelabels.mat, setid.mat}, flowers-102/jpg/image_00001.jpg, as torchvision's."""
    base = folder / "flowers-102"
    needed(base / "imagelabels.mat", base / "setid.mat")
    numbers = _array(base / "imagelabels.mat", "labels")
    split = np.full(len(numbers), "", dtype="<U10")
    for key, part in {"trnid": "train", "valid": "validation", "tstid": "test"}.items():
        ids = _array(base / "setid.mat", key)
        if ids.max() > len(numbers):
            wanted = f"1 to {len(numbers)}, the pictures of imagelabels.mat"
            raise BadInput(f"{base / 'setid.mat'}: {key} holds {ids.min()} to {ids.max()}, expected {wanted}")
        split[ids - 1] = part
    classes = [f"flower {k}" for k in range(1, int(numbers.max()) + 1)]
    paths = [f"image_{k:05d}.jpg" for k in range(1, len(numbers) + 1)]
    return of_files("flowers102", base / "jpg", paths, numbers - 1, classes, split)


def _array(file: Path, key: str) -> np.ndarray:
    """One row of whole numbers from a MATLAB file: int64 (n,)."""
    try:
        content = loadmat(file, squeeze_me=True)
    except (MatReadError, TypeError, *DAMAGED) as error:
        raise BadInput(f"{file}: not a readable MATLAB file ({error}); download it again") from None
    if key not in content:
        raise BadInput(f"{file}: no variable {key}; expected the file that is published with Flowers102")
    values = np.atleast_1d(content[key])
    if values.dtype.kind not in "iuf" or not values.size:
        raise BadInput(f"{file}: {key} holds no numbers; download it again")
    values = values.astype(np.int64)
    if values.min() < 1:
        raise BadInput(f"{file}: {key} holds {values.min()}, expected numbers from 1")
    return values


def sports8(folder: Path) -> LabelledSet:
    """8 kinds of sports events; 70 pictures of each for training and 60 for testing (Li and Fei-Fei 2007).

    Layout: event_dataset.rar unpacked: event_dataset/<class>/<picture> (or event_dataset/event_img/<class>/).
    """
    base = folder / "event_dataset"
    base = base / "event_img" if (base / "event_img").is_dir() else base
    return of_files("sports8", base, *by_folder(base), per_class=(70, 60))


def voc2007(folder: Path) -> LabelledSet:
    """20 kinds of objects, several in a picture: trainval for training, test for testing, average precision.

    Layout: VOCdevkit/VOC2007/ImageSets/Main/<class>_trainval.txt and <class>_test.txt with a picture's number
    and 1 (there), −1 (not there) or 0 (only difficult ones: counts neither way); JPEGImages/<number>.jpg."""
    base = folder / "VOCdevkit" / "VOC2007"
    classes, lines = class_lists(base / "ImageSets" / "Main", ("trainval", "test"), 20)
    values, split = {}, {}
    for number, part, file, k, text in lines:
        picture, *value = text.split()
        if len(value) != 1 or value[0] not in ("1", "-1", "0"):
            raise wrong(file, k, text, "a picture's number and 1, -1 or 0")
        values.setdefault(picture, np.full(len(classes), -1))[number] = int(value[0])
        called = part.removesuffix("val")
        if split.setdefault(picture, called) != called:
            raise BadInput(f"{file}, line {k}: picture {picture} is in trainval and in test")
    there = np.array([*values.values()])
    paths = [f"{picture}.jpg" for picture in values]
    more = {"split": [*split.values()], "ignored": there == 0, "measure": PRECISION}
    return of_files("voc2007", base / "JPEGImages", paths, there == 1, classes, **more)


def imagenet(folder: Path) -> LabelledSet:
    """1000 classes, in the folders that torchvision's ImageNet makes; validation pictures are for testing.

    Layout: imagenet/train/<wnid>/<picture>.JPEG, imagenet/val/<wnid>/<picture>.JPEG."""
    base = folder / "imagenet"
    train, labels, classes = by_folder(base / "train")
    test, codes, tested = by_folder(base / "val")
    if unknown := sorted(set(tested) - set(classes)):
        raise BadInput(f"{base / 'val'}: folder {unknown[0]} is none of the {len(classes)} classes of train/")
    paths = [f"train/{file}" for file in train] + [f"val/{file}" for file in test]
    labels = np.concatenate([labels, np.array([classes.index(c) for c in tested])[codes]])
    split = ["train"] * len(train) + ["test"] * len(test)
    return of_files("imagenet", base, paths, labels, classes, split)
