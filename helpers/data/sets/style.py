"""The sets of Fang et al. 2015, Table 1: three of style and one of objects."""

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from helpers.data.sets.shape import Absent, LabelledSet, class_folders, needed, of_files, one_of, text_lines
from helpers.errors import BadInput

WIKI_LEAST = 1000  # Karayev et al. 2014 keep the styles with more than a thousand paintings: 25 of them


def table(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of a .csv or .csv.gz with a header.

    Raises:
        BadInput: a column is absent, a row is short, or the file is no text.
    """
    opened = gzip.open(file, "rb") if file.suffix == ".gz" else open(file, "rb")
    try:
        with opened as stream:
            reader = csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8", newline=""))
            if missing := [c for c in columns if c not in (reader.fieldnames or [])]:
                found = ", ".join(reader.fieldnames or [])
                raise BadInput(
                    f"{file}, line 1: no column {missing[0]}; expected {', '.join(columns)}, found {found}"
                )
            for row in reader:
                if any(row[c] is None for c in columns):
                    raise BadInput(
                        f"{file}, line {reader.line_num}: fewer values than its header;"
                        " correct or remove the line"
                    )
                yield reader.line_num, row
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise BadInput(f"{file}: not a readable table ({error}); download it again") from None


def first_there(name: str, folder: Path, names: tuple[str, ...]) -> Path:
    """The first of several spellings that exists."""
    for candidate in names:
        if (folder / candidate).exists():
            return folder / candidate
    raise Absent(f"{name}: none of {', '.join(names)} is in {folder}")


def flickr_style(folder: Path) -> LabelledSet:
    """20 styles of 80,000 photos: caffe's table, and pictures named by the last part of their URL.

    Layout: flickr_style/flickr_style.csv.gz, style_names.txt, images/<last part of image_url>.
    """
    base, name = folder / "flickr_style", "flickr_style"
    needed(name, base / "style_names.txt")
    file = first_there(name, base, ("flickr_style.csv.gz", "flickr_style.csv"))
    classes = [text for _, text in text_lines(base / "style_names.txt")]
    numbers = {str(k): k for k in range(len(classes))}
    splits = {"train": 0, "test": 1}
    paths, labels, split = [], [], []
    for line, row in table(file, ("image_url", "label", "_split")):
        labels.append(one_of(file, line, row["label"], numbers, "label"))
        one_of(file, line, row["_split"], splits, "_split")
        split.append(row["_split"])
        paths.append(last_part(file, line, row["image_url"]))
    if not (base / "images").is_dir():
        raise Absent(
            f"{name}: the table names {len(paths)} photos; {base / 'images'}, the folder of the downloaded"
            f" photos, is not there (the first would be images/{paths[0]})"
        )
    return of_files(name, base / "images", paths, np.array(labels), classes, split)


def last_part(file: Path, line: int, url: str) -> str:
    """The file name at the end of a URL."""
    found = urlsplit(url).path.rpartition("/")[2]
    if not found:
        raise BadInput(
            f"{file}, line {line}: image_url {url[:60]!r}, expected a URL that ends with a file name"
        )
    return found


def wikipaintings(folder: Path) -> LabelledSet:
    """25 styles of 85,000 paintings: Karayev's table, and pictures named by image_id.

    Layout: wikipaintings/wikipaintings_oct2013.csv with image_id and style, images/<image_id>.jpg. Styles
    with fewer than `WIKI_LEAST` rows are left out; paintings without a genre too, as in Karayev et al. 2014.
    """
    base, name = folder / "wikipaintings", "wikipaintings"
    file = first_there(name, base, ("wikipaintings_oct2013.csv", "wikipaintings_oct2013.csv.gz"))
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
        raise BadInput(
            f"{file}: {len(large)} styles have {WIKI_LEAST} paintings or more; expected 25, the whole table"
        )
    kept = np.flatnonzero(np.isin(codes, large))
    labels = np.searchsorted(large, codes[kept])
    return of_files(name, base / "images", [ids[i] for i in kept], labels, classes[large].tolist())


def ava_style(folder: Path) -> LabelledSet:
    """14 photographic styles of 14,000 photos of AVA; training photos have one style, test photos several.

    Layout: AVA_dataset/style_image_lists/{styles.txt, train.jpgl, train.lab, test.jpgl, test.multilab},
    AVA_dataset/images/<image id>.jpg. Styles are numbered from 1.
    """
    base, name = folder / "AVA_dataset", "ava_style"
    lists = base / "style_image_lists"
    files = {n: lists / n for n in ("styles.txt", "train.jpgl", "train.lab", "test.jpgl", "test.multilab")}
    needed(name, *files.values())
    classes = [text.partition(" ")[2].strip() or text for _, text in text_lines(files["styles.txt"])]
    L = len(classes)
    numbers = {str(k + 1): k for k in range(L)}
    content = {n: text_lines(file) for n, file in files.items()}
    for pictures, labels in (("train.jpgl", "train.lab"), ("test.jpgl", "test.multilab")):
        if len(content[pictures]) != len(content[labels]):
            raise BadInput(
                f"{files[labels]}: {len(content[labels])} lines, but {len(content[pictures])} in {pictures}"
            )
    single = [one_of(files["train.lab"], k, text, numbers, "style") for k, text in content["train.lab"]]
    several = np.zeros((len(content["test.multilab"]), L), bool)
    for row, (k, text) in enumerate(content["test.multilab"]):
        values = text.split()
        if len(values) != L or set(values) - {"0", "1"} or "1" not in values:
            raise BadInput(
                f"{files['test.multilab']}, line {k}: {text[:60]!r}, expected {L} numbers 0 or 1 and a 1"
            )
        several[row] = np.array(values) == "1"
    labels = np.concatenate([np.eye(L, dtype=bool)[single], several])
    paths = [f"{text}.jpg" for n in ("train.jpgl", "test.jpgl") for _, text in content[n]]
    split = ["train"] * len(single) + ["test"] * len(several)
    return of_files(name, base / "images", paths, labels, classes, split)


def caltech256(folder: Path) -> LabelledSet:
    """256 classes of objects in folders of their own; 257.clutter is no class of objects.

    Layout: caltech256/256_ObjectCategories/001.ak47/001_0001.jpg, as torchvision's Caltech256. 50 pictures of
    a class for training and 20 for testing (Fang et al. 2015, section 4.4).
    """
    base = folder / "caltech256" / "256_ObjectCategories"
    paths, labels, classes = class_folders("caltech256", base, skip=("257.clutter",))
    return of_files("caltech256", base, paths, labels, classes, per_class=(50, 20))
