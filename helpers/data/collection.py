"""One shape for every dataset: five tables, an image store, and what a dataset cannot tell.

Whatever is loaded (a simulated network, a catalogue, a public rating log), a notebook sees the same
`Collection`. A part that a dataset does not have is an empty table plus a sentence in `missing`; it is
never invented.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa

from helpers.data.images import ImageStore, open_images
from helpers.errors import BadInput
from helpers.files import replacing

TIME = "datetime64[ns]"


def _schema(**columns) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns, strict=True, ordered=True)


def _ids(**options) -> pa.Column:
    return pa.Column("int32", pa.Check.ge(0), **options)


def _known(kind, *checks: pa.Check) -> pa.Column:
    return pa.Column(kind, list(checks), nullable=True)


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
        lon=_known("float32", pa.Check.in_range(-180, 180)),
        original_id=pa.Column(str, unique=True),
    ),
    "views": _schema(user=_ids(), item=_ids(), at=_known(TIME)),
    "tags": _schema(user=_ids(), item=_ids(), tag=pa.Column("category"), at=_known(TIME)),
    # kind tells label sets of one dataset apart: content, group and style of emojigram, genre of movielens
    "labels": _schema(item=_ids(), kind=pa.Column("category"), label=pa.Column("category")),
}  # fmt: skip
TABLES = tuple(SCHEMAS)


PERSONAL = ["age", "gender", "country", "lat", "lon"]
# what is said of a part that is absent where its loader gives no reason
ABSENT = {
    "views": "records no views",
    "view_times": "does not say when pictures were viewed",
    "tags": "has no tags",
    "tag_times": "does not say when tags were given",
    "labels": "has no labels",
    "uploads": "records no upload times",
    "owners": "names no owners",
    "titles": "has no titles",
    "attributes": "tells nothing about its users",
    "places": "names no country or place of its users",
}


class Part(NamedTuple):
    """What goes when a collection is used without a part."""

    missing: tuple[str, ...]  # keys of `Collection.missing`
    columns: Mapping[str, list[str]]  # table -> columns that lose their values; none: all rows go
    truth: Mapping[str, list[str]] = {}  # the same for tables of `truth`, where columns and tables go


PARTS = {
    "views": Part(("views", "view_times"), {"views": []}, {"posts": []}),
    "tags": Part(("tags", "tag_times"), {"tags": []}, {"tag_kinds": [], "senses": []}),
    "times": Part(
        ("view_times", "tag_times", "uploads"), {"views": ["at"], "tags": ["at"], "items": ["uploaded_at"]}
    ),
    # names and numbers of contents and styles mean nothing without the labels, or tell them
    "labels": Part(("labels",), {"labels": []}, {"posts": [], "content_taste": [], "style_taste": []}),
    "attributes": Part(
        ("attributes", "places"),
        {"users": PERSONAL},
        {"people": ["generation", "language", "second_language"]},
    ),
    "owners": Part(("owners",), {"items": ["owner"]}),
    "titles": Part(("titles",), {"items": ["title"]}),
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
    empty = empty_table(name)
    return pd.DataFrame(columns).reindex(columns=empty.columns).astype(empty.dtypes)


@dataclass(frozen=True)
class Collection:
    """Images and what a crowd did with them.

    Attributes:
        name: the dataset's name, as given to `load`.
        simulated: True where people and their behaviour are generated.
        items: item int32 (0..M-1 in order), owner int32 (-1 unknown), uploaded_at, path, title, original_id.
        users: user int32 (0..N-1 in order), age in years, gender, country, lat, lon in degrees, original_id.
        views: user int32, item int32, at. One row per event; a pair may repeat.
        tags: user int32, item int32, tag (categorical text), at.
        labels: item int32, kind, label (categoricals); several rows for an item with several labels.
        images: row i of the store is the picture of item i, uint8 RGB.
        truth: what a simulation planted (empty for real data), by name.
        missing: what the dataset does not have: "views", "owners", "attributes", ... -> the reason.
    """

    name: str
    simulated: bool
    items: pd.DataFrame
    users: pd.DataFrame
    views: pd.DataFrame
    tags: pd.DataFrame
    labels: pd.DataFrame
    images: ImageStore
    truth: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        for name in TABLES:
            check_table(name, getattr(self, name), where=self.name)
        m, n = len(self.items), len(self.users)
        for name, column, size in [
            ("views", "user", n), ("views", "item", m), ("tags", "user", n), ("tags", "item", m),
            ("labels", "item", m), ("items", "owner", n),
        ]:  # fmt: skip
            values = getattr(self, name)[column].to_numpy()
            if len(values) and values.max() >= size:
                row = int(values.argmax())
                what = "items" if column == "item" else "users"
                raise BadInput(
                    f"{self.name}: {name}.{column} is {values[row]} at row {row}, but there are only {size}"
                    f" {what} (ids run from 0 to {size - 1})"
                )
        for name, column in [("items", "item"), ("users", "user")]:
            ids = getattr(self, name)[column].to_numpy()
            if not np.array_equal(ids, np.arange(len(ids))):
                raise BadInput(f"{self.name}: {name}.{column} must be 0, 1, 2, … in order")
        if len(self.images) != m:
            raise BadInput(f"{self.name}: {len(self.images)} images for {m} items; there must be one each")
        # whatever a loader forgets to tell, a notebook can rely on `has`
        told = dict(self.missing)
        for part in self._absent():
            of = {"view_times": "views", "tag_times": "tags"}.get(part)
            told.setdefault(part, told.get(of, ABSENT[part]))
        object.__setattr__(self, "missing", told)

    def _absent(self) -> list[str]:
        known = {
            "views": len(self.views) > 0,
            "view_times": self.views["at"].notna().any(),
            "tags": len(self.tags) > 0,
            "tag_times": self.tags["at"].notna().any(),
            "labels": len(self.labels) > 0,
            "uploads": self.items["uploaded_at"].notna().any(),
            "owners": (self.items["owner"] >= 0).any(),
            "titles": self.items["title"].notna().any(),
            "attributes": self.users[PERSONAL].notna().any(axis=None),
            "places": self.users[PERSONAL[2:]].notna().any(axis=None),
        }
        return [part for part, there in known.items() if not there]

    def without(self, parts: Sequence[str]) -> "Collection":
        """The same collection with parts taken away (keys of `PARTS`), each told in `missing`.

        Tables of `truth` that would tell the part, or mean nothing without it, go too.

        Raises:
            BadInput: an unknown part.
        """
        if unknown := [part for part in parts if part not in PARTS]:
            raise BadInput(f"without: no part {', '.join(unknown)}; choose from {', '.join(PARTS)}")
        tables, truth, missing = {name: getattr(self, name) for name in TABLES}, dict(self.truth), {}
        for part in parts:
            for table, columns in PARTS[part].columns.items():
                frame = tables[table] if columns else empty_table(table)
                blank = {
                    c: -1 if c == "owner" else frame[c].where(np.zeros(len(frame), bool)) for c in columns
                }
                tables[table] = frame.assign(**blank).astype(frame.dtypes)
            for table, columns in PARTS[part].truth.items():
                frame = truth.pop(table, None)
                if columns and frame is not None:
                    truth[table] = frame.drop(columns=columns)
            missing |= dict.fromkeys(PARTS[part].missing, f"was loaded without its {part}")
        return replace(self, **tables, truth=truth, missing=missing | dict(self.missing))

    def save(self, folder: Path) -> None:
        """Write the tables as parquet and the pictures with them. Replaces `folder` as a whole.

        The folder can be moved: pictures lie in it, or, where they are decoded on the fly, at a path
        relative to it.
        """
        with replacing(folder) as new:
            new.mkdir(parents=True)
            for name in TABLES:
                getattr(self, name).to_parquet(new / f"{name}.parquet", index=False)
            for name, frame in self.truth.items():
                (new / "truth").mkdir(exist_ok=True)
                frame.to_parquet(new / "truth" / f"{name}.parquet", index=False)
            about = {
                "name": self.name,
                "simulated": self.simulated,
                "missing": dict(self.missing),
                "images": self.images.save(new),
            }
            (new / "collection.json").write_text(json.dumps(about, indent=2), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Collection":
        """The collection that `save` wrote.

        Raises BadInput: the folder holds no collection, or the images that it refers to are gone.
        """
        folder = Path(folder)
        file = folder / "collection.json"
        if not file.is_file():
            raise BadInput(f"{folder}: no collection here (collection.json is absent)")
        about = json.loads(file.read_text(encoding="utf-8"))
        tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES}
        # parquet may forget the types of a table without rows
        tables = {name: empty_table(name) if table.empty else table for name, table in tables.items()}
        truth = {f.stem: pd.read_parquet(f) for f in sorted((folder / "truth").glob("*.parquet"))}
        return cls(
            about["name"], about["simulated"], **tables,
            images=open_images(about["images"], folder), truth=truth, missing=about["missing"],
        )  # fmt: skip

    def has(self, part: str) -> bool:
        """Whether the dataset knows this part ("views", "owners", "attributes", "tags", …)."""
        return part not in self.missing

    def why_not(self, part: str) -> str:
        """The sentence that a notebook prints where a section cannot be run on this data."""
        return f"not testable on this data: {self.name} {self.missing[part]}"


def check_table(name: str, frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Check one table against its schema.

    Raises BadInput: naming the dataset, the table, the first bad row and what was expected.
    """
    try:
        return SCHEMAS[name].validate(frame, lazy=False)
    except pa.errors.SchemaError as error:
        cases = error.failure_cases
        detail = str(error).splitlines()[0]
        if isinstance(cases, pd.DataFrame) and len(cases) and cases["index"].notna().any():
            first = cases.iloc[0]
            value = getattr(first["failure_case"], "item", lambda: first["failure_case"])()
            rule = getattr(error.check, "error", None) or error.check
            detail = f"row {int(first['index'])}: {value!r} fails {rule}"
        raise BadInput(
            f"{where}: table {name}, column {getattr(error.schema, 'name', '?')}: {detail}"
        ) from None


def label_matrix(labels: pd.DataFrame, kind: str, n_items: int) -> np.ndarray:
    """The labels of one kind as bool (M, L): True where item i carries label l."""
    chosen = labels[labels["kind"] == kind]
    codes, names = pd.factorize(chosen["label"], sort=True)
    matrix = np.zeros((n_items, len(names)), bool)
    matrix[chosen["item"].to_numpy(), codes] = True
    return matrix
