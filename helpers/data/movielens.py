"""MovieLens with posters: ratings as views, tags with times, genres as labels."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.data import images as pictures
from helpers.data.collection import Collection, empty_table, full_table
from helpers.data.grouplens import Release, find, read_release
from helpers.errors import BadInput
from helpers.files import given_path
from helpers.paths import cache

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
    exactly counts once. Users are those with a rating or a tag that is left; their age and gender are known
    for 100k and 1M (1M gives ranges of age; see `grouplens.AGE_1M`).

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
    releases = [read_release(source) for source in sources]
    if len(releases) > 1 and "100k" in {r.layout for r in releases}:
        raise BadInput(
            f"{data_dir}: ml-100k numbers its movies differently from the other releases here"
            f" ({', '.join(r.label for r in releases)}); give the folder of one of them"
        )
    movies = pd.concat([r.movies.assign(release=k) for k, r in enumerate(releases)])
    movies = movies.drop_duplicates("movie").sort_values("movie")
    unreadable: dict[str, str] = {}
    if without_posters:
        movies["path"] = ""
        images: pictures.ImageStore = _grey(len(movies), size)
    else:
        place = _posters(posters, [data_dir, *(s.path for s in sources)])
        movies["path"] = movies["movie"].map(pictures.numbered_pictures(place))
        movies = movies.dropna(subset="path")
        if movies.empty:
            raise BadInput(f"{place}: no picture is named by a movie id of {data_dir}; expected <id>.jpg")
        paths = movies["path"].tolist()
        if not on_the_fly:
            images, unreadable = pictures.decoded(place, paths, size, leave_out_unreadable)
        elif leave_out_unreadable:
            for _, reasons in pictures.FileImages(place, paths, size).read_all():
                unreadable |= reasons
        if len(unreadable) == len(paths):
            raise BadInput(pictures.refusal(place, unreadable))
        movies = movies[~movies["path"].isin(list(unreadable))]
        if on_the_fly:
            images = pictures.FileImages(place, movies["path"].tolist(), size)
    ids = movies["movie"].to_numpy()
    items = {"item": np.arange(len(ids)), "owner": -1, "original_id": ids.astype(str)}
    items |= {column: movies[column].to_numpy() for column in ("path", "title")}
    # a movie's genres come from the first release that lists the movie
    genres = pd.concat([r.genres.assign(release=k) for k, r in enumerate(releases)]).merge(movies)
    genres = genres.sort_values(["movie", "label"], ignore_index=True)
    item = np.searchsorted(ids, genres["movie"]).astype(np.int32)
    labels = pd.DataFrame({"item": item, "kind": "genre", "label": genres["label"]})
    users, views, tags = _crowd(releases, ids)
    n, named = len(unreadable), pictures.NAMED
    some = ", ".join(list(unreadable)[:named]) + (", …" if n > named else "")
    told = {
        "owners": (True, "has no owners: nobody uploads a movie"),
        "views": (views.empty, "records no ratings in this release"),
        "tags": (tags.empty, "records no tags in this release"),
        "labels": (not any(len(r.genres) for r in releases), "names no genres in this release"),
        "images": (without_posters, "was loaded without posters: every picture is a grey square"),
        "unreadable": (n > 0, f"was loaded without {n} movies of unreadable posters: {some}"),
    }  # fmt: skip
    return Collection(
        "movielens", False, items=full_table("items", items), users=users, views=views, tags=tags,
        labels=labels.astype({"kind": "category", "label": "category"}), images=images,
        missing={part: reason for part, (absent, reason) in told.items() if absent},
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


def _grey(n: int, size: int) -> pictures.ArrayImages:
    target = cache() / "pictures" / f"grey-{n}-{size}.npy"
    if not target.is_file():
        pictures.keep_array(target, np.full((n, size, size, 3), 128, np.uint8))
    return pictures.ArrayImages(target)


def _crowd(releases: list[Release], ids: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Users, views and tags with dense ids; rows about other movies than `ids` are left out."""
    people, views, tags = [], [empty_table("views")], [empty_table("tags").astype({"tag": "str"})]
    for release in releases:
        given = [(f, out) for f, out in ((release.ratings, views), (release.tags, tags)) if f is not None]
        events = [(f[f["movie"].isin(ids)].drop_duplicates(ignore_index=True), out) for f, out in given]
        base = sum(map(len, people))
        users = np.sort(pd.concat([frame["user"] for frame, _ in events]).unique())
        for frame, out in events:
            frame["user"] = (np.searchsorted(users, frame["user"]) + base).astype(np.int32)
            frame["item"] = np.searchsorted(ids, frame["movie"]).astype(np.int32)
            frame["at"] = (frame["at"].to_numpy() * 1_000_000_000).view("datetime64[ns]")
            out.append(frame[out[0].columns])
        prefix = f"{release.label}/" if len(releases) > 1 else ""
        described = pd.DataFrame({"user": users, "original_id": [f"{prefix}{u}" for u in users]})
        if release.people is not None:
            described = described.merge(release.people, on="user", how="left")
        people.append(described)
    everyone, all_views, all_tags = (pd.concat(t, ignore_index=True) for t in (people, views, tags))
    everyone = full_table("users", everyone.assign(user=everyone.index))
    return everyone, all_views, all_tags.astype({"tag": "category"})
