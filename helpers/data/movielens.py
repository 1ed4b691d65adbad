"""MovieLens with posters: ratings as views, tags with times, genres as labels."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.data import images as pictures
from helpers.data.collection import Collection, empty_table, full_table
from helpers.data.grouplens import Release, find, read_release
from helpers.data.images import ArrayImages, FileImages, ImageStore, numbered_pictures
from helpers.errors import BadInput
from helpers.files import given_path
from helpers.paths import cache

GREY = 128
PACKED = (".zip", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar")


def load(
    data_dir: Path | str,
    posters: Path | str | None = None,
    size: int = 64,
    without_posters: bool = False,
    on_the_fly: bool = False,
    leave_out_unreadable: bool = False,
    cache_folder: Path | None = None,
) -> Collection:
    """One MovieLens release, or several that lie in one folder, as a collection.

    Items are the movies that have a poster. A rating, whatever its value, is a view (Bibas et al. 2022,
    section 4.1.1). Rows about a movie without a poster are left out, and a row that repeats another one
    exactly counts once. Users are those with a rating or a tag that is left.

    With several releases, users of different releases are different people even where their numbers agree:
    all are kept, with original ids such as "ml-latest-small/17". Who rates in one release and who tags in
    another is then never the same user. ml-100k cannot be mixed with others: it numbers movies differently.

    Args:
        data_dir: the folder or the .zip of a release (ml-100k, ml-1m, ml-10m, or any with ratings.csv), or
            a folder that holds several unpacked ones.
        posters: a folder or an uncompressed tar file of <movie id>.jpg (or .png, .webp and what else Pillow
            reads); default: the one whose name starts with "posters" in `data_dir` or in a release's folder.
        size: side of the pictures in pixels: the centre square of a poster.
        without_posters: GroupLens ships no posters; True asks for all movies with a grey square each, which
            is enough for everything that does not look at pictures.
        on_the_fly: decode posters whenever they are asked for, instead of once into an array.
        leave_out_unreadable: go on without the movies whose posters cannot be read; `missing["unreadable"]`
            tells how many and which.
        cache_folder: where decoded posters are kept; default `outputs/cache/pictures`.

    Returns:
        A collection with labels of kind "genre". Age and gender are known for 100k and 1M (1M gives ranges
        of age; see `grouplens.AGE_1M`).

    Raises:
        BadInput: no release or no posters there, posters that cannot be read, all named at once, or a file
            with a bad line, named with its line.
    """
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
    movies = pd.concat([r.movies for r in releases]).drop_duplicates("movie").sort_values("movie")
    unreadable: dict[str, str] = {}
    if without_posters:
        paths = [""] * len(movies)
        images: ImageStore = _grey(len(movies), size, cache_folder)
    else:
        place = _posters(posters, [data_dir, *(s.path for s in sources)])
        names = numbered_pictures(place)
        movies = movies[movies["movie"].isin(list(names))]
        if movies.empty:
            raise BadInput(
                f"{place}: no picture is named by a movie id of {data_dir}; expected <movie id>.jpg"
            )
        paths = [names[movie] for movie in movies["movie"]]
        if not on_the_fly:
            images, unreadable = pictures.decoded(place, paths, size, leave_out_unreadable, cache_folder)
        elif leave_out_unreadable:
            for _, reasons in FileImages(place, paths, size).read_all():
                unreadable |= reasons
        if len(unreadable) == len(paths):
            raise BadInput(pictures.refusal(place, unreadable))
        movies = movies[[path not in unreadable for path in paths]]
        paths = [path for path in paths if path not in unreadable]
        if on_the_fly:
            images = FileImages(place, paths, size)
    ids = movies["movie"].to_numpy()
    people, views, tags = _crowd(releases, ids)
    items = full_table("items", {
        "item": np.arange(len(ids)), "owner": -1, "path": paths, "title": movies["title"].to_numpy(),
        "original_id": ids.astype(str),
    })  # fmt: skip
    return Collection(
        "movielens", False, items=items, users=people, views=views, tags=tags, labels=_labels(releases, ids),
        images=images, missing=_missing(releases, views, tags, without_posters, list(unreadable)),
    )  # fmt: skip


def _posters(posters: Path | str | None, places: list[Path]) -> Path:
    if posters is not None and str(posters):
        return given_path("posters", posters)
    named = [f for place in places if place.is_dir() for f in sorted(place.glob("posters*"))]
    found = [f for f in named if f.is_dir() or f.suffix == ".tar"]
    if not found:
        if packed := [f for f in named if f.suffix.lower() in PACKED]:
            raise BadInput(
                f"{packed[0]}: posters are read from a folder or an uncompressed .tar; unpack this file to"
                f" {packed[0].parent / 'posters'}"
            )
        raise BadInput(
            f"{places[0]}: no posters here; give posters=<folder or tar of <movie id>.jpg>,"
            " or without_posters=True to go on with grey squares"
        )
    return found[0]


def _grey(n: int, size: int, cache_folder: Path | None) -> ArrayImages:
    target = Path(cache_folder or cache() / "pictures") / f"grey-{n}-{size}.npy"
    if not target.is_file():
        pictures.keep_array(target, np.full((n, size, size, 3), GREY, np.uint8))
    return ArrayImages(target)


def _crowd(releases: list[Release], ids: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Users, views and tags with dense ids; rows about other movies than `ids` are left out."""
    people, views, tags, base = [], [empty_table("views")], [empty_table("tags")], 0
    for release in releases:
        rated = _of_movies(release.ratings, ids)
        tagged = _of_movies(release.tags, ids)
        users = np.unique(np.concatenate([pd.unique(f["user"]) for f in (rated, tagged) if f is not None]))
        for frame, out in ((rated, views), (tagged, tags)):
            if frame is not None:
                frame["user"] = (np.searchsorted(users, frame["user"]) + base).astype(np.int32)
                frame["item"] = np.searchsorted(ids, frame["movie"]).astype(np.int32)
                frame["at"] = (frame["at"].to_numpy() * 1_000_000_000).view("datetime64[ns]")
                out.append(frame[[c for c in ("user", "item", "tag", "at") if c in frame]])
        prefix = f"{release.label}/" if len(releases) > 1 else ""
        described = pd.DataFrame({"user": users, "original_id": [f"{prefix}{u}" for u in users]})
        if release.people is not None:
            described = described.merge(release.people, on="user", how="left")
        people.append(described)
        base += len(users)
    everyone = pd.concat(people, ignore_index=True)
    everyone = full_table("users", everyone.assign(user=np.arange(len(everyone))))
    joined = pd.concat([t.astype({"tag": "str"}) for t in tags], ignore_index=True).astype(
        {"tag": "category"}
    )
    return everyone, pd.concat(views, ignore_index=True), joined


def _of_movies(frame: pd.DataFrame | None, ids: np.ndarray) -> pd.DataFrame | None:
    """Rows about the movies `ids`, without exact repetitions."""
    if frame is None:
        return None
    kept = frame[frame["movie"].isin(ids)]
    # most files repeat nothing: one cheap look at pairs, and whole rows only where a pair repeats
    pair = kept["user"].to_numpy().astype(np.int64) << 32 | kept["movie"].to_numpy()
    again = pd.Series(pair).duplicated(keep=False).to_numpy()
    drop = np.zeros(len(kept), bool)
    drop[again] = kept[again].duplicated().to_numpy()
    return kept[~drop].reset_index(drop=True)


def _labels(releases: list[Release], ids: np.ndarray) -> pd.DataFrame:
    """A movie's genres come from the first release that lists the movie."""
    seen = np.zeros(0, np.int32)
    parts = []
    for release in releases:
        genres = release.genres[release.genres["movie"].isin(ids) & ~release.genres["movie"].isin(seen)]
        parts.append(genres)
        seen = np.union1d(seen, release.movies["movie"])
    genres = pd.concat(parts).sort_values(["movie", "label"], kind="stable", ignore_index=True)
    item = np.searchsorted(ids, genres["movie"]).astype(np.int32)
    labels = pd.DataFrame({"item": item, "kind": "genre", "label": genres["label"]})
    return labels.astype({"kind": "category", "label": "category"})


def _missing(releases: list[Release], views, tags, without_posters: bool, unreadable: list[str]) -> dict:
    reasons = {
        "owners": "has no owners: nobody uploads a movie",
        "uploads": "records no upload times",
        "places": "names no country or place of its users",
    }
    if all(release.people is None for release in releases):
        reasons["attributes"] = "tells nothing about its users"
    if views.empty:
        reasons["views"] = "records no ratings in this release"
    if tags.empty:
        reasons["tags"] = "records no tags in this release"
    if not any(len(release.genres) for release in releases):
        reasons["labels"] = "names no genres in this release"
    if without_posters:
        reasons["images"] = "was loaded without posters: every picture is a grey square"
    if unreadable:
        some = ", ".join(unreadable[: pictures.NAMED]) + (", …" if len(unreadable) > pictures.NAMED else "")
        reasons["unreadable"] = f"was loaded without {len(unreadable)} movies of unreadable posters: {some}"
    return reasons
