"""Labelled pictures to measure features on, as a `LabelledSet`.

`open_set` reads a published set from the user's folder; `own_sets` and `digits` need no files.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from helpers.data.collection import Collection, label_matrix
from helpers.data.images import ArrayImages, keep_array
from helpers.data.sets import published
from helpers.data.sets.shape import ACCURACY, PRECISION, Absent, LabelledSet
from helpers.errors import BadInput
from helpers.paths import cache

__all__ = ["ACCURACY", "BROUGHT", "PRECISION", "Absent", "LabelledSet", "digits", "open_set", "own_sets"]

KINDS = ("style", "content", "group", "subgroup", "genre", "category", "concept")


class Brought(NamedTuple):
    """A set that a user brings."""

    read: Callable[[Path], LabelledSet]
    title: str  # in the papers
    how: str  # to get it


_ABOUT = yaml.safe_load((Path(__file__).parent / "brought.yaml").read_text(encoding="utf-8"))
BROUGHT = {name: Brought(getattr(published, name), **about) for name, about in _ABOUT.items()}


def open_set(name: str, folder: Path) -> LabelledSet:
    """A published set from the user's folder. Raises Absent: its files are not there; the message says what
    was looked for and how to get it. Raises BadInput: the name is unknown, or a file is not as published; the
    message names file and line."""
    if name not in BROUGHT:
        raise BadInput(f"set {name!r} is unknown; choose from {', '.join(BROUGHT)}")
    try:
        return BROUGHT[name].read(Path(folder).expanduser())
    except Absent as absent:
        raise Absent(f"{name}: {absent}; to get it: {BROUGHT[name].how}") from None


def own_sets(collection: Collection, items: np.ndarray, least: int = 10) -> dict[str, LabelledSet]:
    """A set of these items (int, ascending) for each of `KINDS` of label that a collection has.

    Where pictures carry several labels of a kind (genres), it is measured class by class. Classes with fewer
    than `least` of the items are left out, and items without a class that is left."""
    found = {}
    kinds = set(collection.labels["kind"].unique())
    for kind in [k for k in KINDS if k in kinds]:
        chosen = collection.labels[collection.labels["kind"] == kind]
        names = np.array(sorted(chosen["label"].unique()), dtype=str)
        labels = label_matrix(collection.labels, kind, len(collection.items))[items]
        large = labels.sum(axis=0) >= least
        # "group" only repeats "content" at a coarser level where both exist
        if large.sum() < 2 or (kind == "group" and "content" in kinds):
            continue
        labels = labels[:, large]
        keep = np.flatnonzero(labels.any(axis=1))
        measure = ACCURACY if labels.sum(axis=1).max() == 1 else PRECISION
        found[kind] = LabelledSet(
            kind, labels[keep], names[large].tolist(), items[keep].astype(np.int64),
            lambda size: collection.images, np.full(len(keep), "", dtype="<U10"), measure=measure,
        )  # fmt: skip
    return found


def digits() -> LabelledSet:
    """1,797 handwritten digits of 8 x 8 pixels, which scikit-learn brings (Alpaydin and Kaynak 1998)."""
    content = load_digits()

    def images(size: int) -> ArrayImages:
        target = cache() / "pictures" / f"digits-{size}.npy"
        if not target.is_file():
            grey = map(Image.fromarray, np.round(content.images * (255 / 16)).astype(np.uint8))
            large = [np.asarray(g.resize((size, size), Image.Resampling.BICUBIC)) for g in grey]
            keep_array(target, np.repeat(np.stack(large)[..., None], 3, axis=-1))
        return ArrayImages(target)

    n = len(content.target)
    return LabelledSet(
        "digits", np.eye(10, dtype=bool)[content.target], [str(k) for k in range(10)], np.arange(n), images,
        np.full(n, "", dtype="<U10"),
    )  # fmt: skip
