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
    """Pictures, their labels, and the split that was published with them.

    Attributes:
        name: as given to `open_set`.
        labels: bool (n, L), whether picture i carries class l.
        classes: L names.
        rows: int64 (n,), the row of each picture in the store.
        images: side in pixels -> image store; a collection's own store has one side and ignores it.
        split: text (n,): "train", "validation" or "test" as published, or "" where the split is drawn.
        partitions: pairs (train, test) of int positions 0..n-1, where several splits were published.
        per_class: pictures of each class for (training, test), where the split is drawn by class.
        ignored: bool (n, L), pairs that count neither as positive nor as negative; None for none.
        measure: `ACCURACY` (of one class for each picture) or `PRECISION` (class by class).
        listed: pictures that the set's lists name; more than n where some of them are not there.
    """

    name: str
    labels: np.ndarray
    classes: Sequence[str]
    rows: np.ndarray
    images: Callable[[int], ImageStore]
    split: np.ndarray
    partitions: Sequence[tuple[np.ndarray, np.ndarray]] = ()
    per_class: tuple[int, int] | None = None
    ignored: np.ndarray | None = None
    measure: str = ACCURACY
    listed: int = 0

    def __post_init__(self):
        n, L = self.labels.shape
        for what, size in [("rows", len(self.rows)), ("split", len(self.split))]:
            if size != n:
                raise BadInput(f"{self.name}: {size} {what} for {n} pictures; there must be one each")
        if L != len(self.classes) or L < 2:
            raise BadInput(
                f"{self.name}: {L} columns of labels for {len(self.classes)} classes, at least two"
            )
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
        ignored = None if self.ignored is None else self.ignored[keep]
        return replace(
            self, labels=self.labels[keep], rows=self.rows[keep], split=self.split[keep], ignored=ignored
        )


def of_files(
    name: str, folder: Path, paths: Sequence[str], labels: np.ndarray, classes: Sequence[str],
    split: Sequence[str] | None = None, **more,
) -> LabelledSet:  # fmt: skip
    """A set of picture files; those that are listed but not there are left out and counted.

    Args:
        folder: what `paths` are relative to.
        labels: bool (n, L), or int (n,) for one class each.
        split: as published, or None.
        more: `partitions`, `per_class`, `ignored`, `measure`; partitions count in the given paths.

    Raises:
        Absent: none of the pictures is there.
    """
    labels = np.asarray(labels)
    if labels.ndim == 1:
        labels = np.eye(len(classes), dtype=bool)[labels]
    split = np.asarray(split if split is not None else [""] * len(paths), dtype=str)
    there = np.flatnonzero(present(folder, paths))
    if not len(there):
        raise Absent(f"{name}: none of its {len(paths)} pictures is in {folder}; the first is {paths[0]}")
    names = [paths[i] for i in there]
    if more.get("ignored") is not None:
        more["ignored"] = more["ignored"][there]
    if more.get("partitions"):
        place = np.full(len(paths), -1)
        place[there] = np.arange(len(there))
        more["partitions"] = [tuple(p[p >= 0] for p in (place[a], place[b])) for a, b in more["partitions"]]
    return LabelledSet(
        name, labels[there], list(classes), np.arange(len(there)),
        lambda size: FileImages(folder, names, size), split[there], listed=len(paths), **more,
    )  # fmt: skip


def needed(name: str, *files: Path) -> None:
    """Raises Absent, naming the first file or folder that is not there."""
    for file in files:
        if not file.exists():
            raise Absent(f"{name}: {file} is not there")


def one_of(file: Path, number: int, text: str, known: dict[str, int], what: str) -> int:
    """The position of a name that must be known. Raises BadInput: naming file, line and what was expected."""
    if text not in known:
        some = ", ".join(list(known)[:3])
        raise BadInput(
            f"{file}, line {number}: {what} {text[:60]!r}, expected one of {len(known)} such as {some}"
        )
    return known[text]


def pictures_in(folder: Path) -> list[str]:
    """Names of the picture files directly in a folder, in order."""
    return sorted(f.name for f in folder.iterdir() if f.suffix.lower() in PICTURES)


def class_folders(
    name: str, folder: Path, skip: Sequence[str] = ()
) -> tuple[list[str], np.ndarray, list[str]]:
    """A set with one folder for each class: paths, class numbers int (n,), class names.

    Raises Absent: fewer than two folders with pictures.
    """
    needed(name, folder)
    names = sorted(f.name for f in folder.iterdir() if f.is_dir() and f.name not in skip)
    inside = {c: pictures_in(folder / c) for c in names}
    classes = [c for c in names if inside[c]]
    if len(classes) < 2:
        raise Absent(
            f"{name}: {folder} holds {len(classes)} folders with pictures, expected one for each class"
        )
    paths = [f"{c}/{picture}" for c in classes for picture in inside[c]]
    return paths, np.repeat(np.arange(len(classes)), [len(inside[c]) for c in classes]), classes
