"""The seven sets of Joulin et al. 2016, section 4.2: scenes, actions, flowers, sports, objects."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from helpers.data.sets.shape import (
    PRECISION,
    Absent,
    LabelledSet,
    class_folders,
    needed,
    of_files,
    one_of,
    text_lines,
)
from helpers.errors import BadInput

VOC_PARTS = {"trainval": "train", "test": "test"}
SUN_PARTITIONS = 10


def indoor67(folder: Path) -> LabelledSet:
    """67 kinds of rooms, 80 pictures of each for training and 20 for testing.

    Layout: indoor67/Images/<class>/<picture>, TrainImages.txt and TestImages.txt with <class>/<picture>.
    """
    base, name = folder / "indoor67", "indoor67"
    files = {"train": base / "TrainImages.txt", "test": base / "TestImages.txt"}
    needed(name, *files.values())
    listed = [(file, k, text, part) for part, file in files.items() for k, text in text_lines(file)]
    for file, k, text, _ in listed:
        if text.count("/") != 1:
            raise BadInput(f"{file}, line {k}: {text[:60]!r}, expected <class>/<picture>")
    classes = sorted({text.partition("/")[0] for _, _, text, _ in listed})
    numbers = {c: i for i, c in enumerate(classes)}
    labels = np.array([numbers[text.partition("/")[0]] for _, _, text, _ in listed])
    paths, split = [text for _, _, text, _ in listed], [part for *_, part in listed]
    return of_files(name, base / "Images", paths, labels, classes, split)


def sun397(folder: Path) -> LabelledSet:
    """397 kinds of scenes; ten published splits with 50 pictures of each for training and for testing.

    Layout: SUN397/ClassName.txt with /a/abbey; SUN397/Training_01.txt, Testing_01.txt, … 10 (or in
    SUN397/Partitions/) with /a/abbey/sun_….jpg; the pictures under SUN397/a/abbey/, as torchvision's SUN397.
    """
    base, name = folder / "SUN397", "sun397"
    lists = base / "Partitions" if (base / "Partitions").is_dir() else base
    needed(name, base / "ClassName.txt", lists / "Training_01.txt", lists / "Testing_01.txt")
    numbers = {text.strip("/"): i for i, (_, text) in enumerate(text_lines(base / "ClassName.txt"))}
    labels: dict[str, int] = {}
    pairs = []
    for p in range(1, SUN_PARTITIONS + 1):
        files = [lists / f"{part}_{p:02d}.txt" for part in ("Training", "Testing")]
        if not all(file.is_file() for file in files):
            break  # fewer partitions than published: those that are there are used
        parts = []
        for file in files:
            chosen = []
            for k, text in text_lines(file):
                path = text.strip("/")
                labels[path] = one_of(file, k, path.rpartition("/")[0], numbers, "class")
                chosen.append(path)
            parts.append(chosen)
        pairs.append(parts)
    place = {path: i for i, path in enumerate(labels)}
    partitions = [tuple(np.array([place[path] for path in part]) for part in parts) for parts in pairs]
    return of_files(
        name, base, list(labels), np.array([*labels.values()]), list(numbers), partitions=partitions
    )


def stanford40(folder: Path) -> LabelledSet:
    """40 human actions, 100 pictures of each for training.

    Layout: Stanford40/ImageSplits/<action>_train.txt and <action>_test.txt, Stanford40/JPEGImages/.
    """
    base, name = folder / "Stanford40", "stanford40"
    needed(name, base / "ImageSplits")
    endings = "_train.txt"
    classes = sorted(f.name.removesuffix(endings) for f in (base / "ImageSplits").glob(f"*{endings}"))
    if len(classes) < 2:
        raise Absent(
            f"{name}: {base / 'ImageSplits'} holds {len(classes)} lists <action>_train.txt, expected 40"
        )
    paths, labels, split = [], [], []
    for number, action in enumerate(classes):
        for part in ("train", "test"):
            file = base / "ImageSplits" / f"{action}_{part}.txt"
            needed(name, file)
            for k, text in text_lines(file):
                if not text.startswith(f"{action}_"):
                    raise BadInput(
                        f"{file}, line {k}: {text[:60]!r}, expected a picture named {action}_<number>"
                    )
                paths.append(text)
                labels.append(number)
                split.append(part)
    return of_files(name, base / "JPEGImages", paths, np.array(labels), classes, split)


def flowers102(folder: Path) -> LabelledSet:
    """102 kinds of flowers, 10 pictures of each for training, 10 for validation, the rest for testing.

    Layout: flowers-102/{imagelabels.mat, setid.mat}, flowers-102/jpg/image_00001.jpg, as torchvision's.
    """
    base, name = folder / "flowers-102", "flowers102"
    needed(name, base / "imagelabels.mat", base / "setid.mat")
    numbers = _array(base / "imagelabels.mat", "labels")
    split = np.full(len(numbers), "", dtype="<U10")
    for key, part in {"trnid": "train", "valid": "validation", "tstid": "test"}.items():
        ids = _array(base / "setid.mat", key)
        if len(ids) and not 1 <= ids.min() <= ids.max() <= len(numbers):
            raise BadInput(
                f"{base / 'setid.mat'}: {key} holds {ids.min()} to {ids.max()}, expected 1 to {len(numbers)},"
                " the pictures of imagelabels.mat"
            )
        split[ids - 1] = part
    L = int(numbers.max())
    classes = [f"flower {k}" for k in range(1, L + 1)]
    paths = [f"image_{k:05d}.jpg" for k in range(1, len(numbers) + 1)]
    return of_files(name, base / "jpg", paths, numbers - 1, classes, split)


def _array(file: Path, key: str) -> np.ndarray:
    """One row of whole numbers from a MATLAB file: int64 (n,)."""
    try:
        content = loadmat(file, squeeze_me=True)
    except (MatReadError, ValueError, TypeError, OSError, NotImplementedError) as error:
        raise BadInput(f"{file}: not a readable MATLAB file ({error}); download it again") from None
    if key not in content:
        raise BadInput(f"{file}: no variable {key}; expected the file that is published with Flowers102")
    values = np.atleast_1d(content[key]).astype(np.int64)
    if values.min() < 1:
        raise BadInput(f"{file}: {key} holds {values.min()}, expected numbers from 1")
    return values


def sports8(folder: Path) -> LabelledSet:
    """8 kinds of sports events; 70 pictures of each for training and 60 for testing (Li and Fei-Fei 2007).

    Layout: event_dataset.zip unpacked: event_dataset/<class>/<picture> (or event_dataset/event_img/<class>/).
    """
    base = folder / "event_dataset"
    base = base / "event_img" if (base / "event_img").is_dir() else base
    paths, labels, classes = class_folders("sports8", base)
    return of_files("sports8", base, paths, labels, classes, per_class=(70, 60))


def voc2007(folder: Path) -> LabelledSet:
    """20 kinds of objects, several in a picture: trainval for training, test for testing, average precision.

    Layout: VOCdevkit/VOC2007/ImageSets/Main/<class>_trainval.txt and <class>_test.txt with a picture's number
    and 1 (there), −1 (not there) or 0 (only difficult ones: counts neither way); JPEGImages/<number>.jpg.
    """
    base, name = folder / "VOCdevkit" / "VOC2007", "voc2007"
    lists = base / "ImageSets" / "Main"
    needed(name, lists)
    classes = sorted(f.name.removesuffix("_trainval.txt") for f in lists.glob("*_trainval.txt"))
    if len(classes) < 2:
        raise Absent(f"{name}: {lists} holds {len(classes)} lists <class>_trainval.txt, expected 20")
    values: dict[str, np.ndarray] = {}
    split: dict[str, str] = {}
    known = {"1": 1, "-1": -1, "0": 0}
    for number, kind in enumerate(classes):
        for part, called in VOC_PARTS.items():
            file = lists / f"{kind}_{part}.txt"
            needed(name, file)
            for k, text in text_lines(file):
                picture, *value = text.split()
                if len(value) != 1 or value[0] not in known:
                    raise BadInput(
                        f"{file}, line {k}: {text[:60]!r}, expected a picture's number and 1, -1 or 0"
                    )
                row = values.setdefault(picture, np.full(len(classes), -1))
                row[number] = known[value[0]]
                if split.setdefault(picture, called) != called:
                    raise BadInput(f"{file}, line {k}: picture {picture} is in trainval and in test")
    table = np.array([*values.values()])
    paths = [f"{picture}.jpg" for picture in values]
    return of_files(
        name, base / "JPEGImages", paths, table == 1, classes, [*split.values()],
        ignored=table == 0, measure=PRECISION,
    )  # fmt: skip


def imagenet(folder: Path) -> LabelledSet:
    """1000 classes, in the folders that torchvision's ImageNet makes; validation pictures are for testing.

    Layout: imagenet/train/<wnid>/<picture>.JPEG, imagenet/val/<wnid>/<picture>.JPEG.
    """
    base, name = folder / "imagenet", "imagenet"
    paths, labels, split = [], [], []
    found = {part: class_folders(name, base / part) for part in ("train", "val")}
    classes = found["train"][2]
    if unknown := sorted(set(found["val"][2]) - set(classes)):
        raise BadInput(f"{base / 'val'}: folder {unknown[0]} is none of the {len(classes)} classes of train/")
    numbers = {c: k for k, c in enumerate(classes)}
    for part, (files, codes, names) in found.items():
        paths += [f"{part}/{file}" for file in files]
        labels += [numbers[names[code]] for code in codes]
        split += ["train" if part == "train" else "test"] * len(files)
    return of_files(name, base, paths, np.array(labels), classes, split)
