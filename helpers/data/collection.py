"""One shape for every dataset: five tables, an image store, and what a dataset cannot tell.

Whatever is loaded (a simulated network, a catalogue, a public rating log), a notebook sees the same
`Collection`. A part that a dataset does not have is an empty table plus a sentence in `missing`; it is
never invented.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from helpers.data.images import AGAIN, GreyImages, ImageStore, open_images
from helpers.errors import BadInput
from helpers.files import opened, replacing

TIME = "datetime64[ns]"
_ids = partial(pa.Column, "int32", pa.Check.ge(0))
_known = partial(pa.Column, nullable=True)


def _schema(**columns) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns, strict=True, ordered=True)


SCHEMAS = {
    # owner is -1 where the dataset names no owner; path names the picture inside its source
    "items": _schema(
        item=_ids(unique=True), owner=pa.Column("int32", pa.Check.ge(-1)), uploaded_at=_known(TIME),
        path=pa.Column(str), title=_known(str), original_id=pa.Column(str, unique=True),
    ),
    "users": _schema(
        user=_ids(unique=True), age=_known("float32", pa.Check.in_range(0, 130)),
        gender=_known(str, pa.Check.isin(["female", "male"])), country=_known(str),
        lat=_known("float32", pa.Check.in_range(-90, 90)),
        lon=_known("float32", pa.Check.in_range(-180, 180)), occupation=_known(str),
        original_id=pa.Column(str, unique=True),
    ),
    "views": _schema(user=_ids(), item=_ids(), at=_known(TIME)),
    "tags": _schema(user=_ids(), item=_ids(), tag=pa.Column("category"), at=_known(TIME)),
    # kind tells label sets of one dataset apart: content, group and style of emojigram, genre of movielens
    "labels": _schema(item=_ids(), kind=pa.Column("category"), label=pa.Column("category")),
}  # fmt: skip
TABLES = tuple(SCHEMAS)
PACKAGE = "datapackage.json"
PLACE = ["country", "lat", "lon"]
PERSONAL = ["age", "gender", *PLACE, "occupation"]
# part -> what tells that it is absent, and what is then said of it where the loader gives no reason
ABSENT = {
    "views": (lambda c: c.views.empty, "records no views"),
    "view_times": (lambda c: c.views["at"].isna().all(), "does not say when pictures were viewed"),
    "tags": (lambda c: c.tags.empty, "has no tags"),
    "tag_times": (lambda c: c.tags["at"].isna().all(), "does not say when tags were given"),
    "labels": (lambda c: c.labels.empty, "has no labels"),
    "uploads": (lambda c: c.items["uploaded_at"].isna().all(), "records no upload times"),
    "owners": (lambda c: (c.items["owner"] < 0).all(), "names no owners"),
    "titles": (lambda c: c.items["title"].isna().all(), "has no titles"),
    "attributes": (lambda c: c.users[PERSONAL].isna().all(axis=None), "tells nothing about its users"),
    "places": (lambda c: c.users[PLACE].isna().all(axis=None), "names no country or place of its users"),
    "images": (lambda c: isinstance(c.images, GreyImages), "has no pictures"),
    "features": (
        lambda c: c.features is None and isinstance(c.images, GreyImages),
        "has no pictures, nor features of them",
    ),
}
# part -> what goes where a collection is used without it: table -> columns that lose their values (none: all
# rows go), and the same for tables of `truth`, where the columns and tables themselves go
PARTS = {
    "views": ({"views": []}, {"posts": []}),
    "tags": ({"tags": []}, {"tag_kinds": [], "senses": [], "words": []}),
    "times": ({"views": ["at"], "tags": ["at"], "items": ["uploaded_at"]}, {}),
    # names and numbers of contents and styles mean nothing without the labels, or tell them
    "labels": ({"labels": []}, {"posts": [], "content_taste": [], "style_taste": []}),
    "attributes": ({"users": PERSONAL}, {"people": ["generation", "language", "second_language"]}),
    "owners": ({"items": ["owner"]}, {}),
    "titles": ({"items": ["title"]}, {}),
    "images": ({}, {}),
}


def empty_table(name: str) -> pd.DataFrame:
    """A table of the schema without rows, for a part that a dataset does not have."""
    columns = SCHEMAS[name].columns
    kinds = {c: "str" if "str" in str(s.dtype) else str(s.dtype) for c, s in columns.items()}
    # parquet keeps a column without rows as categorical only if its categories are text
    texts = {"category": pd.CategoricalDtype(pd.Index([], dtype="str"))}
    return pd.DataFrame({c: pd.Series(dtype=texts.get(kind, kind)) for c, kind in kinds.items()})


def full_table(name: str, columns: Mapping) -> pd.DataFrame:
    """A table of the schema; columns that are not given are unknown throughout."""
    dtypes = {c: "category" if t == "category" else t for c, t in empty_table(name).dtypes.items()}
    return pd.DataFrame(columns).reindex(columns=list(dtypes)).astype(dtypes)


@dataclass(frozen=True)
class Collection:
    """Images and what a crowd did with them: tables with the columns and types of `SCHEMAS`, and pictures."""

    name: str  # the dataset's, as given to `load`
    simulated: bool  # True where people and their behaviour are generated
    items: pd.DataFrame  # item 0..M-1 in order, owner (-1 unknown), uploaded_at, path, title, original_id
    users: pd.DataFrame  # user 0..N-1 in order, PERSONAL (years, degrees), original_id
    views: pd.DataFrame  # user, item, at: one row per event; a pair may repeat
    tags: pd.DataFrame  # user, item, tag, at
    labels: pd.DataFrame  # item, kind, label: several rows for an item with several labels
    images: ImageStore  # row i of the store is the picture of item i, uint8 RGB
    truth: Mapping[str, pd.DataFrame] = field(default_factory=dict)  # what a simulation planted, by name
    missing: Mapping[str, str] = field(default_factory=dict)  # "views", "owners", … -> why they are absent
    source: Mapping = field(default_factory=dict)  # what was read, as a Data Package (datapackage.org)
    features: np.ndarray | None = None  # float32 (M, d), that the dataset brings for want of pictures

    def __post_init__(self):
        m, n = len(self.items), len(self.users)
        sizes = {"item": (m, "items"), "user": (n, "users"), "owner": (n, "users")}
        for name in TABLES:
            frame = getattr(self, name)
            _check_table(name, frame, self.name)
            for column in frame.columns.intersection(list(sizes)):
                (size, what), values = sizes[column], frame[column].to_numpy()
                if len(values) and values.max() >= size:
                    row = int(values.argmax())
                    raise BadInput(
                        f"{self.name}: {name}.{column} is {values[row]} at row {row}, but there are only"
                        f" {size} {what} (ids run from 0 to {size - 1})"
                    )
        for name, ids in [("items.item", self.items["item"]), ("users.user", self.users["user"])]:
            if not np.array_equal(ids, np.arange(len(ids))):
                raise BadInput(f"{self.name}: {name} must be 0, 1, 2, … in order")
        if len(self.images) != m:
            raise BadInput(f"{self.name}: {len(self.images)} images for {m} items; there must be one each")
        if (f := self.features) is not None and (f.dtype != np.float32 or f.ndim != 2 or len(f) != m):
            raise BadInput(f"{self.name}: features are {f.dtype} {f.shape}; expected float32 ({m}, d)")
        # whatever a loader forgets to tell, a notebook can rely on `has`
        told = dict(self.missing)
        for part, (absent, reason) in ABSENT.items():
            if absent(self):
                of = {"view_times": "views", "tag_times": "tags"}.get(part)
                told.setdefault(part, told.get(of, reason))
        object.__setattr__(self, "missing", told)

    def without(self, parts: Sequence[str]) -> "Collection":
        """The same collection with parts taken away (keys of `PARTS`, else BadInput), each told in `missing`.
        Tables of `truth` that would tell the part, or mean nothing without it, go too."""
        if unknown := [part for part in parts if part not in PARTS]:
            raise BadInput(f"without: no part {', '.join(unknown)}; choose from {', '.join(PARTS)}")
        less = self
        for part in parts:
            tables, truth, known = {}, dict(less.truth), less.missing
            for table, columns in PARTS[part][0].items():
                frame = getattr(less, table) if columns else empty_table(table)
                blank = {c: -1 if c == "owner" else frame[c].mask(frame[c].notna()) for c in columns}
                tables[table] = frame.assign(**blank).astype(frame.dtypes)
            for table, columns in PARTS[part][1].items():
                frame = truth.pop(table, None)
                if columns and frame is not None:
                    truth[table] = frame.drop(columns=columns)
            if part == "images":
                tables["images"] = GreyImages(len(less.items), less.images.size)
            less = replace(less, **tables, truth=truth)
            fresh = [name for name in less.missing if name not in known]
            less = replace(less, missing=known | dict.fromkeys(fresh, f"was loaded without its {part}"))
        return less

    def save(self, folder: Path) -> None:
        """Write tables as parquet, pictures and features with them. Replaces `folder` as a whole, which can
        be moved: pictures lie in it or, if decoded on the fly, at a path relative to it."""
        with replacing(folder) as new:
            new.mkdir(parents=True)
            for name in TABLES:
                getattr(self, name).to_parquet(new / f"{name}.parquet", index=False)
            for name, frame in self.truth.items():
                (new / "truth").mkdir(exist_ok=True)
                frame.to_parquet(new / "truth" / f"{name}.parquet", index=False)
            about = {"name": self.name, "simulated": self.simulated, "missing": dict(self.missing)}
            about["images"] = self.images.save(new)
            if self.source:
                (new / PACKAGE).write_text(json.dumps(self.source, indent=1), encoding="utf-8")
            if self.features is not None:
                np.save(new / "features.npy", self.features, allow_pickle=False)
            (new / "collection.json").write_text(json.dumps(about, indent=2), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Collection":
        """The collection that `save` wrote. Raises BadInput: there is none, it is damaged, or its images are
        gone."""
        file = folder / "collection.json"
        if not file.is_file():
            raise BadInput(f"{folder}: no collection here (collection.json is absent)")

        def told(file: Path) -> dict:
            content = artefact(file)
            return {key: content[key] for key in ("name", "simulated", "missing", "images")}

        def artefact(file: Path):
            return json.loads(file.read_text(encoding="utf-8"))

        about = opened(file, told, AGAIN)
        tables = {name: opened(folder / f"{name}.parquet", pd.read_parquet, AGAIN) for name in TABLES}
        # parquet may forget the types of a table without rows
        tables = {name: empty_table(name) if table.empty else table for name, table in tables.items()}
        planted = sorted((folder / "truth").glob("*.parquet"))
        truth = {file.stem: opened(file, pd.read_parquet, AGAIN) for file in planted}
        package, features = folder / PACKAGE, folder / "features.npy"
        return cls(
            about["name"], about["simulated"], **tables,
            images=open_images(about["images"], folder), truth=truth, missing=about["missing"],
            source=opened(package, artefact, AGAIN) if package.is_file() else {},
            features=opened(features, partial(np.load, mmap_mode="r"), AGAIN) if features.is_file() else None,
        )  # fmt: skip

    def has(self, part: str) -> bool:
        """Whether the dataset knows this part ("views", "owners", "attributes", "tags", …)."""
        return part not in self.missing


def _check_table(name: str, frame: pd.DataFrame, where: str) -> None:
    """Raises BadInput: naming the dataset, the table, the first bad row and what was expected."""
    try:
        SCHEMAS[name].validate(frame, lazy=False)
    except pa.errors.SchemaError as error:
        cases, column = error.failure_cases, getattr(error.schema, "name", "?")
        detail = str(error).splitlines()[0]
        if isinstance(cases, pd.DataFrame) and len(cases) and cases["index"].notna().any():
            first = cases.iloc[0]
            value = getattr(first["failure_case"], "item", lambda: first["failure_case"])()
            rule = getattr(error.check, "error", None) or error.check
            detail = f"row {int(first['index'])}: {value!r} fails {rule}"
        raise BadInput(f"{where}: table {name}, column {column}: {detail}") from None


def label_matrix(labels: pd.DataFrame, kind: str, n_items: int) -> np.ndarray:
    """The labels of one kind as bool (M, L): True where item i carries label l."""
    chosen = labels[labels["kind"] == kind]
    codes, names = pd.factorize(chosen["label"], sort=True)
    matrix = np.zeros((n_items, len(names)), bool)
    matrix[chosen["item"].to_numpy(), codes] = True
    return matrix
