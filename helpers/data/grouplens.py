"""The files of a MovieLens release, in any layout that GroupLens has published."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.data.delimited import Format, Source, read
from helpers.errors import BadInput

# column -> the headings that stand for it, where a file has a header
HEADINGS = {"user": ("userId", "user_id"), "movie": ("movieId", "movie_id"), "at": ("timestamp",)}
RATING = {"user": "id", "movie": "id", "rating": "rating", "at": "time"}
TAG = {"user": "id", "movie": "id", "tag": "text", "at": "time"}
MOVIE = {"movie": "id", "title": "text", "genres": "text"}
# the flags of u.item in the order of its README; the first one is "unknown"
GENRES_100K = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror"
    "|Musical|Mystery|Romance|Sci-Fi|Thriller|War|Western"
).split("|")
ITEM_100K = {"movie": "id"} | dict.fromkeys(["title", "released", "video", "url"], "text")
ITEM_100K |= dict.fromkeys(GENRES_100K, "flag")
PERSON = {"user": "id", "age": "age", "gender": "text", "occupation": "text", "zip": "text"}
PERSON_1M = {"user": "id", "gender": "text", "age": "age", "occupation": "text", "zip": "text"}
# 1M gives ranges of age, named by their lowest year (1 is "under 18", 56 is "56+"): the middle stands for
# a closed range, and a year that we chose for the two open ones
AGE_1M = {1: 15.0, 18: 21.0, 25: 29.5, 35: 39.5, 45: 47.0, 50: 52.5, 56: 60.0}
NO_GENRES = "(no genres listed)"


def _csv(columns: dict[str, str]) -> Format:
    return Format(",", columns, {c: HEADINGS.get(c, (c,)) for c in columns}, quoted=True)


class Layout(NamedTuple):
    """Which files tell a layout, and how each is written: (name, format), or None if it has no such file."""

    signature: tuple[str, ...]
    ratings: tuple[str, Format]
    movies: tuple[str, Format]
    tags: tuple[str, Format] | None = None
    people: tuple[str, Format] | None = None


LAYOUTS = {
    "100k": Layout(
        ("u.data", "u.item"),
        ratings=("u.data", Format("\t", RATING)),
        movies=("u.item", Format("|", ITEM_100K, encoding="latin-1")),
        people=("u.user", Format("|", PERSON, encoding="latin-1")),
    ),
    "1m": Layout(
        ("users.dat",),
        ratings=("ratings.dat", Format("::", RATING)),
        movies=("movies.dat", Format("::", MOVIE, encoding="latin-1")),
        people=("users.dat", Format("::", PERSON_1M, encoding="latin-1")),
    ),
    "10m": Layout(
        ("ratings.dat", "movies.dat"),
        ratings=("ratings.dat", Format("::", RATING)),
        movies=("movies.dat", Format("::", MOVIE)),
        tags=("tags.dat", Format("::", TAG)),
    ),
    "csv": Layout(
        ("movies.csv", "ratings.csv"),
        ratings=("ratings.csv", _csv(RATING)),
        movies=("movies.csv", _csv(MOVIE)),
        tags=("tags.csv", _csv(TAG)),
    ),
}


class Release(NamedTuple):
    """What one release holds, with its own ids; None for tables that it does not have."""

    label: str  # the folder's name
    layout: str  # key of `LAYOUTS`
    movies: pd.DataFrame  # movie int32 (unique), title
    genres: pd.DataFrame  # movie int32, label; one row per genre of a movie
    ratings: pd.DataFrame | None  # user, movie int32, rating float32, at int64 (seconds since 1970)
    tags: pd.DataFrame | None  # user, movie int32, tag, at int64
    people: pd.DataFrame | None  # user int32, age float32, gender "female" or "male"


def layout_of(source: Source) -> str | None:
    """The layout that the files of a folder or .zip have, by what is there; None if it is no release."""
    return next((n for n, layout in LAYOUTS.items() if any(f in source for f in layout.signature)), None)


def find(place: Path) -> list[Source]:
    """The release at a place, or all releases in the folders directly below it; BadInput if there is none."""
    sources = [Source(place)]
    if layout_of(sources[0]) is None and place.is_dir():
        folders = [Source(folder) for folder in sorted(place.iterdir()) if folder.is_dir()]
        # beside releases there may be other data, which have a movies.csv of their own
        sources = [s for s in folders if layout_of(s) != "csv" or "ratings.csv" in s or "tags.csv" in s]
    sources = [source for source in sources if layout_of(source) is not None]
    if not sources:
        raise BadInput(
            f"{place}: no MovieLens release here (u.data, ratings.dat or movies.csv); give the folder or the"
            " .zip of one, for example https://files.grouplens.org/datasets/movielens/ml-latest-small.zip"
        )
    return sources


def read_release(source: Source) -> Release:
    """All tables of one release, checked. Raises BadInput: a file is missing, empty or has a bad line, or
    names a movie or user that is not listed."""
    name = layout_of(source)
    _, rating_file, movie_file, tag_file, people_file = LAYOUTS[name]
    movies = read(source, *movie_file)
    _check_unique(source.where(movie_file[0]), movies["movie"])
    genres = _flagged(movies) if name == "100k" else _listed(movies)
    ratings = tags = people = None
    if tag_file is not None and tag_file[0] in source:
        tags = read(source, *tag_file)
        tags["tag"] = tags["tag"].str.strip()
        tags = tags[tags["tag"] != ""]
        _check_listed(source.where(tag_file[0]), tags["movie"], movies["movie"], movie_file[0])
    # the posters' own folder has tags only
    if rating_file[0] in source or tags is None:
        ratings = read(source, *rating_file)
        _check_listed(source.where(rating_file[0]), ratings["movie"], movies["movie"], movie_file[0])
    if people_file is not None:
        people = read(source, *people_file)
        _check_unique(source.where(people_file[0]), people["user"])
        _check_listed(source.where(rating_file[0]), ratings["user"], people["user"], people_file[0])
        people = _people(source.where(people_file[0]), people, name)
    label = source.path.resolve().name.removesuffix(".zip")
    return Release(label, name, movies[["movie", "title"]], genres, ratings, tags, people)


def _check_unique(where: str, ids: pd.Series) -> None:
    if not ids.is_unique:
        again = ids[ids.duplicated()].iloc[0]
        raise BadInput(f"{where}: {ids.name} {again} is listed twice; remove one of the lines")


def _check_listed(where: str, ids: pd.Series, listed: pd.Series, in_: str) -> None:
    used = ids.unique()
    strange = used[~np.isin(used, listed)]
    if len(strange):
        row = int((ids == strange[0]).to_numpy().argmax()) + 1
        raise BadInput(
            f"{where}, record {row}: {ids.name} {strange[0]} is not in {in_} ({len(strange)} such"
            f" {ids.name}s); use the files of one release"
        )


def _listed(movies: pd.DataFrame) -> pd.DataFrame:
    """Genres written as Action|Comedy."""
    pairs = movies[["movie"]].assign(label=movies["genres"].str.split("|")).explode("label")
    return pairs[~pairs["label"].isin(["", NO_GENRES])].astype({"label": "str"})


def _flagged(movies: pd.DataFrame) -> pd.DataFrame:
    """Genres written as 19 columns of 0 and 1."""
    return movies.melt("movie", GENRES_100K[1:], "label").query("value == 1")[["movie", "label"]]


def _people(where: str, people: pd.DataFrame, layout: str) -> pd.DataFrame:
    gender = people["gender"].str.strip().map({"F": "female", "M": "male"})
    age, codes = people["age"], ""
    if layout == "1m":
        age, codes = age.map(AGE_1M), f" and an age code of {list(AGE_1M)}"
    bad = gender.isna() | age.isna()
    if bad.any():
        row = int(bad.argmax())
        raise BadInput(
            f"{where}, record {row + 1}: gender {people['gender'][row]!r}, age {people['age'][row]};"
            f" expected F or M{codes}; correct the line"
        )
    return people[["user"]].assign(age=age.astype(np.float32), gender=gender.astype("str"))
