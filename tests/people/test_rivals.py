"""Neighbours and medoids: against loops, and where the answer is planted."""

import numpy as np
import pytest

from helpers.people import rivals
from helpers.people.posts import UNKNOWN, Posts
from helpers.words.bags import Bags

K, U, M = 7, 5, 20


def posts(n=40, seed=0):
    rng = np.random.default_rng(seed)
    sets = [np.sort(rng.choice(K, rng.integers(1, 3), replace=False)) for _ in range(n)]
    indptr = np.concatenate([[0], np.cumsum([len(s) for s in sets])])
    user = rng.integers(0, U - 1, n)  # the last user has no past
    return Posts(rng.integers(0, M, n), user, (indptr, np.concatenate(sets).astype(np.int32)))


ASKED = Posts(np.array([3, 4, 5, 6]), np.array([0, 2, U - 1, UNKNOWN]), (np.arange(5), np.zeros(4, np.int32)))


@pytest.mark.parametrize("cells", [40, 10**6])
def test_neighbours_against_loops(cells, monkeypatch):
    monkeypatch.setattr(rivals, "CELLS", cells)  # one post at a time, or all
    train, x = posts(), np.random.default_rng(1).normal(size=(M, 6))
    got = rivals.neighbours(x, train, K, U, k=5, sharpness=3.0, own=0.4)(ASKED)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    for q, (image, user) in enumerate(zip(ASKED.image, ASKED.user, strict=True)):
        cosine = unit[train.image] @ unit[image]

        def said(rows, cosine=cosine):
            out, weight = np.zeros(K), np.exp(3.0 * cosine[rows])
            for row, w in zip(rows, weight / weight.sum(), strict=True):
                tags = train.tags[1][train.tags[0][row] : train.tags[0][row + 1]]
                out[tags] += w / len(tags)
            return out

        mine, crowd = np.flatnonzero(train.user == user), said(np.argsort(-cosine, kind="stable")[:5])
        want = 0.6 * crowd + 0.4 * said(mine) if len(mine) else crowd
        if len(np.unique(np.sort(-cosine)[4:6])) == 2:  # two posts of one image may tie for the last place
            assert np.allclose(got[q], want, atol=1e-5)
        assert np.isclose(got[q].sum(), 1, atol=1e-5)


def test_medoids_stand_for_the_interests_of_a_user():
    rng = np.random.default_rng(0)
    interest = rng.integers(0, 3, 60)
    user = np.repeat([4, 9], 30)
    vectors = rivals.unit(np.eye(3)[interest] + 0.1 * rng.normal(size=(60, 3)))
    rows = rivals.medoids(vectors, user, 3)
    assert user[rows].tolist() == [4, 4, 4, 9, 9, 9]
    assert sorted(interest[rows[:3]]) == sorted(interest[rows[3:]]) == [0, 1, 2]
    one = rivals.medoids(vectors, user, 1)  # the post nearest to the mean
    for u, row in zip((4, 9), one, strict=True):
        mine = np.flatnonzero(user == u)
        assert row == mine[np.argmax(vectors[mine] @ vectors[mine].sum(axis=0))]
    # no more than there are different posts
    assert len(rivals.medoids(rivals.unit(np.ones((4, 3))), np.zeros(4, int), 3)) == 1


def test_several_vectors_against_loops():
    train, vectors = posts(), np.random.default_rng(2).normal(size=(K, 4))
    table = np.random.default_rng(3).normal(size=(M, K))
    got = rivals.several_vectors(lambda some: table[some.image], vectors, train, U, 2, 0.7)(ASKED)
    h = rivals.unit(vectors)
    past = rivals.unit(Bags(*train.tags).sums(h))
    rows = rivals.medoids(past, train.user, 2)
    for q, (image, user) in enumerate(zip(ASKED.image, ASKED.user, strict=True)):
        mine = rows[train.user[rows] == user]
        more = (h @ past[mine].T).max(axis=1) if len(mine) else 0
        assert np.allclose(got[q], table[image] + 0.7 * more, atol=1e-5)


def test_neighbours_of_ones_own_tell_what_one_writes():
    """Each user has a word of their own for each of two things: only the own neighbours know it."""
    rng = np.random.default_rng(0)
    shown, user = rng.integers(0, 2, 200), rng.integers(0, 3, 200)
    features = np.eye(2)[shown] + 0.1 * rng.normal(size=(200, 2))
    tag = (2 * user + shown).astype(np.int32)
    all_posts = Posts(np.arange(200), user, (np.arange(201), tag))
    train, test = all_posts.take(np.arange(150)), all_posts.take(np.arange(150, 200))
    best = {
        own: rivals.neighbours(features, train, 6, 3, 30, 20.0, own)(test).argmax(axis=1) for own in (0, 0.5)
    }
    right = {own: (found == tag[150:]).mean() for own, found in best.items()}
    assert right[0.5] > 0.95
    assert right[0] < 0.6
