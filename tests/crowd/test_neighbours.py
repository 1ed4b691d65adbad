"""Neighbours and the retrieval measures, against sets and loops."""

import numpy as np
import pandas as pd
import pytest

from helpers.crowd.neighbours import (
    agreement,
    chance_agreement,
    chances,
    explained,
    finer,
    nearest,
    nearest_others,
    occurrences,
    overlap,
    unit,
)
from helpers.data.collection import label_matrix
from helpers.errors import BadInput
from helpers.pictures.retrieval import common_viewers, viewed_by_owner


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_nearest_is_the_largest_cosine(rng):
    queries, base = rng.normal(size=(20, 7)), 5 * rng.normal(size=(50, 7))
    rows, cosines = nearest(queries, base, 9)
    all_cosines = unit(queries) @ unit(base).T
    expected = np.argsort(-all_cosines, axis=1)[:, :9]
    assert np.array_equal(rows, expected)
    assert np.allclose(cosines, np.take_along_axis(all_cosines, expected, 1), atol=1e-6)


def test_nobody_is_the_own_neighbour_even_among_duplicates(rng):
    vectors = np.repeat(rng.normal(size=(4, 3)), 5, axis=0)
    rows, _ = nearest_others(vectors, 4)
    assert rows.shape == (20, 4)
    assert (rows != np.arange(20)[:, None]).all()
    assert (rows // 5 == np.arange(20)[:, None] // 5).all(), "the other four copies come first"


@pytest.mark.parametrize(
    ("queries", "base", "k", "expected"),
    [
        (np.ones((2, 3)), np.ones((4, 2)), 1, "3 dimensions"),
        (np.ones((2, 3)), np.ones((4, 3)), 5, "expected 1 to 4"),
        (np.ones((2, 3)), np.full((4, 3), np.nan), 1, "not finite"),
    ],
)
def test_impossible_searches_are_refused(queries, base, k, expected):
    with pytest.raises(BadInput, match=expected):
        nearest(queries, base, k)


def test_agreement_and_its_chance_level(rng):
    labels = rng.random((3000, 5)) < [0.4, 0.1, 0.1, 0.05, 0.0]
    random_neighbours = rng.integers(0, 3000, (3000, 10))
    found = agreement(random_neighbours, labels, labels)
    assert found.shape == (3000, 10)
    assert found.mean() == pytest.approx(chance_agreement(labels, labels), abs=0.01)
    assert found[7, 3] == (labels[7] & labels[random_neighbours[7, 3]]).any()
    some = np.array([[True, False], [False, True], [False, False]])
    assert agreement(np.array([[1, 0, 2]]), some[:1], some).tolist() == [[False, True, False]]
    assert chance_agreement(some, some) == 2 / 9


def test_label_matrix_keeps_several_labels():
    frame = pd.DataFrame(
        {"item": [0, 0, 2, 1], "kind": ["genre"] * 3 + ["other"], "label": ["b", "a", "b", "x"]}
    )
    assert label_matrix(frame, "genre", 3).tolist() == [[True, True], [False, False], [False, True]]


def test_occurrences_and_overlap():
    neighbours = np.array([[1, 2], [0, 2], [1, 0]])
    assert occurrences(neighbours, 4).tolist() == [2, 2, 2, 0]
    assert overlap(neighbours, np.array([[2, 1], [2, 3], [3, 4]])).tolist() == [1.0, 0.5, 0.0]


def test_explained_shares_add_up_and_find_the_cause(rng):
    cause, copy, noise = rng.random(4000) < 0.5, None, rng.normal(size=4000)
    copy = np.where(rng.random(4000) < 0.9, cause, rng.random(4000) < 0.5)
    near = rng.random(4000) < np.where(cause, 0.8, 0.2)
    shares = explained({"cause": cause.astype(float), "copy": copy.astype(float), "noise": noise}, near)
    assert shares["cause"] > shares["copy"] > 10 * abs(shares["noise"])
    assert sum(v for k, v in shares.items() if k != "together") == pytest.approx(shares["together"])
    blind = explained({"a": rng.normal(size=4000), "b": noise}, near)
    assert abs(blind["together"]) < 0.005


def test_common_viewers_is_the_jaccard_index(rng):
    pairs = np.unique(rng.integers(0, 12, (60, 2)), axis=0).astype(np.int32)
    item, user = pairs[:, 0], pairs[:, 1]
    sets = [set(user[item == i]) for i in range(13)]
    queries, neighbours = np.arange(13), rng.integers(0, 13, (13, 6))
    found = common_viewers(item, user, 13, queries, neighbours)
    for q in range(13):
        for r in range(6):
            a, b = sets[q], sets[neighbours[q, r]]
            assert found[q, r] == pytest.approx(len(a & b) / len(a | b) if a | b else 0)


def test_viewed_by_owner_looks_pairs_up(rng):
    pairs = np.unique(rng.integers(0, 9, (40, 2)), axis=0).astype(np.int32)
    item, user = pairs[:, 0], pairs[:, 1]
    owners, neighbours = rng.integers(0, 9, 5), rng.integers(0, 9, (5, 4))
    found = viewed_by_owner(item, user, 9, owners, neighbours)
    known = set(zip(item.tolist(), user.tolist(), strict=True))
    assert found.tolist() == [
        [(i, o) in known for i in row] for o, row in zip(owners, neighbours.tolist(), strict=True)
    ]


def test_finer_agreement_counts_what_loops_count(rng):
    category, style = rng.random((40, 3)) < 0.3, np.eye(2, dtype=bool)[rng.integers(0, 2, 40)]
    category[0] = False  # a query that shares a category with nobody
    rows = np.array([[(q + step) % 40 for step in (1, 5, 9, 20)] for q in range(40)])
    found, chance = finer(rows, category, style)
    for q in range(40):
        kin = [j for j in range(40) if j != q and (category[q] & category[j]).any()]
        for value, among in ((found[q], [j for j in rows[q] if j in kin]), (chance[q], kin)):
            share = [(style[q] & style[j]).any() for j in among]
            assert np.isnan(value) if not share else np.isclose(value, np.mean(share))
    assert np.isnan(found[0])
    assert np.isnan(chance[0])


def test_chances_of_each_query_have_the_mean_of_all(rng):
    labels = rng.random((1500, 4)) < 0.2
    each = chances(labels, labels)
    assert np.isclose(each[7], (labels[7] & labels).any(axis=1).mean())
    assert np.isclose(each.mean(), chance_agreement(labels, labels))
