"""The files of a MovieLens release, in any layout that GroupLens has published."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.data.delimited import Format, Source, check_unique, read
from helpers.errors import BadInput

# column -> the headings that stand for it, where a file has a header
HEADINGS = {"user": ("userId", "user_id", "user"), "movie": ("movieId", "movie_id", "movie")}
HEADINGS |= {"at": ("timestamp", "time")}
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
# what the numbers of 1M's users.dat stand for, in its README's words
OCCUPATIONS_1M = (
    "other|academic/educator|artist|clerical/admin|college/grad student|customer service|doctor/health care|"
    "executive/managerial|farmer|homemaker|K-12 student|lawyer|programmer|retired|sales/marketing|scientist|"
    "self-employed|technician/engineer|tradesman/craftsman|unemployed|writer"
).split("|")
NO_GENRES = "(no genres listed)"


def _csv(columns: dict[str, str]) -> Format:
    return Format(",", columns, {c: HEADINGS.get(c, (c,)) for c in columns}, quoted=True)


class Layout(NamedTuple):
    """Which files tell a layout, and how each is written: (name, format), or None if it has no such file."""

    signature: tuple[str, ...]
    ratings: tuple[str, Format] | None
    movies: tuple[str, Format]
    tags: tuple[str, Format] | None = None
    people: tuple[str, Format] | None = None
    label: str = ""  # the release's name, where it is not the folder's


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
    # what is left of 1M where no rating and no time may be passed on, and tags of other people, of 10M
    "views": Layout(
        ("views.csv",),
        ratings=("views.csv", _csv({"user": "id", "movie": "id"})),
        movies=("movies.csv", _csv(MOVIE)),
        people=("users.csv", _csv({c: k for c, k in PERSON_1M.items() if c != "zip"})),
        label="ml-1m",
    ),
    "tags": Layout(
        ("ml-10m-tags.csv",),
        ratings=None,
        movies=("movies.csv", _csv(MOVIE)),
        tags=("ml-10m-tags.csv", _csv(TAG)),
        label="ml-10m",
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
    ratings: pd.DataFrame | None  # user, movie int32; but for "views": rating float32, at (datetime64[ns])
    tags: pd.DataFrame | None  # user, movie int32, tag, at
    people: pd.DataFrame | None  # user int32, age float32, gender "female" or "male", occupation


def layouts_of(source: Source) -> list[str]:
    """The layouts that the files of a folder or .zip have, by what is there: none if it is no release, one,
    or "views" and "tags", whose people are different ones."""
    found = [name for name, layout in LAYOUTS.items() if any(file in source for file in layout.signature)]
    return [name for name in found if name in ("views", "tags")] or found[:1]


def find(place: Path) -> list[tuple[Source, str]]:
    """The release at a place, or all releases in the folders directly below it, each with its layout;
    BadInput if there is none."""
    here = Source(place)
    releases = [(here, layout) for layout in layouts_of(here)]
    if not releases and place.is_dir():
        folders = [Source(folder) for folder in sorted(place.iterdir()) if folder.is_dir()]
        # beside releases there may be other data, which have a movies.csv of their own
        releases = [(s, n) for s in folders for n in layouts_of(s) if n not in ("views", "tags")]
        releases = [(s, n) for s, n in releases if n != "csv" or "ratings.csv" in s or "tags.csv" in s]
    if not releases:
        raise BadInput(
            f"{place}: no MovieLens release here (u.data, ratings.dat or movies.csv); give the folder or the"
            " .zip of one, for example https://files.grouplens.org/datasets/movielens/ml-latest-small.zip"
        )
    return releases


def read_release(source: Source, name: str) -> Release:
    """All tables of one release in the layout `name`, checked. Raises BadInput: a file is missing, empty or
    has a bad line, or names a movie or user that is not listed."""
    _, rating_file, movie_file, tag_file, people_file, label = LAYOUTS[name]
    movies = read(source, *movie_file)
    check_unique(source.where(movie_file[0]), movies["movie"])
    genres = _flagged(movies) if name == "100k" else _listed(movies)
    ratings = tags = people = None
    if tag_file is not None and tag_file[0] in source:
        tags = _timed(read(source, *tag_file))
        tags["tag"] = tags["tag"].str.strip()
        tags = tags[tags["tag"] != ""]
        _check_listed(source.where(tag_file[0]), tags["movie"], movies["movie"], movie_file[0])
    # the posters' own folder has tags only
    if rating_file is not None and (rating_file[0] in source or tags is None):
        ratings = _timed(read(source, *rating_file))
        _check_listed(source.where(rating_file[0]), ratings["movie"], movies["movie"], movie_file[0])
    if people_file is not None:
        people = read(source, *people_file)
        check_unique(source.where(people_file[0]), people["user"])
        _check_listed(source.where(rating_file[0]), ratings["user"], people["user"], people_file[0])
        people = _people(source.where(people_file[0]), people, name)
    label = label or source.path.resolve().name.removesuffix(".zip")
    return Release(label, name, movies[["movie", "title"]], genres, ratings, tags, people)


def _timed(events: pd.DataFrame) -> pd.DataFrame:
    """Seconds since 1970 as datetimes, where there are any."""
    if "at" in events:
        events["at"] = (events["at"].to_numpy() * 1_000_000_000).view("datetime64[ns]")
    return events


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
    age, occupation, codes = people["age"], people["occupation"].str.strip(), ""
    if layout != "100k":
        age, occupation = (
            age.map(AGE_1M),
            occupation.map({str(n): name for n, name in enumerate(OCCUPATIONS_1M)}),
        )
        codes = f", an age code of {list(AGE_1M)}, and an occupation from 0 to {len(OCCUPATIONS_1M) - 1}"
    bad = gender.isna() | age.isna() | occupation.isna()
    if bad.any():
        row = int(bad.argmax())
        raise BadInput(
            f"{where}, record {row + 1}: gender {people['gender'][row]!r}, age {people['age'][row]},"
            f" occupation {people['occupation'][row]!r}; expected F or M{codes}; correct the line"
        )
    known = {"age": age.astype(np.float32), "gender": gender.astype("str")}
    return people[["user"]].assign(**known, occupation=occupation.astype("str"))
