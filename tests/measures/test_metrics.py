"""The measures against brute force and scikit-learn, with ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from helpers.errors import BadInput
from helpers.measures import metrics, stats


def random_case(seed, n=30, classes=7, levels=4, share=0.3):
    """Scores of few levels, so that ties are everywhere; class 0 has no positive."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, classes)) < share
    truth[:, 0] = False
    truth[0, 1:] = True
    return truth, rng.integers(0, levels, (n, classes)).astype(np.float32)


def as_csr(truth):
    return np.concatenate([[0], truth.sum(1).cumsum()]), np.nonzero(truth)[1].astype(np.int32)


@given(seed=st.integers(0, 10**6), levels=st.integers(1, 30), kind=st.sampled_from(["f4", "f8"]))
@settings(max_examples=40, deadline=None)
def test_map_equals_scikit_learn_also_with_ties(seed, levels, kind):
    truth, scores = random_case(seed, levels=levels)
    score = metrics.mean_average_precision(truth, scores.astype(kind))
    expected = average_precision_score(truth[:, 1:], scores[:, 1:], average=None)
    np.testing.assert_allclose(score.each, expected, rtol=1e-12)
    assert score.left_out == 1
    assert score.which.tolist() == list(range(1, 7))
    assert score.mean == pytest.approx(expected.mean())


def test_map_of_samples_equals_map_of_the_repeated_items():
    truth, scores = random_case(3)
    counts = stats.resamples(len(truth), np.random.default_rng(0), 20)
    got = metrics.resampled_map(truth, scores, counts)
    for value, count in zip(got, counts, strict=True):
        again = np.repeat(np.arange(len(truth)), count)
        assert value == pytest.approx(metrics.mean_average_precision(truth[again], scores[again]).mean)


def test_average_precisions_of_samples_are_those_that_their_map_averages():
    truth, scores = random_case(3)
    counts = np.vstack(
        [np.ones((1, len(truth)), np.int64), stats.resamples(len(truth), np.random.default_rng(0), 5)]
    )
    each = metrics.average_precisions(truth, scores, counts)
    assert np.isnan(each[:, 0]).all()  # no positive
    assert np.allclose(each[0, 1:], metrics.mean_average_precision(truth, scores).each)
    assert np.allclose(np.nanmean(each, axis=1), metrics.resampled_map(truth, scores, counts))


@given(seed=st.integers(0, 10**6), k=st.integers(1, 7), levels=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_top_k_is_a_stable_sort(seed, k, levels):
    _, scores = random_case(seed, levels=levels)
    np.testing.assert_array_equal(metrics.top_k(scores, k), np.argsort(-scores, axis=1, kind="stable")[:, :k])


def test_at_k_equals_the_definitions():
    truth, scores = random_case(5, share=0.2)
    truth[4] = False  # a query without a true class
    k = 3
    got = metrics.at_k(scores, as_csr(truth), k)
    accuracy, precision, recall = [], [], []
    for y, s in zip(truth, scores, strict=True):
        if y.any():
            right = y[np.argsort(-s, kind="stable")[:k]].sum()
            accuracy.append(right > 0)
            precision.append(right / k)  # never min(k, number of true classes)
            recall.append(right / y.sum())
    assert got["accuracy"].left_out == (~truth.any(1)).sum()
    assert got["accuracy"].mean == pytest.approx(np.mean(accuracy))
    assert got["precision"].mean == pytest.approx(np.mean(precision))
    assert got["recall"].mean == pytest.approx(np.mean(recall))


def test_precision_is_divided_by_k_even_where_there_are_fewer_true_classes():
    truth = (np.array([0, 1]), np.array([2]))
    got = metrics.at_k(np.array([[0.0, 1.0, 9.0, 2.0]]), truth, 4)
    assert (got["accuracy"].mean, got["precision"].mean, got["recall"].mean) == (1.0, 0.25, 1.0)


def test_macro_recall_and_precision_by_class():
    truth, scores = random_case(8)
    top = metrics.top_k(scores, 2)
    suggested = np.zeros_like(truth)
    np.put_along_axis(suggested, top, True, axis=1)
    recall = metrics.recall_per_class(top, as_csr(truth), 7)
    precision = metrics.precision_per_class(top, as_csr(truth), 7)
    for c, value in zip(recall.which, recall.each, strict=True):
        assert value == (truth & suggested)[:, c].sum() / truth[:, c].sum()
    for c, value in zip(precision.which, precision.each, strict=True):
        assert value == (truth & suggested)[:, c].sum() / suggested[:, c].sum()
    assert 0 not in recall.which
    assert recall.left_out == 1


def test_rmse():
    assert metrics.rmse(np.array([1, 0, 0, 1]), np.array([0, 0, 0, 0])) == pytest.approx(np.sqrt(0.5))


def test_bad_scores_are_refused_in_one_line():
    truth, scores = random_case(0)
    with pytest.raises(BadInput, match="no value is defined"):
        metrics.mean_average_precision(np.zeros_like(truth), scores)
    with pytest.raises(BadInput, match="k is 9"):
        metrics.top_k(scores, 9)
    with pytest.raises(BadInput, match="must be alike"):
        metrics.mean_average_precision(truth[:, 1:], scores)
    scores[2, 2] = np.nan
    for call in (lambda: metrics.top_k(scores, 2), lambda: metrics.mean_average_precision(truth, scores)):
        with pytest.raises(BadInput, match="NaN") as error:
            call()
        assert "\n" not in str(error.value)
