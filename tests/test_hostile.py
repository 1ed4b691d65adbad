"""Bad input of every kind, and what is answered: one row each. `python tests/test_hostile.py` prints the table.

An answer is a sentence: an error (BadInput, or exit code 2 of a command), or what was left out or read all the
same. It names the file, row or parameter and what to do, as the fragments of its row say. No text is ever run,
and what was computed before stays as it is.

A row is (name, what is done in an empty folder, fragments…). To add rows for a dataset, add a group to `GROUPS`.
"""

import contextlib
import gzip
import io
import json
import os
import pickle
import shutil
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from helpers.data import load, wordsets
from helpers.data.__main__ import main as data_command
from helpers.data.collection import Collection
from helpers.data.images import FileImages
from helpers.data.movielens import load as load_movielens
from helpers.data.sets import open_set
from helpers.errors import BadInput
from helpers.learn import devices, pretrained
from helpers.notebook import artefacts, parts
from helpers.notebook.params import check, read_yaml, scalar_or_list
from helpers.notebook.run import start
from helpers.runner import commands
from helpers.runner.plan import Project, plan

FIXTURES = Path(__file__).parent / "data" / "fixtures"
CANARY = "canary"  # a file of this name is what the hostile texts would make
CODE = f"__import__('os').system('echo x>{CANARY}')"
OBJECT = f"!!python/object/apply:os.system ['echo x>{CANARY}']"
REMEDY = "python -m helpers.run demo --only 01"
AGAIN = f"make it again with: {REMEDY} --force"


class Evil:
    """Unpickled, it makes the canary."""

    def __reduce__(self):
        return os.system, (f"echo x>{CANARY}",)


def write(file, content=b""):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


# tables: a release with one change -------------------------------------------------------------------------------


def release(name, file, old, new, **options):
    """A fixture release in which `old` is replaced once; with old=None, `file` has the content `new`."""

    def act(folder):
        place = Path(shutil.copytree(FIXTURES / name, folder / name))
        if old is None:
            write(place / file, new)
        else:
            content = (place / file).read_bytes()
            assert old.encode() in content
            write(place / file, content.replace(old.encode(), new.encode(), 1))
        return told(load_movielens(place, size=8, without_posters=True, **options))

    return act


def told(collection):
    """What a collection says of itself."""
    return f"{len(collection.items)} items, {len(collection.views)} views; {'; '.join(collection.missing.values())}"


def movielens(**options):
    """The options of a good release; a text with {} is a path inside the empty folder."""

    def act(folder):
        given = {k: v.replace("{}", str(folder)) if isinstance(v, str) else v for k, v in options.items()}
        return told(load("movielens", **{"data_dir": str(FIXTURES / "ml-latest"), "size": 8} | given))

    return act


def packed(content, **files):
    """A release in a .zip of these files, or of this content."""

    def act(folder):
        file = folder / "ml.zip"
        if content is None:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, text in files.items():
                    archive.writestr(name.replace("__", "/").replace("_csv", ".csv"), text)
        else:
            write(file, content)
        return told(load_movielens(file, size=8, without_posters=True))

    return act


RATINGS, MOVIES = "userId,movieId,rating,timestamp\n1,1,4.0,880000001\n", "movieId,title,genres\n1,A,Drama\n"


def encrypted():
    """A .zip whose members say that they are encrypted."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("movies.csv", MOVIES)
        archive.writestr("ratings.csv", RATINGS)
    content = bytearray(out.getvalue())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(magic, at + 1)) >= 0:
            content[at + offset] |= 1
    return bytes(content)


TABLES = [
    ("rating is a word", release("ml-latest", "ratings.csv", "2,3,1.0", "2,3,good"),
     "ratings.csv, line 5: rating is 'good', expected a number from 0 to 5; correct or remove the line"),
    ("rating is code", release("ml-latest", "ratings.csv", "2,3,1.0", f'2,3,"{CODE}"'), "line 5: rating is \"__import__('os')"),
    ("rating is nan", release("ml-latest", "ratings.csv", "2,3,1.0", "2,3,nan"), "line 5: rating is 'nan'"),
    ("rating is inf", release("ml-latest", "ratings.csv", "2,3,1.0", "2,3,inf"), "line 5: rating is 'inf'"),
    ("rating is empty", release("ml-latest", "ratings.csv", "2,3,1.0", "2,3,"), "line 5: rating is '', expected"),
    ("rating is hexadecimal", release("ml-latest", "ratings.csv", "2,3,1.0", "2,3,0x1"), "line 5: rating is '0x1'"),
    ("rating has a comma", release("ml-latest", "ratings.csv", "2,3,1.0", '2,3,"1,0"'), "line 5: rating is '1,0'"),
    ("rating is 7.5", release("ml-latest", "ratings.csv", "2,3,1.0", "2,3,7.5"), "line 5: rating is '7.5', expected"),
    ("rating is negative", release("ml-latest", "ratings.csv", "2,3,1.0", "2,3,-1"), "line 5: rating is '-1'"),
    ("user is too large", release("ml-latest", "ratings.csv", "2,3,1.0", "2147483648,3,1.0"),
     "line 5: user is '2147483648', expected a whole number from 0 to 2147483647"),
    ("user is negative", release("ml-latest", "ratings.csv", "2,3,1.0", "-2,3,1.0"), "line 5: user is '-2'"),
    ("movie is a decimal", release("ml-latest", "ratings.csv", "2,3,1.0", "2,3.0,1.0"), "line 5: movie is '3.0'"),
    ("movie is not listed", release("ml-latest", "ratings.csv", "2,3,1.0", "2,88,1.0"),
     "record 4: movie 88 is not in movies.csv (1 such movies); use the files of one release"),
    ("time is negative", release("ml-latest", "ratings.csv", "880000004", "-5"),
     "line 5: at is '-5', expected seconds since 1970, before the year 2100"),
    ("time in milliseconds", release("ml-latest", "ratings.csv", "880000004", "880000004000"), "at is '880000004000'"),
    ("time is a date", release("ml-latest", "ratings.csv", "880000004", "1997-11-20"), "at is '1997-11-20'"),
    ("a value is missing", release("ml-latest", "ratings.csv", "2,3,1.0", "2,3"),
     "line 5: expected 4 values separated by ',', found 3"),
    ("a value too many", release("ml-latest", "ratings.csv", "2,3,1.0", "2,3,1.0,9"), "line 5: expected 4 values"),
    ("a heading is another", release("ml-latest", "ratings.csv", "movieId", "film"),
     "ratings.csv, line 1: expected one column movieId or movie_id or movie, found", "correct the header"),
    ("a heading is there twice", release("ml-latest", "ratings.csv", "rating", "movieId"), "line 1: expected one col"),
    ("semicolons", release("ml-latest", "ratings.csv", None, RATINGS.replace(",", ";")), "line 1: expected one colum"),
    ("a web page", release("ml-latest", "ratings.csv", None, "<!DOCTYPE html><title>404</title>"), "line 1: expected"),
    ("UTF-16", release("ml-latest", "ratings.csv", None, RATINGS.encode("utf-16")), "ratings.csv, line 1: expected"),
    ("a NUL in a number", release("ml-latest", "ratings.csv", "2,3,1.0", "2,3\0,1.0"), "line 5: movie is '3\\x00'"),
    ("a quote is never closed", release("ml-latest", "movies.csv", '(1993)"', "(1993)"), "movies.csv, line 6: expected 3 values"),
    ("a file of quotes", release("ml-latest", "ratings.csv", None, RATINGS + '"' * 200_000), "ratings.csv, line "),
    ("latin-1 for UTF-8", release("ml-latest", "movies.csv", None, MOVIES.replace("A", "é").encode("latin-1")),
     "movies.csv, line 2: not utf-8 text", "save the file as utf-8"),
    ("only a header", release("ml-latest", "ratings.csv", None, "userId,movieId,rating,timestamp\n"),
     "ratings.csv: the file holds no rows; fill or remove it"),
    ("an empty file", release("ml-latest", "tags.csv", None, ""), "tags.csv: the file is empty; download it again"),
    ("a movie is listed twice", release("ml-latest", "movies.csv", "\r\n5,", "\r\n1,"),
     "movies.csv: movie 1 is listed twice, the second time in record 4; remove one of the lines"),
    ("a title is a formula", release("ml-latest", "movies.csv", None, f'movieId,title,genres\n{"".join(f"{k},=cmd|{k},x" + chr(10) for k in (1, 2, 3, 5))}'),
     "4 items, 6 views"),
    ("10m: rating is a word", release("ml-10m", "ratings.dat", "2::3::1", "2::3::one"), "line 4: rating is 'one'"),
    ("10m: single colons", release("ml-10m", "ratings.dat", "2::3::1", "2:3:1"), "line 4: expected 4 values", "found 2"),
    ("10m: movie is a word", release("ml-10m", "tags.dat", "9::2::", "9::two::"), "tags.dat, line 4: movie is 'two'"),
    ("10m: a unit separator", release("ml-10m", "tags.dat", "::sea::", "::s\x1fea::"), "4 items, 6 views"),
    ("100k: rating is a letter", release("ml-100k", "u.data", "2\t3\t1", "2\t3\tx"), "u.data, line 4: rating is 'x'"),
    ("100k: user is not listed", release("ml-100k", "u.data", "7\t5\t2", "8\t5\t2"),
     "record 5: user 8 is not in u.user (1 such users); use the files of one release"),
    ("100k: gender is X", release("ml-100k", "u.user", "34|F", "34|X"), "u.user, record 1: gender 'X', age 34", "F or M"),
    ("100k: age is 340", release("ml-100k", "u.user", "34|F", "340|F"), "u.user, line 1: age is '340', expected an age"),
    ("100k: a genre is 2", release("ml-100k", "u.item", "|0|0|0|0", "|2|0|0|0"), "u.item, line 1: unknown is '2', expected 0 or 1"),
    ("100k: a genre is missing", release("ml-100k", "u.item", "|0|0|0|0", "|0|0|0"), "u.item, line 1: expected 24 values"),
    ("1m: an age code is unknown", release("ml-1m", "users.dat", "F::25", "F::26"), "users.dat, record 1", "an age code of"),
    ("1m: age is 201", release("ml-1m", "users.dat", "F::25", "F::201"), "users.dat, line 1: age is '201', expected an age"),
    ("1m: occupation 99", release("ml-1m", "users.dat", "::10::", "::99::"), "occupation '99'", "an occupation from 0 to 20"),
    ("1m: a user is listed twice", release("ml-1m", "users.dat", "2::M", "1::M"), "users.dat: user 1 is listed twice"),
    ("a .gz that is none", release("posters-only", "ratings.csv.gz", None, "no gzip"), "ratings.csv.gz: cannot be read", "download the file again"),
    ("a .gz that is cut", release("posters-only", "ratings.csv.gz", None, gzip.compress(RATINGS.encode() * 99)[:-20]), "ratings.csv.gz: cannot be read"),
    ("data_dir is empty", lambda folder: load_movielens(""), "data_dir is empty; give the folder or .zip"),
    ("data_dir is absent", movielens(data_dir="{}/nowhere"), "nowhere: no such folder or .zip file"),
    ("data_dir is an empty folder", movielens(data_dir="{}"), "no MovieLens release here", "give the folder or the .zip"),
    ("data_dir has a NUL", movielens(data_dir="a\0b"), "data_dir: 'a\\x00b' cannot be used as a path"),
    ("data_dir is endless", movielens(data_dir="a" * 5000), "data_dir: 'aaa", "cannot be used as a path"),
    ("data_dir is nobody's", movielens(data_dir="~nobody-of-that-name"), "data_dir: '~nobody-of-that-name' cannot"),
    ("data_dir is code", movielens(data_dir=CODE), "no such folder or .zip file"),
    ("data_dir is a picture", movielens(data_dir=str(FIXTURES / "README.txt")), "README.txt: not a readable .zip"),
    ("data_dir is a number", movielens(data_dir=7), "data_dir: '7' cannot be used as a path"),
    ("size is 0", movielens(size=0), "movielens: size is 0; expected the side"),
    ("size is negative", movielens(size=-3), "movielens: size is -3; expected the side"),
    ("size is text", movielens(size="64"), "movielens: size is '64'; expected the side"),
    ("size is a fraction", movielens(size=8.5), "movielens: size is 8.5; expected the side"),
    ("posters are absent", movielens(posters="{}/nowhere"), "nowhere: expected a folder or a tar file of pictures"),
    ("posters have a NUL", movielens(posters="a\0b"), "posters: 'a\\x00b' cannot be used as a path"),
    ("no posters", movielens(), "no posters here; give posters=", "without_posters=True"),
    ("an option is misspelt", movielens(postres="x"), "movielens: got an unexpected keyword argument 'postres'", "options are data_dir, posters"),
    ("a .zip that is none", packed(b"PK\x03\x04 and nothing"), "ml.zip: not a readable .zip", "download it again"),
    ("a .zip without ratings", packed(None, movies_csv=MOVIES), "ml.zip: ratings.csv is missing; found movies.csv"),
    ("a .zip without a release", packed(None, other_csv="x"), "ml.zip: no MovieLens release here"),
    ("a .zip that climbs", packed(None, **{"..__movies_csv": MOVIES, "..__ratings_csv": RATINGS}), "no MovieLens release here"),
    ("a .zip that is encrypted", packed(encrypted()), "ml.zip(movies.csv): cannot be read", "encrypted"),
    ("a .zip that is a bomb", packed(None, movies_csv=MOVIES, ratings_csv=RATINGS + "\n" * 30_000_000), "ml.zip(ratings.csv)", "cannot be read (it unpacks to more than 200 times"),
]  # fmt: skip


# options of the collections that come with the project -----------------------------------------------------------


def option(name, **options):
    return lambda folder: told(load(name, **options))


SIMULATED = [
    ("posts are none", option("emojigram", posts=0), "emojigram: posts = 0", "greater than or equal to 1"),
    ("posts are text", option("emojigram", posts="many"), "emojigram: posts = 'many'", "valid integer"),
    ("posts are a numeral", option("emojigram", posts="20"), "emojigram: posts = '20'", "valid integer"),
    ("posts are a fraction", option("emojigram", posts=2.5), "emojigram: posts = 2.5", "valid integer"),
    ("posts are yes", option("emojigram", posts=True), "emojigram: posts = True", "valid integer"),
    ("posts are a list", option("emojigram", posts=[20]), "emojigram: posts = [20]", "valid integer"),
    ("posts are code", option("emojigram", posts=CODE), "emojigram: posts = \"__import__", "valid integer"),
    ("posts beyond the memory", option("emojigram", posts=10**12), "emojigram: posts = 1000000000000", "less than or equal"),
    ("one user", option("emojigram", users=1), "emojigram: users = 1", "greater than or equal to 2"),
    ("seed is negative", option("emojigram", seed=-1), "emojigram: seed = -1", "greater than or equal to 0"),
    ("seed is nothing", option("emojigram", seed=None), "emojigram: seed = None", "valid integer"),
    ("a strength is nan", option("emojigram", taste_style=float("nan")), "emojigram: taste_style = nan", "finite"),
    ("a strength is infinite", option("emojigram", taste_style=float("inf")), "emojigram: taste_style = inf", "finite"),
    ("a strength is negative", option("emojigram", taste_content=-0.5), "emojigram: taste_content = -0.5"),
    ("a share is above 1", option("emojigram", noise_views=1.5), "emojigram: noise_views = 1.5", "less than or equal to 1"),
    ("shares above 1 together", option("emojigram", self_expression=0.6, ambiguous=0.6),
     "self_expression + ambiguous + attribute_tags are shares; their sum exceeds 1"),
    ("pictures too small", option("emojigram", image_size=8), "emojigram: image_size = 8"),
    ("more contents than there are", option("emojigram", contents=500), "emojigram: contents = 500", "119"),
    ("an option is misspelt", option("emojigram", post=20), "unexpected keyword argument 'post'", "options are"),
    ("a dataset is misspelt", option("emojigran"), "dataset 'emojigran' is unknown; choose one of emojigram, openmoji"),
    ("a dataset is a path", option("../../etc/passwd"), "dataset '../../etc/passwd' is unknown; choose one of"),
    ("a dataset is a module", option("os:system"), "dataset 'os:system' is unknown"),
    ("openmoji: an unknown group", option("openmoji", include=["planets"]), "include: no group planets; choose from activities"),
    ("openmoji: no group", option("openmoji", include=[]), "include: no group given; choose from"),
    ("openmoji: a text for a list", option("openmoji", include="food-drink"), "items, 0 views"),
    ("openmoji: numbers for groups", option("openmoji", include=[3, None]), "include: no group 3, None; choose from"),
    ("openmoji: size is 0", option("openmoji", size=0, include=["flags"]), "size is 0; expected the side"),
    ("openmoji: size is text", option("openmoji", size="64", include=["flags"]), "openmoji: size is '64'; expected the side"),
    ("parts that are none", lambda folder: load("openmoji", size=8, include=["flags"]).without(["view"]),
     "without: no part view; choose from views, tags"),
]  # fmt: skip


# pictures --------------------------------------------------------------------------------------------------------


def saved(image, kind="JPEG", **more):
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


PICTURE = Image.effect_noise((60, 90), 80).convert("RGB")
JPEG, PNG = saved(PICTURE, quality=95), saved(PICTURE, "PNG")


def png_of(width, height):
    """The head of a picture that says it is so large, and has no pixels."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


def poster(name, content, leave_out=False):
    """A release with a good poster, and this one; content is bytes, or what makes the file."""

    def act(folder):
        write(folder / "posters" / "1.jpg", JPEG)
        if callable(content):
            content(folder / "posters" / name)
        else:
            write(folder / "posters" / name, content)
        place = FIXTURES / "ml-latest"
        return told(load_movielens(place, folder / "posters", size=8, leave_out_unreadable=leave_out))

    return act


def posters_tar(content, mode="w", cut=0):
    """Posters in a tar file, of name -> bytes or type of member."""

    def act(folder):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as archive:
            for name, what in content.items():
                info = tarfile.TarInfo(name)
                if name == "2.jpg" and what is None:
                    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                info.size = len(what or b"")
                archive.addfile(info, io.BytesIO(what or b""))
        file = write(folder / "posters.tar", out.getvalue()[: len(out.getvalue()) - cut])
        return told(load_movielens(FIXTURES / "ml-latest", file, size=8))

    return act


def unreadable(*fragments):
    return (
        "2.jpg is not a readable picture (",
        "replace or remove it, or load with leave_out_unreadable=True",
        *fragments,
    )


PICTURES = [
    ("zero bytes", poster("2.jpg", b""), *unreadable("of no known format")),
    ("text", poster("2.jpg", b"not a picture"), *unreadable("of no known format")),
    ("a web page", poster("2.jpg", b"<html>404</html>"), *unreadable()),
    ("code", poster("2.jpg", CODE), *unreadable()),
    ("a pickle", poster("2.jpg", pickle.dumps(Evil())), *unreadable()),
    ("a JPEG that is cut", poster("2.jpg", JPEG[: len(JPEG) // 2]), *unreadable("truncated")),
    ("a JPEG that is cut in its head", poster("2.jpg", JPEG[:100]), *unreadable()),
    ("a PNG that is cut", poster("2.jpg", PNG[: len(PNG) // 2]), *unreadable("truncated")),
    ("a PNG with a wrong checksum", poster("2.jpg", PNG[:60] + b"????" + PNG[64:]), *unreadable()),
    ("a PNG without pixels", poster("2.jpg", png_of(60, 90)), *unreadable()),
    ("a PNG of 60,000 by 60,000", poster("2.jpg", png_of(60_000, 60_000)), *unreadable("scale it down")),
    ("a PNG of no width", poster("2.jpg", png_of(0, 90)), *unreadable()),
    ("a strip of 1 by 100,000", poster("2.jpg", saved(Image.new("RGB", (1, 100_000)), "PNG")), *unreadable("1 x 100000", "crop it")),
    ("a GIF that is cut", poster("2.jpg", saved(PICTURE, "GIF")[:900]), *unreadable()),
    ("a WebP that is cut", poster("2.jpg", saved(PICTURE, "WEBP")[:900]), *unreadable()),
    ("a TIFF that is cut", poster("2.jpg", saved(PICTURE, "TIFF")[:900]), *unreadable()),
    ("PostScript", poster("2.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n"), *unreadable()),
    ("an SVG with a script", poster("2.svg", b"<svg><script>alert(1)</script></svg>"), "2.svg is not a readable picture (of no known format)"),
    ("a HEIC that is none", poster("2.heic", b"....ftypheic"), "2.heic is not a readable picture"),
    ("a wrong ending", poster("2.jpg", PNG), "2 items"),
    ("an animation", poster("2.gif", saved(PICTURE, "GIF", save_all=True, append_images=[PICTURE.rotate(9)])), "2 items"),
    ("CMYK with a broken profile", poster("2.jpg", saved(PICTURE.convert("CMYK"), icc_profile=b"broken")), "2 items"),
    ("a broken EXIF", poster("2.jpg", saved(PICTURE, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")), "2 items"),
    ("one pixel", poster("2.png", saved(Image.new("L", (1, 1)), "PNG")), "2 items"),
    ("16 bits", poster("2.png", saved(Image.new("I;16", (9, 9)), "PNG")), "2 items"),
    ("transparent, with a palette", poster("2.png", saved(PICTURE.convert("P"), "PNG", transparency=0)), "2 items"),
    ("a folder named 2.jpg", poster("2.jpg", lambda file: file.mkdir()), "1 items", "items without a picture"),
    ("a link to nowhere", poster("2.jpg", lambda file: file.symlink_to("nowhere")), "1 items", "without 3 items"),
    ("a link to itself", poster("2.jpg", lambda file: file.symlink_to(file)), "1 items", "without 3 items"),
    ("two pictures of one movie", poster("01.png", PNG), "two pictures for number 1: 01.png and 1.jpg; remove one"),
    ("left out and counted", poster("2.jpg", b"", leave_out=True), "1 items", "was loaded without 1 items of unreadable pictures: 2.jpg"),
    ("a damaged cache of pictures", lambda folder: damaged_cache(folder), "1 items"),
    ("only other files", lambda folder: told(load_movielens(FIXTURES / "ml-latest", write(folder / "p" / "x.txt").parent)),
     "no picture is named <movie id>.jpg"),
    ("a tar that is compressed", posters_tar({"1.jpg": JPEG}, "w:gz"), "posters.tar: not an uncompressed tar file", "unpack it to a folder"),
    ("a tar that is cut", posters_tar({"1.jpg": JPEG, "2.jpg": PNG}, cut=10_000 + len(PNG)), "posters.tar"),
    ("a tar that climbs", posters_tar({"1.jpg": JPEG, "../../2.jpg": JPEG}), "1 items", "without 3 items"),
    ("a tar with a link", posters_tar({"1.jpg": JPEG, "2.jpg": None}), "1 items", "without 3 items"),
    ("a tar that is none", lambda folder: told(load_movielens(FIXTURES / "ml-latest", write(folder / "posters.tar", CODE))),
     "posters.tar: not an uncompressed tar file"),
    ("a name that climbs", lambda folder: FileImages(folder, ["../../../etc/passwd"], 8)[:], "../../../etc/passwd is not a readable picture"),
]  # fmt: skip


def damaged_cache(folder):
    """What is said of a kept array is no JSON: it is decoded again."""
    first = poster("x.txt", b"")(folder)
    for file in (folder / "outputs" / "cache" / "pictures").glob("*.json"):
        write(file, b"{")
    again = told(load_movielens(FIXTURES / "ml-latest", folder / "posters", size=8))
    assert again == first
    return again


# the papers' test sets, and words ---------------------------------------------------------------------------------


def labelled(name, **files):
    """A set of these files: content, or None for a picture; "__" in a name is a "/"."""

    def act(folder):
        for file, content in files.items():
            write(folder / file.replace("__", "/"), JPEG if content is None else content)
        return f"{len(open_set(name, folder))} pictures"

    return act


def matlab(compressed=False, **arrays):
    from scipy.io import savemat

    out = io.BytesIO()
    savemat(out, arrays, do_compression=compressed)
    return out.getvalue()


INDOOR = {"indoor67__Images__bar__a.jpg": None, "indoor67__TestImages.txt": "bar/a.jpg\npub/b.jpg\n"}
FLOWERS = {
    "flowers-102__imagelabels.mat": matlab(labels=np.array([[1, 2]])),
    "flowers-102__jpg__image_00001.jpg": None,
}
SPLIT = {"trnid": np.array([[1]]), "valid": np.array([[2]])}
STYLES = {"flickr_style__style_names.txt": "Noir\nHDR\n", "flickr_style__images__a.jpg": None}
HEAD = ",image_url,page_url,label,_split\n"
VOC = "VOCdevkit__VOC2007__ImageSets__Main__"
SETS = [
    ("an unknown set", labelled("cifar"), "set 'cifar' is unknown; choose from flickr_style"),
    ("a set that is a path", labelled("../etc"), "set '../etc' is unknown; choose from"),
    ("indoor67: nothing there", labelled("indoor67"), "TrainImages.txt is not there; to get it: python -m helpers.data get indoor67"),
    ("indoor67: an empty list", labelled("indoor67", **INDOOR, indoor67__TrainImages__txt=""), "is not there"),
    ("indoor67: no class", labelled("indoor67", **INDOOR, **{"indoor67__TrainImages.txt": "a.jpg\n"}), "TrainImages.txt, line 1: 'a.jpg', expected <class>/<picture>"),
    ("indoor67: a path that climbs", labelled("indoor67", **INDOOR, **{"indoor67__TrainImages.txt": "../passwd.jpg\n"}), "'../passwd.jpg'", "leaves the folder"),
    ("indoor67: a NUL", labelled("indoor67", **INDOOR, **{"indoor67__TrainImages.txt": "bar/\0.jpg\n"}), "1 pictures"),
    ("indoor67: not text", labelled("indoor67", **INDOOR, **{"indoor67__TrainImages.txt": b"\xff\xfe\xfa"}), "TrainImages.txt: not utf-8 text", "download or unpack it again"),
    ("indoor67: a list is a folder", labelled("indoor67", **INDOOR, **{"indoor67__TrainImages.txt__x": b""}), "TrainImages.txt: cannot be read", "put the published file there"),
    ("flowers102: no MATLAB file", labelled("flowers102", **FLOWERS, **{"flowers-102__setid.mat": "no matrix"}), "setid.mat: not a readable MATLAB file", "download it again"),
    ("flowers102: a cut MATLAB file", labelled("flowers102", **FLOWERS, **{"flowers-102__setid.mat": matlab(**SPLIT)[:150]}), "setid.mat: not a readable MATLAB file"),
    ("flowers102: damaged compression", labelled("flowers102", **FLOWERS, **{"flowers-102__setid.mat": (m := matlab(True, **SPLIT))[:150] + b"\xff" * 20 + m[170:]}), "setid.mat: not a readable MATLAB file", "download it again"),
    ("flowers102: a variable is missing", labelled("flowers102", **FLOWERS, **{"flowers-102__setid.mat": matlab(trnid=SPLIT["trnid"])}), "setid.mat: no variable valid"),
    ("flowers102: text for numbers", labelled("flowers102", **FLOWERS, **{"flowers-102__setid.mat": matlab(**SPLIT, tstid="x")}), "setid.mat: tstid holds no numbers"),
    ("flowers102: no numbers", labelled("flowers102", **FLOWERS, **{"flowers-102__setid.mat": matlab(**SPLIT, tstid=np.zeros((0, 0)))}), "setid.mat: tstid holds no numbers"),
    ("flowers102: number 0", labelled("flowers102", **FLOWERS, **{"flowers-102__setid.mat": matlab(**SPLIT, tstid=np.array([[0]]))}), "tstid holds 0, expected numbers from 1"),
    ("flowers102: number 9 of 2", labelled("flowers102", **FLOWERS, **{"flowers-102__setid.mat": matlab(**SPLIT, tstid=np.array([[9]]))}), "tstid holds 9 to 9, expected 1 to 2"),
    ("flickr_style: no gzip", labelled("flickr_style", **STYLES, **{"flickr_style__flickr_style.csv.gz": "no gzip"}), "flickr_style.csv.gz: not a readable table", "download it again"),
    ("flickr_style: a cut gzip", labelled("flickr_style", **STYLES, **{"flickr_style__flickr_style.csv.gz": gzip.compress(HEAD.encode())[:-9]}), "flickr_style.csv.gz: not a readable table"),
    ("flickr_style: damaged gzip", labelled("flickr_style", **STYLES, **{"flickr_style__flickr_style.csv.gz": gzip.compress(HEAD.encode())[:10] + b"\xff" * 30}), "flickr_style.csv.gz: not a readable table"),
    ("flickr_style: a label is a word", labelled("flickr_style", **STYLES, **{"flickr_style__flickr_style.csv": HEAD + "0,http://x/a.jpg,x,Noir,train\n"}), "flickr_style.csv, line 2: label 'Noir', expected one of 2"),
    ("flickr_style: no file name", labelled("flickr_style", **STYLES, **{"flickr_style__flickr_style.csv": HEAD + "0,http://x/,x,1,train\n"}), "line 2: image_url 'http://x/', expected a URL"),
    ("flickr_style: a URL that climbs", labelled("flickr_style", **STYLES, **{"flickr_style__flickr_style.csv": HEAD + "0,http://x/..,x,1,train\n"}), "'..'", "leaves the folder"),
    ("flickr_style: a URL that is none", labelled("flickr_style", **STYLES, **{"flickr_style__flickr_style.csv": HEAD + "0,http://[x/a.jpg,x,1,train\n"}), "1 pictures"),
    ("flickr_style: a huge field", labelled("flickr_style", **STYLES, **{"flickr_style__flickr_style.csv": HEAD + "0," + "a" * 200_000 + ",x,1,train\n"}), "flickr_style.csv: not a readable table"),
    ("voc2007: a picture that climbs", labelled("voc2007", **{f"{VOC}{k}_{p}.txt": f"../../../{p} 1\n" for k in ("cat", "dog") for p in ("trainval", "test")}), "leaves the folder"),
    ("voc2007: one class", labelled("voc2007", **{f"{VOC}cat_trainval.txt": "1 1\n"}), "holds 1 lists <class>_trainval.txt, expected 20"),
    ("caltech256: a file for a folder", labelled("caltech256", **{"caltech256__256_ObjectCategories": b"x"}), "256_ObjectCategories"),
    ("sun397: an unknown class", labelled("sun397", **{"SUN397__ClassName.txt": "/a/abbey\n", "SUN397__Training_01.txt": "/c/x.jpg\n", "SUN397__Testing_01.txt": "/a/abbey/x.jpg\n"}), "Training_01.txt, line 1: class 'c', expected one of 1"),
]  # fmt: skip


def words(read, name, content):
    return lambda folder: f"{len(read(write(folder / name, content)))} rows"


def pairs(content):
    return words(wordsets.read_pairs, "men.txt", content)


def dictionary(folder):
    return lambda name, content: wordsets.freedict(write(folder / name, content).parent)


def deb(members):
    """A Debian package: an ar archive."""
    out = b"!<arch>\n"
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out


def tarball(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./usr/{name.replace('_', '.')}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def package(content):
    def act(folder):
        write(folder / "dict-freedict-eng-fra_1_all.deb", content)
        return f"{len(wordsets.freedict(folder))} translations"

    return act


def freedict(index, text):
    files = {"freedict-eng-fra_index": index, "freedict-eng-fra_dict_dz": text}
    return package(deb([("debian-binary", b"2.0\n"), ("data.tar.xz", tarball(**files))]))


WORDS = [
    ("a pair without a number", pairs("sun\tsunlight\n"), "men.txt, line 1: 'sun\\tsunlight', expected two words and a number"),
    ("a number that is a word", pairs("a b 1\nsun sunlight much\n"), "men.txt, line 2: 'sun sunlight much'", "correct or remove the line"),
    ("a number that is nan", pairs("a b nan\n"), "men.txt, line 1: 'a b nan'"),
    ("three words", pairs("a b c 1\n"), "men.txt, line 1: 'a b c 1'"),
    ("only comments", pairs("# only a title\n"), "men.txt: the file holds no pairs; download it again"),
    ("an empty file", pairs(""), "men.txt: the file is empty; download or unpack it again"),
    ("latin-1", pairs(b"caf\xe9 th\xe9 1\n"), "men.txt: not utf-8 text"),
    ("code", pairs(CODE + "\n"), "men.txt, line 1"),
    ("an unknown set", lambda folder: wordsets.word_pairs("../MEN"), "word pairs '../MEN' are unknown; choose MEN"),
    ("analogies without a section", words(wordsets.analogies, "q.txt", "Athens Greece Oslo Norway\n"), "q.txt, line 1", "below a line `: section`"),
    ("an analogy of three", words(wordsets.analogies, "q.txt", ": family\nboy girl brother\n"), "q.txt, line 2: 'boy girl brother', expected four words"),
    ("only a section", words(wordsets.analogies, "q.txt", ": family\n"), "q.txt: the file holds no questions; download it again"),
    ("a package that is a zip", package(b"PK\x03\x04"), "1_all.deb: not a Debian package", "download it again"),
    ("a package that is damaged", package(b"!<arch>\n" + b"x" * 60), "1_all.deb: damaged at byte 8; download it again"),
    ("a package with an endless member", package(deb([("data.tar.xz", b"")])[:-12] + b"9999999999`\n"), "1_all.deb: data.tar cannot be read"),
    ("another package", package(deb([("data.tar.xz", tarball(other=b""))])), "1_all.deb: holds no freedict-eng-fra.index and no"),
    ("a package whose compression is damaged", package(deb([("data.tar.xz", (t := tarball(other=bytes(9000)))[:40] + b"\xff" * 20 + t[60:])])), "1_all.deb: data.tar cannot be read", "download the package again"),
    ("a package whose tar is damaged", package(deb([("data.tar.xz", tarball(other=b"").replace(b"\xfd7zXZ", b"\xfd7zXx"))])), "1_all.deb: data.tar cannot be read", "download the package again"),
    ("an index without a length", freedict(b"dog\tA", gzip.compress(b"x")), "line 1 of the index, 'dog\\tA', names no place"),
    ("an index beyond the text", freedict(b"dog\tA\tZ", gzip.compress(b"x")), "line 1 of the index, 'dog\\tA\\tZ', names no place in the dictionary"),
    ("an index of nine digits", freedict(b"dog\tAAAAAAAAB\tB", gzip.compress(b"x")), "line 1 of the index"),
    ("a dictionary that is no gzip", freedict(b"dog\tA\tB", b"no gzip"), "its dictionary cannot be unpacked", "download it again"),
    ("a dictionary that is a bomb", freedict(b"dog\tA\tB", gzip.compress(b"\0" * (wordsets.LARGEST + 1), 9)), "its dictionary is larger than 64 MB; this is another file"),
]  # fmt: skip


# parameters ------------------------------------------------------------------------------------------------------


def value(name, kind, given):
    return lambda folder: str(check(name, kind, given, "params/demo/03.yaml, line 4"))


def yaml(text):
    """A file of parameters, each checked as a learning rate."""

    def act(folder):
        found = read_yaml(write(folder / "params" / "demo" / "03.yaml", text))
        return str(
            [
                check("lr", "float", value, f"params/demo/03.yaml, line {line}")
                for value, line in found.values()
            ]
        )

    return act


def on_the_line(text, name="lr", kind="float"):
    """What follows -p NAME=."""
    return lambda folder: str(check(name, kind, scalar_or_list(text, f"-p {name}"), f"-p {name}"))


LAUGHS = "[" + ", ".join(f"&a{k} [{', '.join([f'*a{k - 1}'] * 9) if k else 'ha'}]" for k in range(12)) + "]"
WHERE = "params/demo/03.yaml, line 4: "
PARAMETERS = [
    ("a text for a number", value("lr", "float", "1e-3"), WHERE + "lr is '1e-3', expected a number (float); write 1.0e-3"),
    ("code for a number", value("lr", "float", CODE), WHERE + "lr is \"__import__", "expected a number (float)"),
    ("nan", value("lr", "float", float("nan")), WHERE + "lr is nan, expected a finite number"),
    ("infinity", value("lr", "float", float("-inf")), WHERE + "lr is -inf, expected a finite number"),
    ("nothing for a number", value("lr", "float", None), WHERE + "lr is None, expected a number (float)"),
    ("a learning rate of 0", value("lr", "float", 0), WHERE + "lr is 0.0, must be more than 0 (learning rate)"),
    ("yes for a number", value("epochs", "int", True), WHERE + "epochs is True, expected a whole number (int)"),
    ("a float for a whole number", value("epochs", "int", 3.0), "epochs is 3.0, expected a whole number (int); write 3"),
    ("a fraction", value("epochs", "int", 3.5), "epochs is 3.5, expected a whole number"),
    ("a numeral", value("epochs", "int", "3"), "epochs is '3'", "write it without quotes"),
    ("a negative number", value("epochs", "int", -5), "epochs is -5, must be at least 1"),
    ("a share above 1", value("dropout", "float", 1.5), "dropout is 1.5, must be at most 1"),
    ("a huge number", value("seed", "int", 10**400), "seed is 1000", "must be at most 4.29497e+09"),
    ("an unknown dataset", value("dataset", "str", "emojigran"), "dataset is 'emojigran', must be one of emojigram, openmoji, movielens"),
    ("a dataset with a line break", value("dataset", "str", "openmoji\n"), "dataset is 'openmoji\\n', must be one of"),
    ("a dataset that is code", value("dataset", "str", CODE), "dataset is \"__import__", "must be one of"),
    ("a number for a text", value("dataset", "str", 3), 'dataset is 3, expected a text (str); write "3" in quotes'),
    ("a number for a list", value("d_grid", "list[int]", 8), "d_grid is 8, expected a list, each a whole number (list[int]); write [8]"),
    ("a text in a list", value("d_grid", "list[int]", [8, "16"]), "d_grid is [8, '16'], expected a list, each a whole number (list[int])"),
    ("a zero in a list", value("d_grid", "list[int]", [8, 0]), "d_grid is 0, must be at least 1"),
    ("a list in a list", value("d_grid", "list[int]", [[8]]), "d_grid is [[8]], expected a list, each a whole number"),
    ("a mapping for a list", value("d_grid", "list[int]", {"a": 1}), "d_grid is {'a': 1}, expected a list"),
    ("a text for a number in a list", value("lam_grid", "list[float]", [0.1, "1e-3"]), "lam_grid is [0.1, '1e-3']", "write 1.0e-3"),
    ("a part that is none", value("leave_out", "list[str]", ["view"]), "leave_out is 'view', must be one of views, tags"),
    ("a type that is none", value("lr", "dict", {}), "lr has the type dict; a parameter is one of bool, int, float, str"),
    ("a type that is code", value("lr", CODE, 1), "lr has the type __import__", "a parameter is one of"),
    ("a parameter without a rule", value("nonsense", "int", 3), "nonsense has no rule; add a line for it to helpers/notebook/rules.yaml"),
    ("a device that is code", lambda folder: str(devices.resolve(CODE)), "device is \"__import__", "is not usable here", "try auto or cpu"),
    ("a device that is not there", lambda folder: str(devices.resolve("cuda:99")), "device is 'cuda:99', which is not usable here"),
    ("a network that is code", lambda folder: pretrained.load(CODE), "pretrained network \"__import__", "is unknown; give efficientnet-lite0"),
    ("a network that is a path", lambda folder: pretrained.load("../../x"), "pretrained network '../../x' is unknown"),
    ("a profile that is a path", lambda folder: started(profile="../../x"), "profile '../../x' is no folder name of letters, digits, _ and -"),
    ("a profile with a line break", lambda folder: started(profile="demo\n"), "profile 'demo\\n' is no folder name"),
    ("a profile that is empty", lambda folder: started(profile=""), "profile '' is no folder name"),
    ("a part that is code", lambda folder: parts.reason(CODE, {}), "is no part of the data; they are views"),
    ("YAML: a name is given twice", yaml("lr: 0.1\nseed: 1\nlr: 0.2\n"), "params/demo/03.yaml, line 3: lr is given twice (first in line 1)"),
    ("YAML: a mapping", yaml("lr:\n  inner: 1\n"), "params/demo/03.yaml, line 1: lr is a mapping; parameters are scalars or lists"),
    ("YAML: a list", yaml("- 1\n- 2\n"), "params/demo/03.yaml: expected lines of the form name: value"),
    ("YAML: an open bracket", yaml("lr: [1, 2\nseed: 1\n"), "params/demo/03.yaml, line 2: not valid YAML"),
    ("YAML: two documents", yaml("a: 1\n---\nb: 2\n"), "params/demo/03.yaml, line 2: not valid YAML"),
    ("YAML: an object", yaml("lr: !!python/object:os.system x\n"), "params/demo/03.yaml, line 1: not valid YAML"),
    ("YAML: an object that is applied", yaml(f"lr: {OBJECT}\n"), "params/demo/03.yaml, line 1: not valid YAML"),
    ("YAML: an unknown tag", yaml("lr: !rate 1\n"), "params/demo/03.yaml, line 1: not valid YAML"),
    ("YAML: a tab", yaml("lr:\t\t- 1\n\t- 2\n"), "params/demo/03.yaml, line "),
    ("YAML: bytes", yaml("lr: !!binary aGk=\n"), "line 1: lr is b'hi', expected a number"),
    ("YAML: bytes that are none", yaml("lr: !!binary '?'\n"), "params/demo/03.yaml, line 1: "),
    ("YAML: a day that does not exist", yaml("lr: 2015-02-31\n"), "params/demo/03.yaml: not valid YAML (day is out of range for month)"),
    ("YAML: nan", yaml("lr: .nan\n"), "line 1: lr is nan, expected a finite number"),
    ("YAML: nothing", yaml("lr:\n"), "line 1: lr is None, expected a number"),
    ("YAML: an alias of nothing", yaml("lr: *x\n"), "params/demo/03.yaml, line 1: not valid YAML"),
    ("YAML: an alias of itself", yaml("lr: &x [*x]\n"), "params/demo/03.yaml, line 1: "),
    ("YAML: a billion laughs", yaml(f"lr: {LAUGHS}\n"), "params/demo/03.yaml, line 1: lr is a list of lists"),
    ("YAML: a hundred thousand brackets", yaml("lr: " + "[" * 100_000), "params/demo/03.yaml: not valid YAML"),
    ("YAML: not UTF-8", yaml(b"lr: \xff\n"), "params/demo/03.yaml: not valid YAML (unacceptable character"),
    ("YAML: a NUL", yaml("lr: \0\n"), "params/demo/03.yaml", "not valid YAML"),
    ("-p: an object", on_the_line(OBJECT), "-p lr: ", "is no YAML scalar or list"),
    ("-p: code", on_the_line(CODE), "-p lr: lr is \"__import__", "expected a number"),
    ("-p: code in a list", on_the_line(f'["{CODE}"]', "d_grid", "list[int]"), "-p d_grid: d_grid is [\"__import__"),
    ("-p: an open bracket", on_the_line("[1"), "-p lr: '[1' is no YAML scalar or list; put quotes around a text"),
    ("-p: a billion laughs", on_the_line(LAUGHS), "-p lr: ", "is no scalar and no list of scalars"),
    ("-p: a mapping", on_the_line("{a: 1}"), "-p lr: '{a: 1}' is no scalar and no list of scalars"),
    ("-p: a number of 5,000 digits", on_the_line("9" * 5000, "epochs", "int"), "-p epochs: "),
]  # fmt: skip


def started(**parameters):
    given = {"profile": "demo", "seed": 0} | parameters
    kinds = {"__annotations__": {"profile": str, "seed": int}}
    return str(start("01_x", given | kinds))


# artefacts: what a notebook hands to the next ----------------------------------------------------------------------


SAVE = {
    "parquet": lambda folder: artefacts.save_table(folder, "x", pd.DataFrame({"x": np.arange(100)})),
    "npz": lambda folder: artefacts.save_arrays(folder, "x", {"x": np.arange(100)}),
    "safetensors": lambda folder: artefacts.save_weights(folder, "x", {"x": torch.zeros(100)}),
}
READ = {"parquet": artefacts.read_table, "npz": artefacts.read_arrays, "safetensors": artefacts.read_weights}


def artefact(kind, damage, recorded=True):
    """Something saved and then damaged: damage is a function of its bytes; recorded: with the digest that fits."""

    def act(folder):
        place = folder / "damaged"
        SAVE[kind](place)
        file = place / f"x.{kind}"
        write(file, damage(file.read_bytes()))
        if recorded:
            artefacts.record(place, file.name)
        return f"{len(READ[kind](place, 'x', REMEDY))} rows or names"

    return act


def manifest(content, name="x"):
    """A table whose manifest has this content."""

    def act(folder):
        SAVE["parquet"](folder)
        entry = artefacts.manifest(folder)["x.parquet"]
        text = content(entry) if callable(content) else content
        write(folder / "manifest.json", text if isinstance(text, (str, bytes)) else json.dumps(text))
        return f"{len(artefacts.read_table(folder, name, REMEDY))} rows"

    return act


def objects(array):
    """An .npz that holds a pickle."""
    out = io.BytesIO()
    np.savez(out, x=np.array([array], dtype=object))
    return out.getvalue()


def collection(change, **files):
    """A saved collection of three flags; `change` edits collection.json, or files are replaced."""

    def act(folder):
        place = folder / "collection"
        load("openmoji", size=8, include=["component"], skintones=True).save(place)
        about = json.loads((place / "collection.json").read_text())
        text = change(about) if callable(change) else change
        write(place / "collection.json", text if isinstance(text, (str, bytes)) else json.dumps(text))
        for name, content in files.items():
            file = place / name.replace("__", ".")
            content = content(file) if callable(content) else content
            file.unlink()
            write(file, content)
        return told(Collection.read(place))

    return act


def beside(name, content):
    """A saved collection with this file."""

    def act(folder):
        load("openmoji", size=8, include=["component"], skintones=True).save(folder / "collection")
        write(folder / "collection" / name, content)
        return told(Collection.read(folder / "collection"))

    return act


def table_with(**columns):
    """The items with other columns, as parquet."""

    def change(file):
        out = io.BytesIO()
        pd.read_parquet(file).assign(**columns).to_parquet(out, index=False)
        return out.getvalue()

    return change


def numpy_file(array):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def keep(about):
    return about


DAMAGED = "damaged or changed since it was saved (its digest differs from manifest.json)"
ARTEFACTS = [
    *((f"{kind}: a bit is another", artefact(kind, lambda b: b[:-5] + bytes([b[-5] ^ 1]) + b[-4:], False), f"x.{kind}: {DAMAGED}; {AGAIN}") for kind in SAVE),
    *((f"{kind}: cut", artefact(kind, lambda b: b[:-10], False), f"x.{kind}: {DAMAGED}; {AGAIN}") for kind in SAVE),
    *((f"{kind}: cut, with a digest that fits", artefact(kind, lambda b: b[:-10]), f"x.{kind}: not a readable {kind} file", AGAIN) for kind in SAVE),
    *((f"{kind}: empty, with a digest that fits", artefact(kind, lambda b: b""), f"x.{kind}: not a readable {kind} file", AGAIN) for kind in SAVE),
    *((f"{kind}: a pickle, with a digest that fits", artefact(kind, lambda b: pickle.dumps(Evil())), f"x.{kind}: not a readable {kind} file", AGAIN) for kind in SAVE),
    *((f"{kind}: text, with a digest that fits", artefact(kind, lambda b: CODE.encode()), f"x.{kind}: not a readable {kind} file", AGAIN) for kind in SAVE),
    ("npz: a pickle inside", artefact("npz", lambda b: objects(Evil())), "x.npz: not a readable npz file", AGAIN),
    ("npz: a member that is none", artefact("npz", lambda b: zipped({"x.npy": b"\x93NUMPY"})), "x.npz: not a readable npz file", AGAIN),
    ("npz: a header that is code", artefact("npz", lambda b: zipped({"x.npy": npy_head(CODE)})), "x.npz: not a readable npz file", AGAIN),
    ("npz: a shape beyond the memory", artefact("npz", lambda b: zipped({"x.npy": npy_head("{'descr': '<f8', 'fortran_order': False, 'shape': (10**15,)}".replace("10**15", str(10**15)))})), "x.npz: not a readable npz file", AGAIN),
    ("safetensors: a huge head", artefact("safetensors", lambda b: struct.pack("<Q", 2**62) + b[8:]), "x.safetensors: not a readable safetensors file", AGAIN),
    ("safetensors: a tensor beyond the file", artefact("safetensors", lambda b: b.replace(b"[0,400]", b"[0,900]")), "x.safetensors: not a readable safetensors file", AGAIN),
    ("a table that was never saved", lambda folder: artefacts.read_table(folder, "views", REMEDY), "views.parquet: not there; make it with: " + REMEDY),
    ("a name that climbs", manifest(lambda e: {"x.parquet": e}, "../x"), "x.parquet: not there; make it with"),
    ("manifest: another digest", manifest(lambda e: {"x.parquet": e | {"sha256": "0" * 64}}), f"x.parquet: {DAMAGED}; {AGAIN}"),
    ("manifest: no digest", manifest({"x.parquet": {"bytes": 3}}), "manifest.json: ", "run its folder's notebook again"),
    ("manifest: not in it", manifest({}), "x.parquet: not there; make it with: " + REMEDY),
    ("manifest: a list", manifest([1, 2]), "manifest.json: ", "run its folder's notebook again"),
    ("manifest: an entry is a number", manifest({"x.parquet": 3}), "manifest.json: ", "run its folder's notebook again"),
    ("manifest: no JSON", manifest("{'x': 1}"), "manifest.json: not readable as JSON", "run its folder's notebook again"),
    ("manifest: empty", manifest(""), "manifest.json: not readable as JSON"),
    ("manifest: not UTF-8", manifest(b"\xff\xfe"), "manifest.json: not readable as JSON"),
    ("manifest: ten thousand brackets", manifest("[" * 100_000), "manifest.json: not readable as JSON"),
    ("objects in a table", lambda folder: artefacts.save_table(folder, "x", pd.DataFrame({"x": [{"a": 1}, [2]]})), "table x: column x holds Python objects"),
    ("objects in an array", lambda folder: artefacts.save_arrays(folder, "x", {"x": np.array([Evil()], dtype=object)}), "arrays x: x holds Python objects"),
    ("no arrays", lambda folder: artefacts.save_arrays(folder, "x", {}), "arrays x: nothing to save"),
    ("collection: not there", lambda folder: Collection.read(folder), "no collection here (collection.json is absent)"),
    ("collection: no JSON", collection("{"), "collection.json: ", "run notebook 00 again"),
    ("collection: a list", collection([]), "collection.json: ", "run notebook 00 again"),
    ("collection: a key is missing", collection(lambda a: {"name": "x"}), "collection.json: ", "run notebook 00 again"),
    ("collection: damaged features", beside("features.npy", b"\x93NUMPY"), "features.npy: not a readable npy file"),
    ("collection: a damaged description", beside("datapackage.json", b"{"), "datapackage.json: not a readable json file"),
    ("collection: an unknown store", collection(lambda a: a | {"images": {"kind": "pickle"}}), "unknown kind of image store 'pickle'; known: array, files"),
    ("collection: pictures that climb away", collection(lambda a: a | {"images": {"kind": "array", "file": "../gone.npy"}}), "gone.npy: the images are gone; run notebook 00 again"),
    ("collection: a folder of pictures that is gone", collection(lambda a: a | {"images": {"kind": "files", "source": "gone", "names": ["1.jpg"], "size": 8}}), "which is gone; put it there, or run notebook 00 again"),
    ("collection: a table is damaged", collection(keep, items__parquet=b"PAR1"), "items.parquet: ", "run notebook 00 again"),
    ("collection: a table is a pickle", collection(keep, tags__parquet=pickle.dumps(Evil())), "tags.parquet: ", "run notebook 00 again"),
    ("collection: an owner who is nobody", collection(keep, items__parquet=table_with(owner=np.int32(999))), "items.owner is 999 at row 0, but there are only"),
    ("collection: an item without a path", collection(keep, items__parquet=table_with(path=None)), "table items, column path"),
    ("collection: numbers as text", collection(keep, items__parquet=table_with(item="1")), "table items, column item"),
    ("collection: pictures of another shape", collection(keep, pictures__npy=numpy_file(np.zeros((2, 3)))), "pictures.npy: expected uint8 (M, size, size, 3), found float64 (2, 3)"),
    ("collection: pictures too few", collection(keep, pictures__npy=numpy_file(np.zeros((1, 8, 8, 3), np.uint8))), "1 images for", "there must be one each"),
    ("collection: pictures are cut", collection(keep, pictures__npy=numpy_file(np.zeros((9, 8, 8, 3), np.uint8))[:-9]), "pictures.npy: ", "run notebook 00 again"),
    ("collection: pictures are a pickle", collection(keep, pictures__npy=numpy_file(np.array([Evil()], dtype=object))), "pictures.npy: ", "run notebook 00 again"),
]  # fmt: skip


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def npy_head(text):
    """An array file with any text for its description."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


# command lines -----------------------------------------------------------------------------------------------------


CELL = "profile: str = 'smoke'\nseed: int = 0\nlr: float = 0.1\ndata_dir: str = ''"


def project(folder):
    """One notebook, and a profile for it."""
    notebook = new_notebook(
        cells=[new_code_cell(CELL, metadata={"tags": ["parameters"]}), new_code_cell("x = 1")]
    )
    write(folder / "project" / "notebooks" / "01_x.ipynb", nbformat.writes(notebook))
    write(folder / "project" / "params" / "demo" / "01.yaml", "profile: demo\n")
    write(folder / "project" / "helpers" / "__init__.py")
    return Project(*(folder / "project" / name for name in ("notebooks", "params", "helpers")))


def said(command, arguments, *more):
    """What a command that ends with 2 says."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = command(arguments, *more)
        except SystemExit as stop:  # argparse: the usage, and a line that says what is wrong
            code = stop.code
            errors = io.StringIO(errors.getvalue().splitlines()[-1])
    assert code == 2, (code, errors.getvalue())
    return errors.getvalue().strip()


def run(*arguments):
    return lambda folder: said(commands.main, list(arguments), project(folder))


def stamped(content):
    """A notebook that is done but for a stamp of this content: it counts as to do."""

    def act(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CROWD_OUTPUTS", str(folder / "stamped"))
            (job,) = plan(project(folder), "demo")
            for name in ("done.json", "manifest.json", "metrics.json", "claims.json", "run.json"):
                write(job.folder / name, json.dumps({}))
            write(job.executed)
            good = {"digest": job.digest, "inputs": {}, "sources": {}} | job_sources(job)
            write(job.folder / "done.json", json.dumps(good))
            assert job.is_done()
            text = content(good) if callable(content) else content
            write(job.folder / "done.json", text if isinstance(text, str) else json.dumps(text))
            return "done" if job.is_done() else "to do again"

    return act


def job_sources(job):
    from helpers.runner.plan import source_folders

    return {"sources": source_folders(job.parameters)}


def get(*arguments):
    return lambda folder: said(data_command, ["get", *arguments])


def noted(change):
    """A notebook with another content."""

    def act(folder):
        made = project(folder)
        file = made.notebooks / "01_x.ipynb"
        write(file, change(file.read_text()))
        return said(commands.main, ["demo", "--list"], made)

    return act


COMMANDS = [
    ("no profile", run(), "error: name a profile: smoke, demo"),
    ("a profile is misspelt", run("demi"), "error: params: unknown profile 'demi'; did you mean demo?"),
    ("a profile climbs", run("../../etc"), "unknown profile '../../etc'; known: demo, smoke"),
    ("a profile is empty", run(""), "unknown profile ''; known: demo, smoke"),
    ("a profile has a NUL", run("de\0mo"), "unknown profile 'de\\x00mo'; did you mean demo?"),
    ("a profile is code", run(CODE), "unknown profile", "known: demo, smoke"),
    ("an unknown option", run("demo", "--forc"), "unrecognized arguments: --forc"),
    ("an option without a value", run("demo", "--only"), "--only: expected one argument"),
    ("only: a notebook that is not there", run("demo", "--only", "7"), "--only 7: there is no such notebook; there are 01"),
    ("only: a path", run("demo", "--only", "../01"), "--only ../01: there is no such notebook"),
    ("only: nothing", run("demo", "--only", ""), "--only : there is no such notebook"),
    ("only: code", run("demo", "--only", CODE), "there is no such notebook; there are 01"),
    ("from: a word", run("demo", "--from", "first"), "--from first: there is no such notebook"),
    ("-p without a value", run("demo", "-p", "lr"), "-p lr: expected name=value"),
    ("-p without a name", run("demo", "-p", "=3"), "-p =3: expected name=value"),
    ("-p with a name that is code", run("demo", "-p", f"{CODE}=3"), "expected name=value"),
    ("-p of nothing", run("demo", "-p", "lr="), "-p lr: lr is None, expected a number"),
    ("-p twice", run("demo", "-p", "lr=1", "-p", "lr=2"), "-p lr: given twice"),
    ("-p that is misspelt", run("demo", "-p", "lrr=1"), "-p: unknown parameter 'lrr'; did you mean lr?"),
    ("-p of an object", run("demo", "-p", f"lr={OBJECT}"), "-p lr: ", "is no YAML scalar or list"),
    ("-p of code", run("demo", "-p", f"lr={CODE}"), "-p lr: lr is \"__import__", "expected a number (float)"),
    ("-p of nan", run("demo", "-p", "lr=.nan"), "-p lr: lr is nan, expected a finite number"),
    ("-p of the profile", run("demo", "-p", "profile=../x"), "-p profile: name the profile as the first argument"),
    ("--data-dir that is not there", run("demo", "--data-dir", "nowhere"), "--data-dir 'nowhere': there is no such folder or file"),
    ("--data-dir with a NUL", run("demo", "--data-dir", "a\0b"), "--data-dir 'a\\x00b': there is no such folder"),
    ("--data-dir that is endless", run("demo", "--data-dir", "a" * 5000), "there is no such folder or file"),
    ("--data-dir of nobody", run("demo", "--data-dir", "~nobody-of-that-name/x"), "there is no such folder or file"),
    ("--seeds without --reference", run("demo", "--seeds", "3"), "--seeds is a number of runs that --reference makes"),
    ("--seeds that is a word", run("demo", "--seeds", "x"), "--seeds: invalid int value: 'x'"),
    ("--refresh of another profile", run("demo", "--refresh"), "--refresh is for the profile smoke"),
    ("get: nothing", get(), "error: name a dataset: ml-latest-small"),
    ("get: an unknown name", get("ml-2m"), "error: dataset 'ml-2m' is unknown; choose from ml-latest-small"),
    ("get: a path", get("../../etc/passwd"), "dataset '../../etc/passwd' is unknown"),
    ("get: what may not be downloaded", get("imagenet"), "imagenet cannot be fetched by a program; ask for it: an account at https://image-net.org"),
    ("get: a folder with a NUL", get("ml-1m", "--data-dir", "a\0b"), "--data-dir: 'a\\x00b' cannot be used as a path"),
    ("get: a file for a folder", get("ml-1m", "--data-dir", str(FIXTURES / "README.txt")), "README.txt", "--data-dir"),
    ("a notebook that is no JSON", noted(lambda text: "{"), "01_x.ipynb: not a readable notebook"),
    ("a notebook that is empty", noted(lambda text: ""), "01_x.ipynb: not a readable notebook"),
    ("a notebook without parameters", noted(lambda text: text.replace('"parameters"', '"x"')), "01_x.ipynb: 0 cells are tagged `parameters`"),
    ("a parameter that is code", noted(lambda text: text.replace("= 0.1", f"= {CODE}")), "the default of lr must be a literal scalar or list"),
    ("a parameter that is no assignment", noted(lambda text: text.replace("seed: int = 0", "print(1)")), "parameters cell, line 2: expected `name: type = value`, found `print(1)`"),
    ("a cell that is no Python", noted(lambda text: text.replace("x = 1", "x = (")), "01_x.ipynb, code cell 2, line 1"),
    ("done.json of another digest", stamped(lambda good: good | {"digest": "0" * 64}), "to do again"),
    ("done.json of other inputs", stamped(lambda good: good | {"inputs": {"00/x.npz": "0" * 64}}), "to do again"),
    ("done.json that is no JSON", stamped("{"), "to do again"),
    ("done.json that is a list", stamped([]), "to do again"),
    ("done.json without a digest", stamped({}), "to do again"),
]  # fmt: skip


# folders that people bring -------------------------------------------------------------------------------------------


def brought(dataset, **files):
    """A dataset in a folder with three pictures in images/ and these files; "__" is a / in their names."""

    def act(folder):
        for name in "abc":
            write(folder / "images" / f"{name}.jpg", JPEG)
        for name, content in files.items():
            write(folder / name.replace("__", "/"), content)
        return told(load(dataset, data_dir=str(folder), size=8))

    return act


def own(**files):
    """A folder of one's own; a name such as views stands for views.csv."""
    return brought(
        "own", **{f"{name}.csv" if "." not in name else name: content for name, content in files.items()}
    )


PHOTO = "\t".join(["a", "9@N00", "nick", "null", "1200000000", "", "t", "", "x,y", *[""] * 13, "0"])
FOLDERS = [
    ("own: a needed column is misspelt", own(views="user,itme\nu,a\n"), "views.csv, line 1: expected", "item", "itme"),
    ("own: only a header", own(views="user,item\n"), "views.csv: the file holds no rows; fill or remove it"),
    ("own: an empty file", own(tags=""), "tags.csv: the file is empty"),
    ("own: semicolons", own(views="user;item\nu;a\n"), "views.csv, line 1: expected"),
    ("own: no user", own(views="user,item\nu,a\n,b\n"), "views.csv, line 3: user is ''"),
    ("own: a value too many", own(views="user,item\nu,a\nu,b,c\n"), "views.csv, line 3: expected 2 values"),
    ("own: the time is a word", own(views="user,item,time\nu,a,soon\n"), "views.csv, line 2: time is 'soon'"),
    ("own: the time is code", own(views=f'user,item,time\nu,a,"{CODE}"\n'), "views.csv, line 2: time is"),
    ("own: a user is code", own(views=f'user,item\n"{CODE}",a\n'), "3 items, 1 views"),
    ("own: items of another folder", own(views="user,item\nu,z\n"), "views.csv: no row is about a picture", "'z'"),
    ("own: some items have no picture", own(views="user,item\nu,a\nu,z\n"), "3 items, 1 views", "1 views of such items"),
    ("own: an age of 200", own(views="user,item\nu,a\n", users="user,age\nu,200\n"), "users.csv, line 2: age is '200'"),
    ("own: a latitude of 100", own(views="user,item\nu,a\n", users="user,lat\nu,100\n"), "users.csv, line 2: lat is '100'"),
    ("own: an unknown gender", own(views="user,item\nu,a\n", users="user,gender\nu,7\n"), "users.csv, ", "gender", "'7'"),
    ("own: a user twice", own(views="user,item\nu,a\n", users="user\nu\nu\n"), "users.csv: user u is listed twice"),
    ("own: an item twice", own(items="item,path\nx,a.jpg\nx,b.jpg\n"), "items.csv: item x is listed twice"),
    ("own: a path that leads out", own(items="item,path\nx,../../secret.jpg\n"), "1 items without a picture"),
    ("own: views and views.csv.gz", own(**{"views": "user,item\nu,a\n", "views.csv.gz": "x"}), "are both there; remove one"),
    ("own: no gzip", own(**{"views.csv.gz": "user,item\nu,a\n"}), "views.csv.gz: cannot be read"),
    ("own: latin-1", own(tags="user,item,tag\nu,a,été\n".encode("latin-1")), "tags.csv, line 2: not utf-8 text"),
    ("own: a column nobody knows", own(views="user,item,mood\nu,a,good\n"), "the column mood of views.csv"),
    ("own: no pictures", lambda folder: told(load("own", data_dir=str(folder))), "expected pictures in the folder images"),
    ("yfcc100m: too few fields", brought("yfcc100m", yfcc100m_dataset="a\tb\n"), "yfcc100m_dataset, line 1"),
    ("yfcc100m: an upload time that is a word", brought("yfcc100m", yfcc100m_dataset=PHOTO.replace("1200000000", "soon") + "\n"), "yfcc100m_dataset, line 1", "soon"),
    ("yfcc100m: no bzip2", brought("yfcc100m", **{"yfcc100m_dataset-0.bz2": "BZh9 and more"}), "yfcc100m_dataset-0.bz2"),
    ("yfcc100m: another file", brought("yfcc100m", **{"photos.txt": PHOTO}), "yfcc100m_dataset"),
    ("pinterest: too few fields", brought("pinterest", **{"repins.csv": "1|2\n", "category_id.txt": "art|1\n"}), "repins.csv, line 1"),
    ("pinterest: no file", brought("pinterest", **{"x.txt": ""}), "repins.csv"),
    ("flickr: no table", brought("flickr", **{"flickr_style__x.txt": ""}), "flickr_style"),
    ("amazon: no JSON", brought("amazon", **{"reviews_x.json": "{'a': __import__('os')}\n"}), "reviews_x.json, line 1"),
    ("amazon: blank lines", brought("amazon", **{"reviews_x.json": "\n \n"}), "reviews_x.json", "download it again"),
    ("amazon: no gzip", brought("amazon", **{"reviews_x.json.gz": "{}"}), "reviews_x.json.gz"),
    ("amazon: no reviews", brought("amazon", **{"x.txt": ""}), "reviews"),
    ("behance: a line of two", brought("behance", **{"Behance_appreciate_1M": "1 2\n"}), "Behance_appreciate_1M, line 1"),
    ("behance: half a record", brought("behance", **{"Behance_appreciate_1M": "1 a 1200000000\n", "Behance_Image_Features.b": "12345678" + "x" * 99}), "107 bytes, which is no multiple of a record"),
    ("behance: no file", brought("behance", **{"x.txt": ""}), "Behance_appreciate_1M"),
]  # fmt: skip


GROUPS = {
    "folders": FOLDERS, "tables": TABLES, "simulated": SIMULATED, "pictures": PICTURES, "sets": SETS, "words": WORDS,
    "parameters": PARAMETERS, "artefacts": ARTEFACTS, "commands": COMMANDS,
}  # fmt: skip
ROWS = {
    f"{group}: {name}": (act, fragments) for group, rows in GROUPS.items() for name, act, *fragments in rows
}


def answer(act, folder):
    """What is said; any other exception than BadInput is no answer."""
    try:
        return str(act(folder))
    except BadInput as error:
        return str(error)


@pytest.fixture
def earlier(tmp_path, monkeypatch):
    """A folder of outputs with something in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setenv("CROWD_DATA", str(tmp_path / "data"))
    for kind in ("parquet", "npz"):
        SAVE[kind](tmp_path / "outputs" / "demo" / "00")
    return tmp_path / "outputs" / "demo"


@pytest.mark.parametrize("name", ROWS)
def test_bad_input_is_answered(name, earlier, tmp_path):
    act, fragments = ROWS[name]
    before = artefacts.content_digest(earlier)
    (tmp_path / "here").mkdir()
    told = answer(act, tmp_path / "here")
    for fragment in fragments:
        assert fragment in told
    assert "\n" not in told
    assert len(told) < 1000
    assert not [*tmp_path.rglob(CANARY)], "a text was run"
    assert artefacts.content_digest(earlier) == before, "what was computed before has changed"


def test_the_canary_would_be_seen(earlier, tmp_path):
    pickle.loads(pickle.dumps(Evil()))
    assert [*tmp_path.rglob(CANARY)]


def test_no_row_is_hidden_by_another():
    assert len(ROWS) == sum(map(len, GROUPS.values())) >= 150


if __name__ == "__main__":
    for name, (act, _) in ROWS.items():
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("CROWD_OUTPUTS", f"{folder}/outputs")
            patch.setenv("CROWD_DATA", f"{folder}/data")
            try:
                said_then = answer(act, Path(folder))
            except Exception as error:
                said_then = f"NO ANSWER: {type(error).__name__}: {str(error)[:200]}"
            print(f"{name:<60} {' '.join(said_then.replace(folder, '').split())[:300]}", flush=True)
    print(f"{len(ROWS)} bad inputs")
    sys.exit()
