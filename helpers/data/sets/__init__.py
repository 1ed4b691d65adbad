"""Labelled pictures to measure features on: those that run here, and those that a user brings.

`open_set(name, folder)` reads a published set from the user's folder; `own_sets(collection)` and `digits()`
need no files. All come as a `LabelledSet`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import yaml

from helpers.data.sets import published
from helpers.data.sets.own import digits, own_sets
from helpers.data.sets.shape import ACCURACY, PRECISION, Absent, LabelledSet
from helpers.errors import BadInput

__all__ = ["ACCURACY", "BROUGHT", "PRECISION", "Absent", "LabelledSet", "digits", "open_set", "own_sets"]


class Brought(NamedTuple):
    """A set that a user brings."""

    read: Callable[[Path], LabelledSet]
    title: str  # in the papers
    how: str  # to get it


_ABOUT = yaml.safe_load((Path(__file__).parent / "brought.yaml").read_text(encoding="utf-8"))
BROUGHT = {name: Brought(getattr(published, name), **about) for name, about in _ABOUT.items()}


def open_set(name: str, folder: Path) -> LabelledSet:
    """A published set from the user's folder.

    Raises Absent: its files are not there; the message says what was looked for and how to get it. Raises
    BadInput: the name is unknown, or a file is not as published; the message names file and line.
    """
    if name not in BROUGHT:
        raise BadInput(f"set {name!r} is unknown; choose from {', '.join(BROUGHT)}")
    try:
        return BROUGHT[name].read(Path(folder).expanduser())
    except Absent as absent:
        raise Absent(f"{name}: {absent}; to get it: {BROUGHT[name].how}") from None
