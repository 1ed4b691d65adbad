"""Pinterest: who pinned which picture, in the three forms in which research has published it.

Zhong et al., "Predicting Pinterest", WWW 2015, the data of Bibas et al. 2022; Geng et al., "Learning image
and user features for recommendation in social networks", ICCV 2015; and the latter's pins as numbered by He
et al., "Neural collaborative filtering", WWW 2017.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from helpers.data.assemble import assemble
from helpers.data.collection import Collection
from helpers.data.delimited import Format, Source, read, text_lines
from helpers.data.images import aliases, picture_names
from helpers.data.places import PICTURES, found, home
from helpers.errors import BadInput

REPIN = Format("|", dict.fromkeys(("user", "item", "category", "board"), "id"))
CATEGORY = Format("|", {"label": "text", "category": "id"})
RATING = Format("\t", {"user": "id", "item": "id", "rating": "rating", "at": "time"})


def load(data_dir: Path | str, size: int = 64, leave_out_unreadable: bool = False) -> Collection:
    """Pins as views of a collection. `data_dir`, or the folder "pinterest" in it, holds the files of one of

    - Zhong et al.: `repins.csv` (user|pin|category|board) and `category_id.txt` (name|number), either also as
      .gz. A pin's label, of kind "category", is that of its first repin, as in the code of Bibas et al.;
    - Geng et al.: `subset_iccv_board_pins.bson`, `subset_iccv_pin_im.bson`, and optionally, for labels of
      kind "category", `subset_iccv_board_cate.bson` and `categories.txt`. A board is a user, as its authors
      advise; pins of one image are one item; an item has the categories of all boards that hold it. Needs
      pymongo;
    - He et al.: `pinterest-20.train.rating` and `pinterest-20.test.rating` (user, board's item, rating,
      seconds; 0 seconds are unknown). Both are views; the sampled negatives are none, and are not read.

    Pictures are a folder or an uncompressed tar file, "images" or "pictures" (.tar), of files named by the
    pin, as 17.jpg; for Geng et al. by im_name or by a pin. Items are those with a picture; where there are no
    pictures at all, every item with a grey square. `size` and `leave_out_unreadable` are as in `assemble`.
    Raises BadInput: a file is missing or damaged, or a line of it is wrong, named with its line."""
    folder = home(data_dir, "pinterest")
    pictures = found(folder, PICTURES)
    told = {} if pictures else {"images": "was loaded without pictures: every one is a grey square"}
    source = Source(folder)
    if "repins.csv" in source:
        tables = _zhong(source)
    elif "subset_iccv_board_pins.bson" in source:
        tables = _geng(folder, pictures)
    elif "pinterest-20.train.rating" in source:
        parts = [read(source, f"pinterest-20.{part}.rating", RATING) for part in ("train", "test")]
        views = pd.concat(parts, ignore_index=True)
        at = pd.to_datetime(views["at"].where(views["at"] > 0), unit="s").astype("datetime64[ns]")
        tables = {"views": views.assign(at=at)}
    else:
        expected = "repins.csv, subset_iccv_board_pins.bson or pinterest-20.train.rating"
        raise BadInput(f"{folder}: none of {expected} is here; see the README")
    items = tables.pop("items", None)
    if items is None:
        items = pd.DataFrame({"id": tables["views"]["item"].unique()})
    return assemble(
        "pinterest", items=items, **tables, pictures=pictures, size=size,
        leave_out_unreadable=leave_out_unreadable, missing=told,
    )  # fmt: skip


def _zhong(source: Source) -> dict[str, pd.DataFrame]:
    views, names = read(source, "repins.csv", REPIN), read(source, "category_id.txt", CATEGORY)
    labels = views[["item", "category"]].drop_duplicates("item").merge(names, how="left")
    if (unknown := ~views["category"].isin(names["category"])).any():
        record, number = unknown.argmax() + 1, views["category"][unknown].iloc[0]
        where = f"{source.where('repins.csv')}, record {record}"
        raise BadInput(f"{where}: category {number} is not in category_id.txt; use the files of one release")
    return {"views": views[["user", "item"]], "labels": labels.assign(kind="category")}


def _geng(folder: Path, pictures: Path | None) -> dict[str, pd.DataFrame]:
    paths = aliases(picture_names(pictures)) if pictures else None
    image, path = {}, {}
    for pin, name in _documents(folder / "subset_iccv_pin_im.bson", "pin_id", "im_name"):
        where = "" if paths is None else paths.get(name) or paths.get(pin)
        if where is not None:
            image[pin] = name
            path.setdefault(name, where)
    boards, items = [], []
    for board, pins in _documents(folder / "subset_iccv_board_pins.bson", "board_id", "pins"):
        there = [image[pin] for pin in pins if pin in image]
        boards += [board] * len(there)
        items += there
    views = pd.DataFrame({"user": boards, "item": items}, dtype="str")
    tables = {"views": views, "items": pd.DataFrame({"id": path.keys(), "path": path.values()})}
    if (file := folder / "subset_iccv_board_cate.bson").is_file():
        names = {str(line): name for line, name in text_lines(folder / "categories.txt")}
        number = {board: str(number) for board, number in _documents(file, "board_id", "cate_id")}
        if unknown := sorted(set(number.values()) - set(names)):
            raise BadInput(
                f"{file}: cate_id {unknown[0]} is no line of categories.txt, which has {len(names)}"
            )
        labels = views.assign(label=views["user"].map(number).map(names), kind="category")
        tables["labels"] = labels.dropna(subset="label")
    return tables


def _documents(file: Path, *fields: str) -> Iterator[tuple]:
    """Some fields of each document of a BSON file."""
    try:
        from bson import decode_file_iter
        from bson.errors import InvalidBSON
    except ImportError:
        raise BadInput(
            f"{file}: needs pymongo, which reads BSON; pip install pymongo (not the package bson)"
        ) from None
    number = 0
    try:
        with open(file, "rb") as stream:
            for document in decode_file_iter(stream):
                number += 1
                yield tuple(document[field] for field in fields)
    except (OSError, KeyError, InvalidBSON) as error:
        raise BadInput(f"{file}, document {number}: {error!r}; expected {', '.join(fields)}") from None
