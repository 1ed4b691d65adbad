"""Behance: who appreciated which project, who owns it, and features of its cover.

The release of the University of California, San Diego, holds a million appreciates of 2011 (He et al.,
"Vista", RecSys 2016). The 326 million views of Fang et al. 2015, section 3, are not part of it.
"""

from pathlib import Path

import pandas as pd

from helpers.data.assemble import assemble
from helpers.data.collection import Collection
from helpers.data.delimited import Format, Source, read
from helpers.data.places import PICTURES, found, home
from helpers.data.visual import VisualFeatures

APPRECIATES = Format(" ", {"user": "text", "item": "text", "at": "time"})
OWNERS = Format(" ", {"item": "text", "owner": "text"})


def load(data_dir: Path | str, size: int = 64, leave_out_unreadable: bool = False) -> Collection:
    """The files of the release as a collection. An appreciate is a view.

    `data_dir`, or the folder "behance" in it, holds `Behance_appreciate_1M.gz` (a line: user, item, seconds)
    and, each optional, `Behance_Item_to_Owners.gz` (item, owner; of several owners the first counts), and
    pictures or `Behance_Image_Features.b`. Both .gz files may be unpacked. Pictures are a folder or an
    uncompressed tar file, "images" or "pictures" (.tar), of files named by their item, such as 00123456.jpg;
    where there are none, the features take their place. Items are those that have the one or the other.
    `size` and `leave_out_unreadable` are as in `assemble`. Raises BadInput: a file is missing, damaged, or
    has a bad line, named with its line."""
    folder = home(data_dir, "behance")
    appreciates = found(folder, r"Behance_appreciate_1M(\.gz|\.txt)?", "Behance_appreciate_1M.gz")
    owners = found(folder, r"Behance_Item_to_Owners(\.gz|\.txt)?")
    covers, pictures = found(folder, r"Behance_Image_Features\.b"), found(folder, PICTURES)
    source = Source(folder)
    views = read(source, appreciates.name.removesuffix(".gz"), APPRECIATES).drop_duplicates(ignore_index=True)
    views["at"] = pd.to_datetime(views["at"], unit="s").astype("datetime64[ns]")
    items = pd.DataFrame({"id": views["item"].drop_duplicates().sort_values(ignore_index=True)})
    if owners:
        owned = read(source, owners.name.removesuffix(".gz"), OWNERS).drop_duplicates("item")
        items = items.merge(owned, left_on="id", right_on="item", how="left").drop(columns="item")
    told = {
        "tags": "has no tags in this release",
        "labels": "has no labels: its fields of design are not part of this release",
    }
    return assemble(
        "behance", items=items, views=views, pictures=pictures, size=size, 
        features=VisualFeatures(covers, 8) if covers else None,
        leave_out_unreadable=leave_out_unreadable, missing=told,
    )  # fmt: skip
