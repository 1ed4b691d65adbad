"""The simulated network: what is planted is there, what is switched off is not, and a seed decides all."""

import numba
import numpy as np
import pandas as pd
import pytest

from helpers.data import BadInput, load
from helpers.data.emojigram import lexicon
from helpers.data.emojigram.network import discovered
from helpers.data.emojigram.settings import STYLES, Settings

SMALL = {"posts": 600, "users": 300, "views_per_user": 40.0, "image_size": 32, "seed": 3}


@pytest.fixture(scope="module", autouse=True)
def _own_outputs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROWD_OUTPUTS", str(tmp_path_factory.mktemp("outputs")))
        yield


@pytest.fixture(scope="module")
def network(_own_outputs):
    return load("emojigram", **SMALL)


def fresh(monkeypatch, folder, **options):
    """A network that shares no cached file with another."""
    monkeypatch.setenv("CROWD_OUTPUTS", str(folder))
    return load("emojigram", **(SMALL | options))


def labels(network, kind):
    rows = network.labels[network.labels["kind"] == kind].sort_values("item")
    return rows["label"].astype(str).to_numpy()


def test_one_seed_decides_everything_on_any_number_of_threads(network, monkeypatch, tmp_path):
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        again = fresh(monkeypatch, tmp_path)
    finally:
        numba.set_num_threads(threads)
    for table in ("items", "users", "views", "tags", "labels"):
        pd.testing.assert_frame_equal(getattr(again, table), getattr(network, table))
    assert np.array_equal(again.images[:], network.images[:])
    other = fresh(monkeypatch, tmp_path, seed=4)
    assert not np.array_equal(other.views["item"].to_numpy()[:1000], network.views["item"].to_numpy()[:1000])
    assert not np.array_equal(other.images[:], network.images[:])


def test_sizes_are_as_asked(network):
    assert (len(network.items), len(network.users), len(network.images)) == (600, 300, 600)
    assert abs(len(network.views) / (300 * 40) - 1) < 0.02
    assert network.simulated
    assert not network.missing


def test_the_smallest_network():
    tiny = load("emojigram", posts=1, users=2, views_per_user=1.0, contents=2, drawings_per_content=1, seed=0)
    assert len(tiny.images) == 1
    # the owner does not view the own post
    assert not (tiny.views["user"].to_numpy() == tiny.items["owner"].to_numpy()[0]).any()


def test_every_post_is_a_distinct_picture(network):
    pictures = network.images[:].reshape(len(network.images), -1)
    assert len(np.unique(pictures, axis=0)) == len(pictures)


def test_styles_look_as_they_should(network):
    style = labels(network, "style")
    pictures = network.images[:].astype(int)
    grey = (np.ptp(pictures, axis=3) == 0).all(axis=(1, 2))
    assert grey[np.isin(style, ["mono", "edges"])].all()
    assert not grey[style == "plain"].any()
    assert (pictures[style == "sepia"].mean(axis=(1, 2)) @ [1, 0, -1] > 0).all(), "sepia is warm"
    assert len(np.unique(pictures[style == "poster"])) <= 3
    assert pictures[style == "edges"].mean() > 190 > 110 > pictures[style == "neon"].mean()
    roughness = np.abs(np.diff(pictures, axis=2)).mean(axis=(1, 2, 3))
    assert roughness[style == "blur"].mean() < 0.7 * roughness[style == "plain"].mean()


def test_pixel_style_is_made_of_blocks(network):
    picture = network.images[np.flatnonzero(labels(network, "style") == "pixel")[0]]
    assert (picture[:2, :2] == picture[0, 0]).all()
    assert (picture[2:4, 4:6] == picture[2, 4]).all()


def test_views_come_after_upload_and_never_by_the_owner(network):
    items = network.items.iloc[network.views["item"]]
    assert (network.views["user"].to_numpy() != items["owner"].to_numpy()).all()
    assert (network.views["at"].to_numpy() >= items["uploaded_at"].to_numpy()).all()


def test_only_friends_lead_to_posts_that_were_not_come_across(network, monkeypatch, tmp_path):
    def unseen(made):
        return (~discovered(made, made.views["user"].to_numpy(), made.views["item"].to_numpy())).mean()

    assert unseen(network) > 0.02
    assert unseen(fresh(monkeypatch, tmp_path, friend_views=0.0)) == 0


@pytest.mark.controls
def test_tastes_show_in_views_only_when_planted(network, monkeypatch, tmp_path):
    def concentration(made):
        """Mean over users of the largest share of views that one content gets."""
        table = pd.crosstab(made.views["user"], labels(made, "content")[made.views["item"]])
        return (table.max(axis=1) / table.sum(axis=1)).mean()

    off = {"taste_content": 0.0, "taste_style": 0.0, "attribute_taste": 0.0}
    without = concentration(fresh(monkeypatch, tmp_path, **off))
    assert concentration(network) > 1.5 * without
    # attributes alone concentrate views too
    assert concentration(fresh(monkeypatch, tmp_path, **(off | {"attribute_taste": 2.0}))) > 1.3 * without


@pytest.mark.controls
def test_friends_are_viewed_more_only_when_planted(network, monkeypatch, tmp_path):
    def excess(made):
        n, owner = len(made.users), made.items["owner"].to_numpy()
        graph = made.truth["friends"]
        pairs = graph["user"].to_numpy(np.int64) * n + graph["friend"]
        viewer = made.views["user"].to_numpy(np.int64) * n
        of_item = owner[made.views["item"]]
        shuffled = np.random.default_rng(0).permutation(of_item)
        return np.isin(viewer + of_item, pairs).mean() - np.isin(viewer + shuffled, pairs).mean()

    assert excess(network) > 0.08
    assert abs(excess(fresh(monkeypatch, tmp_path, friend_views=0.0))) < 0.015


@pytest.mark.controls
def test_popularity_is_a_long_tail_only_when_planted(network, monkeypatch, tmp_path):
    def share_of_top_tenth(made):
        counts = np.sort(np.bincount(made.views["item"], minlength=len(made.items)))[::-1]
        return counts[: len(counts) // 10].sum() / counts.sum()

    flat = {"popularity_exponent": 0.0, "taste_content": 0.0, "taste_style": 0.0, "attribute_taste": 0.0}
    flat |= {"friend_views": 0.0}
    assert share_of_top_tenth(network) > 0.3
    assert share_of_top_tenth(fresh(monkeypatch, tmp_path, **flat)) < 0.17


def test_a_community_never_uses_a_word_in_its_other_sense(network):
    senses = network.truth["senses"]
    meaning = {(row.community, row.word): row.content for row in senses.itertuples()}
    words = set(senses["word"])
    spam = network.truth["tag_kinds"].query("kind == 'ambiguous'")
    used = network.tags.merge(spam[["item", "tag"]].astype({"tag": str}), on=["item"]).query("tag_x == tag_y")
    community = network.truth["people"]["community"].to_numpy()[used["user"]]
    content = labels(network, "content")[used["item"]]
    assert len(used) > 20
    assert all(
        meaning[c, w] == k for c, w, k in zip(community, used["tag_x"].astype(str), content, strict=True)
    )
    # elsewhere such a word comes from spammers only
    kinds = network.truth["tag_kinds"]
    rest = kinds[kinds["tag"].isin(words) & ~kinds["kind"].isin(["ambiguous", "spam"])]
    assert rest.empty


def test_tag_kinds_can_be_switched_off(monkeypatch, tmp_path):
    off = {"self_expression": 0.0, "ambiguous": 0.0, "attribute_tags": 0.0, "spam_tags": 0.0, "spammers": 0.0}
    kinds = set(fresh(monkeypatch, tmp_path, **off).truth["tag_kinds"]["kind"])
    assert kinds == {"content", "style"}


def test_languages_follow_the_person(monkeypatch, tmp_path):
    made = fresh(monkeypatch, tmp_path, multilingual=0.0, spam_tags=0.0, spammers=0.0)
    kinds = made.truth["tag_kinds"].query("kind == 'style'")
    language = made.truth["people"]["language"].to_numpy()[made.items["owner"].to_numpy()[kinds["item"]]]
    known = {code: {w for pair in words for w in pair} for code, words in lexicon.STYLE_WORDS.items()}
    assert set(language) == set(known)
    assert all(tag in known[code] for code, tag in zip(language, kinds["tag"].astype(str), strict=True))


def test_people_keep_to_a_synonym(monkeypatch, tmp_path):
    def words_per_habit(made):
        kinds = made.truth["tag_kinds"].query("kind == 'style'")
        frame = pd.DataFrame({
            "user": made.items["owner"].to_numpy()[kinds["item"]],
            "style": labels(made, "style")[kinds["item"]],
            "word": kinds["tag"].astype(str).to_numpy(),
        })  # fmt: skip
        often = frame.groupby(["user", "style"])["word"].agg(["size", "nunique"]).query("size >= 4")
        return often["nunique"].mean()

    options = {"multilingual": 0.0, "posts": 3000, "users": 60}
    assert words_per_habit(fresh(monkeypatch, tmp_path, synonyms=1.0, **options)) == 1
    assert words_per_habit(fresh(monkeypatch, tmp_path, synonyms=0.0, **options)) > 1.6


def test_spammers_use_more_than_fifteen_tags_an_image(network):
    owner = network.items["owner"].to_numpy()
    spammer = network.truth["people"]["spammer"].to_numpy()
    per_post = network.tags.groupby("item").size().reindex(range(len(owner)), fill_value=0).to_numpy()
    assert spammer[owner].any()
    assert per_post[spammer[owner]].mean() > 15 > 8 > per_post[~spammer[owner]].mean()


def test_a_post_carries_a_tag_once(network):
    assert not network.tags.duplicated(["item", "tag"]).any()
    assert (network.tags["user"].to_numpy() == network.items["owner"].to_numpy()[network.tags["item"]]).all()


def test_attributes_are_partly_unknown(network):
    assert 0.05 < network.users["age"].isna().mean() < 0.16
    assert 0.05 < network.users["gender"].isna().mean() < 0.16
    assert network.users["country"].nunique() == 5


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"posts": -5}, "posts = -5"),
        ({"poosts": 5}, "poosts"),
        ({"taste_style": "1e-3"}, "taste_style = '1e-3'"),
        ({"contents": 100}, "contents = 100"),
        ({"friend_views": 0.7, "noise_views": 0.6}, "sum exceeds 1"),
        ({"self_expression": 0.9, "ambiguous": 0.9}, "sum exceeds 1"),
    ],
)
def test_impossible_options_are_refused_in_one_line(options, expected):
    with pytest.raises(BadInput, match=expected) as caught:
        load("emojigram", **options)
    assert "\n" not in str(caught.value)


def test_every_option_says_what_it_plants():
    table = Settings().table()
    assert table["what it plants"].str.len().min() > 10
    assert set(table["parameter"]) == set(Settings.model_fields)
    assert len(STYLES) == 8


def test_the_languages_of_words_are_those_of_the_people_who_write_them(monkeypatch, tmp_path):
    made = fresh(monkeypatch, tmp_path, multilingual=0.0)
    known = made.truth["words"]
    assert set(known["kind"]) == {"language", "place"}
    languages = known[known["kind"] == "language"].groupby("word")["value"].agg(set)
    assert languages["schwarzweiss"] == {"de"}
    kinds = made.truth["tag_kinds"].astype({"tag": str, "kind": str})
    kinds = kinds[kinds["kind"].isin(["content", "style"])]
    speaks = made.truth["people"]["language"].to_numpy()[made.items["owner"].to_numpy()[kinds["item"]]]
    assert all(language in languages[word] for word, language in zip(kinds["tag"], speaks, strict=True))


def test_places_are_named_by_those_who_live_there(network):
    known = network.truth["words"]
    country = known[known["kind"] == "place"].set_index("word")["value"]
    kinds = network.truth["tag_kinds"].astype({"tag": str, "kind": str})
    kinds = kinds[(kinds["kind"] == "attribute") & kinds["tag"].isin(country.index)]
    lives = network.users["country"].to_numpy()[network.items["owner"].to_numpy()[kinds["item"]]]
    assert len(kinds) > 0
    assert all(country[tag] == where for tag, where in zip(kinds["tag"], lives, strict=True))
