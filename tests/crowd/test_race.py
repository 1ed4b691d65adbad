"""The sample of users has its density; apart, no two threads share an item; what is timed are epochs."""

import numpy as np
import pytest

from helpers.crowd import factorize, race
from helpers.errors import BadInput

POPULARITY = 1.0 / np.arange(1, 51)


def sample(density=0.02, cells=4000):
    return race.sample_of_users(POPULARITY, 480, density, cells, 0.3, np.random.default_rng(0))


def test_a_sample_has_the_density_the_tail_and_the_share_of_positives():
    entries = sample()
    n_users = len(entries.indptr) - 1
    assert entries.n_items == 500  # ten copies of fifty
    assert np.isclose(len(entries.item) / (n_users * 500), 0.02)
    assert abs(len(entries.item) - 4000) <= 10
    share = np.bincount(entries.item % 50, minlength=50) / len(entries.item)
    np.testing.assert_allclose(share, POPULARITY / POPULARITY.sum(), atol=0.03)
    assert len(np.unique(entries.item // 50)) == 10
    assert abs(entries.value.mean() - 0.3) < 0.05
    with pytest.raises(BadInput, match="without a cell"):
        sample(density=1e-4)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_apart_means_no_common_item_and_all_users(threads):
    entries = sample()
    item, blocks = race.apart(entries, threads)
    assert item.min() >= 0
    assert item.max() < entries.n_items
    np.testing.assert_array_equal(np.concatenate(blocks), np.arange(len(entries.indptr) - 1))
    own = [set(item[entries.indptr[b[0]] : entries.indptr[b[-1] + 1]]) for b in blocks]
    assert sum(map(len, own)) == len(set().union(*own))
    if threads == 1:
        np.testing.assert_array_equal(item, entries.item)


def test_a_race_times_real_epochs(monkeypatch):
    visited = []
    kernel = factorize.sgd_kernel(8)

    def counting(indptr, item, value, users, start, *state):
        visited.append(np.diff(indptr)[users].sum())
        return kernel(indptr, item, value, users, start, *state)

    monkeypatch.setattr(race, "sgd_kernel", lambda width: counting)
    entries = sample()
    seconds = race.race(entries, 8, 0.01, 0.1, [1, 2], rounds=3)
    assert seconds.shape == (3, 2, 2)
    assert (seconds > 0).all()
    assert sum(visited) == (1 + 3 * 2 * 2) * len(entries.item)  # each epoch visits each entry once
