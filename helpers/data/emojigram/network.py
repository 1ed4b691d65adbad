"""A simulated network: people with tastes post edited OpenMoji drawings, view each other's and tag their own.

Everything that a paper claims to find in real networks is planted with a known strength (`Settings`), can be
turned off, and is told in `Collection.truth`. It is simulated, and is always called so.
"""

import hashlib
import inspect
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from helpers.data.collection import TIME, Collection, full_table
from helpers.data.emojigram.behaviour import DAY, DAYS, FIRST_DAY, Posts, draw_posts, draw_views
from helpers.data.emojigram.lexicon import LANGUAGES
from helpers.data.emojigram.people import People, draw_people, users_table
from helpers.data.emojigram.randomness import hash01_array
from helpers.data.emojigram.render import draw_poses, render_to_file
from helpers.data.emojigram.settings import STYLES, Settings
from helpers.data.emojigram.tagging import KINDS, draw_tags
from helpers.data.images import ArrayImages
from helpers.data.openmoji import available, catalogue, rasterise
from helpers.errors import BadInput
from helpers.files import replacing
from helpers.paths import cache

# flags and brands show text or trade marks, families and keycaps differ by details that 64 pixels lose
_LEFT_OUT_GROUPS = ("flags", "component", "extras-openmoji", "extras-unicode")
_LEFT_OUT_SUBGROUPS = ("family", "keycap", "alphanum", "person-symbol")


def generate(**options) -> Collection:
    """Simulate a network. The same options (see `Settings`) give the same network on any number of threads.

    Returns a collection with label kinds group, content and style, and `truth`: settings (parameter, value as
    JSON), people (user, community, language, second_language, spammer, generation, activity), content_taste
    and style_taste (a row a user, one column each), friends (user, friend), posts (item, exposure, drawing,
    angle, scale), tag_kinds (item, tag, kind), senses (community, word, content), words (word, kind, value:
    a language that has the word, or the country of the place that it names). Raises BadInput: an option is
    unknown or out of range.
    """
    settings = Settings.check(options)
    streams = iter(np.random.default_rng(settings.seed).spawn(5))
    chosen = _choose_drawings(settings)
    contents = list(dict.fromkeys(chosen["subgroup"]))
    drawings_of = [np.flatnonzero(chosen["subgroup"].to_numpy() == c) for c in contents]
    people = draw_people(settings, len(contents), len(STYLES), next(streams))
    posts = draw_posts(settings, people, drawings_of, len(STYLES), next(streams))
    tags = draw_tags(settings, people, posts, chosen, contents, next(streams))
    poses = draw_poses(posts.drawing, posts.style, next(streams))
    # kept files are named by the settings, the drawings, and the code and words that generate
    key = hashlib.sha256((settings.model_dump_json() + "".join(chosen["hexcode"])).encode())
    for file in sorted(f for f in Path(__file__).parent.iterdir() if f.suffix in (".py", ".yaml")):
        key.update(file.read_bytes())
    kept = cache() / f"emojigram-{key.hexdigest()[:16]}"
    pictures = kept.with_name(f"{kept.name}-images.npy")
    if not pictures.exists():
        drawings = rasterise(chosen["hexcode"].tolist(), settings.image_size)
        render_to_file(pictures, drawings, poses, settings.image_size)
    views = _views_table(kept.with_name(f"{kept.name}-views.parquet"), settings, people, posts)
    return Collection(
        name="emojigram", simulated=True,
        items=full_table("items", {
            "item": np.arange(settings.posts), "owner": posts.owner, "uploaded_at": _times(posts.at),
            "path": chosen["hexcode"].to_numpy()[posts.drawing] + ".svg",
            "title": chosen["annotation"].to_numpy()[posts.drawing],
            "original_id": [f"post-{i}" for i in range(settings.posts)],
        }),
        users=users_table(people), views=views,
        tags=pd.DataFrame({
            "user": posts.owner[tags.item], "item": tags.item,
            "tag": pd.Categorical.from_codes(tags.word, tags.words), "at": _times(posts.at[tags.item]),
        }),
        labels=_labels_table(posts, chosen, contents), images=ArrayImages(pictures),
        truth=_truth(settings, people, posts, poses, tags, contents),
    )  # fmt: skip


generate.__signature__ = inspect.signature(Settings)  # tells the options


def discovered(collection: Collection, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Whether users have come across posts in the course of browsing (bool, elementwise).

    A post that reached a user through a friend was seen too, whatever this says.
    """
    settings = collection.truth["settings"].set_index("parameter")["value"]
    exposure = collection.truth["posts"]["exposure"].to_numpy()
    return hash01_array(json.loads(settings["seed"]), user, item) < exposure[item]


def _choose_drawings(settings: Settings) -> pd.DataFrame:
    """Drawings of the largest subgroups, taken in turn from each group so that the kinds are diverse."""
    table = catalogue()
    table = table[~table["skintone"] & ~table["group"].isin(_LEFT_OUT_GROUPS)]
    table = table[~table["subgroup"].isin(_LEFT_OUT_SUBGROUPS) & available(table["hexcode"])]
    sizes = table.groupby(["group", "subgroup"], observed=True).size().rename("size").reset_index()
    sizes = sizes[sizes["size"] >= min(6, settings.drawings_per_content)]
    sizes = sizes.sort_values(["size", "subgroup"], ascending=[False, True])
    turn = sizes.groupby("group").cumcount()
    order = sizes["subgroup"][turn.sort_values(kind="stable").index]
    if settings.contents > len(order):
        known = f"the catalogue has {len(order)} large enough kinds"
        raise BadInput(f"emojigram: contents = {settings.contents}: {known}")
    table = table.groupby("subgroup").head(settings.drawings_per_content).set_index("subgroup", drop=False)
    return table.loc[order[: settings.contents]].reset_index(drop=True)


def _times(seconds: np.ndarray) -> pd.Series:
    return pd.Series(seconds.astype("datetime64[s]").astype(TIME))


def _views_table(file: Path, settings: Settings, people: People, posts: Posts) -> pd.DataFrame:
    """Write the views block by block, so that no more than the table itself is ever in memory."""
    end = np.datetime64(FIRST_DAY + DAYS * DAY, "s")
    schema = pa.schema([("user", pa.int32()), ("item", pa.int32()), ("at", pa.timestamp("ns"))])
    if not file.exists():
        with replacing(file) as new, pq.ParquetWriter(new, schema) as writer:
            for user, item, at in draw_views(settings, people, posts):
                seconds = np.minimum(at.astype("datetime64[s]"), end).astype(TIME)
                writer.write_table(pa.table([user, item, seconds], schema=schema))
    return pd.read_parquet(file)


def _labels_table(posts: Posts, chosen: pd.DataFrame, contents: list[str]) -> pd.DataFrame:
    m = len(posts.owner)
    groups = chosen.drop_duplicates("subgroup")["group"]  # of each content, in their order
    names = pd.Index([*groups, *contents, *STYLES]).unique()
    group, content, style = (names.get_indexer(of) for of in (groups, contents, STYLES))
    label = np.stack([group[posts.content], content[posts.content], style[posts.style]], 1)
    return pd.DataFrame({
        "item": np.repeat(np.arange(m, dtype=np.int32), 3),
        "kind": pd.Categorical.from_codes(np.tile([0, 1, 2], m), ["group", "content", "style"]),
        "label": pd.Categorical.from_codes(label.ravel(), names),
    })  # fmt: skip


def _truth(settings, people, posts, poses, tags, contents) -> dict[str, pd.DataFrame]:
    user = np.arange(settings.users, dtype=np.int32)
    languages = np.array([*LANGUAGES, ""])
    values = [(name, json.dumps(value)) for name, value in settings.model_dump().items()]
    return {
        "settings": pd.DataFrame(values, columns=["parameter", "value"]),
        "people": pd.DataFrame({
            "user": user, "community": people.community, "language": languages[people.language],
            "second_language": languages[people.second_language], "spammer": people.spammer,
            "generation": people.generation, "activity": people.activity,
        }),
        "content_taste": pd.DataFrame(people.content_taste, columns=contents),
        "style_taste": pd.DataFrame(people.style_taste, columns=list(STYLES)),
        "friends": pd.DataFrame({
            "user": np.repeat(user, np.diff(people.friends_indptr)), "friend": people.friends,
        }),
        "posts": pd.DataFrame({
            "item": np.arange(settings.posts, dtype=np.int32), "exposure": posts.exposure,
            "drawing": posts.drawing, "angle": poses.angle, "scale": poses.scale,
        }),
        "tag_kinds": pd.DataFrame({
            "item": tags.item, "tag": pd.Categorical.from_codes(tags.word, tags.words),
            "kind": pd.Categorical.from_codes(tags.kind, KINDS),
        }),
        "senses": tags.senses, "words": tags.known,
    }  # fmt: skip
