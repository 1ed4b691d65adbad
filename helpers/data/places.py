"""Where a reader finds the files of a dataset: in a folder that the user gave, by their names."""

import re
from pathlib import Path

from helpers.errors import BadInput
from helpers.files import given_path

PICTURES = r"(images|pictures)(\.tar)?"


def home(data_dir: Path | str, name: str) -> Path:
    """The folder `name` inside `data_dir` where there is one, else `data_dir`; BadInput if that is no
    folder."""
    folder = given_path("data_dir", data_dir)
    if not folder.is_dir():
        raise BadInput(f"data_dir: {folder} is no folder; put the files of {name} into one and name it")
    return folder / name if (folder / name).is_dir() else folder


def found(folder: Path, pattern: str, what: str = "") -> Path | None:
    """The file or folder inside `folder` whose name is `pattern`, or None. Raises BadInput: there are
    several, or none and `what` says what must be there."""
    files = [file for file in sorted(folder.iterdir()) if re.fullmatch(pattern, file.name)]
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise BadInput(f"{folder}: {names} lie here, and one of them is read; move the others elsewhere")
    if what and not files:
        there = ", ".join(sorted(file.name for file in folder.iterdir())[:8]) or "nothing"
        raise BadInput(f"{folder}: no {what} here, only {there}; see the README for what to put there")
    return files[0] if files else None
