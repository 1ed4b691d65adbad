"""iALS against its own objective, dense algebra and `implicit`; EASE against a regression for each item."""

import numpy as np
import pytest
from crowds import tastes
from scipy.optimize import minimize

from helpers.crowd import least_squares, peers
from helpers.crowd.filtering import to_csr
from helpers.errors import BadInput
from helpers.learn.devices import on_each_core
from helpers.measures import ranking

N, M = 12, 9


def small(seed=0):
    seen = np.random.default_rng(seed).random((N, M)) < 0.4
    seen[3] = False  # a user without items
    seen[:, 5] = False  # an item without users
    return seen.astype(float), to_csr(*map(np.ravel, np.nonzero(seen)), N)


def objective(S, X, Y, alpha0, lam):
    V = X @ Y.T
    squares = (S * (1 - V) ** 2).sum() + alpha0 * (V**2).sum()
    own = lam * (S.sum(1) + alpha0 * M) @ (X**2).sum(1) + lam * (S.sum(0) + alpha0 * N) @ (Y**2).sum(1)
    return squares + own


def test_ials_descends_to_a_minimum_of_its_objective():
    S, train = small()
    alpha0, lam = 0.2, 0.02
    after = [least_squares.fit_ials(train, M, 3, lam, alpha0, max_epochs=e) for e in (1, 5, 400)]
    values = [objective(S, f.X.astype(float), f.Y.astype(float), alpha0, lam) for f in after]
    assert values[0] > values[1] > values[2]
    X, Y = after[2].X.astype(float), after[2].Y.astype(float)
    split = N * 3
    near = minimize(
        lambda w: objective(S, w[:split].reshape(N, 3), w[split:].reshape(M, 3), alpha0, lam),
        np.concatenate([X.ravel(), Y.ravel()]),
    )
    assert values[2] <= near.fun * (1 + 1e-4)
    assert not after[2].X[3].any()
    assert not after[2].Y[5].any()


def test_ials_equals_implicit_where_all_rows_have_one_penalty():
    """Where each user has as many items as each item has users, the scaled λ is one number for all rows.
    With confidence c, a seen cell costs c (1 − V)² = (c − 1) (1 + α0 − V)² + V² + …; α0 = 1 / (c − 1)."""
    n, each, lam, alpha0 = 24, 6, 0.05, 0.25
    user, item = np.nonzero(np.arange(n)[:, None] % 4 == np.arange(n) % 4)  # four groups, so rank four is all
    train = to_csr(user, item, n)
    ours = least_squares.fit_ials(train, n, 4, lam, alpha0, max_epochs=300)
    one = lam * (each + alpha0 * n) * (1 + alpha0) / alpha0
    theirs = peers.als(train, n, 4, one, 1 + 1 / alpha0, epochs=300)
    target = 1 + alpha0  # of a seen cell in `implicit`'s terms; ours is 1
    V = ours.X @ ours.Y.T
    np.testing.assert_allclose(theirs.X @ theirs.Y.T, target * V, atol=1e-3)
    assert V.max() > 0.4


def test_ials_repeats_keeps_the_best_epoch_and_stops():
    train, held = tastes()
    asked = []

    def validate(scorer):
        asked.append(ranking.recommender_auc(scorer, train, held).mean)
        return asked[-1]

    found = least_squares.fit_ials(train, 60, 16, 0.001, 0.1, max_epochs=60, validate=validate, patience=3)
    assert ranking.recommender_auc(ranking.dot_scorer(found.X, found.Y), train, held).mean == max(asked)
    assert found.best_epoch == int(np.argmax(asked)) + 1
    assert len(asked) == found.best_epoch + 3
    first, again, other = (least_squares.fit_ials(train, 60, 8, seed=s, max_epochs=2) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.Y, again.Y)
    assert not np.allclose(first.Y, other.Y)


def test_ease_is_the_ridge_regression_of_each_item_on_the_others():
    S, train = small()
    scores = least_squares.ease(train, M, lam=3.0)(np.arange(N))
    for j in range(M):
        others = np.delete(S, j, axis=1)
        weight = np.linalg.solve(others.T @ others + 3.0 * np.eye(M - 1), others.T @ S[:, j])
        np.testing.assert_allclose(scores[:, j], others @ weight, atol=1e-5)
    assert isinstance(scores, np.ndarray)


def test_bad_input(monkeypatch):
    _, train = small()
    for fit in (least_squares.fit_ials, least_squares.ease):
        with pytest.raises(BadInput, match="items from 0 to 3"):
            fit(train, 4)
    with pytest.raises(BadInput, match="above 0"):
        least_squares.fit_ials(train, M, alpha0=0.0)
    with pytest.raises(BadInput, match="above 0"):
        least_squares.ease(train, M, lam=0.0)
    monkeypatch.setattr(least_squares, "MOST_ITEMS", 8)
    with pytest.raises(BadInput, match="9 items; its matrix of items × items is for 8"):
        least_squares.ease(train, M)


def test_trainings_side_by_side_are_as_alone():
    train, held = tastes()
    validate = lambda scorer: ranking.recommender_auc(scorer, train, held).mean  # noqa: E731
    fit = lambda seed: least_squares.fit_ials(train, 60, 8, seed=seed, max_epochs=3, validate=validate)  # noqa: E731
    for seed, found in enumerate(on_each_core(fit, range(8))):
        np.testing.assert_array_equal(found.Y, fit(seed).Y)
