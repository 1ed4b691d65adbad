"""Similarity, analogies and translations against plain loops and by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from helpers.errors import BadInput
from helpers.words import vectors as wordvectors

RNG = np.random.default_rng(0)
WORDS = np.array([f"w{k}" for k in range(12)])
V = RNG.normal(size=(12, 5))


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def test_only_known_words_stay():
    frame = pd.DataFrame({"first": ["w1", "w2", "x"], "second": ["w3", "y", "w4"], "score": [1.0, 2, 3]})
    rows, places = wordvectors.covered(WORDS, frame, ["first", "second"])
    assert rows["score"].tolist() == [1.0]
    assert places.tolist() == [[1, 3]]
    with pytest.raises(BadInput, match="'a' occurs twice"):
        wordvectors.covered(np.array(["a", "a"]), frame, ["first"])


def test_cosines_and_concatenation():
    places = np.array([[0, 1], [5, 5], [7, 2]])
    found = wordvectors.cosines(V, places)
    assert found == pytest.approx([cosine(V[a], V[b]) for a, b in places])
    other = RNG.normal(size=(12, 9)) * 100
    both = wordvectors.cosines(wordvectors.together(V, other), places)
    assert both == pytest.approx((found + wordvectors.cosines(other, places)) / 2), "each part counts alike"
    assert wordvectors.cosines(np.zeros((2, 3)), np.array([[0, 1]])).tolist() == [0.0]


def test_spearman_with_ties_is_scipys():
    a, b = RNG.integers(0, 5, (4, 30)), RNG.normal(size=30).round(1)
    assert wordvectors.spearman(a, b) == pytest.approx([spearmanr(row, b).statistic for row in a])
    assert np.isnan(wordvectors.spearman(np.ones(5), np.arange(5)))


def test_correlations_have_intervals_that_cover():
    """Cosines with a known rank correlation: about 95 of 100 intervals hold it."""
    rho, inside = 0.5, 0
    truth = 6 / np.pi * np.arcsin(rho / 2)  # Spearman's, of a bivariate normal distribution
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=150)
        y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=150)
        inside += wordvectors.correlations({"x": x}, y, rng, 200).intervals["x"].contains(truth)
    assert 51 <= inside <= 60


def test_differences_are_paired():
    rng = np.random.default_rng(0)
    score = rng.normal(size=80)
    a = score + 2 * rng.normal(size=80)
    found = wordvectors.correlations({"a": a, "b": a + 0.3 * score}, score, rng)
    gain = found.difference("b", "a", rng)
    assert gain.low > 0, "the same noise is in both, so a small gain shows"
    assert gain.mean == pytest.approx(found.intervals["b"].mean - found.intervals["a"].mean)
    assert (gain.a, gain.b, gain.units) == (found.intervals["b"].mean, found.intervals["a"].mean, 80)
    seeds = wordvectors.correlations({"both": np.stack([a, score])}, score, rng).intervals["both"]
    assert seeds.mean == pytest.approx((found.intervals["a"].mean + 1) / 2)
    with pytest.raises(BadInput, match="3 pairs"):
        wordvectors.correlations({"a": a[:3]}, score[:3], rng)


def test_a_difference_holds_the_spread_over_seeds_and_may_be_one_from_0():
    rng = np.random.default_rng(0)
    score = rng.normal(size=200)
    apart = np.stack([score + rng.normal(size=200), rng.normal(size=200)])  # the second seed learns nothing
    found = wordvectors.correlations({"apart": apart, "alike": apart[[0, 0]], "one": apart[0]}, score, rng)
    wide, narrow = (found.difference(name, None, np.random.default_rng(1)) for name in ("apart", "alike"))
    assert wide.mean == pytest.approx(found.by_seed["apart"].mean())
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert (wide.b, wide.seeds, narrow.seed_share) == (0, 2, 0)
    assert found.difference("apart", "one", rng).seeds == 2, "one training stands beside each seed"


def test_analogies_by_hand_and_by_a_loop():
    man, woman, king, queen, apple = np.eye(5)[[0, 1, 2, 3, 4]]
    king, queen = king + man, king + woman
    vectors = np.stack([man, woman, king, queen, apple])
    assert wordvectors.analogies(vectors, np.array([[0, 1, 2, 3], [0, 1, 2, 4]])).tolist() == [True, False]
    places = RNG.integers(0, 12, (200, 4))
    places = places[[len(set(p)) == 4 for p in places]]
    U = V / np.linalg.norm(V, axis=1, keepdims=True)
    for (a, b, c, d), right in zip(places, wordvectors.analogies(V, places), strict=True):
        target = U[b] - U[a] + U[c]
        nearest = max((x for x in range(12) if x not in (a, b, c)), key=lambda x: cosine(U[x], target))
        assert right == (nearest == d)


def test_translations_by_a_loop():
    pairs = np.array([[0, 6], [0, 7], [1, 8], [2, 9], [3, 9], [4, 10]])
    found = wordvectors.translations(V, pairs)
    assert found.chance.tolist() == [0.4, 0.2, 0.2, 0.2, 0.2]
    for query, rank in enumerate(found.rank):
        ranked = sorted({6, 7, 8, 9, 10}, key=lambda x: -cosine(V[query], V[x]))
        right = {b for a, b in pairs if a == query}
        assert rank == min(ranked.index(x) for x in right)
    assert found.precision(1).tolist() == (found.rank == 0).astype(float).tolist()
    back = wordvectors.translations(V, pairs[:, ::-1])
    assert back.chance.tolist() == [0.2, 0.2, 0.2, 0.4, 0.2]


def test_vectors_that_are_all_alike_win_nothing():
    pairs = np.array([[0, 3], [1, 4], [2, 5]])
    assert wordvectors.translations(np.ones((6, 2)), pairs).rank.tolist() == [2, 2, 2]


def test_best_pairs():
    pairs = np.array([[0, 6], [1, 7], [2, 8]])
    found = wordvectors.best_pairs(V, pairs, 4)
    every = sorted(((a, b) for a in (0, 1, 2) for b in (6, 7, 8)), key=lambda p: -cosine(V[p[0]], V[p[1]]))
    assert found.tolist() == [list(p) for p in every[:4]]
