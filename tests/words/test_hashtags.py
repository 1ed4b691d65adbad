"""The rules for hashtags and words, against references that go row by row."""

import unicodedata
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data.collection import empty_table
from helpers.words.hashtags import NUMERIC, keep_hashtags, normalise, plain_text, split_by_time, word_targets

NAMES = ["sea", "Sea", "#sea", "sky", "cat", "2009", "1,000", "dog", "a b", "été"]
rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.sampled_from(NAMES), st.integers(0, 9)), max_size=40
)


def table(entries) -> pd.DataFrame:
    """Tags from (user, item, tag, day)."""
    frame = pd.DataFrame(entries, columns=["user", "item", "tag", "at"])
    frame = frame.astype({"user": np.int32, "item": np.int32, "tag": "str"})
    frame["at"] = pd.to_datetime(frame["at"].astype("int64"), unit="D", origin="2020-01-01").astype(
        "datetime64[ns]"
    )
    return frame.astype({"tag": "category"})


def reference(entries, drop_top: int, keep_top: int, max_per_image: float) -> tuple[set, list]:
    """Veit et al.'s rules, one row at a time."""
    every = {(u, i, normalise(t)) for u, i, t, _ in entries}
    left = {e for e in every if not NUMERIC.fullmatch(e[2])}
    counts = Counter(t for _, _, t in left)
    ranked = sorted(counts, key=lambda t: (-counts[t], t))
    h = ranked[drop_top : drop_top + keep_top]
    left = {e for e in left if e[2] in h}
    for user in {e[0] for e in left}:
        images = {i for u, i, _ in left if u == user}
        written = sum(1 for u, i, _ in every if u == user and i in images)
        if written / len(images) > max_per_image:
            left = {e for e in left if e[0] != user}
    return left, [(t, counts[t]) for t in h]


@settings(deadline=None, max_examples=40)
@given(rows, st.integers(0, 2), st.integers(1, 6), st.sampled_from([1.0, 1.5, 2.0, 15.0]))
def test_hashtags_agree_with_the_reference(entries, drop_top, keep_top, max_per_image):
    kept = keep_hashtags(table(entries), drop_top, keep_top, max_per_image)
    expected, vocabulary = reference(entries, drop_top, keep_top, max_per_image)
    assert set(kept.tags[["user", "item", "tag"]].itertuples(index=False, name=None)) == expected
    assert len(kept.tags) == len(expected)
    assert list(kept.vocabulary.itertuples(index=False, name=None)) == vocabulary
    assert kept.steps["rows"].is_monotonic_decreasing
    assert kept.steps["rows"].iloc[-1] == len(expected)


def test_the_rules_by_hand():
    spammer = [(9, 1, f"buy{n}", 0) for n in range(20)]
    entries = [
        (0, 0, "Sea", 3),
        (0, 0, "#sea", 1),
        (0, 0, "2009", 1),
        (1, 1, "sea", 0),
        (1, 1, "cat", 0),
        *spammer,
    ]
    kept = keep_hashtags(table(entries), drop_top=1, keep_top=100)
    assert kept.tags["tag"].tolist() == ["cat"], "sea is the most frequent, 2009 a number, 9 a spammer"
    assert kept.tags["tag"].cat.categories.tolist() == ["cat"]
    assert kept.steps["users"].tolist() == [3, 3, 2, 2, 1]
    kept = keep_hashtags(table(entries), drop_top=0, keep_top=1)
    assert kept.tags["at"].dt.day.tolist() == [2, 1], "the earliest of equal tags counts"


@pytest.mark.parametrize("tag", ["2009", "1,000", "3.5", "1/2", "#42", "2010-05-01", "٣", "12 30"])
def test_numeric(tag):
    assert NUMERIC.fullmatch(tag)


@pytest.mark.parametrize("tag", ["70mm", "mp3", "", "#", "sea", "...", "b2b"])
def test_not_numeric(tag):
    assert not NUMERIC.fullmatch(tag)


def test_empty_tables():
    kept = keep_hashtags(empty_table("tags"))
    assert len(kept.tags) == len(kept.vocabulary) == 0
    assert len(split_by_time(kept.tags, np.random.default_rng(0))) == 0
    pairs, vocabulary = word_targets(empty_table("items")[["item", "title"]], empty_table("tags"))
    assert len(pairs) == len(vocabulary) == 0


@settings(deadline=None, max_examples=30)
@given(rows.filter(len), st.sampled_from([0.5, 0.9]), st.integers(0, 3))
def test_split_by_time(entries, train, seed):
    frame = table(entries)
    split = split_by_time(frame, np.random.default_rng(seed), train=train)
    frame["split"] = split
    images = frame.groupby(["user", "item"]).agg(at=("at", "min"), split=("split", "unique")).reset_index()
    assert images["split"].map(len).eq(1).all(), "all tags of an image are on one side"
    images["split"] = images["split"].str[0]
    for _, mine in images.groupby("user"):
        first = mine[mine["split"] == "train"]
        assert len(first) == max(1, int(train * len(mine) + 0.5))
        later = mine[mine["split"] != "train"]
        if len(later):
            assert first["at"].max() <= later["at"].min()
    counts = images["split"].value_counts()
    assert abs(counts.get("validation", 0) - counts.get("test", 0)) <= 1
    assert np.array_equal(split, split_by_time(table(entries), np.random.default_rng(seed), train=train))


def test_split_by_time_needs_times():
    frame = table([(0, 0, "sea", 1), (0, 1, "sky", 2)])
    frame.loc[1, "at"] = pd.NaT
    with pytest.raises(ValueError, match="1 tags have no time"):
        split_by_time(frame, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Café", "cafe"), ("L'été 2009!", "lete"), ("#NYC", "nyc"), ("Straße", "strasse"), ("Łódź", "lodz"),
        ("rock'n'roll, baby", "rocknroll baby"), ("new-york", "new york"), ("がっこう", "がっこう"),
        ("한국어!", "한국어"), ("हिन्दी", "हिन्दी"), ("й ё", "и е"), ("42", ""), ("snow ☃ man", "snow man"), 
        ("ﬁn", "fin"),
    ],
)  # fmt: skip
def test_plain_text_by_hand(text, plain):
    assert plain_text(text) == plain


@given(st.text(max_size=30))
def test_plain_text_holds_no_digit_sign_or_upper_case(text):
    plain = plain_text(text)
    assert plain_text(plain) == plain
    assert plain == " ".join(plain.split())
    assert plain == plain.lower()
    for char in plain.replace(" ", ""):
        assert unicodedata.category(char)[0] in "LM"
        if ord(char) < 0x250:
            assert unicodedata.normalize("NFD", char) == char, "an accent was left"


def reference_words(titles, tags, drop_top: int, keep_top: int) -> tuple[set, list]:
    """Joulin et al.'s rules, one row at a time (no title below has a contraction)."""
    pairs = {(i, w) for i, title in titles if title is not None for w in plain_text(title).split()}
    pairs |= {(i, plain_text(t)) for _, i, t, _ in tags if plain_text(t)}
    counts = Counter(w for _, w in pairs)
    ranked = sorted(counts, key=lambda w: (-counts[w], w))[drop_top : drop_top + keep_top]
    return {p for p in pairs if p[1] in ranked}, [(w, counts[w]) for w in ranked]


titled = st.lists(
    st.sampled_from([None, "The Sea", "sea, sea!", "Été 1999", "12", "cat and dog"]), max_size=7
)


@settings(deadline=None, max_examples=40)
@given(titled, rows, st.integers(0, 2), st.integers(1, 6))
def test_words_agree_with_the_reference(titles, entries, drop_top, keep_top):
    frame = pd.DataFrame(
        {"item": np.arange(len(titles), dtype=np.int32), "title": pd.Series(titles, dtype="str")}
    )
    pairs, vocabulary = word_targets(frame, table(entries), drop_top, keep_top)
    expected, ranked = reference_words(list(enumerate(titles)), entries, drop_top, keep_top)
    assert set(pairs.itertuples(index=False, name=None)) == expected
    assert len(pairs) == len(expected)
    assert list(vocabulary.itertuples(index=False, name=None)) == ranked
    assert pairs["word"].cat.categories.tolist() == vocabulary["word"].tolist()


def test_titles_are_cut_into_penn_treebank_tokens_and_tags_stay_whole():
    titles = pd.DataFrame({"item": np.array([4], np.int32), "title": ["You cannot  stay"]})
    pairs, _ = word_targets(titles, table([(0, 4, "road trip", 0)]), drop_top=0, keep_top=10)
    assert sorted(pairs["word"]) == ["can", "not", "road trip", "stay", "you"]
