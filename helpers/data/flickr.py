"""Flickr style: photos of twenty styles and who took them, as caffe's example spreads the list of Karayev et
al. ("Recognizing image style", BMVC 2014)."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.data.assemble import assemble
from helpers.data.collection import Collection
from helpers.data.sets import open_set
from helpers.data.sets.published import first_there, name_in, table
from helpers.data.sets.shape import wrong
from helpers.files import given_path

PAGE = re.compile(r"https?://www\.flickr\.com/photos/([^/]+)/(\d+)/?")
MISSING = {
    "views": "records no views: no list of favourites names these photos",
    "tags": "has no tags: the list holds one style for each photo",
}


def load(data_dir: Path | str, size: int = 64, leave_out_unreadable: bool = False) -> Collection:
    """The photos at hand as a collection, with labels of kind "style"; the owner is read from a photo's page.

    `data_dir` holds the folder flickr_style as notebook 09 takes it: `flickr_style.csv.gz`, `style_names.txt`
    and images/, of files named by the last part of their `image_url`. The published split is not kept,
    because a collection has none: notebook 09 uses it. `size` and `leave_out_unreadable` are as in
    `assemble`. Raises BadInput: a file is missing, or a line of it is wrong, named with its line."""
    folder = given_path("data_dir", data_dir)
    photos = open_set("flickr_style", folder)
    styles = np.array(photos.classes)[photos.labels.argmax(axis=1)]
    styles = pd.Series(styles, pd.Index(photos.images(size).names, name="path"), "str", "label")
    base, rows = folder / "flickr_style", []
    file = first_there(base, "flickr_style.csv.gz", "flickr_style.csv")
    for line, row in table(file, ("image_url", "page_url")):
        if not (page := PAGE.fullmatch(row["page_url"])):
            raise wrong(
                file, line, row["page_url"], "http://www.flickr.com/photos/<owner>/<photo>", "page_url "
            )
        rows.append((page[2], page[1], name_in(row["image_url"])))
    items = pd.DataFrame(rows, columns=["id", "owner", "path"]).join(styles, on="path", how="inner")
    return assemble(
        "flickr", items=items, labels=items.rename(columns={"id": "item"}).assign(kind="style"),
        pictures=base / "images", size=size, leave_out_unreadable=leave_out_unreadable, missing=MISSING,
    )  # fmt: skip
