"""F6 on planted and on switched-off regularities: factors show tastes and friends only where they are."""

import numpy as np
import pytest

from helpers.crowd import filtering, neighbours
from helpers.crowd.peers import als
from helpers.data import load
from helpers.data.collection import label_matrix
from helpers.measures.stats import bootstrap, compare, compare_groups

SMALL = {"posts": 700, "users": 400, "views_per_user": 60.0, "image_size": 16, "seed": 2}
OFF = {"taste_content": 0.0, "taste_style": 0.0, "attribute_taste": 0.0, "friend_views": 0.0}


@pytest.fixture(autouse=True)
def _own_outputs(monkeypatch, tmp_path):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))


def near_items(network):
    user, item = filtering.unique_views(network.views)
    matrix = filtering.to_csr(user, item, len(network.users))
    return neighbours.nearest_others(als(matrix, len(network.items), d=16, seed=0).Y, 10)[0]


def excess_agreement(network, kind):
    labels = label_matrix(network.labels, kind, len(network.items))
    found = neighbours.agreement(near_items(network), labels, labels).mean(axis=1)
    return bootstrap(found - neighbours.chance_agreement(labels, labels), np.random.default_rng(0))


def excess_friends(network):
    near = near_items(network)
    owner, n = network.items["owner"].to_numpy(np.int64), len(network.users)
    graph = network.truth["friends"]
    pairs = graph["user"].to_numpy(np.int64) * n + graph["friend"]
    shuffled = np.random.default_rng(0).permutation(near.ravel()).reshape(near.shape)
    hits = [np.isin(owner[:, None] * n + owner[rows], pairs).mean(axis=1) for rows in (near, shuffled)]
    return bootstrap(hits[0] - hits[1], np.random.default_rng(0))


@pytest.mark.controls
@pytest.mark.parametrize("kind", ["content", "style"])
def test_neighbours_share_labels_only_when_tastes_are_planted(kind):
    assert excess_agreement(load("emojigram", **SMALL), kind).low > 0.02
    off = excess_agreement(load("emojigram", **(SMALL | OFF)), kind)
    assert off.low < 0.005
    assert off.high < 0.02


@pytest.mark.controls
def test_neighbours_are_of_friends_only_when_friends_are_viewed():
    assert excess_friends(load("emojigram", **(SMALL | {"friend_views": 0.4}))).low > 0.1
    off = excess_friends(load("emojigram", **(SMALL | OFF)))
    assert abs(off.mean) < 0.01


def by_query(network):
    """Share of each query's ten nearest with its content and its chance, and its number of views."""
    labels = label_matrix(network.labels, "content", len(network.items))
    found = neighbours.agreement(near_items(network), labels, labels).mean(axis=1)
    views = np.bincount(filtering.unique_views(network.views)[1], minlength=len(labels))
    return found, neighbours.chances(labels, labels), views


@pytest.mark.controls
def test_queries_with_many_views_do_better_only_when_tastes_are_planted():
    for planted in (True, False):
        found, chance, views = by_query(load("emojigram", **(SMALL | ({} if planted else OFF))))
        fewest, *_, most = np.array_split(np.argsort(views, kind="stable"), 4)
        gap = compare_groups((found - chance)[most], (found - chance)[fewest], np.random.default_rng(0))
        if planted:
            assert gap.low > 0.05
        else:
            assert gap.low < 0.01
            assert abs(gap.mean) < 0.03


@pytest.mark.controls
def test_more_queries_succeed_than_with_random_lists_only_when_tastes_are_planted():
    for planted in (True, False):
        found, chance, _ = by_query(load("emojigram", **(SMALL | ({} if planted else OFF))))
        luck = np.random.default_rng(1).binomial(10, chance) / 10
        gap = compare(found > chance, luck > chance, np.random.default_rng(0))
        if planted:
            assert gap.low > 0.1
        else:
            assert abs(gap.mean) < 0.05
