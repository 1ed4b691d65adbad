"""Comparisons over seeds and items, against a plain bootstrap."""

import numpy as np
import pytest

from helpers.errors import BadInput
from helpers.measures import stats
from helpers.measures.metrics import Comparison, compare, mean_average_precision


def scored(strength, seeds=5, n=150, noise=0.05):
    """Scores that know a little or much of the truth, nearly the same for all seeds."""
    rng = np.random.default_rng(0)
    truth = rng.random((n, 4)) < 0.3
    shared = rng.normal(size=(n, 4))
    each = {
        name: [truth * s + shared + noise * rng.normal(size=(n, 4)) for _ in range(seeds)]
        for name, s in strength.items()
    }
    return truth, each, stats.resamples(n, rng, 200)


def test_numbers_equal_a_plain_bootstrap():
    truth, scores, counts = scored({"a": 1.0, "b": 1.2}, seeds=1)
    found = compare(truth, scores, counts)
    ahead = found.effect("b", "a", np.random.default_rng(0))
    plain = []
    for row in counts:
        items = np.repeat(np.arange(len(truth)), row)
        maps = [mean_average_precision(truth[items], scores[m][0][items]).mean for m in ("a", "b")]
        plain.append(maps[1] - maps[0])
    moved = np.quantile(plain, [0.025, 0.975]) - np.mean(plain) + ahead.mean
    assert np.allclose(moved, (ahead.low, ahead.high))
    assert ahead.mean == pytest.approx(ahead.a - ahead.b)
    assert (ahead.units, ahead.seeds, ahead.seed_share) == (150, 1, 0.0)
    each, drawn = found.gain("b", "a")
    assert each.mean() == pytest.approx(ahead.a / ahead.b - 1)
    assert np.allclose(drawn, found.drawn["b"] / found.drawn["a"] - 1)
    level = found.level("b", np.random.default_rng(0))
    assert level.low < ahead.a < level.high
    assert level.mean == pytest.approx(ahead.a)


def test_an_effect_needs_seeds_and_items():
    truth, scores, counts = scored({"a": 0.5, "b": 1.5, "same": 0.5})
    found = compare(truth, scores, counts)
    ahead, behind, same = (
        found.effect(*pair, np.random.default_rng(0)) for pair in [("b", "a"), ("a", "b"), ("same", "a")]
    )
    assert ahead.low > 0
    assert behind.high < 0
    assert same.low < 0 < same.high
    # a steady advantage on few items: every seed sees it, other items may not
    truth, scores, counts = scored({"a": 1.0}, n=40, noise=0.0)
    scores["b"] = [
        s + 0.02 * np.random.default_rng(k).normal(size=s.shape) + 0.01 * truth
        for k, s in enumerate(scores["a"])
    ]
    few = compare(truth, scores, counts).effect("b", "a", np.random.default_rng(0))
    assert few.low <= 0 <= few.high
    # seeds that disagree make the interval wider than items alone do
    truth, scores, counts = scored({"a": 1.0, "b": 1.2}, noise=0.5)
    found = compare(truth, scores, counts)
    both = found.effect("b", "a", np.random.default_rng(0))
    items = np.quantile(found.drawn["b"] - found.drawn["a"], [0.025, 0.975])
    assert 0.1 < both.seed_share < 1
    assert both.high - both.low > np.ptp(items)


def test_the_same_seeds_are_needed():
    truth, scores, counts = scored({"a": 1.0, "b": 1.0})
    with pytest.raises(BadInput, match="same seeds, found a: 5, b: 4"):
        compare(truth, scores | {"b": scores["b"][:4]}, counts)


def halves(choice, items=0.02, repeats=300):
    """Intervals of a difference that is 0, from two searches whose luck with the choice and with the items
    has the given deviations."""
    rng = np.random.default_rng(0)
    for _ in range(repeats):
        each = (choice**2 + items**2) ** 0.5 * rng.normal(size=(2, 1)) + 0.005 * rng.normal(size=(2, 10))
        yield each, stats.compare_resampled(each, items / 2**0.5 * rng.normal(size=500), rng)


@pytest.mark.parametrize(("choice", "least"), [(0.0, 0.95), (0.02, 0.88), (0.06, 0.75)])
def test_two_searches_widen_an_interval_by_what_they_differ(choice, least):
    """Two tell their own spread badly, so much luck with the choice is covered less often than it says."""
    found = list(halves(choice))
    covered = np.mean([e.low <= 0 <= e.high for _, e in found])
    assert covered >= least
    alone = [
        stats.compare_resampled(each.mean(0), np.zeros(500), np.random.default_rng(0)) for each, _ in found
    ]
    assert np.mean([e.low <= 0 <= e.high for e in alone]) < covered - 0.2
    for each, e in found:
        assert e.low <= each.mean(axis=1).min() + 0.004
        assert each.mean(axis=1).max() - 0.004 <= e.high


def test_halves_of_the_items_are_one_comparison():
    truth, scores, counts = scored({"a": 1.0, "b": 1.2})
    first = compare(truth[:80], {m: [x[:80] for x in s] for m, s in scores.items()}, counts[:, :80])
    second = compare(truth[80:], {m: [x[80:] for x in s] for m, s in scores.items()}, counts[:, 80:])
    both = Comparison.of_halves(first, second)
    of_each = [of.effect("b", "a", np.random.default_rng(0)) for of in (first, second)]
    ahead = both.effect("b", "a", np.random.default_rng(0))
    assert (ahead.units, ahead.seeds) == (150, 5)
    assert ahead.mean == pytest.approx(np.mean([e.mean for e in of_each]))
    assert ahead.low < min(e.mean for e in of_each) < max(e.mean for e in of_each) < ahead.high
    assert stats.spread(both.values["a"]) == stats.spread((first.values["a"] + second.values["a"]) / 2)
