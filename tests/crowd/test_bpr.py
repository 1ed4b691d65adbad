"""BPR: its kernel against a plain loop, repeating, early stopping, and implicit's as a peer."""

import numpy as np
import pytest

from helpers.crowd import bpr, peers
from helpers.crowd.filtering import to_csr
from helpers.errors import BadInput
from helpers.measures import ranking


def tastes(seed=0, n_users=150, n_items=60, groups=3, each=12):
    """Users who take most items from one of three groups: train and held-out positives by user."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(0, groups, n_users)
    like = np.where(taste[:, None] == np.arange(n_items) % groups, 10.0, 1.0)
    chosen = np.argsort(-np.log(like) - rng.gumbel(size=like.shape), axis=1)[:, :each]
    user = np.repeat(np.arange(n_users), each)
    held = np.tile(np.arange(each) < 3, n_users)
    item = chosen.ravel()
    return to_csr(user[~held], item[~held], n_users), to_csr(user[held], item[held], n_users)


def test_one_user_is_a_plain_loop_over_positives_and_the_negatives_are_unseen():
    """Three items, two of them owned: the only possible negative is the third, so the loop is determined."""
    d, eta, lam = 8, 0.1, 0.05
    rng = np.random.default_rng(0)
    X, Y, b = rng.normal(size=(1, d)), rng.normal(size=(3, d)), rng.normal(size=3)
    got = [np.float32(X), np.float32(Y), np.float32(b)]
    indptr, item = np.array([0, 2]), np.array([0, 2], np.int32)
    bpr.bpr_kernel(d)(indptr, item, np.array([0]), np.array([1]), *got, eta, lam, 7)
    for i in (2, 0):  # starts with its second entry
        x, j = X[0].copy(), 1
        g = 1 / (1 + np.exp(b[i] - b[j] + x @ (Y[i] - Y[j])))
        X[0] += eta * (g * (Y[i] - Y[j]) - lam * x)
        Y[i], Y[j] = Y[i] + eta * (g * x - lam * Y[i]), Y[j] + eta * (-g * x - lam * Y[j])
        b[i], b[j] = b[i] + eta * (g - lam * b[i]), b[j] + eta * (-g - lam * b[j])
    for wanted, found in zip((X, Y, b), got, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_negatives_are_uniform_over_unseen_items():
    """With a step that only moves biases, how far each bias falls counts how often the item was drawn."""
    n_users, n_items, eta = 4000, 9, 1e-6
    train = to_csr(np.repeat(np.arange(n_users), 2), np.tile([0, 5], n_users), n_users)
    X, Y = np.zeros((n_users, 8), np.float32), np.zeros((n_items, 8), np.float32)
    bias = np.zeros(n_items, np.float32)
    bpr.bpr_kernel(8)(*train, np.arange(n_users), np.zeros(n_users, np.int64), X, Y, bias, eta, 0.0, 3)
    draws = -np.delete(bias, [0, 5]) / (eta / 2)
    expected = 2 * n_users / 7
    assert draws.sum() == pytest.approx(2 * n_users, rel=1e-3)
    assert np.sum((draws - expected) ** 2 / expected) < 22.5  # chi-square, 6 degrees of freedom, 0.999


def test_repeats_on_one_thread_and_learns_tastes():
    train, held = tastes()
    (a, bias_a), (b, bias_b) = (bpr.fit_bpr(train, 60, d=8, max_epochs=30, eta=0.1) for _ in range(2))
    assert a.Y.tobytes() == b.Y.tobytes()
    assert bias_a.tobytes() == bias_b.tobytes()
    auc = ranking.recommender_auc(ranking.dot_scorer(a.X, a.Y, bias_a), train, held).mean
    lock_free, bias = bpr.fit_bpr(train, 60, d=8, max_epochs=30, eta=0.1, threads=2)
    same = ranking.recommender_auc(ranking.dot_scorer(lock_free.X, lock_free.Y, bias), train, held).mean
    other = peers.bpr(train, 60, d=8, epochs=60, eta=0.1)
    peer = ranking.recommender_auc(ranking.dot_scorer(other.X, other.Y), train, held).mean
    assert auc > 0.7
    assert same == pytest.approx(auc, abs=0.03)
    assert peer > 0.65


def test_early_stopping_keeps_the_best():
    train, held = tastes()
    asked = []

    def validate(scorer):
        asked.append(ranking.recommender_auc(scorer, train, held).mean)
        return asked[-1]

    found, bias = bpr.fit_bpr(train, 60, d=16, eta=0.3, lam=0.0, max_epochs=300, validate=validate, every=10)
    assert len(found.history) < 300
    assert found.best_epoch == 10 * (int(np.argmax(asked)) + 1)
    assert ranking.recommender_auc(ranking.dot_scorer(found.X, found.Y, bias), train, held).mean == max(asked)


def test_a_user_with_everything_is_left_alone():
    train = to_csr(np.repeat([0, 1], [4, 2]), np.array([0, 1, 2, 3, 0, 1]), 2)
    found, _ = bpr.fit_bpr(train, 4, d=8, max_epochs=3)
    assert np.isfinite(found.X).all()


def test_bad_input():
    train, _ = tastes()
    with pytest.raises(BadInput, match="items from 0 to 9"):
        bpr.fit_bpr(train, 10)
    with pytest.raises(BadInput, match="halve eta"):
        bpr.fit_bpr(train, 60, eta=1e6, lam=0.1, max_epochs=20)
