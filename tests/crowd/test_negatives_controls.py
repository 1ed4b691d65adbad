"""Directional claims of notebook 02: seen where the cause is planted, vanished where it is switched off."""

import numpy as np
import pytest

from helpers.crowd import negatives
from helpers.crowd.filtering import reindex, unique_views
from helpers.data import load
from helpers.data.emojigram.network import discovered
from helpers.measures import stats

SMALL = {"posts": 600, "users": 300, "views_per_user": 40.0, "image_size": 32, "friend_views": 0.0, "seed": 3}


def seen_more_often(monkeypatch, folder, **options):
    """Per user: share of truly seen items among negatives by popularity, minus that among uniform ones."""
    monkeypatch.setenv("CROWD_OUTPUTS", str(folder))
    network = load("emojigram", **(SMALL | options))
    user, item = unique_views(network.views)
    code, users = reindex(user)
    shares = []
    for kind in ("linear", "uniform"):
        u, i = negatives.by_ratio(code, item, len(network.items), 2, kind, seed=0)
        seen = discovered(network, users[u], i)
        shares.append(np.bincount(u, seen) / np.bincount(u))
    return stats.bootstrap(shares[0] - shares[1], np.random.default_rng(0))


@pytest.mark.controls
def test_negatives_by_popularity_were_seen_more_often_where_exposure_differs(monkeypatch, tmp_path):
    assert seen_more_often(monkeypatch, tmp_path, popularity_exponent=0.8).low > 0.1


@pytest.mark.controls
def test_negatives_by_popularity_were_not_seen_more_often_where_exposure_is_equal(monkeypatch, tmp_path):
    # Items still differ in popularity, by taste, but each has the same chance to be seen. A little below
    # zero is right: who has seen an item that is liked has mostly viewed it, so it is no negative.
    gain = seen_more_often(monkeypatch, tmp_path, popularity_exponent=0.0)
    assert gain.low <= 0
    assert abs(gain.mean) < 0.03


@pytest.mark.controls
@pytest.mark.parametrize(("exponent", "harder"), [(1.0, True), (0.0, False)])
def test_balancing_makes_the_frequency_floor_worse_only_where_frequencies_differ(exponent, harder):
    rng = np.random.default_rng(0)
    p = np.arange(1, 501) ** -exponent
    tag = rng.choice(500, 20_000, p=p / p.sum())
    trained = rng.random(len(tag)) < 2 / 3
    hits = []
    for stays in (np.ones(len(tag), bool), negatives.balance(tag, 40, rng)):
        top = np.argsort(-np.bincount(tag[trained & stays], minlength=500))[:10]
        hits.append(np.isin(tag[~trained & stays], top))
    share = [hit.mean() for hit in hits]
    error = np.sqrt(sum(hit.var() / len(hit) for hit in hits))
    assert (share[0] - share[1] > 5 * error) == harder
    assert harder or abs(share[0] - share[1]) < 3 * error
