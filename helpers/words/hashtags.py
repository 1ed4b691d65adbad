"""What becomes a hashtag (Veit et al. 2018, section 4.1) and what a word (Joulin et al. 2016, section 3).

Text is handled once per distinct string and never once per row: a crowd writes the same few tags.
"""

import re
import unicodedata
from typing import NamedTuple

import numpy as np
import pandas as pd
from nltk.tokenize import TreebankWordTokenizer

# digits only, with the signs that numbers and dates are written with
NUMERIC = re.compile(r"[\s.,:;/'\-_+#]*\d[\d\s.,:;/'\-_+#]*")
# letters that Unicode does not decompose into a base and an accent
PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "þ": "th", "æ": "ae", "œ": "oe", "ß": "ss"}
)
ACCENTED_SCRIPTS = 0x0530  # Latin, Greek and Cyrillic lie below; elsewhere a mark is part of the letter
APOSTROPHES = "'’‘`´ʼ#"


class Hashtags(NamedTuple):
    """The result of `keep_hashtags`."""

    tags: pd.DataFrame  # user int32, item int32, tag (categorical; only used categories), at; distinct rows
    vocabulary: pd.DataFrame  # the set H, most frequent first: tag, count (of images before spammers left)
    steps: pd.DataFrame  # what was left after each: step, tags (distinct), rows, images, users


def normalise(tag: str) -> str:
    """A hashtag as it is compared: lower case, without '#' in front and without space around it."""
    return unicodedata.normalize("NFC", tag).strip().lstrip("#").strip().lower()


def keep_hashtags(
    tags: pd.DataFrame, drop_top: int = 10, keep_top: int = 100_000, max_per_image: float = 15.0
) -> Hashtags:
    """Which hashtags, images and users Veit et al. 2018, section 4.1, use of a table user, item, tag
    (categorical), at. An "image" is a (user, item) pair, because here, other than in YFCC100M, several users
    may tag one item.

    Numeric tags go, then the `drop_top` most frequent ones; of the rest the `keep_top` most frequent are the
    set H. Images with a tag of H stay, but not those of users who put more than `max_per_image` tags on such
    an image on average. That average counts every tag the user wrote, whether in H or not: the paper does not
    say, and a spammer is one by what is written. Ties in frequency go by the alphabet."""
    steps = []

    def step(name: str, frame: pd.DataFrame) -> None:
        images, distinct = frame[["user", "item"]].drop_duplicates(), frame[["tag", "user"]].nunique()
        steps.append([name, distinct["tag"], len(frame), len(images), distinct["user"]])

    every = _normalised(tags)
    step("all", every)
    left = every[~every["tag"].isin([tag for tag in every["tag"].cat.categories if NUMERIC.fullmatch(tag)])]
    step("without numeric tags", left)
    ranked = by_frequency(left["tag"])
    left = left[left["tag"].isin(ranked["tag"][drop_top:])]
    step(f"without the {drop_top} most frequent", left)
    vocabulary = ranked[drop_top : drop_top + keep_top].reset_index(drop=True)
    left = left[left["tag"].isin(vocabulary["tag"])]
    step(f"only the next {keep_top} most frequent", left)
    images = left[["user", "item"]].drop_duplicates()
    mean = every.merge(images, on=["user", "item"]).groupby("user").size() / images.groupby("user").size()
    left = left[~left["user"].isin(mean.index[mean > max_per_image])].reset_index(drop=True)
    step(f"without users above {max_per_image:g} tags per image", left)
    left["tag"] = left["tag"].cat.remove_unused_categories()
    columns = ["step", "tags", "rows", "images", "users"]
    return Hashtags(left, vocabulary, pd.DataFrame(steps, columns=columns))


def _normalised(tags: pd.DataFrame) -> pd.DataFrame:
    written = np.array([normalise(tag) for tag in tags["tag"].cat.categories], object)
    code, names = pd.factorize(written, sort=True)
    merged = code[tags["tag"].cat.codes.to_numpy()]
    tag = pd.Categorical.from_codes(merged, categories=pd.Index(names, dtype="str"))
    frame = tags[["user", "item"]].assign(tag=tag, at=tags["at"])
    # the earliest of equal rows; times that are unknown come last
    frame = frame.sort_values(["user", "item", "tag", "at"], kind="stable")
    frame = frame.drop_duplicates(["user", "item", "tag"])
    return frame[frame["tag"] != ""].reset_index(drop=True)


def by_frequency(column: pd.Series) -> pd.DataFrame:
    """The used categories, named as the column, and their count; most frequent first, then by alphabet."""
    counts = np.bincount(column.cat.codes.to_numpy(), minlength=len(column.cat.categories))
    frame = pd.DataFrame({column.name: column.cat.categories, "count": counts.astype(np.int64)})
    ranked = frame.sort_values(["count", column.name], ascending=[False, True], kind="stable")
    return ranked[ranked["count"] > 0].reset_index(drop=True)


def split_by_time(
    tags: pd.DataFrame, rng: np.random.Generator, train: float = 0.9, validation: float = 0.5
) -> np.ndarray:
    """Veit et al. 2018, section 4.1: each user's first images for training, the later ones for the rest.

    A user's images, (user, item) pairs dated by their earliest tag, are sorted by time (then item); `train`
    of them, rounded to the nearest whole number but at least one, are training images. Of the images left
    over from all users together, a random share `validation` is for validation and the rest for testing.

    Returns "train", "validation" or "test" for each row (object array); all rows of an image agree. Raises
    ValueError where a time is unknown, so that there is no order."""
    if tags["at"].isna().any():
        raise ValueError(f"{int(tags['at'].isna().sum())} tags have no time; a split by time needs them all")
    images = tags.groupby(["user", "item"], sort=True)["at"].min().reset_index()
    images = images.sort_values(["user", "at", "item"], kind="stable", ignore_index=True)
    own = images.groupby("user")["item"]
    first = np.maximum(1, np.floor(train * own.transform("size") + 0.5))
    later = rng.permutation(np.flatnonzero(own.cumcount() >= first))
    n = round(validation * len(later))
    split = np.full(len(images), "train", object)
    split[later[:n]], split[later[n:]] = "validation", "test"
    images = images.assign(split=split)
    return tags[["user", "item"]].merge(images, on=["user", "item"], how="left")["split"].to_numpy(object)


def plain_text(text: str) -> str:
    """Joulin et al. 2016, section 3: without digits, punctuation, accents, special characters; lower case.
    Apostrophes and '#' vanish, any other sign becomes a space ("rock'n'roll, baby" -> "rocknroll baby").
    Accents are removed from Latin, Greek and Cyrillic letters; in other scripts a mark is part of the letter
    and stays."""
    out, base = "", ""
    for char in unicodedata.normalize("NFKD", text).lower().translate(PLAIN):
        kind = unicodedata.category(char)[0]
        if kind == "M":
            out += char if base and ord(base) >= ACCENTED_SCRIPTS else ""
        else:
            base = char if kind == "L" else ""
            out += base or ("" if kind == "N" or char in APOSTROPHES else " ")
    return unicodedata.normalize("NFC", " ".join(out.split()))


def word_targets(
    titles: pd.DataFrame, tags: pd.DataFrame, drop_top: int = 500, keep_top: int = 10_000
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Joulin et al. 2016, section 3: a bag of words for each image, from titles (item int32, title text, null
    where there is none) and tags (item int32, tag categorical).

    Titles and captions are cut into Penn Treebank tokens; a hashtag stays whole. Then the `drop_top` most
    common words go, and the next `keep_top` are the vocabulary: the paper's K, one of 1,000, 10,000 and
    100,000. On a small collection 500 would be most of the language: the caller scales it.

    Returns distinct pairs (item int32, word categorical), sorted by item and by the word's rank, and the
    vocabulary (word, count of images), most frequent first."""
    cut, texts = TreebankWordTokenizer().tokenize, titles["title"].astype("category")
    words = pd.Series([cut(plain_text(t)) for t in texts.cat.categories], dtype=object)
    titled = titles[["item"]].assign(word=words.reindex(texts.cat.codes).array).explode("word").dropna()
    plain = pd.Series([plain_text(t) for t in tags["tag"].cat.categories], dtype="str")
    tagged = pd.DataFrame({"item": tags["item"].to_numpy(), "word": plain[tags["tag"].cat.codes].to_numpy()})
    pairs = pd.concat([titled, tagged], ignore_index=True).astype({"item": np.int32, "word": "category"})
    pairs = pairs[pairs["word"] != ""].drop_duplicates()
    vocabulary = by_frequency(pairs["word"])[drop_top : drop_top + keep_top].reset_index(drop=True)
    pairs["word"] = pairs["word"].cat.set_categories(vocabulary["word"])
    pairs = pairs.dropna(subset="word").sort_values(["item", "word"], ignore_index=True)
    return pairs, vocabulary
