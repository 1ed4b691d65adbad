"""Amazon's reviews and products, as McAuley et al. published them in 2014, 2018 and 2023."""

import ast
import gzip
import html
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json

from helpers.data.assemble import assemble
from helpers.data.collection import Collection
from helpers.data.images import aliases, picture_names
from helpers.data.places import PICTURES, found, home
from helpers.data.visual import VisualFeatures
from helpers.errors import BadInput
from helpers.files import replacing
from helpers.paths import outputs

ADDRESSES = "amazon_pictures.csv"
REVIEWS = r"(?!meta_).*\.(json|jsonl|csv)(\.gz)?"
META = r"meta_.*\.(json|jsonl)(\.gz)?"
ASIN = re.compile(rb"""["'](?:parent_)?asin["']: ?["'](\w+)["']""")
FIELDS = {"user": ("user_id", "reviewerID"), "item": ("parent_asin", "asin")}  # of 2023, and before
NANOSECONDS = {"timestamp": 10**6, "unixReviewTime": 10**9}
TOLD = ["id", "title", "paths", "address"]
LATEST = 4_102_444_800 * 10**9  # the year 2100
BLOCK = 1 << 24  # bytes of text that are parsed at a time


def load(
    data_dir: Path | str, size: int = 64, leave_out_unreadable: bool = False, least: int = 10
) -> Collection:
    """One category of products (such as Clothing_Shoes_and_Jewelry) as a collection with labels of kind
    "category". Purchases are what Bibas et al. 2022, section 4.1.1, call a review, whatever its rating.

    `data_dir`, or the folder "amazon" in it, holds one file of reviews (JSON, one a line, or the ratings
    alone as CSV) and, each optional, one file of products (`meta_….json.gz` or `.jsonl.gz`), and pictures or
    the features `image_features_….b` of 2014. What ends with .gz may be unpacked. Pictures are a folder or an
    uncompressed tar file, "images" or "pictures" (.tar), of files named by their product, such as
    B00123ABCD.jpg; where there are none, the features take their place. Items are products with a review that
    have the one or the other; without both, all. The addresses of their pictures are listed in
    `outputs/amazon_pictures.csv`, to be fetched. `least` is for `category_labels`; `size` and
    `leave_out_unreadable` are as in `assemble`.

    Raises BadInput: a file is missing or damaged, or a line of it is wrong, named with its line."""
    folder = home(data_dir, "amazon")
    reviews = found(folder, REVIEWS, "reviews (….json.gz, ….jsonl.gz or ….csv)")
    meta, pictures = found(folder, META), found(folder, PICTURES)
    covers = found(folder, r"image_features.*\.b")
    views = _ratings(reviews) if ".csv" in reviews.suffixes else _reviews(reviews)
    features = VisualFeatures(covers, 10) if covers else None
    items = pd.DataFrame({"id": views["item"].cat.categories})
    usable = aliases(picture_names(pictures)) if pictures else features.ids if features else items["id"]
    products = _products(meta, set(items["id"]).intersection(usable)) if meta else pd.DataFrame(columns=TOLD)
    told = {
        "owners": "has no owners: nobody uploads a product",
        "tags": "has no tags: reviews are texts",
    }  # fmt: skip
    if not pictures:
        addresses = products.dropna(subset="address")[["id", "address"]]
        with replacing(outputs() / ADDRESSES) as new:
            addresses.to_csv(new, index=False)
        told["images"] = f"has no pictures here; the addresses of {len(addresses)} are in {ADDRESSES}"
    return assemble(
        "amazon", items=items.merge(products[["id", "title"]], how="left"), views=views,
        labels=category_labels(dict(zip(products["id"], products["paths"], strict=True)), least),
        pictures=pictures, features=features, size=size, leave_out_unreadable=leave_out_unreadable,
        missing=told,
    )  # fmt: skip


def category_labels(paths: Mapping[str, list[list[str]]], least: int = 10) -> pd.DataFrame:
    """Labels from paths of categories such as [["Clothing, Shoes & Jewelry", "Girls", "Clothing", "Swim"]]:
    columns item, label, kind.

    The rule of Bibas et al. 2022, which their published code tells and the paper does not: paths that begin
    with the most frequent first category count, without steps of one letter and without their last step;
    every beginning of a path is a label, here "Girls" and "Girls > Clothing"; a label with `least` items or
    fewer becomes the one above it, until there is none such; the first category is all items' and no
    label."""
    firsts = Counter(found[0][0] for found in paths.values() if found)
    top = max(firsts, key=firsts.get, default=None)
    labels = {}
    for item, found_paths in paths.items():
        steps = [[s for s in path if len(s) > 1] for path in found_paths if path[0] == top]
        labels[item] = {tuple(path[:n]) for path in steps for n in range(1, len(path))}
    rare = True
    while rare:
        counts = Counter(chain.from_iterable(labels.values()))
        rare = {label for label, n in counts.items() if n <= least and len(label) > 1}
        labels = {item: {one[:-1] if one in rare else one for one in of} for item, of in labels.items()}
    rows = [(item, " > ".join(one[1:])) for item, of in labels.items() for one in sorted(of) if len(one) > 1]
    return pd.DataFrame(rows, columns=["item", "label"], dtype="str").assign(kind="category")


def _products(file: Path, wanted: set[str]) -> pd.DataFrame:
    """What is told of some products: id, title, paths (lists of categories), address (of a picture)."""
    rows = []
    for line, record in _records(file, wanted):
        item = record.get("parent_asin", record.get("asin"))
        title, paths = record.get("title"), record.get("categories", record.get("category")) or []
        if not isinstance(item, str) or not isinstance(title, str | None) or not isinstance(paths, list):
            raise BadInput(
                f"{file}, line {line}: no product with asin, title and categories; remove the line"
            )
        paths = [paths] if paths and isinstance(paths[0], str) else paths
        paths = [[html.unescape(str(step)).strip() for step in path] for path in paths if path]
        rows.append((item, html.unescape(title or "").strip() or None, paths, _address(record)))
    return pd.DataFrame(rows, columns=TOLD).drop_duplicates("id", ignore_index=True)


def _address(record: Mapping) -> str | None:
    """The address of a product's first picture; one with "no-img" says that there is none."""
    for key in ("imUrl", "imageURLHighRes", "imageURL", "images"):
        found_here = record.get(key) or None
        first = found_here[0] if isinstance(found_here, list) else found_here
        address = (first.get("large") or first.get("hi_res")) if isinstance(first, dict) else first
        if isinstance(address, str) and address.startswith("http") and "no-img" not in address:
            return address
    return None


def _records(file: Path, wanted: set[str] | None = None) -> Iterator[tuple[int, dict]]:
    """Line number and content of each line, JSON or a Python literal; with `wanted`, of these products."""
    number = 0
    try:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as stream:
            for number, line in enumerate(stream, 1):
                product = ASIN.search(line) if wanted is not None else None
                if line.strip() and (product is None or product[1].decode() in wanted):
                    yield number, _record(line, f"{file}, line {number}")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:  # cut off or damaged
        raise BadInput(
            f"{file}, after line {number}: cut off or damaged ({error}); download it again"
        ) from None
    if number == 0:
        raise BadInput(f"{file}: the file is empty; download it again")


def _record(line: bytes, where: str) -> dict:
    try:
        text = line.decode()
        try:
            record = json.loads(text)
        except ValueError:
            record = ast.literal_eval(text.strip())  # literals only: nothing in it is executed
        if isinstance(record, dict):
            return record
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        pass
    raise BadInput(
        f"{where}: no JSON object and no Python dictionary: {line[:60]!r}; correct or remove the line"
    )


def _reviews(file: Path) -> pd.DataFrame:
    """Who reviewed what and when: user and item categorical, at. Other fields are never kept."""
    fields = {name: pa.string() for names in FIELDS.values() for name in names}
    fields |= dict.fromkeys(NANOSECONDS, pa.int64())
    wanted = pyarrow.json.ParseOptions(pa.schema(fields), unexpected_field_behavior="ignore")

    def batches(stream) -> Iterator[tuple[pa.Array, ...]]:
        for batch in pyarrow.json.open_json(stream, pyarrow.json.ReadOptions(block_size=BLOCK), wanted):
            who = [pc.coalesce(*(batch[name] for name in names)) for names in FIELDS.values()]
            at = [pc.multiply_checked(batch[name], unit) for name, unit in NANOSECONDS.items()]
            yield *who, pc.coalesce(*at)

    try:
        with pa.input_stream(str(file)) as stream:
            return _table(batches(stream))
    except (pa.ArrowInvalid, OSError):
        # Arrow does not tell the line; and reviews of 2014 may be Python literals, as their products are
        return _table(_walked(file))


def _walked(file: Path) -> Iterator[tuple[pa.Array, ...]]:
    """The same, slowly and with an eye on every line."""
    rows = []
    for line, record in _records(file):
        user, item = (next((record[n] for n in names if n in record), None) for names in FIELDS.values())
        times = [record[name] * unit for name, unit in NANOSECONDS.items() if type(record.get(name)) is int]
        named = all(isinstance(one, str) and one for one in (user, item))
        if not (named and times and 0 <= times[0] < LATEST):
            keys = "reviewerID, asin and unixReviewTime, or user_id, parent_asin and timestamp"
            raise BadInput(f"{file}, line {line}: no review, which has {keys}; correct or remove the line")
        rows.append((user, item, times[0]))
    if not rows:
        raise BadInput(f"{file}: holds no reviews; download it again")
    yield tuple(pa.array(column) for column in zip(*rows, strict=True))


def _ratings(file: Path) -> pd.DataFrame:
    """The same from a file of ratings: user,item,rating,seconds in 2014, item,user,rating,seconds in 2018,
    and in 2023 with headings and milliseconds. Products have ids of ten letters; no file has only users with
    such."""
    types = {"user_id": pa.string(), "parent_asin": pa.string(), "timestamp": pa.int64()}
    convert = pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types))
    try:
        with pa.input_stream(str(file)) as stream:
            titled = stream.read(8) == b"user_id,"
        names, unit = ([], 10**6) if titled else (["user_id", "parent_asin", "rating", "timestamp"], 10**9)
        # on one thread, Arrow tells the line
        how = pyarrow.csv.ReadOptions(block_size=BLOCK, column_names=names, use_threads=False)
        with pa.input_stream(str(file)) as stream:
            reader = pyarrow.csv.open_csv(stream, how, convert_options=convert)
            found = _table((b[0], b[1], pc.multiply_checked(b[2], unit)) for b in reader)
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(f"{file}: no table of user, item, rating, time: {error}; correct the file") from None
    ten = {column: (found[column].cat.categories.str.len() == 10).all() for column in ("user", "item")}
    swapped = {"user": "item", "item": "user"} if ten["user"] and not ten["item"] else {}
    return found.rename(columns=swapped)


def _table(batches: Iterable[tuple[pa.Array, pa.Array, pa.Array]]) -> pd.DataFrame:
    """Batches of user, item and at as one table, each review once. Raises ArrowInvalid: a value is missing or
    impossible, or there are no rows."""
    kept, rows = [], 0
    for user, item, at in batches:
        when = pc.fill_null(pc.and_(pc.greater_equal(at, 0), pc.less(at, LATEST)), False)
        good = pc.and_(pc.and_(pc.is_valid(user), pc.is_valid(item)), when)
        if (bad := pc.index(good, False).as_py()) >= 0:
            raise pa.ArrowInvalid(f"record {rows + bad + 1} lacks a user, an item or a possible time")
        columns = [user.dictionary_encode(), item.dictionary_encode(), at.cast(pa.timestamp("ns"))]
        kept.append(pa.table(columns, ["user", "item", "at"]))
        rows += len(at)
    return pa.concat_tables(kept).unify_dictionaries().to_pandas().drop_duplicates(ignore_index=True)
