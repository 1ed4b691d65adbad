"""Words that people have judged: similarity of pairs, analogies, dictionaries. Read in their public formats.

WordSim-353, SimLex-999 and the analogies come with the package `gensim`, the names of emoji with `emoji`, the
groups of emoji with this project, in OpenMoji's table. MEN and FreeDict lie where the user has put them, in
`wordsim` of the data folder; `SOURCES` says from where.
"""

import gzip
import io
import math
import re
import tarfile
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import emoji
import numpy as np
import pandas as pd
from gensim.test.utils import datapath

from helpers.data import openmoji
from helpers.data.delimited import text_lines
from helpers.errors import BadInput
from helpers.files import DAMAGED
from helpers.paths import data

# where each set is published, for those that no package brings
SOURCES = {
    "MEN": "the MEN test collection (Bruni, Tran and Baroni 2014, 3,000 pairs): python -m helpers.data get"
    " men, or put EN-MEN-TR-3k.txt or MEN_dataset_natural_form_full into wordsim in your data folder",
    "FreeDict": "the English-French dictionary of freedict.org: python -m helpers.data get freedict, or put"
    " the Debian package dict-freedict-eng-fra_*.deb into wordsim in your data folder",
}
INSTALLED = {"WordSim-353": "wordsim353.tsv", "SimLex-999": "simlex999.txt"}
MEN_FILES = ("EN-MEN-TR-3k.txt", "word-sim/EN-MEN-TR-3k.txt", "MEN_dataset_natural_form_full")
LARGEST = 64 * 2**20  # bytes of a dictionary's file, so that a small archive cannot fill the memory


def word_pairs(name: str, folder: Path | None = None) -> pd.DataFrame | None:
    """Pairs of English words with the similarity that people gave them: MEN, WordSim-353 or SimLex-999.

    Columns first, second (lower case), score (higher is more similar; each set has its own scale); None where
    the set is not there. Raises BadInput: unknown name, or a line that is no pair with a number."""
    if name not in ("MEN", *INSTALLED):
        raise BadInput(f"word pairs {name!r} are unknown; choose MEN, {' or '.join(INSTALLED)}")
    file = Path(datapath(INSTALLED[name])) if name in INSTALLED else _first(folder, MEN_FILES)
    return None if file is None else read_pairs(file)


def read_pairs(file: Path) -> pd.DataFrame:
    """One pair a line, "word word number", separated by tabs or spaces; lines with '#' are comments."""
    rows = []
    for number, line in text_lines(file):
        if line.startswith("#"):
            continue
        try:
            first, second, score = line.split()
            rows.append((first.lower(), second.lower(), float(score)))
            if not math.isfinite(rows[-1][2]):
                raise ValueError
        except ValueError:
            wanted = "two words and a number; correct or remove the line"
            raise BadInput(f"{file}, line {number}: {line[:60]!r}, expected {wanted}") from None
    if not rows:
        raise BadInput(f"{file}: the file holds no pairs; download it again")
    return pd.DataFrame(rows, columns=["first", "second", "score"])


def analogies(file: Path | None = None) -> pd.DataFrame:
    """Questions "a is to b as c is to d" of Mikolov et al. 2013; by default gensim's questions-words.txt.

    Columns section, a, b, c, d (lower case), syntactic (bool: the sections whose names begin with "gram")."""
    file = Path(datapath("questions-words.txt")) if file is None else file
    rows, section = [], None
    for number, line in text_lines(file):
        words = line.lower().split()
        if line.startswith(":"):
            section = line[1:].strip()
        elif len(words) == 4 and section is not None:
            rows.append((section, *words))
        else:
            wanted = "four words below a line `: section`; correct or remove the line"
            raise BadInput(f"{file}, line {number}: {line[:60]!r}, expected {wanted}")
    if not rows:
        raise BadInput(f"{file}: the file holds no questions; download it again")
    frame = pd.DataFrame(rows, columns=["section", "a", "b", "c", "d"])
    return frame.assign(syntactic=frame["section"].str.startswith("gram"))


def emoji_names() -> pd.DataFrame:
    """What the same emoji is called in English and French (Unicode's translations, from the package `emoji`).

    Columns character, first, second: names in words separated by spaces; emoji without both are left out."""
    emoji.config.load_language("fr")
    rows = [
        (character, *(about[language].strip(":").replace("_", " ") for language in ("en", "fr")))
        for character, about in emoji.EMOJI_DATA.items()
        if {"en", "fr"} <= about.keys()
    ]
    return pd.DataFrame(rows, columns=["character", "first", "second"])


def emoji_pairs(words: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Pairs of some words, text (K,), graded by where Unicode files the emoji whose English names hold them:
    in one subgroup (2), in one group (1), or neither (0). Nobody judged these pairs; they are computed.

    A word counts where most of its emoji are in one subgroup: "banana", not "red" or "person". For each such
    word up to three partners are drawn, one of each grade, so that all grades are about as frequent and no
    word is in a great many pairs. Columns first, second, score; each pair once."""
    table = openmoji.catalogue()
    table = table[~table["skintone"] & ~table["group"].str.startswith("extras")]
    names = table["annotation"].str.lower().str.findall("[a-z]{2,}").map(set)
    uses = table.assign(word=names).explode("word")
    uses = uses[uses["word"].isin(words)]
    place = uses.groupby("word")[["group", "subgroup"]].agg(lambda filed: filed.mode()[0])
    share = (uses["subgroup"] == uses["word"].map(place["subgroup"])).groupby(uses["word"]).mean()
    place = place[share > 0.5]
    group, subgroup = (place[column].to_numpy(str) for column in ("group", "subgroup"))
    grade = (group[:, None] == group).astype(int) + (subgroup[:, None] == subgroup)
    np.fill_diagonal(grade, -1)
    pairs = set()
    for one, row in enumerate(grade):
        partners = [rng.permutation(np.flatnonzero(row == score))[:1] for score in (0, 1, 2)]
        pairs |= {(min(one, other), max(one, other)) for other in np.concatenate(partners)}
    first, second = np.array(sorted(pairs), int).reshape(-1, 2).T
    known = place.index.to_numpy(str)
    return pd.DataFrame({"first": known[first], "second": known[second], "score": grade[first, second]})


def freedict(folder: Path | None = None) -> pd.DataFrame | None:
    """The English–French dictionary of FreeDict, single words only; None where it is not there.

    It is read from the Debian package, or from the .index and .dict.dz inside of it; nothing is unpacked to
    disk. Columns english, french (lower case), a row per translation. Raises BadInput: a damaged file."""
    names = ("dict-freedict-eng-fra_*.deb", "freedict-eng-fra.index", "freedict-eng-fra/*eng-fra.index")
    found = _first(folder, names)
    if found is None:
        return None
    if found.suffix == ".deb":
        index, text = deb_members(found, ("freedict-eng-fra.index", "freedict-eng-fra.dict.dz"))
    else:
        packed = found.with_suffix(".dict.dz")
        if not packed.is_file():
            raise BadInput(f"{packed}: missing beside {found.name}")
        index, text = found.read_bytes(), packed.read_bytes()
    rows = [
        (head, meaning)
        for head, entry in dictd_entries(index, gunzipped(text, found), found)
        for meaning in meanings(entry)
        if len(head.split()) == 1 and len(meaning.split()) == 1
    ]
    frame = pd.DataFrame(rows, columns=["english", "french"])
    return frame.apply(lambda column: column.str.lower()).drop_duplicates(ignore_index=True)


def meanings(entry: str) -> list[str]:
    """The translations of one entry: lines "1. this, that" below the line of the headword."""
    lines = [re.sub(r"^\d+\.\s*", "", line.strip()) for line in entry.splitlines()[1:]]
    parts = [part.strip() for line in lines for part in re.sub(r"\([^)]*\)", " ", line).split(",")]
    return [part for part in parts if part]


def dictd_entries(index: bytes, text: bytes, where: Path) -> Iterator[tuple[str, str]]:
    """Headword and entry of a dictd database: an index of "word, offset, length" into one long text.

    Numbers are written in base 64. Headwords that begin with "00" describe the database and are left out."""
    for number, line in enumerate(index.decode("utf-8", errors="replace").splitlines(), start=1):
        head, *parts = line.split("\t")
        try:
            # eight digits of base 64 are six bytes, and A is zero
            start, length = (int.from_bytes(b64decode(p.rjust(8, "A"), validate=True)) for p in parts[:2])
            entry = text[start : start + length]
            if len(entry) != length:
                raise ValueError
        except ValueError:
            told = "names no place in the dictionary; download it again"
            raise BadInput(f"{where}: line {number} of the index, {line[:60]!r}, {told}") from None
        if not head.startswith("00"):
            yield head.strip(), entry.decode("utf-8", errors="replace")


def gunzipped(content: bytes, where: Path) -> bytes:
    """A .dz or .gz file's content, at most `LARGEST` bytes."""
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            text = stream.read(LARGEST + 1)
    except DAMAGED as error:
        raise BadInput(f"{where}: its dictionary cannot be unpacked ({error}); download it again") from None
    if len(text) > LARGEST:
        raise BadInput(f"{where}: its dictionary is larger than {LARGEST >> 20} MB; this is another file")
    return text


def deb_members(file: Path, names: tuple[str, ...]) -> list[bytes]:
    """The content of files inside a Debian package, by their plain names, read into memory.

    A .deb is an `ar` archive (headers of 60 bytes) whose member data.tar.* holds the files."""
    content, position, body, found = file.read_bytes(), 8, b"", {}
    if content[:8] != b"!<arch>\n":
        raise BadInput(f"{file}: not a Debian package (no ar archive); download it again")
    while position + 60 <= len(content):
        header = content[position : position + 60]
        size = header[48:58].decode("ascii", errors="replace").strip()
        if header[58:] != b"`\n" or not size.isascii() or not size.isdigit():
            raise BadInput(f"{file}: damaged at byte {position}; download it again")
        if header.startswith(b"data.tar"):
            body = content[position + 60 : position + 60 + int(size)]
        position += 60 + int(size) + int(size) % 2
    try:
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in names and member.size <= LARGEST:
                    found[name] = archive.extractfile(member).read()
    except DAMAGED as error:
        reason = str(error).partition(":")[0]
        raise BadInput(f"{file}: data.tar cannot be read ({reason}); download the package again") from None
    if missing := [name for name in names if name not in found]:
        raise BadInput(f"{file}: holds no {' and no '.join(missing)}; this is another package")
    return [found[name] for name in names]


def _first(folder: Path | None, names: tuple[str, ...]) -> Path | None:
    folder = data() / "wordsim" if folder is None else Path(folder)
    return next((f for name in names for f in sorted(folder.glob(name)) if f.is_file()), None)
