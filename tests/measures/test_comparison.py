"""Comparisons over seeds and items, against scipy and a plain bootstrap."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from helpers.errors import BadInput
from helpers.measures import stats
from helpers.measures.metrics import compare, mean_average_precision


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


def test_numbers_equal_scipy_and_a_plain_bootstrap():
    truth, scores, counts = scored({"a": 1.0, "b": 1.2})
    found = compare(truth, scores, counts)
    gain = found.gain("b", "a")
    assert gain.p == pytest.approx(ttest_rel(found.values["b"], found.values["a"]).pvalue)
    assert gain.relative == pytest.approx(found.values["b"].mean() / found.values["a"].mean() - 1)
    plain = []
    for row in counts:
        items = np.repeat(np.arange(len(truth)), row)
        maps = [[mean_average_precision(truth[items], s[items]).mean for s in scores[m]] for m in ("a", "b")]
        plain.append(np.mean(maps[1]) - np.mean(maps[0]))
    assert np.allclose(np.quantile(plain, [0.025, 0.975]), gain.over_items[1:])


def test_the_sign_needs_seeds_and_items():
    truth, scores, counts = scored({"a": 0.5, "b": 1.5, "same": 0.5})
    found = compare(truth, scores, counts)
    assert found.gain("b", "a").sign == 1
    assert found.gain("b", "a").percent.endswith(" %*")
    assert found.gain("a", "b").sign == -1
    assert found.gain("same", "a").sign == 0
    assert not found.gain("same", "a").percent.endswith("*")
    # a tiny, steady advantage on few items: every seed sees it, other items may not
    truth, scores, counts = scored({"a": 1.0}, n=40, noise=0.0)
    scores["b"] = [
        s + 0.02 * np.random.default_rng(k).normal(size=s.shape) + 0.01 * truth
        for k, s in enumerate(scores["a"])
    ]
    assert compare(truth, scores, counts).gain("b", "a").sign == 0


def test_the_same_seeds_are_needed():
    truth, scores, counts = scored({"a": 1.0, "b": 1.0})
    with pytest.raises(BadInput, match="same seeds, found a: 5, b: 4"):
        compare(truth, scores | {"b": scores["b"][:4]}, counts)
