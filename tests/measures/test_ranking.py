"""PR and AUC against brute force with ties; the floors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import BadInput
from helpers.measures import ranking


def brute_pr(user, positive, score):
    """For each user, for each positive: the share of the other entries above it, ties half."""
    result = {}
    for u in set(user.tolist()):
        mine = np.flatnonzero(user == u)
        ranks = []
        for t in mine[positive[mine]]:
            others = score[mine[mine != t]]
            ranks.append(np.mean((others > score[t]) + 0.5 * (others == score[t])))
        if ranks and not positive[mine].all():
            result[u] = np.mean(ranks)
    return result


@given(seed=st.integers(0, 10**6), levels=st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_pr_equals_brute_force_with_ties(seed, levels):
    rng = np.random.default_rng(seed)
    user = rng.integers(0, 8, 60)
    positive = rng.random(60) < 0.4
    positive[user == 3] = True  # a user with one kind only
    score = rng.integers(0, levels, 60)
    got = ranking.personalised_ranking(user, positive, score, 9)
    expected = brute_pr(user, positive, score)
    assert dict(zip(got.which.tolist(), got.each.tolist(), strict=True)) == pytest.approx(expected)
    assert got.left_out == 9 - len(expected)
    assert {3, 8}.isdisjoint(got.which)


def test_pr_is_one_half_at_random_and_bounded_by_the_perfect_ranking():
    rng = np.random.default_rng(0)
    user, positive = rng.integers(0, 300, 30_000), rng.random(30_000) < 1 / 3
    random = ranking.personalised_ranking(user, positive, rng.random(30_000), 300)
    assert random.mean == pytest.approx(0.5, abs=0.01)
    assert ranking.personalised_ranking(user, positive, np.zeros(30_000), 300).mean == pytest.approx(0.5)
    best = ranking.best_ranking(user, positive, 300).mean
    assert best == pytest.approx(1 / 6, abs=0.01)  # one positive to two negatives, as in Fang et al.
    worst = ranking.personalised_ranking(user, positive, -positive.astype(float), 300).mean
    assert worst == pytest.approx(1 - 1 / 6, abs=0.01)


def csr(lists):
    indptr = np.concatenate([[0], np.cumsum([len(x) for x in lists])])
    return indptr, np.array([i for x in lists for i in x], np.int32)


@given(seed=st.integers(0, 10**6), levels=st.integers(1, 80), block=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_auc_equals_brute_force_with_ties(seed, levels, block):
    rng = np.random.default_rng(seed)
    n_users, n_items = 10, 60
    drawn = [rng.permutation(n_items)[: rng.integers(0, n_items + 1)] for _ in range(n_users)]
    cuts = [rng.integers(0, len(x) + 1) for x in drawn]
    train = [np.sort(x[:c]) for x, c in zip(drawn, cuts, strict=True)]
    held = [np.sort(x[c:]) for x, c in zip(drawn, cuts, strict=True)]
    scores = rng.integers(0, levels, (n_users, n_items)).astype(np.float32)
    expected = {}
    for u in range(n_users):
        never = np.setdiff1d(np.arange(n_items), drawn[u])
        if len(held[u]) and len(never):
            p, q = scores[u, held[u]][:, None], scores[u, never][None]
            expected[u] = np.mean((p > q) + 0.5 * (p == q))
    if not expected:
        return
    got = ranking.recommender_auc(lambda users: scores[users], csr(train), csr(held), block=block)
    assert dict(zip(got.which.tolist(), got.each.tolist(), strict=True)) == pytest.approx(expected)
    assert got.left_out == n_users - len(expected)
    users = np.array([u for u in (7, 2) if u in expected])
    if len(users):
        some = ranking.recommender_auc(lambda users: scores[users], csr(train), csr(held), users=users)
        np.testing.assert_allclose(some.each, [expected[u] for u in users])
        np.testing.assert_array_equal(some.which, users)


def test_training_items_do_not_count_as_never_touched():
    """A recommender that puts the training items first loses nothing by it."""
    train, held = csr([[0, 1]]), csr([[2]])
    scores = np.array([[9.0, 8.0, 5.0, 1.0, 2.0]])
    assert ranking.recommender_auc(lambda users: scores[users], train, held).mean == 1.0


def test_floors():
    rng = np.random.default_rng(0)
    train = csr([np.sort(rng.choice(50, 10, replace=False)) for _ in range(200)])
    held = csr([[i] for i in rng.integers(0, 50, 200)])
    popular = ranking.popularity_scorer(train[1], 50)(np.arange(3))
    np.testing.assert_array_equal(popular[2], np.bincount(train[1], minlength=50))
    random = ranking.random_scorer(50, seed=1)
    np.testing.assert_array_equal(random(np.arange(5))[3:], random(np.array([3, 4])))
    assert ranking.recommender_auc(random, train, held).mean == pytest.approx(0.5, abs=0.07)


def test_a_diverged_model_is_refused():
    scores = np.full((1, 4), np.nan)
    with pytest.raises(BadInput, match="NaN"):
        ranking.recommender_auc(lambda users: scores[users], csr([[0]]), csr([[1]]))
    with pytest.raises(BadInput, match="no value is defined"):
        ranking.recommender_auc(lambda users: scores[users], csr([[0]]), csr([[]]))
