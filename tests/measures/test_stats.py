"""Intervals cover, tests agree with scipy, spreads read as promised."""

import numpy as np
import pytest

from helpers.errors import BadInput
from helpers.measures import stats


def test_the_bootstrap_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = [stats.bootstrap(rng.exponential(2.0, 80), rng, 400).contains(2.0) for _ in range(300)]
    assert 0.88 < np.mean(covered) < 0.985


def test_the_bootstrap_agrees_with_the_normal_interval_and_repeats():
    values = np.random.default_rng(1).normal(5, 1, 400)
    a = stats.bootstrap(values, np.random.default_rng(2), 2000)
    assert a == stats.bootstrap(values, np.random.default_rng(2), 2000)
    half = 1.96 * values.std(ddof=1) / np.sqrt(400)
    assert a.mean == pytest.approx(values.mean())
    assert a.low == pytest.approx(values.mean() - half, abs=0.02)
    assert a.high == pytest.approx(values.mean() + half, abs=0.02)


def test_resamples_are_samples_of_size_n():
    counts = stats.resamples(11, np.random.default_rng(0), 50)
    assert counts.shape == (50, 11)
    assert (counts.sum(1) == 11).all()


def test_ratios_are_compared_over_the_units_that_they_share():
    rng = np.random.default_rng(3)
    cases = rng.integers(1, 9, 300)
    unit = np.repeat(np.arange(300), cases)
    a, b = rng.random((2, len(unit))) < [[0.5], [0.4]]
    sums = [np.bincount(unit, x, 300) for x in (a, b)]
    ratios = stats.compare_ratios((sums[0], cases), (sums[1], cases), np.random.default_rng(4))
    pooled = stats.compare(a, b, np.random.default_rng(4), units=unit)
    assert ratios == pytest.approx(pooled)
    # b is measured on other cases of the same units: twice as many change nothing
    twice = (2 * sums[1], 2 * cases)
    assert stats.compare_ratios((sums[0], cases), twice, np.random.default_rng(4)) == ratios
    one = np.array([1.0, 0.0])
    assert np.isfinite(stats.compare_ratios((one, one), (one, one + 1), rng)).all()
    with pytest.raises(BadInput, match="a whole is 0"):
        stats.compare_ratios((one, one), (one, one * 0), rng)


def test_spread():
    assert stats.spread([0.1, 0.2, 0.3]) == "0.2000 ± 0.1000 (3 seeds)"
    assert stats.spread([0.1], 2) == "0.10 (1 seed)"


def test_bad_input():
    with pytest.raises(BadInput, match="at least two"):
        stats.bootstrap(np.array([1.0]), np.random.default_rng(0))


def test_over_users_is_wider_where_users_repeat_themselves():
    rng, users = np.random.default_rng(0), np.repeat(np.arange(30), 10)
    values = np.repeat(rng.random(30), 10)
    whole, each = stats.over_users(values, users, rng), stats.over_users(values, np.arange(300), rng)
    assert whole.mean == pytest.approx(values.mean())
    assert 2 < (whole.high - whole.low) / (each.high - each.low) < 4.5, "about the root of ten"
