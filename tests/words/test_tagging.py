"""Floors, the logistic path, scores of embeddings and retrieval, against slow versions."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from helpers.errors import BadInput
from helpers.words import tagging
from helpers.words.bags import Bags


def test_the_logistic_path_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    y = (X @ rng.normal(size=(4, 3)) + rng.gumbel(size=(300, 3))).argmax(axis=1)
    targets = np.eye(3, dtype=np.float32)[y]
    for strength, model in zip((0.1, 0.01), tagging.logistic_path(X, targets, (0.1, 0.01), 200), strict=True):
        # theirs: C Σ loss + ½‖W‖²; ours: mean loss + λ/2 ‖W‖²
        theirs = LogisticRegression(C=1 / (300 * strength), tol=1e-8, max_iter=2000).fit(X, y)
        ours = model.scores(X)
        p = np.exp(ours) / np.exp(ours).sum(axis=1, keepdims=True)
        assert np.allclose(p, theirs.predict_proba(X), atol=2e-3)


def test_the_path_starts_at_frequencies_and_refuses_no_penalty():
    X = np.zeros((4, 2), np.float32)
    targets = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    (model,) = tagging.logistic_path(X, targets, [1.0])
    assert np.exp(model.bias) / np.exp(model.bias).sum() == pytest.approx([0.75, 0.25], abs=1e-2)
    with pytest.raises(BadInput, match="above 0"):
        tagging.logistic_path(X, targets, [0.1, 0.0])


def test_standardised_uses_the_given_rows_only():
    X = np.array([[0.0, 1], [2, 1], [100, 5]])
    assert tagging.standardised(X, np.array([0, 1])).tolist() == [[-1, 0], [1, 0], [99, 4]]


def test_centred_vectors_have_no_common_part_and_unknown_tags_stay_unknown():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 3)) + 10
    vectors[2] = 0
    made = tagging.centred(vectors)
    assert np.allclose(made[[0, 1, 3, 4, 5]].mean(axis=0), 0, atol=1e-5)
    assert not made[2].any()
    assert not tagging.centred(np.zeros((3, 2))).any()


def test_product_scores_put_unknown_tags_last():
    vectors = np.array([[1.0, 0], [0, 0], [0, -1]])
    scores = tagging.product_scores(np.array([[-2.0, 3]]), vectors)
    assert scores.tolist() == [[-2, -np.inf, -3]]


def test_nearest_is_by_cosine_without_itself():
    vectors = np.array([[1.0, 0], [5, 0.1], [0.9, 0.9], [0, 2]])
    assert tagging.nearest(vectors, 0, 3).tolist() == [1, 2, 3]


def test_retrieval_and_its_ceiling_against_loops():
    rng = np.random.default_rng(0)
    scores, has = rng.random((20, 6)), rng.random((20, 6)) < 0.2
    has[:, 4] = False
    picture, tag = np.nonzero(has)
    bags = Bags.of(picture.astype(np.int32), tag.astype(np.int32), 20)
    asked = [k for k in range(6) if has[:, k].any()]
    expected = [has[np.argsort(-scores[:, k])[:5], k].mean() for k in asked]
    found = tagging.retrieval(scores, bags, 5)
    assert found.which.tolist() == asked
    assert found.each.tolist() == pytest.approx(expected)
    assert found.left_out == 6 - len(asked)
    best = tagging.retrieval(has.astype(float), bags, 5)
    ceiling = tagging.retrieval_ceiling(bags, 6, 5)
    assert best.each.tolist() == pytest.approx(ceiling.each.tolist())
    assert ceiling.each.tolist() == pytest.approx([min(5, has[:, k].sum()) / 5 for k in asked])


def test_floors():
    assert tagging.frequency_scores(np.array([3, 1]), 2).tolist() == [[3, 1], [3, 1]]
    a, b = (tagging.random_scores(3, 4, np.random.default_rng(0)) for _ in range(2))
    assert np.array_equal(a, b)
    assert len(np.unique(a)) == 12
