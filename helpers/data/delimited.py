"""Reading tables from a folder or a .zip, fast, and saying exactly which line is wrong.

A file is parsed by Arrow. Only where Arrow refuses, or a number is out of range, is the file walked line
by line in Python: the walk names the first bad line, or copes with what Arrow cannot (a separator inside
a free text).
"""

import csv
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from helpers.errors import BadInput

BOM = b"\xef\xbb\xbf"
# kind -> (type, lowest, highest, what a message calls it)
KINDS = {
    "id": (pa.int32(), 0, 2**31 - 1, "a whole number from 0 to 2147483647"),
    "time": (pa.int64(), 0, 4_102_444_799, "seconds since 1970, before the year 2100"),
    "rating": (pa.float32(), 0, 5, "a number from 0 to 5"),
    "age": (pa.int32(), 0, 130, "an age in years, 0 to 130"),
    "flag": (pa.int32(), 0, 1, "0 or 1"),
    "text": (pa.string(), None, None, "text"),
}
NUMBER = {"rating": re.compile(r"[+-]?\d+(\.\d*)?|[+-]?\.\d+", re.ASCII)}
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)


class Source:
    """The files directly inside a folder, or inside a .zip (or its one top-level folder).

    Nothing is ever unpacked: a member of a .zip is read into memory, and only under a plain name, so a
    member called `../../x` can neither be reached nor written.

    Raises:
        BadInput: there is no such place, or it is not a readable .zip.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, str] = {}
        if self.path.is_dir():
            self._members = {f.name: f.name for f in sorted(self.path.iterdir()) if f.is_file()}
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

    @property
    def label(self) -> str:
        """A short name for the release, which stays the same when the folder is moved."""
        return self.path.resolve().name.removesuffix(".zip")

    def where(self, name: str) -> str:
        """How messages name a file of this source."""
        return f"{self.path}/{name}" if self._zip is None else f"{self.path}({name})"

    def buffer(self, name: str) -> pa.Buffer:
        """The content of a file: mapped into memory from a folder, read from a .zip.

        Raises BadInput: the file is absent, empty or damaged.
        """
        if name not in self._members:
            raise BadInput(f"{self.path}: {name} is missing; found {', '.join(self._members) or 'no files'}")
        try:
            if self._zip is None:
                file = self.path / name
                content = pa.memory_map(str(file)).read_buffer() if file.stat().st_size else pa.py_buffer(b"")
            else:
                content = pa.py_buffer(self._zip.read(self._members[name]))
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise BadInput(f"{self.where(name)}: cannot be read ({error}); download the .zip again") from None
        if content.size == 0:
            raise BadInput(f"{self.where(name)}: the file is empty; download it again")
        return content


def text_lines(file: Path) -> list[tuple[int, str]]:
    """(line number, text without space at its ends) of the lines that are not blank.

    Raises BadInput: the file is not UTF-8 text, or holds nothing.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{file}: not utf-8 text ({error.reason} at byte {error.start}); download or unpack it again"
        ) from None
    found = [(k, line.strip()) for k, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not found:
        raise BadInput(f"{file}: the file is empty; download or unpack it again")
    return found


@dataclass(frozen=True)
class Format:
    """How one kind of file is written.

    Attributes:
        separator: between the values of a line; of one or more characters.
        columns: name -> kind (a key of `KINDS`), in the file's order if it has no header.
        header: None if the first line is data, else for each name the headings that stand for it.
        encoding: of the text.
        quoted: values may stand in double quotes.
    """

    separator: str
    columns: dict[str, str]
    header: dict[str, tuple[str, ...]] | None = None
    encoding: str = "utf-8"
    quoted: bool = False


def read(source: Source, name: str, form: Format) -> pd.DataFrame:
    """One table: the columns of `form`, with int32, int64, float32 or str values.

    Raises BadInput: the file is missing, empty, or a line of it is wrong; the message names file and line.
    """
    content = source.buffer(name)
    layout = list(form.columns) if form.header is None else _headings(source, name, form, content)
    try:
        frame = _arrow(content, form, layout)
    except pa.ArrowInvalid:
        return _walk(source, name, form, layout, content)
    if len(frame) and all(_in_range(frame[c], kind) for c, kind in form.columns.items()):
        return frame
    return _walk(source, name, form, layout, content)


def _arrow(content: pa.Buffer, form: Format, layout: list[str]) -> pd.DataFrame:
    separator = form.separator
    if len(separator) > 1:
        # Arrow wants one character: the unit separator, which no GroupLens file contains
        data = content.to_pybytes()
        if b"\x1f" in data:
            raise pa.ArrowInvalid("the file contains the unit separator")
        separator, content = "\x1f", pa.py_buffer(data.replace(form.separator.encode(), b"\x1f"))
    table = pyarrow.csv.read_csv(
        pa.BufferReader(content),
        pyarrow.csv.ReadOptions(
            column_names=layout, skip_rows=int(form.header is not None), encoding=form.encoding
        ),
        pyarrow.csv.ParseOptions(delimiter=separator, quote_char='"' if form.quoted else False),
        pyarrow.csv.ConvertOptions(
            column_types={c: KINDS[kind][0] for c, kind in form.columns.items()},
            include_columns=list(form.columns),
            null_values=[],
            strings_can_be_null=False,
        ),
    )
    return table.to_pandas()


def _in_range(values: pd.Series, kind: str) -> bool:
    low, high = KINDS[kind][1:3]
    if low is None:
        return True
    array = values.to_numpy()
    return bool(array.min() >= low and array.max() <= high)  # False for NaN as well


def _headings(source: Source, name: str, form: Format, content: pa.Buffer) -> list[str]:
    """The columns in the file's order; headings that are not asked for keep their own name."""
    first = content.slice(0, min(content.size, 10_000)).to_pybytes().removeprefix(BOM)
    line = re.split(rb"\r?\n", first, maxsplit=1)[0].decode(form.encoding, errors="replace")
    found = [heading.strip() for heading in next(csv.reader([line], delimiter=form.separator), [])]
    names = {heading: column for column, headings in form.header.items() for heading in headings}
    layout = [names.get(heading, f"other: {heading}") for heading in found]
    for column, headings in form.header.items():
        if layout.count(column) != 1:
            raise BadInput(
                f"{source.where(name)}, line 1: expected one column {' or '.join(headings)},"
                f" found {', '.join(found)[:80]!r}; restore the header that GroupLens ships"
            )
    return layout


def _walk(source: Source, name: str, form: Format, layout: list[str], content: pa.Buffer) -> pd.DataFrame:
    """The same table, slowly and with an eye on every value."""
    wanted = [(column, layout.index(column), kind) for column, kind in form.columns.items()]
    texts = [at for at, column in enumerate(layout) if form.columns.get(column) == "text"]
    columns: dict[str, list] = {column: [] for column in form.columns}
    for number, values in _lines(source, name, form, content):
        surplus = len(values) - len(layout)
        if surplus > 0 and len(texts) == 1 and not form.quoted:
            # the separator occurs inside the one free text of the line
            at = texts[0]
            values[at : at + surplus + 1] = [form.separator.join(values[at : at + surplus + 1])]
        elif surplus:
            raise BadInput(
                f"{source.where(name)}, line {number}: expected {len(layout)} values separated by"
                f" {form.separator!r}, found {len(values)}; correct or remove the line"
            )
        for column, at, kind in wanted:
            columns[column].append(_value(source.where(name), number, column, values[at], kind))
    if not columns[wanted[0][0]]:
        raise BadInput(f"{source.where(name)}: the file holds no rows; download it again")
    dtypes = {"text": "str", "rating": np.float32, "time": np.int64}
    return pd.DataFrame(
        {c: pd.Series(columns[c], dtype=dtypes.get(kind, np.int32)) for c, kind in form.columns.items()}
    )


def _value(where: str, number: int, column: str, text: str, kind: str):
    _, low, high, expected = KINDS[kind]
    if low is None:
        return text
    text = text.strip()
    if NUMBER.get(kind, WHOLE).fullmatch(text) and low <= float(text) <= high:
        return float(text) if kind == "rating" else int(text)
    raise BadInput(
        f"{where}, line {number}: {column} is {text[:40]!r}, expected {expected}; correct or remove the line"
    )


def _lines(source: Source, name: str, form: Format, content: pa.Buffer) -> Iterator[tuple[int, list[str]]]:
    """Line number and values of each line that is not blank, without the header."""

    def decoded() -> Iterator[str]:
        data = content.to_pybytes().removeprefix(BOM)
        for number, line in enumerate(re.split(rb"\r\n|\n|\r", data), 1):
            try:
                yield line.decode(form.encoding)
            except UnicodeDecodeError as error:
                raise BadInput(
                    f"{source.where(name)}, line {number}: not {form.encoding} text ({error.reason} at"
                    f" byte {error.start}); save the file as {form.encoding}"
                ) from None

    if form.quoted:
        reader = csv.reader((line + "\n" for line in decoded()), delimiter=form.separator)
        rows = ((reader.line_num, row) for row in reader)
    else:
        rows = ((number, line.split(form.separator)) for number, line in enumerate(decoded(), 1))
    for position, (number, row) in enumerate(rows):
        if (position or form.header is None) and row and row != [""]:
            yield number, row
