"""One shape for every dataset: five tables, an image store, and what a dataset cannot tell.

Whatever is loaded (a simulated network, a catalogue, a public rating log), a notebook sees the same
`Collection`. A part that a dataset does not have is an empty table plus a sentence in `missing`; it is
never invented.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from helpers.data.images import ImageStore, open_images
from helpers.errors import BadInput
from helpers.files import replacing

TIME = "datetime64[ns]"


def _ids(**options) -> pa.Column:
    return pa.Column("int32", pa.Check.ge(0), **options)


SCHEMAS = {
    # owner is -1 where the dataset names no owner; path names the picture inside its source
    "items": pa.DataFrameSchema(
        {
            "item": _ids(unique=True),
            "owner": pa.Column("int32", pa.Check.ge(-1)),
            "uploaded_at": pa.Column(TIME, nullable=True),
            "path": pa.Column(str),
            "title": pa.Column(str, nullable=True),
            "original_id": pa.Column(str, unique=True),
        },
        strict=True,
        ordered=True,
    ),
    "users": pa.DataFrameSchema(
        {
            "user": _ids(unique=True),
            "age": pa.Column("float32", pa.Check.in_range(0, 130), nullable=True),
            "gender": pa.Column(str, pa.Check.isin(["female", "male"]), nullable=True),
            "country": pa.Column(str, nullable=True),
            "lat": pa.Column("float32", pa.Check.in_range(-90, 90), nullable=True),
            "lon": pa.Column("float32", pa.Check.in_range(-180, 180), nullable=True),
            "original_id": pa.Column(str, unique=True),
        },
        strict=True,
        ordered=True,
    ),
    "views": pa.DataFrameSchema(
        {"user": _ids(), "item": _ids(), "at": pa.Column(TIME, nullable=True)}, strict=True, ordered=True
    ),
    "tags": pa.DataFrameSchema(
        {"user": _ids(), "item": _ids(), "tag": pa.Column("category"), "at": pa.Column(TIME, nullable=True)},
        strict=True,
        ordered=True,
    ),
    # kind tells label sets of one dataset apart: content, group and style of emojigram, genre of movielens
    "labels": pa.DataFrameSchema(
        {"item": _ids(), "kind": pa.Column("category"), "label": pa.Column("category")},
        strict=True,
        ordered=True,
    ),
}
TABLES = tuple(SCHEMAS)


def empty_table(name: str) -> pd.DataFrame:
    """A table of the schema without rows, for a part that a dataset does not have."""
    columns = SCHEMAS[name].columns
    kinds = {c: "str" if "str" in str(s.dtype) else str(s.dtype) for c, s in columns.items()}
    return pd.DataFrame({c: pd.Series(dtype=kind) for c, kind in kinds.items()})


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

    def save(self, folder: Path) -> None:
        """Write the tables as parquet and remember where the images are. Replaces `folder` as a whole."""
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
                "images": self.images.reference(),
            }
            (new / "collection.json").write_text(json.dumps(about, indent=2), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Collection":
        """The collection that `save` wrote.

        Raises:
            BadInput: the folder holds no collection, or the images that it refers to are gone.
        """
        folder = Path(folder)
        file = folder / "collection.json"
        if not file.is_file():
            raise BadInput(f"{folder}: no collection here (collection.json is absent)")
        about = json.loads(file.read_text(encoding="utf-8"))
        tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES}
        for column in ("tag", "kind", "label"):  # parquet forgets that an empty column was categorical
            table = "tags" if column == "tag" else "labels"
            tables[table][column] = tables[table][column].astype("category")
        truth = {f.stem: pd.read_parquet(f) for f in sorted((folder / "truth").glob("*.parquet"))}
        return cls(
            about["name"], about["simulated"], **tables,
            images=open_images(about["images"]), truth=truth, missing=about["missing"],
        )  # fmt: skip

    def has(self, part: str) -> bool:
        """Whether the dataset knows this part ("views", "owners", "attributes", "tags", …)."""
        return part not in self.missing

    def why_not(self, part: str) -> str:
        """The sentence that a notebook prints where a section cannot be run on this data."""
        return f"not testable on this data: {self.name} {self.missing[part]}"


def check_table(name: str, frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Check one table against its schema.

    Raises:
        BadInput: naming the dataset, the table, the first bad row and what was expected.
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
