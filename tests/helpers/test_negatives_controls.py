"""Fang et al.'s reason for popular negatives: seen where popularity was planted, vanished where it was not."""

import numpy as np
import pytest

from helpers import negatives, stats
from helpers.data import load
from helpers.data.emojigram.network import discovered
from helpers.filtering import reindex, unique_views

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
    # items still differ in popularity, by taste, but every item has the same chance to be seen
    gain = seen_more_often(monkeypatch, tmp_path, popularity_exponent=0.0)
    assert gain.low <= 0
    assert abs(gain.mean) < 0.03
