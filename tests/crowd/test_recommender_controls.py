"""A planted taste must be found by all recommenders; without one, none may seem to beat popularity; and of
items that come in couples it is known who can find them."""

import numpy as np
import pytest
import torch

from helpers.crowd import factorize, recommenders
from helpers.crowd.filtering import to_csr
from helpers.measures import ranking, stats

N, M, EACH = 500, 120, 20
CPU = torch.device("cpu")
pytestmark = pytest.mark.controls


def people(strength, seed=0):
    """Distinct views by (popularity × taste); strength 1 means that the users' tastes do not exist."""
    rng = np.random.default_rng(seed)
    popularity = rng.lognormal(0, 0.7, M)
    liked = rng.integers(0, 4, N)[:, None] == np.arange(M) % 4
    weight = np.log(popularity * np.where(liked, strength, 1.0))
    item = np.argsort(-weight - rng.gumbel(size=(N, M)), axis=1)[:, : 2 * EACH]
    item = rng.permuted(item[:, :EACH], axis=1)
    user = np.repeat(np.arange(N), EACH)
    held = np.tile(np.arange(EACH) < 4, N)
    return user, item.ravel(), held


def auc_gain(scorer, data):
    """Per user, AUC minus the AUC of popularity: a bootstrap interval over users."""
    user, item, held = data
    train, test = to_csr(user[~held], item[~held], N), to_csr(user[held], item[held], N)
    floor = ranking.recommender_auc(ranking.popularity_scorer(train[1], M), train, test)
    ours = ranking.recommender_auc(scorer(train), train, test)
    return stats.bootstrap(ours.each - floor.each, np.random.default_rng(0), 500)


SETTINGS = {
    "BPR": {"eta": 0.05, "lam": 0.05},
    "iALS": {"alpha0": 0.1, "lam": 0.03},
    "EASE": {"lam": 100.0},
    "Mult-VAE": {"learning_rate": 0.01, "latent": 8},
}


def trained(name, width=16):
    return lambda train: recommenders.fit(name, train, M, width, SETTINGS[name], CPU, 40).scorer


@pytest.mark.parametrize("name", SETTINGS)
def test_planted_tastes_beat_popularity_in_auc(name):
    assert auc_gain(trained(name), people(strength=8.0)).low > 0.05


@pytest.mark.parametrize("name", SETTINGS)
def test_without_tastes_nothing_beats_popularity_in_auc(name):
    gain = auc_gain(trained(name), people(strength=1.0))
    assert gain.low <= 0
    assert gain.mean < 0.01  # the margin of AUC


def couples(seed=0):
    """Items come in sixty couples and users view ten at random, of four of which one half is held out. All
    couples are alike and independent, so that their matrix has rank sixty: two numbers cannot tell it."""
    couple = np.argsort(np.random.default_rng(seed).random((N, M // 2)), axis=1)[:, : EACH // 2]
    item = np.stack([2 * couple, 2 * couple + 1], axis=2).reshape(N, EACH)
    held = (np.arange(EACH) < 8) & (np.arange(EACH) % 2 == 0)
    return np.repeat(np.arange(N), EACH), item.ravel(), np.tile(held, N)


def test_couples_are_found_by_ease_and_wide_vectors_and_not_by_narrow_ones():
    wide, narrow, ease = (
        auc_gain(trained(*which), couples()).mean for which in (("iALS", 64), ("iALS", 2), ("EASE",))
    )
    assert min(ease, wide) > 0.4  # of 0.5 that a perfect order has over popularity, which knows nothing here
    assert narrow < 0.2


def pr_gain(strength):
    """Per user, PR of the item mean minus PR of MF (lower is better, so positive favours MF)."""
    user, item, _ = people(strength)
    rng = np.random.default_rng(1)
    seen = np.zeros((N, M), bool)
    seen[user, item] = True
    weight = np.where(seen, -np.inf, np.log(np.log1p(seen.sum(0))))
    unseen = np.argsort(-weight - rng.gumbel(size=(N, M)), axis=1)[:, : 2 * EACH].ravel()
    users = np.concatenate([user, np.repeat(np.arange(N), 2 * EACH)])
    items, value = np.concatenate([item, unseen]), np.repeat([1.0, 0.0], [len(item), len(unseen)])
    order = rng.permutation(len(users))
    train, held = order[: int(0.8 * len(order))], order[int(0.8 * len(order)) :]
    group = factorize.group(users[train], items[train], value[train], N, M)
    found = factorize.fit(group, 8, lam=0.02, max_epochs=20)
    mean = np.bincount(items[train], value[train], M) / np.bincount(items[train], minlength=M)
    users, items, positive = users[held], items[held], value[held] > 0
    floor = ranking.personalised_ranking(users, positive, mean[items], N)
    ours = ranking.personalised_ranking(users, positive, found.predict(users, items), N)
    return stats.bootstrap(floor.each - ours.each, np.random.default_rng(0), 500)


def test_planted_tastes_beat_the_item_mean_in_pr():
    assert pr_gain(strength=8.0).low > 0.05


def test_without_tastes_factors_do_not_beat_the_item_mean_in_pr():
    gain = pr_gain(strength=1.0)
    assert gain.low <= 0
    assert gain.mean < 0.03  # the margin of PR


def auc(name, data, width=16, epochs=40, **changed):
    user, item, held = data
    train, test = to_csr(user[~held], item[~held], N), to_csr(user[held], item[held], N)
    settings = SETTINGS[name.removesuffix(" without biases")] | changed
    found = recommenders.fit(name, train, M, width, settings, CPU, epochs)
    return ranking.recommender_auc(found.scorer, train, test).each


def test_mult_vae_beats_bpr_only_where_items_come_in_couples():
    """Sixty couples are too many for so few numbers, unless a network shares them among users."""
    couple, popular = (
        stats.compare(auc("Mult-VAE", data), auc("BPR", data), np.random.default_rng(0))
        for data in (couples(), people(strength=1.0))
    )
    assert couple.low > 0.05
    assert popular.mean < 0.01


def test_biases_help_only_where_nothing_else_can_learn_popularity():
    """In two passes vectors of one number learn hardly anything; long trained ones need no biases."""
    data = people(strength=1.0)
    short, long = (
        stats.compare(
            auc("Mult-VAE", data, **how),
            auc("Mult-VAE without biases", data, **how),
            np.random.default_rng(0),
        )
        for how in ({"width": 1, "epochs": 2, "latent": 2}, {"width": 16, "epochs": 40})
    )
    assert short.low > 0.05
    assert abs(long.mean) < 0.01
