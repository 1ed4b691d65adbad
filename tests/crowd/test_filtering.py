"""Filtering against plain references."""

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.crowd import filtering
from helpers.errors import BadInput

PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), max_size=80)


def arrays(pairs):
    both = np.array(pairs, np.int32).reshape(-1, 2)
    return both[:, 0].copy(), both[:, 1].copy()


def slow_threshold(pairs, low, high):
    """The rule of section 3 in plain Python: items first, then users, until nothing changes."""
    pairs = list(pairs)
    report = [(0, len({i for _, i in pairs}), len({u for u, _ in pairs}), len(pairs))]
    while True:
        before = len(pairs)
        for side in (1, 0):
            count = {}
            for pair in pairs:
                count[pair[side]] = count.get(pair[side], 0) + 1
            pairs = [pair for pair in pairs if low <= count[pair[side]] <= high]
        if len(pairs) == before:
            return pairs, report
        report.append((len(report), len({i for _, i in pairs}), len({u for u, _ in pairs}), len(pairs)))


@settings(deadline=None, max_examples=100)
@given(PAIRS, st.integers(1, 4), st.integers(0, 8), st.integers(1, 2))
def test_threshold_equals_the_plain_rule(pairs, low, more, threads):
    pairs = sorted(set(pairs), key=lambda p: (p[1] * 7 + p[0] * 3) % 11)  # some order, to see that it is kept
    expected, rounds = slow_threshold(pairs, low, low + more)
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        user, item, report = filtering.threshold(*arrays(pairs), low, low + more)
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert list(zip(user.tolist(), item.tolist(), strict=True)) == expected
    assert report[["round", "items", "users", "records"]].to_numpy().tolist() == [list(r) for r in rounds]


def test_threshold_on_many_records_with_both_ways_of_counting():
    # so many that rounds with few and with many losses occur, and each thread has a part
    rng = np.random.default_rng(3)
    user = (rng.pareto(0.8, 60_000) * 800).astype(np.int64) % 9000
    item = (rng.pareto(0.8, 60_000) * 600).astype(np.int64) % 7000
    frame = pd.DataFrame({"user": user, "item": item}).drop_duplicates()
    left = frame
    while True:
        size = len(left)
        left = left[left.groupby("item")["user"].transform("size").between(4, 400)]
        left = left[left.groupby("user")["item"].transform("size").between(4, 400)]
        if len(left) == size:
            break
    given_user = frame["user"].to_numpy(np.int32)
    u, i, report = filtering.threshold(given_user, frame["item"].to_numpy(np.int32), 4, 400)
    assert len(report) > 3
    assert 0 < len(u) == report.records.iloc[-1]
    assert np.array_equal(u, left["user"])
    assert np.array_equal(i, left["item"])
    assert np.array_equal(given_user, frame["user"])  # the caller's arrays are not worked on
    density = report.records / (report["items"] * report.users)
    assert np.allclose(report.density, density)
    assert report.density.iloc[-1] > report.density.iloc[0]


def test_threshold_depends_on_the_order_of_items_and_users():
    # item 0 has four viewers, one of whom has no other view; at most three are allowed
    pairs = [(0, 0), (1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 1)]
    user, item = arrays(pairs)
    u, _, _ = filtering.threshold(user, item, 2, 3)
    assert len(u) == 0  # items first: item 0 goes, so everyone has too few
    u, i, _ = filtering.threshold(item, user, 2, 3)  # roles exchanged: users first, and item 0 survives
    assert sorted(zip(i.tolist(), u.tolist(), strict=True)) == sorted(pairs[1:])


def test_threshold_of_nothing_and_of_bad_input():
    u, i, report = filtering.threshold(np.array([], np.int32), np.array([], np.int32))
    assert len(u) == len(i) == 0
    assert report.records.tolist() == [0]
    assert report.density.isna().all()
    one = np.array([0], np.int32)
    u, _, report = filtering.threshold(one, one, 2, 5)
    assert len(u) == 0
    assert report.records.tolist() == [1, 0]
    for bad in [(one, one, 0, 5), (one, one, 3, 2), (-one - 1, one, 1, 2), (one, np.array([1, 2]), 1, 2)]:
        with pytest.raises(BadInput):
            filtering.threshold(*bad)


@settings(deadline=None, max_examples=100)
@given(PAIRS)
def test_unique_views_are_the_sorted_distinct_pairs(pairs):
    user, item = arrays(pairs)
    u, i = filtering.unique_views(pd.DataFrame({"user": user, "item": item}))
    assert list(zip(u.tolist(), i.tolist(), strict=True)) == sorted(set(pairs))
    assert u.dtype == i.dtype == np.int32


@settings(deadline=None, max_examples=100)
@given(PAIRS)
def test_csr_holds_every_pair_sorted(pairs):
    user, item = arrays(pairs)
    indptr, indices = filtering.to_csr(user, item, 14)
    assert indptr.dtype == np.int64
    assert indices.dtype == np.int32
    assert len(indptr) == 15
    rows = [indices[indptr[u] : indptr[u + 1]].tolist() for u in range(14)]
    assert rows == [sorted(i for v, i in pairs if v == u) for u in range(14)]


def test_csr_refuses_what_does_not_fit():
    with pytest.raises(BadInput, match="expected 0 to 2"):
        filtering.to_csr(np.array([0, 3]), np.array([0, 0]), 3)
    with pytest.raises(BadInput, match="come in pairs"):
        filtering.to_csr(np.array([0, 3]), np.array([0]), 4)
    with pytest.raises(BadInput, match="negative"):
        filtering.unique_views(pd.DataFrame({"user": [0, -1], "item": [0, 0]}))


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**31 - 1) | st.integers(0, 40), max_size=40))
def test_reindex_can_be_undone(ids):
    codes, unique = filtering.reindex(np.array(ids, np.int32))
    assert unique.tolist() == sorted(set(ids))
    assert unique[codes].tolist() == ids
    assert codes.dtype == np.int32
    assert unique.dtype == np.int32


def test_splits_are_disjoint_random_and_of_exact_size():
    items = 3 * np.array([9, 4, 7, 100, 3, 5, 8, 1, 2, 6])
    tr, te = filtering.split_items(items, 0.2, np.random.default_rng(0))
    assert len(te) == 2
    assert sorted([*tr, *te]) == sorted(items)
    assert list(tr) == sorted(tr)
    again = filtering.split_items(items, 0.2, np.random.default_rng(0))
    assert np.array_equal(te, again[1])
    mask = filtering.split_entries(1000, 0.8, np.random.default_rng(1))
    assert mask.sum() == 800
    # each entry is held out equally often: 400 draws of 50 entries, 80 expected, s.d. 8
    held = sum(~filtering.split_entries(50, 0.8, np.random.default_rng(k)) for k in range(400))
    assert held.sum() == 400 * 10
    assert abs(held - 80).max() < 40
    with pytest.raises(BadInput, match="share"):
        filtering.split_entries(10, 1.0, np.random.default_rng(0))


def test_gini_against_its_definition():
    assert filtering.gini([5, 5, 5]) == pytest.approx(0)
    assert filtering.gini([0, 0, 0, 7]) == pytest.approx(0.75)
    x = np.random.default_rng(0).integers(0, 50, 30)
    mean_difference = np.abs(x[:, None] - x[None]).sum() / (2 * len(x) ** 2 * x.mean())
    assert filtering.gini(x) == pytest.approx(mean_difference)
    for bad in ([], [0, 0], [1, -1]):
        with pytest.raises(BadInput):
            filtering.gini(bad)


def test_statistics_of_a_hand_made_set():
    labels = pd.DataFrame(
        {"item": [0, 0, 1, 2], "label": pd.Categorical(list("abaa"), categories=list("abc"))}
    )
    row = filtering.statistics(np.array([0, 0, 5]), np.array([0, 1, 1]), labels, n_images=4)
    assert row.to_dict() == pytest.approx(
        {"images": 4, "interactions": 3, "users": 2, "sparsity": 3 / 8, "labels": 2, "positives": 4 / 3}
        | {"gini": 0.25}
    )
    empty = filtering.statistics(np.array([]), np.array([]), labels.iloc[:0], n_images=4)
    assert empty["users"] == 0
    assert empty[["sparsity", "labels", "positives", "gini"]].isna().all()


def test_statistics_reproduce_the_sparsity_of_the_papers_table():
    # Bibas et al., Table 2, Pinterest: 265,252 interactions of 170,978 users with 27,080 images: 5.73e-5
    user = np.concatenate([np.arange(170_978), np.zeros(265_252 - 170_978, int)])
    labels = pd.DataFrame({"item": [0], "label": ["a"]})
    row = filtering.statistics(user, user % 27_080, labels, 27_080)
    assert row["sparsity"] == pytest.approx(5.73e-5, rel=1e-3)
