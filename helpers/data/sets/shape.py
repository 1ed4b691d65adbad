"""A set of labelled pictures to measure features on, whatever files it was published in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from helpers.data.images import FileImages, ImageStore, present
from helpers.errors import BadInput

ACCURACY, PRECISION = "accuracy", "average precision"
PICTURES = (".jpg", ".jpeg", ".png")


class Absent(BadInput):
    """The set's files are not there; the message says what was looked for."""


@dataclass(frozen=True)
class LabelledSet:
    """Pictures, their labels, and the split that was published with them."""

    name: str  # as given to `open_set`
    labels: np.ndarray  # bool (n, L), whether picture i carries class l
    classes: Sequence[str]  # L names
    rows: np.ndarray  # int64 (n,), the row of each picture in the store
    images: Callable[[int], ImageStore]  # of a side in pixels; a collection's own store ignores it
    split: np.ndarray  # text (n,): "train", "validation" or "test" as published, "" where the split is drawn
    partitions: Sequence[tuple[np.ndarray, np.ndarray]] = ()  # (train, test) int positions, if several splits
    per_class: tuple[int, int] | None = None  # pictures of each for (training, test), if drawn by class
    ignored: np.ndarray | None = None  # bool (n, L), pairs that count neither as positive nor as negative
    measure: str = ACCURACY  # of one class for each picture; or `PRECISION`, class by class

    def __post_init__(self):
        n, L = self.labels.shape
        for what, size in [("rows", len(self.rows)), ("split", len(self.split))]:
            if size != n:
                raise BadInput(f"{self.name}: {size} {what} for {n} pictures; there must be one each")
        if L != len(self.classes) or L < 2:
            known = len(self.classes)
            raise BadInput(f"{self.name}: {L} columns of labels for {known} classes, at least two")
        if self.measure == ACCURACY and not self.labels.any(axis=1).all():
            raise BadInput(f"{self.name}: picture {int((~self.labels.any(axis=1)).argmax())} has no label")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def chance(self) -> float:
        """What an answer without a look gets: the share of the largest class, or a class's mean share."""
        share = self.labels.mean(axis=0)
        return float(share.max() if self.measure == ACCURACY else share.mean())

    def part(self, keep: np.ndarray) -> "LabelledSet":
        """The pictures at these positions (int), for a set without several published splits."""
        if self.partitions:
            raise BadInput(f"{self.name}: several splits are published; take no part of it")
        by_picture = {name: getattr(self, name) for name in ("labels", "rows", "split", "ignored")}
        return replace(self, **{name: a[keep] for name, a in by_picture.items() if a is not None})


def of_files(
    name: str, folder: Path, paths: Sequence[str], labels: np.ndarray, classes: Sequence[str],
    split: Sequence[str] | None = None, **more,
) -> LabelledSet:  # fmt: skip
    """A set of picture files, without those that are listed but not there.

    Paths are relative to the folder; labels are bool (n, L), or int (n,) for one class each; `more` are other
    fields, of which `partitions` count in the given paths. Raises Absent: none of the pictures is there;
    BadInput: a path leaves the folder."""
    labels = np.asarray(labels)
    if labels.ndim == 1:
        labels = np.eye(len(classes), dtype=bool)[labels]
    if climbing := [path for path in paths if ".." in path.split("/") or path.startswith("/")]:
        raise BadInput(f"{name}: {climbing[0][:60]!r} leaves the folder {folder}; correct the list")
    split = np.asarray([""] * len(paths) if split is None else split, dtype=str)
    there = np.flatnonzero(present(folder, paths))
    if not len(there):
        raise Absent(f"none of its {len(paths)} pictures is in {folder}; the first is {paths[0]}")
    names = [paths[i] for i in there]
    if more.get("ignored") is not None:
        more["ignored"] = more["ignored"][there]
    if more.get("partitions"):
        place = np.full(len(paths), -1)
        place[there] = np.arange(len(there))
        more["partitions"] = [tuple(p[p >= 0] for p in (place[a], place[b])) for a, b in more["partitions"]]
    return LabelledSet(
        name, labels[there], list(classes), np.arange(len(there)),
        lambda size: FileImages(folder, names, size), split[there], **more,
    )  # fmt: skip


def needed(*files: Path) -> None:
    """Raises Absent, naming the first file or folder that is not there."""
    for file in files:
        if not file.exists():
            raise Absent(f"{file} is not there")


def wrong(file: Path, line: int, text: str, expected: str, what: str = "") -> BadInput:
    """The error that names file, line, the text that is there and what was expected."""
    return BadInput(f"{file}, line {line}: {what}{text[:60]!r}, expected {expected}")


def one_of(file: Path, line: int, text: str, known: dict, what: str):
    """What stands for a name that must be known."""
    if text not in known:
        some = ", ".join(list(known)[:3])
        raise wrong(file, line, text, f"one of {len(known)} such as {some}", f"{what} ")
    return known[text]


def by_folder(folder: Path, skip: str = "") -> tuple[list[str], np.ndarray, list[str]]:
    """A set with one folder for each class: paths, class numbers int (n,), class names. Raises Absent where
    fewer than two folders have pictures."""
    if not folder.is_dir():
        raise Absent(f"{folder} is not there")
    inside = {}
    for kind in sorted(f.name for f in folder.iterdir() if f.is_dir() and f.name != skip):
        names = sorted(f.name for f in (folder / kind).iterdir() if f.suffix.lower() in PICTURES)
        if names:
            inside[kind] = names
    if len(inside) < 2:
        raise Absent(f"{folder} holds {len(inside)} folders with pictures, expected one for each class")
    paths = [f"{kind}/{name}" for kind, names in inside.items() for name in names]
    return paths, np.repeat(np.arange(len(inside)), [*map(len, inside.values())]), list(inside)
