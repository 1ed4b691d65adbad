"""MovieLens with posters: ratings as views, tags with times, genres as labels."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.data.assemble import assemble
from helpers.data.collection import Collection
from helpers.data.grouplens import Release, find, read_release
from helpers.data.images import numbered_pictures
from helpers.errors import BadInput
from helpers.files import given_path

PACKED = (".zip", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar")


def load(
    data_dir: Path | str,
    posters: Path | str | None = None,
    size: int = 64,
    without_posters: bool = False,
    on_the_fly: bool = False,
    leave_out_unreadable: bool = False,
) -> Collection:
    """One MovieLens release, or several that lie in one folder, as a collection with labels of kind "genre".

    Items are the movies that have a poster. A rating, whatever its value, is a view (Bibas et al. 2022,
    section 4.1.1). Rows about a movie without a poster are left out, and a row that repeats another one
    exactly counts once. Users are those with a rating or a tag that is left; their age, gender and occupation
    are known for 100k and 1M (1M gives ranges of age; see `grouplens.AGE_1M`).

    With several releases, users of different releases are different people even where their numbers agree:
    all are kept, with original ids such as "ml-latest-small/17". Who rates in one release and who tags in
    another is then never the same user. ml-100k cannot be mixed with others: it numbers movies differently.

    `data_dir` is the folder or the .zip of a release (ml-100k, ml-1m, ml-10m, or any with ratings.csv), or a
    folder that holds several unpacked ones; `posters` a folder or an uncompressed tar file of <movie id>.jpg
    (or .png, .webp and what else Pillow reads), by default the one whose name starts with "posters" in
    `data_dir` or in a release's folder. Pictures are the centre squares of posters, `size` pixels a side.
    GroupLens ships no posters: `without_posters` asks for all movies with a grey square each, which is enough
    for all that does not look at pictures. `on_the_fly` decodes posters whenever they are asked for, instead
    of once into an array. `leave_out_unreadable` goes on without the movies whose posters cannot be read;
    `missing["unreadable"]` tells how many and which. Raises BadInput: no release or no posters there, posters
    that cannot be read, all named at once, or a file with a bad line, named with its line."""
    if not str(data_dir):
        raise BadInput(
            "data_dir is empty; give the folder or .zip of a MovieLens release, for example"
            " https://files.grouplens.org/datasets/movielens/ml-latest-small.zip"
        )
    data_dir = given_path("data_dir", data_dir)
    sources = find(data_dir)
    releases = [read_release(*source) for source in sources]
    if len(releases) > 1 and "100k" in {r.layout for r in releases}:
        raise BadInput(
            f"{data_dir}: ml-100k numbers its movies differently from the other releases here"
            f" ({', '.join(r.label for r in releases)}); give the folder of one of them"
        )
    movies = pd.concat([r.movies.assign(release=k) for k, r in enumerate(releases)])
    movies = movies.drop_duplicates("movie").sort_values("movie")
    place = None
    if not without_posters:
        place = _posters(posters, [data_dir, *(s.path for s, _ in sources)])
        movies["path"] = movies["movie"].map(numbered_pictures(place))
        if movies["path"].isna().all():
            raise BadInput(f"{place}: no picture is named by a movie id of {data_dir}; expected <id>.jpg")
    # a movie's genres come from the first release that lists the movie
    genres = pd.concat([r.genres.assign(release=k) for k, r in enumerate(releases)]).merge(movies)
    users, views, tags = _crowd(releases)
    told = {
        "owners": (True, "has no owners: nobody uploads a movie"),
        "views": (views is None, "records no ratings in this release"),
        "tags": (tags is None, "records no tags in this release"),
        "labels": (genres.empty, "names no genres in this release"),
        "images": (without_posters, "was loaded without posters: every picture is a grey square"),
    }  # fmt: skip
    return assemble(
        "movielens", items=movies.rename(columns={"movie": "id"}), users=users, views=views, tags=tags,
        labels=genres.sort_values(["movie", "label"]).rename(columns={"movie": "item"}).assign(kind="genre"),
        pictures=place, size=size, leave_out_unreadable=leave_out_unreadable, on_the_fly=on_the_fly,
        sort=False, missing={part: reason for part, (absent, reason) in told.items() if absent},
    )  # fmt: skip


def _posters(posters: Path | str | None, places: list[Path]) -> Path:
    if posters is not None and str(posters):
        return given_path("posters", posters)
    named = [f for place in places if place.is_dir() for f in sorted(place.glob("posters*"))]
    if found := [f for f in named if f.is_dir() or f.suffix == ".tar"]:
        return found[0]
    if packed := [f for f in named if f.suffix.lower() in PACKED]:
        raise BadInput(
            f"{packed[0]}: posters are read from a folder or an uncompressed .tar; unpack this file to"
            f" {packed[0].parent / 'posters'}"
        )
    raise BadInput(
        f"{places[0]}: no posters here; give posters=<folder or tar of <movie id>.jpg>,"
        " or without_posters=True to go on with grey squares"
    )


def _crowd(releases: list[Release]) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame | None]:
    """Users, in the order of the releases and their numbers, views and tags, all with original ids."""
    people, views, tags = [], [], []
    for release in releases:
        given = [(f, out) for f, out in ((release.ratings, views), (release.tags, tags)) if f is not None]
        users = np.sort(pd.concat([frame["user"] for frame, _ in given]).unique())
        prefix = f"{release.label}/" if len(releases) > 1 else ""
        described = pd.DataFrame({"user": users, "id": [f"{prefix}{u}" for u in users]})
        for frame, out in given:
            frame = frame.drop_duplicates(ignore_index=True).rename(columns={"movie": "item"})
            frame["user"] = pd.Categorical.from_codes(np.searchsorted(users, frame["user"]), described["id"])
            out.append(frame)
        if release.people is not None:
            described = described.merge(release.people, on="user", how="left")
        people.append(described)
    views, tags = (pd.concat(events, ignore_index=True) if events else None for events in (views, tags))
    return pd.concat(people), views, tags
