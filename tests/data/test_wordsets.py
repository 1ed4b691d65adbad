"""Word pairs, analogies and dictionaries in their public formats; and the real files where they are."""

import gzip
import io
import tarfile
from base64 import b64encode

import numpy as np
import pytest

from helpers.data import BadInput, wordsets
from helpers.paths import data

REAL = data() / "wordsim"


def write(folder, name, content):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


@pytest.mark.parametrize(
    "content",
    [
        "sun\tsunlight\t50.0\nCar\tautomobile\t49.5\n",
        "sun sunlight 50.000\ncar automobile 49.5",
        "\ufeff# a title\n# Word 1\tWord 2\tHuman (mean)\nsun\tsunlight\t50\r\n\r\ncar\tautomobile\t49.5\r\n",
    ],
)
@pytest.mark.parametrize("name", wordsets.MEN_FILES)
def test_pairs_in_every_layout(tmp_path, name, content):
    write(tmp_path, name, content)
    frame = wordsets.word_pairs("MEN", tmp_path)
    rows = [("sun", "sunlight", 50.0), ("car", "automobile", 49.5)]
    assert list(frame.itertuples(index=False, name=None)) == rows


def test_what_packages_bring():
    """These need no download, so the notebook always has something to test on."""
    assert len(wordsets.word_pairs("WordSim-353")) == 353
    simlex = wordsets.word_pairs("SimLex-999")
    assert len(simlex) == 999
    assert simlex.iloc[0].tolist() == ["old", "new", 1.58]
    questions = wordsets.analogies()
    assert (len(questions), questions["section"].nunique()) == (19_544, 14)
    assert (~questions["syntactic"]).sum() == 8_869, "the number in Joulin et al. 2016, section 4.3"
    assert questions.iloc[0].tolist()[1:5] == ["athens", "greece", "baghdad", "iraq"]
    names = wordsets.emoji_names().set_index("character")
    assert names.loc["🐕"].tolist() == ["dog", "chien"]
    with pytest.raises(BadInput, match="unknown; choose MEN"):
        wordsets.word_pairs("RW")


def test_absent_sets_are_none_and_have_a_source(tmp_path):
    assert wordsets.word_pairs("MEN", tmp_path) is None
    assert wordsets.freedict(tmp_path) is None
    assert {"MEN", "FreeDict"} == wordsets.SOURCES.keys()


ENTRIES = {
    "00databaseinfo": "about\n", "cat": "cat /kæt/\n1. mégère, peau de vache (colloquial)\n2. Chat\n",
    "dog": "dog\nchien, clébard\n", "ice cream": "ice cream\nglace\n", "dogs": "dogs\nchien, chien\n",
}  # fmt: skip


def base64(value):
    return b64encode(value.to_bytes(6)).decode().lstrip("A") or "A"


def dictionary(entries=ENTRIES):
    """(index, dict.dz) in the format of dictd."""
    text, lines = b"", []
    for head, entry in entries.items():
        content = entry.encode()
        lines.append(f"{head}\t{base64(len(text))}\t{base64(len(content))}")
        text += content
    return "\n".join(lines).encode(), gzip.compress(text)


def deb(files, compression="xz", extra=b""):
    """A Debian package: an ar archive of three members, padded to even lengths."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode=f"w:{compression}") as archive:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", b"odd"),
        (f"data.tar.{compression}", tar.getvalue()),
    ]
    out = b"!<arch>\n"
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out + extra


PLACE = "./usr/share/dictd/freedict-eng-fra"
PACKAGE = "dict-freedict-eng-fra_2022.04.21-1_all.deb"
WANTED = [("cat", "mégère"), ("cat", "chat"), ("dog", "chien"), ("dog", "clébard"), ("dogs", "chien")]


@pytest.mark.parametrize("compression", ["xz", "gz"])
def test_the_dictionary_from_a_debian_package(tmp_path, compression):
    index, text = dictionary()
    write(tmp_path, PACKAGE, deb({f"{PLACE}.index": index, f"{PLACE}.dict.dz": text}, compression))
    assert list(wordsets.freedict(tmp_path).itertuples(index=False, name=None)) == WANTED


def test_the_dictionary_from_its_two_files(tmp_path):
    index, text = dictionary()
    write(tmp_path, "freedict-eng-fra.index", index)
    with pytest.raises(BadInput, match=r"dict\.dz: missing"):
        wordsets.freedict(tmp_path)
    write(tmp_path, "freedict-eng-fra.dict.dz", text)
    assert list(wordsets.freedict(tmp_path).itertuples(index=False, name=None)) == WANTED


def test_nothing_is_written_outside_or_followed(tmp_path):
    """Members with other names, links and paths that climb are never written: reading is all that happens."""
    index, text = dictionary()
    inside = tmp_path / "inside"
    inside.mkdir()
    files = {"../../evil": b"x", f"{PLACE}.index": index, f"../{PLACE}.dict.dz": text}
    write(inside, PACKAGE, deb(files))
    assert len(wordsets.freedict(inside)) == len(WANTED)
    assert [f.name for f in tmp_path.rglob("*") if f.is_file()] == [PACKAGE]


@pytest.mark.skipif(wordsets.word_pairs("MEN") is None, reason=f"needs {wordsets.SOURCES['MEN']}")
def test_the_real_men():
    frame = wordsets.word_pairs("MEN")
    assert len(frame) == 3000
    assert len(set(frame["first"]) | set(frame["second"])) == 751, "the number in Joulin et al. 2016"


@pytest.mark.skipif(not [*REAL.glob("*.deb")], reason=f"needs {wordsets.SOURCES['FreeDict']}")
def test_the_real_dictionary():
    frame = wordsets.freedict()
    assert len(frame) > 5000
    assert {("dog", "chien"), ("tree", "arbre"), ("cat", "chat")} <= {
        *zip(frame["english"], frame["french"], strict=True)
    }


def test_pairs_of_words_are_graded_by_where_unicode_files_their_emoji():
    words = np.array(["banana", "grapes", "pizza", "violin", "guitar", "wolf", "red", "nothing"])
    found = wordsets.emoji_pairs(words, np.random.default_rng(0))
    score = {frozenset(pair): s for *pair, s in found.itertuples(index=False)}
    truth = {("banana", "grapes"): 2, ("guitar", "violin"): 2, ("banana", "pizza"): 1, ("grapes", "pizza"): 1}
    for pair, grade in score.items():
        assert grade == truth.get(tuple(sorted(pair)), 0)
    assert {0, 1, 2} == set(score.values())
    assert set(found["first"]) | set(found["second"]) == set(words[:6]), "red is in many places"
    assert not found.duplicated(["first", "second"]).any()
    again = wordsets.emoji_pairs(words, np.random.default_rng(0))
    assert again.equals(found)
    assert wordsets.emoji_pairs(np.array(["nothing"]), np.random.default_rng(0)).empty
