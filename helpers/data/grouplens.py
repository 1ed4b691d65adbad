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
    """What one release holds, with its own ids.

    Attributes:
        label: the folder's name.
        layout: key of `LAYOUTS`.
        movies: movie int32 (unique), title, genre columns dropped.
        genres: movie int32, label; one row per genre of a movie.
        ratings: user, movie int32, rating float32, at int64 (seconds since 1970); None if there are none.
        tags: user, movie int32, tag, at; None if there are none.
        people: user int32, age float32, gender "female" or "male"; None if the release describes nobody.
    """

    label: str
    layout: str
    movies: pd.DataFrame
    genres: pd.DataFrame
    ratings: pd.DataFrame | None
    tags: pd.DataFrame | None
    people: pd.DataFrame | None


def layout_of(source: Source) -> str | None:
    """The layout that the files of a folder or .zip have, by what is there; None if it is no release."""
    return next((n for n, layout in LAYOUTS.items() if any(f in source for f in layout.signature)), None)


def find(data_dir: Path) -> list[Source]:
    """The release at a place, or all releases in the folders directly below it.

    Raises BadInput: there is none.
    """
    place = Path(data_dir).expanduser()
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
    """All tables of one release, checked.

    Raises BadInput: a file is missing, empty or has a bad line, or names a movie or user that is not listed.
    """
    name = layout_of(source)
    layout = LAYOUTS[name]
    movies = read(source, *layout.movies)
    _unique(source, layout.movies[0], movies, "movie")
    genres = _flagged(movies) if name == "100k" else _listed(movies)
    ratings = tags = people = None
    if layout.tags is not None and layout.tags[0] in source:
        tags = read(source, *layout.tags)
        tags["tag"] = tags["tag"].str.strip()
        tags = tags[tags["tag"] != ""]
        _known(source, layout.tags[0], tags, "movie", movies, layout.movies[0])
    # the posters' own folder has tags only
    if layout.ratings[0] in source or tags is None:
        ratings = read(source, *layout.ratings)
        _known(source, layout.ratings[0], ratings, "movie", movies, layout.movies[0])
    if layout.people is not None:
        people = read(source, *layout.people)
        _unique(source, layout.people[0], people, "user")
        _known(source, layout.ratings[0], ratings, "user", people, layout.people[0])
        people = _people(source, layout.people[0], people, name)
    return Release(source.label, name, movies[["movie", "title"]], genres, ratings, tags, people)


def _unique(source: Source, file: str, frame: pd.DataFrame, column: str) -> None:
    repeated = frame[column].duplicated()
    if repeated.any():
        raise BadInput(
            f"{source.where(file)}: {column} {frame[column][repeated].iloc[0]} is listed twice;"
            " remove one of the lines"
        )


def _known(
    source: Source, file: str, frame: pd.DataFrame, column: str, listed: pd.DataFrame, in_: str
) -> None:
    used = pd.unique(frame[column])
    strange = used[~np.isin(used, listed[column].to_numpy())]
    if len(strange):
        row = int(np.flatnonzero(frame[column].to_numpy() == strange[0])[0]) + 1
        raise BadInput(
            f"{source.where(file)}, record {row}: {column} {strange[0]} is not in {in_}"
            f" ({len(strange)} such {column}s); use the files of one release"
        )


def _listed(movies: pd.DataFrame) -> pd.DataFrame:
    """Genres written as Action|Comedy; split once per distinct combination."""
    code, combinations = pd.factorize(movies["genres"])
    label = pd.Series(combinations.astype("str")).str.split("|").explode()
    label = label[(label != "") & (label != NO_GENRES)]
    parts = pd.DataFrame({"code": label.index, "label": label.to_numpy()})
    pairs = pd.DataFrame({"movie": movies["movie"], "code": code}).merge(parts, on="code")
    return pairs[["movie", "label"]]


def _flagged(movies: pd.DataFrame) -> pd.DataFrame:
    """Genres written as 19 columns of 0 and 1."""
    row, genre = np.nonzero(movies[GENRES_100K[1:]].to_numpy())
    label = pd.Series(GENRES_100K[1:], dtype="str")[genre]
    return pd.DataFrame({"movie": movies["movie"].to_numpy()[row], "label": label.to_numpy()})


def _people(source: Source, file: str, people: pd.DataFrame, layout: str) -> pd.DataFrame:
    gender = people["gender"].str.strip().map({"F": "female", "M": "male"})
    age = people["age"].map(AGE_1M) if layout == "1m" else people["age"]
    bad = gender.isna() | age.isna()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise BadInput(
            f"{source.where(file)}, record {row + 1}: gender {people['gender'][row]!r}, age"
            f" {people['age'][row]}; expected F or M"
            f"{' and an age code of ' + str(list(AGE_1M)) if layout == '1m' else ''}; correct the line"
        )
    return pd.DataFrame(
        {"user": people["user"], "age": age.astype(np.float32), "gender": gender.astype("str")}
    )
