"""Anybody's folder: pictures, and CSV files of what people did with them."""

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.data.assemble import assemble
from helpers.data.collection import Collection
from helpers.data.delimited import Format, Source, check_unique, headings, read
from helpers.data.images import ends, picture_names
from helpers.errors import BadInput
from helpers.files import digest, given_path

COLUMNS = {  # file -> column -> kind of `delimited.KINDS`
    "views": {"user": "name", "item": "name", "time": "moment"},
    "tags": {"user": "name", "item": "name", "tag": "name", "time": "moment"},
    "labels": {"item": "name", "label": "name", "kind": "name"},
    "users": {
        "user": "name", "age": "years", "gender": "name", "country": "name", "lat": "latitude",
        "lon": "longitude", "occupation": "name",
    },
    "items": {"item": "name", "path": "name", "title": "text", "owner": "name", "time": "moment"},
}  # fmt: skip
NEEDED = {"views": ("user", "item"), "tags": ("user", "item", "tag"), "labels": ("item", "label")}
NEEDED |= {"users": ("user",), "items": ("item",)}
HEADINGS = {"time": ("time", "timestamp", "date", "at"), "user": ("user", "id"), "item": ("item", "id")}
GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}
TYPES = {"moment": "any", "years": "number", "latitude": "number", "longitude": "number"}  # else string


def load(
    data_dir: Path | str, size: int = 64, leave_out_unreadable: bool = False, on_the_fly: bool = False
) -> Collection:
    """A folder as a collection: its pictures in `images/` (with any subfolders) or `images.tar`, and CSV
    files with a header, each of which may be absent, or compressed as `views.csv.gz`:

    - views.csv: user, item, and optionally time; tags.csv: user, item, tag, time;
    - labels.csv: item, label, and optionally kind, where there are several sets of labels;
    - users.csv: user, and any of age (years), gender (f, m, female, male), country, lat, lon (degrees),
      occupation;
    - items.csv: item, and any of path, title, owner (a user), time (of upload).

    Columns come in any order. Users and items are named by any text. Every picture is an item; a file names
    it by its path, or an end of it, with or without the ending, or by the item of items.csv that has this
    picture: by its `path`, or by its own name. A time is a date, a date with a time (of UTC, or with a zone),
    or seconds since 1970. What is empty in an optional column is unknown.

    `missing["left_out"]` counts rows about items without a picture, `missing["ignored"]` names columns and
    CSV files that mean nothing here, and `source` is a Data Package (datapackage.org) of what was read.
    Options are those of `assemble`. Raises BadInput: no folder or pictures there, a needed column is absent,
    a line is wrong (named with its number), a name fits several pictures, an item or user is listed twice, no
    row of a file is about a picture, or pictures cannot be read.
    """
    folder = given_path("data_dir", data_dir)
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; give one with images/ and CSV files")
    source, place = Source(folder), _place(folder)
    names = picture_names(place)
    if not names:
        raise BadInput(f"{place}: no pictures here; expected files such as .jpg or .png")
    tables, resources, ignored = {}, [], []
    for table, columns in COLUMNS.items():
        file = f"{table}.csv"
        if (folder / file).is_file() and (folder / f"{file}.gz").is_file():
            raise BadInput(f"{folder}: {file} and {file}.gz are both there; remove one")
        if file in source:
            header = {c: HEADINGS.get(c, (c,)) for c in columns}
            form = Format(",", columns, header, quoted=True, optional=frozenset(columns) - {*NEEDED[table]})
            tables[table], heads = read(source, file, form), headings(source, file, form)
            resources.append(_resource(table, Path(source.where(file)), heads, len(tables[table])))
            ignored += [f"column {head or '(no name)'} of {file}" for head, c in heads if c is None]
    ours = {f"{table}.csv{gz}" for table in COLUMNS for gz in ("", ".gz")}
    ignored += [f"file {f.name}" for f in sorted(folder.glob("*.csv*")) if f.is_file() and f.name not in ours]
    where = {table: source.where(f"{table}.csv") for table in COLUMNS}
    items, known = _items(where["items"], tables.pop("items", None), names)
    pictured = set(items.loc[items["path"].notna(), "id"])
    for table in ("views", "tags", "labels"):
        if table in tables:
            item = _resolved(where[table], tables[table]["item"], known)
            if not pictured.intersection(item.cat.categories):
                raise BadInput(
                    f"{where[table]}: no row is about a picture: items are named such as"
                    f" {tables[table]['item'][0]!r}, pictures such as {names[0]!r}"
                )
            tables[table] = tables[table].assign(item=item).rename(columns={"time": "at"})
    if "users" in tables:
        tables["users"] = _users(where["users"], tables["users"])
    missing = {"ignored": "was loaded without the " + ", the ".join(ignored)} if ignored else {}
    made = assemble(
        "own", items=items, pictures=place, size=size, leave_out_unreadable=leave_out_unreadable,
        on_the_fly=on_the_fly, missing=missing, **tables,
    )  # fmt: skip
    resources.append(_pictures_resource(place, names))
    package = {"$schema": "https://datapackage.org/profiles/2.0/datapackage.json", "name": "own"}
    return replace(made, source=package | {"resources": resources})


def _place(folder: Path) -> Path:
    found = [place for place in (folder / "images", folder / "images.tar") if place.exists()]
    if len(found) == 1:
        return found[0]
    there = ", ".join(sorted(f.name for f in folder.iterdir())[:10]) or "nothing"
    raise BadInput(f"{folder}: expected pictures in the folder images or in images.tar, found {there}")


def _items(
    where: str, table: pd.DataFrame | None, names: list[str]
) -> tuple[pd.DataFrame, dict[str, str | None]]:
    """All items, those of the table and a picture each that it does not have; and what names each item."""
    known = ends(names)
    if table is None:
        return pd.DataFrame({"id": names, "path": names}), known
    check_unique(where, table["item"])
    named = table["item"].astype("str")
    if "path" in table:
        named = table["path"].astype("str").fillna(named)
    path = _resolved(where, named.astype("category"), known)
    if (again := (path.duplicated() & path.notna()).to_numpy()).any():
        picture = path.iloc[again.argmax()]
        first = int((path == picture).to_numpy().argmax())
        raise BadInput(
            f"{where}, record {again.argmax() + 1}: {picture} is the picture of record {first + 1} too;"
            " remove one of the lines"
        )
    listed = (
        table.rename(columns={"item": "id", "time": "uploaded_at"})
        .astype({"id": "str"})
        .assign(path=path.astype("str"))
    )
    owner_of = dict(zip(listed["path"], listed["id"], strict=True))
    known = {alias: owner_of.get(name, name) for alias, name in known.items()}
    known |= {item: item for item in listed["id"]}
    others = [name for name in names if name not in owner_of]
    return pd.concat([listed, pd.DataFrame({"id": others, "path": others}, dtype="str")]), known


def _resolved(where: str, values: pd.Series, known: Mapping[str, str | None]) -> pd.Series:
    """What each text names, as a categorical; null for nothing. BadInput: it fits several pictures."""
    texts, found = values.cat.categories, []
    for text in texts:
        plain = unicodedata.normalize("NFC", text).replace("\\", "/").removeprefix("./")
        name = next((t for t in (text, plain, plain.removeprefix("images/")) if t in known), None)
        if name is not None and known[name] is None:
            record = int((values == text).to_numpy().argmax()) + 1
            raise BadInput(f"{where}, record {record}: {text!r} fits several pictures; write the whole path")
        found.append(known.get(name))
    codes, ids = pd.factorize(np.array(found, object))
    codes = np.append(codes, -1)[values.cat.codes.to_numpy()]
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(ids, dtype="str")), values.index)


def _users(where: str, users: pd.DataFrame) -> pd.DataFrame:
    check_unique(where, users["user"])
    users = users.rename(columns={"user": "id"}).astype({"id": "str"})
    if "gender" in users:
        told = users["gender"].astype("str")
        gender = told.str.casefold().map(GENDERS)
        if (bad := (gender.isna() & told.notna()).to_numpy()).any():
            record = bad.argmax()
            raise BadInput(
                f"{where}, record {record + 1}: gender is {told[record]!r}; expected f, m, female, male or"
                " nothing"
            )
        users["gender"] = gender
    return users


def _resource(table: str, file: Path, heads: list[tuple[str, str | None]], rows: int) -> dict:
    """A file, as a Data Package describes it (with `rows` of our own)."""
    kinds = [COLUMNS[table].get(column, "moment") for _, column in heads]
    fields = [{"name": h, "type": TYPES.get(k, "string")} for (h, _), k in zip(heads, kinds, strict=True)]
    return {
        "name": table, "path": file.name, "format": "csv", "encoding": "utf-8",
        "bytes": file.stat().st_size, "hash": f"sha256:{digest(file)}", "rows": rows,
        "schema": {"fields": fields},
    }  # fmt: skip


def _pictures_resource(place: Path, names: list[str]) -> dict:
    """The tar file, or all pictures in order: the hash of several files is that of one after the other."""
    if place.is_file():
        return {"name": "images", "path": place.name, "bytes": place.stat().st_size,
                "hash": f"sha256:{digest(place)}"}  # fmt: skip
    size, content = 0, hashlib.sha256()
    for name in names:
        data = (place / name).read_bytes()
        size += len(data)
        content.update(data)
    paths = [f"{place.name}/{name}" for name in names]
    return {"name": "images", "path": paths, "bytes": size, "hash": f"sha256:{content.hexdigest()}"}
