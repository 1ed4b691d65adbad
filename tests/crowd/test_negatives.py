"""Algorithm 1 against its exact distribution, and the two ways of taming frequent words."""

from itertools import permutations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from helpers.crowd import negatives
from helpers.crowd.filtering import to_csr
from helpers.errors import BadInput
from helpers.notebook.params import choices


def sequence_probabilities(w, seen, k):
    """Exact distribution of k draws one after the other without replacement from the unseen items."""
    target = {}
    for order in permutations([i for i in range(len(w)) if i not in seen and w[i] > 0], k):
        probability, left = 1.0, sum(w[i] for i in range(len(w)) if i not in seen)
        for i in order:
            probability *= w[i] / left
            left -= w[i]
        target[order] = probability
    return target


def draw_same_user_often(w, seen, k, times, seed=0):
    """Rows of k draws: many users with the same history, each with a stream of their own."""
    indptr = np.arange(times + 1) * len(seen)
    drawn, items = negatives.sample_negatives(indptr, np.tile(seen, times).astype(np.int32), w, k, seed)
    assert np.all(np.diff(drawn) == k)
    return items.reshape(times, k)


def p_value(rows, target):
    found = {order: 0 for order in target}
    for row in map(tuple, rows.tolist()):
        found[row] += 1  # a KeyError here is a draw that must not happen
    return chisquare(list(found.values()), np.array(list(target.values())) * len(rows)).pvalue


@pytest.mark.parametrize(
    ("w", "seen", "k"),
    [
        ([3.0, 1.0, 2.0, 5.0, 0.5, 4.0], [3], 3),  # rejection all the way
        ([3.0, 1.0, 0.0, 5.0, 0.5, 4.0], [0, 5], 3),  # all that is left, one item without weight
        ([1e9, 1.0, 2.0, 3.0, 4.0], [0], 3),  # hardly any weight unseen: the exact method from the start
        ([1e5, 1.0, 2.0, 3.0, 4.0], [], 3),  # rejection for the first draw, then the exact method
        ([1.0] * 7, [6, 0], 2),
    ],
)
def test_draws_have_the_distribution_of_algorithm_1(w, seen, k):
    rows = draw_same_user_often(np.array(w), seen, k, 40_000)
    assert p_value(rows, sequence_probabilities(w, seen, k)) > 1e-3


def test_the_distribution_test_can_fail():
    w = np.array([3.0, 1.0, 2.0, 5.0, 0.5, 4.0])
    rows = draw_same_user_often(w, [3], 2, 40_000)
    assert p_value(rows, sequence_probabilities(w + 0.2, [3], 2)) < 1e-6


def test_alias_table_gives_every_item_its_exact_share():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        w = rng.pareto(1, 50) * (rng.random(50) < 0.8)
        table = negatives.alias_table(w)
        keep = (table >> np.uint64(32)).astype(float) / 2**32
        alias = (table & np.uint64(2**32 - 1)).astype(int)
        share = keep / 50 + np.bincount(alias, (1 - keep) / 50, minlength=50)
        assert np.allclose(share, w / w.sum(), atol=1e-8)
        assert np.all(share[w == 0] == 0)


@st.composite
def worlds(draw):
    n_items = draw(st.integers(1, 70))
    n_users = draw(st.integers(0, 6))
    rows = [draw(st.sets(st.integers(0, n_items - 1))) for _ in range(n_users)]
    w = draw(st.lists(st.sampled_from([0.0, 1e-6, 0.5, 1.0, 7.0, 1e6]), min_size=n_items, max_size=n_items))
    n = draw(st.lists(st.integers(0, 90), min_size=n_users, max_size=n_users))
    return rows, np.array(w), np.array(n, int), draw(st.integers(0, 2**63))


@settings(deadline=None, max_examples=150)
@given(worlds())
def test_never_a_positive_no_repeats_and_as_many_as_there_can_be(world):
    rows, w, n, seed = world
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.array([i for row in rows for i in row], np.int32)
    if w.max() == 0:
        with pytest.raises(BadInput, match="not all zero"):
            negatives.sample_negatives(indptr, indices, w, n, seed)
        return
    drawn, items = negatives.sample_negatives(indptr, indices, w, n, seed)
    for u, row in enumerate(rows):
        mine = items[drawn[u] : drawn[u + 1]].tolist()
        possible = {i for i in range(len(w)) if w[i] > 0} - row
        assert len(mine) == len(set(mine)) == min(n[u], len(possible))
        assert set(mine) <= possible


def test_users_who_saw_everything_nearly_everything_and_nothing():
    n_items = 1000
    rows = [range(n_items), range(1, n_items), range(n_items - 3), [], range(10)]
    user = np.concatenate([np.full(len(r), u) for u, r in enumerate(rows)])
    item = np.concatenate([np.array(r, int) for r in rows])
    u, i = negatives.by_ratio(user, item, n_items, ratio=2, kind="uniform")
    got = [sorted(i[u == k].tolist()) for k in range(5)]
    assert got[0] == []
    assert got[1] == [0]
    assert got[2] == [997, 998, 999]
    assert got[3] == []  # no positives, so n_j is 0
    assert len(got[4]) == 20
    assert min(got[4]) >= 10
    assert np.all(np.diff(u) >= 0)


def test_same_result_for_any_number_of_threads_and_another_for_another_seed():
    rng = np.random.default_rng(0)
    seen = np.unique(rng.integers(0, 300 * 500, 6000))
    user, item = (seen // 500).astype(np.int32), (seen % 500).astype(np.int32)
    results = []
    for threads, seed in [(1, 5), (numba.config.NUMBA_NUM_THREADS, 5), (1, 6)]:
        numba.set_num_threads(threads)
        try:
            results.append(negatives.by_ratio(user, item, 500, seed=seed, kind="log1p"))
        finally:
            numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0][1], results[2][1])
    # a user's draws depend on the user and the seed, not on who else is there
    indptr, indices = to_csr(user, item, 300)
    w = negatives.weights(negatives.popularity(item, 500), "log1p")
    drawn, items = negatives.sample_negatives(indptr[:8], indices, w, 2 * np.diff(indptr[:8]), 5)
    assert np.array_equal(items, results[0][1][: drawn[-1]])
    some = slice(indptr[5], indptr[7])  # users 5 and 6 alone, from an array that must not be written to
    indices.setflags(write=False)
    again = negatives.sample_negatives(
        indptr[5:8] - indptr[5], indices[some], w, 2 * np.diff(indptr[5:8]), 5, users=np.array([5, 6])
    )
    assert np.array_equal(again[1], items[drawn[5] : drawn[7]])


def test_streams_of_users_and_seeds_do_not_coincide():
    first = [draw_same_user_often(np.ones(2**20), [], 1, 2000, seed)[:, 0] for seed in range(4)]
    together = np.concatenate(first)
    # 8000 draws from 2^20 cells: about 30 pairs fall together by chance, thousands if streams were shared
    assert len(together) - len(np.unique(together)) < 80
    assert abs(np.corrcoef(first[0][:-1], first[0][1:])[0, 1]) < 0.1


def test_weights_and_popularity():
    p = negatives.popularity(np.array([0, 0, 0, 2]), 4)
    assert p.tolist() == [3, 0, 1, 0]
    assert negatives.weights(p, "log") == pytest.approx([np.log(3), 0, 0, 0])
    assert negatives.weights(p, "log1p") == pytest.approx(np.log([4, 1, 2, 1]))
    assert negatives.weights(p, "linear").tolist() == [3, 0, 1, 0]
    assert negatives.weights(p, "uniform").tolist() == [1, 1, 1, 1]
    with pytest.raises(BadInput, match="choose one of"):
        negatives.weights(p, "sqrt")
    assert choices("weights") == tuple(negatives.WEIGHTS)


def test_bad_input_is_refused():
    indptr, one = np.array([0, 1]), np.array([0], np.int32)
    for w, n, indices in [
        ([1.0, -1], 1, one), ([1, np.nan], 1, one), ([], 1, one), ([1.0, 1], -1, one), ([1.0], 1, one + 1),
    ]:  # fmt: skip
        with pytest.raises(BadInput, match="negatives"):
            negatives.sample_negatives(indptr, indices, np.array(w), n, 0)
    empty = np.array([], np.int32)
    assert [len(x) for x in negatives.by_ratio(empty, empty, 3)] == [0, 0]


def test_class_uniform_sampling_draws_words_alike_and_natural_sampling_does_not():
    # word 0 has 90 images, word 1 has 9, word 2 one, word 3 none; each image has one word
    word = np.repeat([0, 1, 2], [90, 9, 1])
    image = np.arange(100)
    rng = np.random.default_rng(0)
    w, i = negatives.sample_rows(*to_csr(word, image, 4), 30_000, rng)
    assert np.array_equal(word[i], w)
    assert chisquare(np.bincount(w, minlength=4)[:3]).pvalue > 1e-3
    within = np.bincount(i[w == 0], minlength=90)[:90]
    assert chisquare(within).pvalue > 1e-3
    i, w = negatives.sample_rows(*to_csr(image, word, 100), 30_000, rng)
    assert np.array_equal(word[i], w)
    assert chisquare(np.bincount(w), np.array([0.9, 0.09, 0.01]) * 30_000).pvalue > 1e-3
    with pytest.raises(BadInput, match="nothing to draw"):
        negatives.sample_rows(np.zeros(4, int), np.array([], int), 2, rng)


def test_balancing_lowers_frequent_tags_to_the_cap_and_leaves_rare_ones():
    counts = np.array([4000, 1000, 50, 0, 1])
    assert negatives.keep_probability(counts, 100) == pytest.approx([0.025, 0.1, 1, 1, 1])
    tag = np.repeat(np.arange(5), counts)
    rng = np.random.default_rng(0)
    left = np.mean([np.bincount(tag[negatives.balance(tag, 100, rng)], minlength=5) for _ in range(200)], 0)
    assert left[2:].tolist() == [50, 0, 1]
    assert left[:2] == pytest.approx([100, 100], abs=3)
    with pytest.raises(BadInput, match="cap"):
        negatives.keep_probability(counts, 0)


def test_effective_number_of_classes():
    assert negatives.effective_number([7, 7, 7, 0]) == pytest.approx(3)
    assert negatives.effective_number([5]) == pytest.approx(1)
    assert 1 < negatives.effective_number([90, 9, 1]) < 2
    with pytest.raises(BadInput):
        negatives.effective_number([0, 0])
