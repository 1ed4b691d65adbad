"""Flickr's hundred million (YFCC100M): uploads with hashtags, and concepts and places as labels.

Thomee et al., "YFCC100M: the new data in multimedia research", CACM 2016: the photos of Joulin et al. 2016
and Veit et al. 2018. Free texts of its files are encoded as in a URL.
"""

import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote_plus

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from helpers.data.assemble import assemble
from helpers.data.collection import Collection
from helpers.data.images import picture_names
from helpers.data.places import PICTURES, found, home
from helpers.errors import BadInput

FIELDS = (
    "id owner nickname taken at device title description tags machine_tags longitude latitude accuracy page"
    " url licence licence_url server farm secret secret_original ending marker"
).split()
# later copies begin with the line's number, and have the hash of the download's address beside the id
LAYOUTS = {len(fields): fields for fields in (FIELDS, ["number", "id", "hash", *FIELDS[1:]])}
READ = {"id", "hash", "owner", "at", "title", "tags", "marker", "labels"}
TEXT = "[^\ufffd]*", "utf-8 text"
RULES = {
    "owner": (r"\d+@N\d+", "a user such as 39089491@N00"), "at": (r"1\d{9}", "seconds since 1970"),
    "marker": ("0", "0 (photo) or 1 (video)"), "title": TEXT, "tags": TEXT,
}  # fmt: skip
# of the tables that bring labels: a value between commas, and what a message calls it
CONCEPT = r"^(?P<label>.+):[\d.eE-]+$", "values such as outdoor:0.91"
PLACE = r"^\d+:(?P<label>.+):(?P<kind>\w+)$", "values such as 24865698:Hong+Kong:Country"
LEVELS = {"Country": "country", "Town": "town"}  # of places, that become labels
BLOCK = 1 << 20  # bytes of text that are parsed at a time


def load(
    data_dir: Path | str, size: int = 64, leave_out_unreadable: bool = False, on_the_fly: bool = False
) -> Collection:
    """The photos at hand as a collection. Who uploaded one is its owner, and gave it its user tags when
    uploading it. There are no views; videos, descriptions, machine tags and the camera's date are left out.

    `data_dir`, or the folder "yfcc100m" in it, holds `yfcc100m_dataset`, or any of its parts
    `yfcc100m_dataset-0` to `-9`, and, each optional, `yfcc100m_autotags` (labels of kind "concept") and
    `yfcc100m_places` (labels of kinds "country" and "town"); all of them plain, .bz2 or .gz. Pictures are a
    folder or an uncompressed tar file, "images" or "pictures" (.tar), of files named by a photo's id, as
    6985418911.jpg or 6985418911_df7747990d.jpg, or by its hash, which `yfcc100m_hash` has to tell where the
    lines of the dataset do not.

    Files are streamed, and of lines without a picture nothing is kept: memory grows with the pictures.
    `size`, `leave_out_unreadable` and `on_the_fly` are as in `assemble`. Raises BadInput: a file is missing,
    damaged, or has a bad line, named with its line; or no picture belongs to a photo of these files."""
    folder = home(data_dir, "yfcc100m")
    place, files = found(folder, PICTURES, "images or pictures (a folder or .tar)"), _parts(folder, "dataset")
    if not files:
        raise BadInput(f"{folder}: no yfcc100m_dataset or yfcc100m_dataset-0.bz2 here; see the README")
    paths = _by_key(place)
    named = [key for key in paths if not key.isdigit()]
    hashes = _matching(_parts(folder, "hash") if named else [], ["id", "hash"], named, by=["hash"])
    paths = dict(zip(hashes["id"], hashes["hash"].map(paths), strict=True)) | paths
    photos = _matching(files, None, paths, by=["id", "hash"])
    photos = photos[photos["marker"] != "1"]
    for column, (rule, expected) in RULES.items():
        _check(photos, photos[column].str.fullmatch(rule), column, expected)
    _check(photos, ~photos["id"].duplicated(), "id", "a photo that is listed once")
    photos["path"] = photos["id"].map(paths).fillna(photos.get("hash", photos["id"]).map(paths))
    photos["at"] = pd.to_datetime(photos["at"].astype("int64"), unit="s").astype("datetime64[ns]")
    photos["title"] = _decoded(photos["title"])
    concepts = _labels(_parts(folder, "autotags"), photos["id"], *CONCEPT).assign(kind="concept")
    places = _labels(_parts(folder, "places"), photos["id"], *PLACE)
    places = places.assign(kind=places["kind"].map(LEVELS)).dropna(subset="kind")
    told, unlisted = {"views": "records no views"}, len(set(paths.values()) - set(photos["path"]))
    if unlisted:
        told["unlisted"] = f"was loaded without {unlisted:,} pictures of no photo in its files"
    return assemble(
        "yfcc100m", items=photos.rename(columns={"at": "uploaded_at"}),
        tags=_split(photos, "tags").rename(columns={"id": "item", "owner": "user", "tags": "tag"}),
        labels=pd.concat([concepts, places]), pictures=place, size=size,
        leave_out_unreadable=leave_out_unreadable, on_the_fly=on_the_fly, missing=told,
    )  # fmt: skip


def _parts(folder: Path, name: str) -> list[Path]:
    """The files of one table; of a part that is there both packed and not, the latter."""
    pattern = re.compile(rf"(yfcc100m_{name}(?:-\w+)?)(?:\.txt|\.tsv)?(?:\.bz2|\.gz)?")
    matches = [match for file in sorted(folder.iterdir()) if (match := pattern.fullmatch(file.name))]
    return [folder / name for name in {m[1]: m[0] for m in reversed(matches)}.values()][::-1]


def _by_key(place: Path) -> dict[str, str]:
    """The pictures: id or hash -> name inside. Raises BadInput: two have the same one."""
    paths: dict[str, str] = {}
    for name in picture_names(place):
        key = re.split(r"[_.]", name.rpartition("/")[2])[0]
        if key in paths:
            raise BadInput(f"{place}: two pictures of photo {key}: {paths[key]} and {name}; remove one")
        paths[key] = name
    return paths


def _matching(
    files: Sequence[Path], layout: list[str] | None, wanted: Iterable[str], by: Sequence[str] = ("id",)
) -> pd.DataFrame:
    """The lines of files, in order, that have one of the wanted values in a column of `by`: text columns, and
    `file` and `line`. The first line's number of values tells which of `LAYOUTS` it is, if no layout is
    given."""
    # an index keeps its hash table, which Arrow's is_in builds anew for every block
    values = pd.Index([value.encode() for value in wanted], dtype=object)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        tables = pool.map(lambda file: _stream(file, layout, values, by), files)
        empty = pd.DataFrame(columns=[*(layout or FIELDS), "line", "file"])
        return pd.concat([empty, *tables], ignore_index=True)


def _stream(file: Path, layout: list[str] | None, wanted: pd.Index, by: Sequence[str]) -> pd.DataFrame:
    wrong, kept, done = [], [], 0
    parse = pyarrow.csv.ParseOptions(
        delimiter="\t", quote_char=False, ignore_empty_lines=False,
        invalid_row_handler=lambda row: wrong.append(row) or "error",
    )  # fmt: skip
    try:
        names = layout or _layout(file)
        columns = [column for column in names if column in READ]
        options = pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=BLOCK)
        # nothing of a line that is not wanted is decoded
        types = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.binary()), include_columns=columns
        )
        with pa.input_stream(str(file)) as stream:
            for batch in pyarrow.csv.open_csv(stream, options, parse, types):
                ids = [batch[column].to_pandas() for column in by if column in columns]
                rows = np.flatnonzero(np.any([wanted.get_indexer(values) >= 0 for values in ids], axis=0))
                kept.append(batch.take(pa.array(rows)).to_pandas().assign(line=rows + done + 1))
                done += len(batch)
    except (pa.ArrowInvalid, OSError) as error:
        where, told = f"{file}, after line {done}", f"{error}; download it again"
        for row in wrong:
            where = f"{file}, line {row.number}"
            told = f"{row.actual_columns} values, expected {row.expected_columns}; correct or remove the line"
        raise BadInput(f"{where}: {told}") from None
    table = pd.concat(kept, ignore_index=True)
    return table.assign(**{c: table[c].str.decode("utf-8", "replace") for c in columns}, file=str(file))


def _layout(file: Path) -> list[str]:
    with pa.input_stream(str(file)) as stream:
        many = stream.read(BLOCK).partition(b"\n")[0].count(b"\t") + 1
    if many not in LAYOUTS:
        expected = " or ".join(map(str, LAYOUTS))
        raise BadInput(f"{file}, line 1: {many} values between tabs, expected {expected}; see the README")
    return LAYOUTS[many]


def _labels(files: Sequence[Path], ids: Iterable[str], rule: str, expected: str) -> pd.DataFrame:
    """Item, label and what else the rule names, for each of the values that a line has."""
    given = _split(_matching(files, ["id", "labels"], ids), "labels").reset_index(drop=True)
    labels = given["labels"].str.extract(rule)
    _check(given, labels["label"].notna(), "labels", expected)
    return labels.assign(item=given["id"])


def _split(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """A row for each of the values that a column has between commas, decoded."""
    rows = rows.assign(**{column: rows[column].str.split(",")}).explode(column)
    return rows.assign(**{column: _decoded(rows[column])}).dropna(subset=column)


def _decoded(texts: pd.Series) -> pd.Series:
    return texts.map({text: unquote_plus(text).strip() or None for text in texts.unique()}).astype("str")


def _check(rows: pd.DataFrame, good: pd.Series, column: str, expected: str) -> None:
    """Raises BadInput: a row is not good; the first one's file and line are named."""
    for _, row in rows[~good].head(1).iterrows():
        told = f"{column} is {row[column][:40]!r}, expected {expected}; correct or remove the line"
        raise BadInput(f"{row['file']}, line {row['line']}: {told}")
