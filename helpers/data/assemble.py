"""From tables with a dataset's own ids, and pictures, to a `Collection`: what all readers share."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.data import images as stores
from helpers.data.collection import Collection, empty_table, full_table
from helpers.errors import BadInput
from helpers.paths import cache


def assemble(
    name: str,
    *,
    items: pd.DataFrame,
    users: pd.DataFrame | None = None,
    views: pd.DataFrame | None = None,
    tags: pd.DataFrame | None = None,
    labels: pd.DataFrame | None = None,
    pictures: Path | None = None,
    size: int = 64,
    leave_out_unreadable: bool = False,
    on_the_fly: bool = False,
    sort: bool = True,
    missing: Mapping[str, str] | None = None,
) -> Collection:
    """A collection of real people, called `name`, from tables whose ids are the dataset's own.

    Ids are text of any form, or whole numbers; a column of them may be categorical, which is fastest for
    millions of rows. Columns beside these are ignored, and times (`at`, `uploaded_at`) are datetime64[ns]:

    - items: `id` (unique), and optionally `path` (the picture's name inside `pictures`; without this column,
      an id names its picture as in `images.aliases`), `title`, `owner` (a user's id, null where unknown),
      `uploaded_at`;
    - users: `id` (unique), and any of `age` (years), `gender` ("female", "male"), `country`, `lat`, `lon`
      (degrees), `occupation`;
    - views: `user`, `item`, and optionally `at`; tags: besides `tag`; labels: `item`, `label`, and optionally
      `kind` (default "label"). Rows of tags and labels that repeat another one exactly count once.

    Items are those with a picture: rows about others are left out, and `missing["left_out"]` counts them.
    Users are those who are left with a view, a tag or an item of their own; `users` may describe more, or
    fewer. Both are numbered in the order of their ids, or with `sort=False` in the order of the tables.

    `pictures` is a folder or an uncompressed tar file; centre squares of `size` pixels are kept as one array,
    or with `on_the_fly` decoded when they are asked for. With `leave_out_unreadable`, items whose picture
    cannot be read are left out too, and `missing["unreadable"]` tells how many and which. Without `pictures`,
    each item has a grey square; say in `missing["images"]` why. `missing` is the reasons for parts that are
    not there, as in `Collection`. Raises BadInput: an id is empty or there twice, a row has no user, no item
    has a picture, or pictures cannot be read.
    """
    told = dict(missing or {})
    items = _listed(f"{name}: items", items, sort)
    listed = len(items)
    if pictures is None:
        items, images = items.assign(path=""), _grey(listed, size)
    else:
        items, images = _pictured(items, Path(pictures), size, leave_out_unreadable, on_the_fly, told)
    known, left_out = pd.Index(items["id"]), {"items without a picture": listed - len(items)}
    kept = {}
    for table, frame in {"views": views, "tags": tags, "labels": labels}.items():
        frame = empty_table(table) if frame is None else frame
        item = _numbers(frame["item"], known)
        left_out[f"{table} of such items"] = int((item < 0).sum())
        kept[table] = frame.assign(item=item)[item >= 0]
    owner = items["owner"] if "owner" in items else pd.Series(pd.NA, items.index, "str")
    people = _people(name, users, [kept["views"]["user"], kept["tags"]["user"], owner.dropna()], sort)
    by_id = pd.Index(people["id"])
    for table in ("views", "tags"):
        user = _numbers(kept[table]["user"], by_id)
        if (user < 0).any():
            raise BadInput(
                f"{name}: {table}: row {(user < 0).argmax()} of the items with a picture has no user"
            )
        kept[table] = kept[table].assign(user=user)
    for table, column in {"tags": "tag", "labels": "label"}.items():
        kept[table] = kept[table].assign(**{column: _words(kept[table][column])})
    kind = _words(kept["labels"]["kind"]) if "kind" in kept["labels"] else "label"
    kept["labels"] = kept["labels"].assign(kind=kind)
    if counted := ", ".join(f"{n:,} {what}" for what, n in left_out.items() if n):
        told.setdefault("left_out", f"was loaded without {counted}")
    return Collection(
        name, False,
        items=_full("items", items.assign(owner=_numbers(owner, by_id), item=np.arange(len(items)))),
        users=_full("users", people.assign(user=np.arange(len(people)))),
        views=full_table("views", kept["views"]).reset_index(drop=True),
        tags=full_table("tags", kept["tags"]).drop_duplicates(ignore_index=True),
        labels=full_table("labels", kept["labels"]).drop_duplicates(ignore_index=True),
        images=images, missing=told,
    )  # fmt: skip


def _listed(where: str, table: pd.DataFrame, sort: bool) -> pd.DataFrame:
    """The table in the order of its ids; BadInput if one is empty or there twice."""
    ids = table["id"]
    if (bad := (ids.isna() | (ids == "")).to_numpy()).any():
        raise BadInput(f"{where}: row {bad.argmax()} has no id")
    if (again := ids.duplicated().to_numpy()).any():
        twice = ids.iloc[again.argmax()]
        first = (ids == twice).to_numpy().argmax()
        raise BadInput(f"{where}: id {twice!r} is in row {first} and in row {again.argmax()}; remove one")
    return table.sort_values("id", ignore_index=True) if sort else table.reset_index(drop=True)


def _pictured(
    items: pd.DataFrame, place: Path, size: int, leave_out: bool, on_the_fly: bool, told: dict[str, str]
) -> tuple[pd.DataFrame, stores.ImageStore]:
    """The items that have a picture, with its path, and the pictures in their order."""
    names = stores.picture_names(place)
    if "path" in items:
        items = items[items["path"].isin(names)]
    else:
        items = items.assign(path=items["id"].astype("str").map(stores.aliases(names))).dropna(subset="path")
    if items.empty:
        raise BadInput(
            f"{place}: none of its {len(names)} pictures belongs to an item; pictures are named such as"
            f" {', '.join(names[:3]) or 'none'}"
        )
    paths, unreadable = items["path"].tolist(), {}
    if not on_the_fly:
        images, unreadable = stores.decoded(place, paths, size, leave_out)
    elif leave_out:
        for _, reasons in stores.FileImages(place, paths, size).read_all():
            unreadable |= reasons
    if len(unreadable) == len(set(paths)):
        raise BadInput(stores.refusal(place, unreadable))
    items = items[~items["path"].isin(list(unreadable))].reset_index(drop=True)
    if on_the_fly:
        images = stores.FileImages(place, items["path"].tolist(), size)
    if n := len(unreadable):
        some = ", ".join(list(unreadable)[: stores.NAMED]) + (", …" if n > stores.NAMED else "")
        told["unreadable"] = f"was loaded without {n} items of unreadable pictures: {some}"
    return items, images


def _people(name: str, users: pd.DataFrame | None, seen: list[pd.Series], sort: bool) -> pd.DataFrame:
    """A row for each user who is seen, with what `users` tells of them."""
    users = pd.DataFrame({"id": []}) if users is None else _listed(f"{name}: users", users, sort)
    active = pd.Index(pd.concat([pd.Series(_used(ids)) for ids in seen]).drop_duplicates().sort_values())
    ids = pd.Index(users["id"])
    order = active if sort else ids[ids.isin(active)].append(active.difference(ids))
    return users.set_index("id").reindex(order).rename_axis("id").reset_index()


def _used(ids: pd.Series) -> pd.Index:
    """The different ids of a column, ascending."""
    return ids.astype("category").cat.remove_unused_categories().cat.categories


def _numbers(ids: pd.Series, known: pd.Index) -> np.ndarray:
    """The place of each id in `known`, int32, -1 for others: each different id is looked up once."""
    kinds = ids.astype("category").cat
    place = np.append(known.get_indexer(kinds.categories), -1).astype(np.int32)
    return place[kinds.codes.to_numpy()]


def _words(words: pd.Series) -> pd.Series:
    """As a categorical of those that occur, in order."""
    words = words.astype("category").cat.remove_unused_categories()
    return words.cat.set_categories(words.cat.categories.astype("str").sort_values())


def _full(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    return full_table(table, frame.assign(original_id=frame["id"].astype("str")))


def _grey(n: int, size: int) -> stores.ArrayImages:
    target = cache() / "pictures" / f"grey-{n}-{size}.npy"
    if not target.is_file():
        stores.keep_array(target, np.full((n, size, size, 3), 128, np.uint8))
    return stores.ArrayImages(target)
