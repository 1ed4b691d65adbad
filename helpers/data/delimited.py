"""Reading tables from a folder or a .zip, fast, and saying exactly which line is wrong.

A file is parsed by Arrow. Only where Arrow refuses, or a number is out of range, is the file walked line
by line in Python: the walk names a bad line, or copes with what Arrow cannot (a separator inside
a free text).
"""

import csv
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from helpers.errors import BadInput
from helpers.files import DAMAGED

MOST_RATIO = 200  # unpacked to packed: text reaches 20, and what is made to fill the memory 1000
BOM = b"\xef\xbb\xbf"
# kind -> (type, lowest, highest, what a message calls it)
KINDS = {
    "id": (pa.int32(), 0, 2**31 - 1, "a whole number from 0 to 2147483647"),
    "time": (pa.int64(), 0, 4_102_444_799, "seconds since 1970, before the year 2100"),
    "rating": (pa.float32(), 0, 5, "a number from 0 to 5"),
    "age": (pa.int32(), 0, 130, "an age in years, 0 to 130"),
    "flag": (pa.int32(), 0, 1, "0 or 1"),
    "text": (pa.string(), None, None, "text"),
    # text that is not empty, without space at its ends, as a categorical
    "name": (pa.dictionary(pa.int32(), pa.string()), None, None, "some text"),
    # as datetime64[ns], in UTC
    "moment": (
        pa.timestamp("ns"), pd.Timestamp(1800, 1, 1), pd.Timestamp(2100, 1, 1),
        "a date or time such as 2024-05-31 or 2024-05-31 12:30, or seconds since 1970, 100000000 or more",
    ),
    "years": (pa.float32(), 0, 130, "an age in years, 0 to 130"),
    "latitude": (pa.float32(), -90, 90, "degrees from -90 to 90"),
    "longitude": (pa.float32(), -180, 180, "degrees from -180 to 180"),
}  # fmt: skip
SECONDS = 100_000_000  # as a moment, at least: a smaller number is a date such as 20200131, or a year
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


class Source:
    """The files directly inside a folder, or inside a .zip (or its one top-level folder). In a folder a file
    may be compressed: views.csv.gz is known as views.csv, unless that is there too.

    Nothing is ever unpacked: a member of a .zip is read into memory, and only under a plain name, so a
    member called `../../x` can neither be reached nor written. Raises BadInput: there is no such place, or
    it is not a readable .zip."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, str] = {}
        if self.path.is_dir():
            names = sorted(f.name for f in self.path.iterdir() if f.is_file())
            self._members = {n.removesuffix(".gz"): n for n in names if n.endswith(".gz")}
            self._members |= {name: name for name in names}
        elif self.path.is_file():
            try:
                self._zip = zipfile.ZipFile(self.path)
            except zipfile.BadZipFile as error:
                raise BadInput(f"{self.path}: not a readable .zip ({error}); download it again") from None
            for info in self._zip.infolist():
                parts = PurePosixPath(info.filename).parts
                if not info.is_dir() and len(parts) <= 2 and not {"..", "/", "__MACOSX"} & set(parts):
                    self._members.setdefault(parts[-1], info.filename)
        else:
            raise BadInput(f"{self.path}: no such folder or .zip file")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def where(self, name: str) -> str:
        """How messages name a file of this source."""
        inside = self._members.get(name, name)
        return f"{self.path}/{inside}" if self._zip is None else f"{self.path}({name})"

    def buffer(self, name: str) -> pa.Buffer:
        """A file's content, unpacked if its name ends with .gz, and mapped into memory or read from a .zip.
        Raises BadInput: absent, empty or damaged."""
        if name not in self:
            raise BadInput(f"{self.path}: {name} is missing; found {', '.join(self._members) or 'no files'}")
        try:
            if self._zip is not None:
                member = self._zip.getinfo(self._members[name])
                if member.file_size > MOST_RATIO * max(member.compress_size, 1):
                    raise RuntimeError(f"it unpacks to more than {MOST_RATIO} times its size")
                content = pa.py_buffer(self._zip.read(self._members[name]))
            elif not (file := self.path / self._members[name]).stat().st_size:
                content = b""
            elif file.suffix == ".gz":
                content = pa.input_stream(str(file), compression="gzip").read_buffer()
            else:
                content = pa.memory_map(str(file)).read_buffer()
        except DAMAGED as error:
            raise BadInput(f"{self.where(name)}: cannot be read ({error}); download the file again") from None
        if not len(content):
            raise BadInput(f"{self.where(name)}: the file is empty; download it again")
        return content


def text_lines(file: Path) -> list[tuple[int, str]]:
    """(line number, text without space at its ends) of the lines that are not blank. Raises BadInput: the
    file is not UTF-8 text, or holds nothing."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror}); put the published file there") from None
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{file}: not utf-8 text ({error.reason} at byte {error.start}); download or unpack it again"
        ) from None
    found = [(k, line.strip()) for k, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not found:
        raise BadInput(f"{file}: the file is empty; download or unpack it again")
    return found


class Format(NamedTuple):
    """How one kind of file is written."""

    separator: str  # between the values of a line; of one or more characters
    columns: dict[str, str]  # name -> kind (a key of `KINDS`), in the file's order if it has no header
    header: dict[str, tuple[str, ...]] | None = None  # name -> its possible headings; None: line 1 is data
    encoding: str = "utf-8"
    quoted: bool = False  # values may stand in double quotes
    optional: frozenset[str] = frozenset()  # columns of a header that may be absent, and have empty values


def read(source: Source, name: str, form: Format) -> pd.DataFrame:
    """One table: the columns of `form` that are there, of the types of `KINDS`; what is empty in an optional
    column is null. Raises BadInput: the file is missing, empty, or a line of it is wrong; the message names
    file and line."""
    content, where = source.buffer(name), source.where(name)
    layout = list(form.columns)
    if form.header is not None:
        layout = [column or f"other: {heading}" for heading, column in headings(source, name, form)]
    form = form._replace(columns={c: kind for c, kind in form.columns.items() if c in layout})
    # all times of a file are written in one way, as a rule
    ways = (pa.float64(), pa.timestamp("ns"), pa.timestamp("ns", "UTC"))
    for way in ways if "moment" in form.columns.values() else ways[:1]:
        try:
            if len(table := _arrow(content, form, layout, way)):
                return table.to_pandas()
        except pa.ArrowInvalid:
            pass
    return _walk(where, form, layout, content)


def check_unique(where: str, ids: pd.Series) -> None:
    """Raises BadInput: an id is listed twice."""
    if not ids.is_unique:
        again = ids.duplicated().to_numpy().argmax()
        raise BadInput(
            f"{where}: {ids.name} {ids.iloc[again]} is listed twice, the second time in record {again + 1};"
            " remove one of the lines"
        )


def headings(source: Source, name: str, form: Format) -> list[tuple[str, str | None]]:
    """The headings of a file in order, each with the column of `form` that it is, in any case of letters, or
    None. Raises BadInput: a column is absent and not optional, or there twice."""
    content = source.buffer(name)
    first = content.slice(0, min(content.size, 10_000)).to_pybytes().removeprefix(BOM)
    line = re.split(rb"\r?\n|\r", first, maxsplit=1)[0].decode(form.encoding, errors="replace")
    found = [heading.strip() for heading in next(csv.reader([line], delimiter=form.separator), [])]
    names = {text.casefold(): column for column, texts in form.header.items() for text in texts}
    columns = [names.get(heading.casefold()) for heading in found]
    for column, texts in form.header.items():
        if columns.count(column) > 1 or (column not in columns and column not in form.optional):
            raise BadInput(
                f"{source.where(name)}, line 1: expected one column {' or '.join(texts)},"
                f" found {', '.join(found)[:80]!r}; correct the header"
            )
    return list(zip(found, columns, strict=True))


def _arrow(content: pa.Buffer, form: Format, layout: list[str], moment: pa.DataType) -> pa.Table:
    """The table as Arrow reads it, with times of the type `moment` in the file. Raises ArrowInvalid."""
    separator = form.separator
    if len(separator) > 1:
        # Arrow wants one character: the unit separator, which no GroupLens file contains
        data = content.to_pybytes()
        if b"\x1f" in data:
            raise pa.ArrowInvalid("the file contains the unit separator")
        separator, content = "\x1f", pa.py_buffer(data.replace(form.separator.encode(), b"\x1f"))
    skipped = int(form.header is not None)
    types = {c: moment if kind == "moment" else KINDS[kind][0] for c, kind in form.columns.items()}
    table = pyarrow.csv.read_csv(
        pa.BufferReader(content),
        pyarrow.csv.ReadOptions(column_names=layout, skip_rows=skipped, encoding=form.encoding),
        pyarrow.csv.ParseOptions(delimiter=separator, quote_char='"' if form.quoted else False),
        pyarrow.csv.ConvertOptions(
            column_types=types, include_columns=list(types),
            null_values=[""] if form.optional else [], strings_can_be_null=bool(form.optional),
        ),
    )  # fmt: skip
    columns = {c: _checked(table[c], kind, c in form.optional) for c, kind in form.columns.items()}
    return pa.table(columns)


def _checked(values: pa.ChunkedArray, kind: str, optional: bool) -> pa.ChunkedArray | pa.Array:
    """A column as its kind is; ArrowInvalid if a value is not."""
    type_, low, high, _ = KINDS[kind]
    if kind == "name":
        values = values.unify_dictionaries().combine_chunks()
        words = pc.utf8_trim_whitespace(values.dictionary).dictionary_encode()
        values = pa.DictionaryArray.from_arrays(words.indices.take(values.indices), words.dictionary)
        if pc.any(pc.equal(words.dictionary, "")).as_py():
            raise pa.ArrowInvalid("nothing but space")
    if kind == "moment":
        if pa.types.is_floating(values.type):
            if pc.any(pc.less(values, SECONDS)).as_py():
                raise pa.ArrowInvalid("no seconds since 1970")
            values = pc.round(pc.multiply(values, 1e6)).cast(pa.int64()).cast(pa.timestamp("us"))
        values = values.cast(type_)
    if values.null_count and not optional:
        raise pa.ArrowInvalid("an empty value")
    if low is not None:
        inside = pc.and_(
            pc.greater_equal(values, pa.scalar(low, type_)), pc.less_equal(values, pa.scalar(high, type_))
        )
        if pc.all(inside).as_py() is False:  # NaN lies between no limits
            raise pa.ArrowInvalid("a value out of range")
    return values


def _walk(where: str, form: Format, layout: list[str], content: pa.Buffer) -> pd.DataFrame:
    """The same table, slowly and with an eye on every value."""
    texts = [at for at, column in enumerate(layout) if form.columns.get(column) == "text"]
    rows = []
    for number, values in _lines(where, form, content):
        line = f"{where}, line {number}"
        surplus = len(values) - len(layout)
        if surplus > 0 and len(texts) == 1 and not form.quoted:
            # the separator occurs inside the one free text of the line
            at = texts[0]
            values[at : at + surplus + 1] = [form.separator.join(values[at : at + surplus + 1])]
        elif surplus:
            raise BadInput(
                f"{line}: expected {len(layout)} values separated by {form.separator!r}, found {len(values)};"
                " correct or remove the line"
            )
        of = dict(zip(layout, values, strict=True))
        rows.append({c: _value(line, c, of[c], k, c in form.optional) for c, k in form.columns.items()})
    if not rows:
        raise BadInput(f"{where}: the file holds no rows; fill or remove it")
    schema = pa.schema([(c, KINDS[kind][0]) for c, kind in form.columns.items()])
    return pa.Table.from_pylist(rows, schema).to_pandas()


def _value(line: str, column: str, text: str, kind: str, optional: bool):
    _, low, high, expected = KINDS[kind]
    if kind == "text":
        return text or (None if optional else "")
    text = text.strip()
    if optional and not text:
        return None
    if kind == "name" and text:
        return text
    if kind == "moment":
        value = _moment(text)
        if value is not None and low <= value < high:
            return value
    elif kind != "name":
        pattern, number = (NUMBER, float) if KINDS[kind][0] == pa.float32() else (WHOLE, int)
        if pattern.fullmatch(text) and low <= float(text) <= high:
            return number(text)
    nothing = ", or nothing" if optional else ""
    raise BadInput(
        f"{line}: {column} is {text[:40]!r}, expected {expected}{nothing}; correct or remove the line"
    )


def _moment(text: str) -> datetime | None:
    """The time in UTC, without a zone; None if there is none in the text."""
    try:
        if not NUMBER.fullmatch(text):
            value = datetime.fromisoformat(text)
        elif float(text) >= SECONDS:
            value = datetime.fromtimestamp(float(text), UTC)
        else:
            return None
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    except (ValueError, OverflowError, OSError):
        return None


def _lines(where: str, form: Format, content: pa.Buffer) -> Iterator[tuple[int, list[str]]]:
    """Line number and values of each line that is not blank, without the header."""
    data = content.to_pybytes().removeprefix(BOM)
    try:
        lines = re.split(r"\r\n|\n|\r", data.decode(form.encoding))
    except UnicodeDecodeError as error:
        before = re.split(rb"\r\n|\n|\r", data[: error.start])
        raise BadInput(
            f"{where}, line {len(before)}: not {form.encoding} text ({error.reason} at byte"
            f" {len(before[-1])}); save the file as {form.encoding}"
        ) from None
    if form.quoted:
        reader = csv.reader((line + "\n" for line in lines), delimiter=form.separator)
        rows = ((reader.line_num, row) for row in reader)
    else:
        rows = ((number, line.split(form.separator)) for number, line in enumerate(lines, 1))
    try:
        for position, (number, row) in enumerate(rows):
            if (position or form.header is None) and row and row != [""]:
                yield number, row
    except csv.Error as error:
        remedy = "close the quote that stands open before" if "limit" in str(error) else "correct the line"
        raise BadInput(f"{where}, line {reader.line_num}: {error}; {remedy}") from None
