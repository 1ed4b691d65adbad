"""The retrieval experiment of Fang et al. 2015, section 4.3, against sets and loops."""

import numpy as np
import pytest

from helpers.errors import BadInput
from helpers.pictures.retrieval import Experiment, bands, pixels


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def experiment(rng):
    cells = rng.choice(30 * 12, 150, replace=False)
    owner = rng.integers(-1, 12, 30).astype(np.int32)
    return Experiment((cells // 12).astype(np.int32), (cells % 12).astype(np.int32), owner, 12)


def test_both_measures_against_sets(experiment, rng):
    features = rng.normal(size=(30, 5))
    queries, base = np.arange(6), np.arange(6, 30)
    found = experiment.retrieve(features, queries, base, 4)
    viewers = [set(experiment.user[experiment.item == i].tolist()) for i in range(30)]
    cosine = features @ features.T / np.outer(*[np.linalg.norm(features, axis=1)] * 2)
    for q in queries:
        expected = base[np.argsort(-cosine[q, base])[:4]]
        assert found.neighbours[q].tolist() == expected.tolist()
        for rank, i in enumerate(expected):
            union = viewers[q] | viewers[i]
            assert np.isclose(found.common[q, rank], len(viewers[q] & viewers[i]) / len(union))
            assert found.owned[q, rank] == (experiment.owner[q] in viewers[i])
    known = experiment.with_owner(queries)
    assert np.array_equal(known, experiment.owner[:6] >= 0)
    assert not found.owned[~known].any()


def test_dealt_lists_are_those_of_all_other_queries(experiment, rng):
    queries, lists = np.arange(5), rng.integers(5, 30, (5, 3))
    common, owned = experiment.dealt(queries, lists, rounds=50)
    for q in queries:
        others = [experiment.measure(queries[[q]], lists[[p]]) for p in range(5) if p != q]
        assert np.allclose(common[q], np.mean([o.common[0] for o in others], axis=0))
        assert np.allclose(owned[q], np.mean([o.owned[0] for o in others], axis=0))


def test_a_list_of_popular_items_beats_random_pairs_but_not_itself_dealt(rng):
    """Half of the items are viewed by most users, by chance alone: such hubs match nothing."""
    V = rng.random((60, 200)) < np.repeat([0.1, 0.8], 30)[:, None]
    item, user = (x.astype(np.int32) for x in np.nonzero(V))
    experiment = Experiment(item, user, np.full(60, -1, np.int32), 200)
    queries = np.arange(15)
    hubs = np.tile(np.arange(40, 60), (15, 1))
    found = experiment.measure(queries, hubs).common.mean()
    random = experiment.measure(queries, rng.integers(15, 60, (15, 300))).common.mean()
    assert found > 1.05 * random
    assert np.isclose(found, experiment.dealt(queries, hubs)[0].mean())


def test_a_query_must_not_find_itself(experiment):
    with pytest.raises(BadInput, match="in the base"):
        experiment.retrieve(np.eye(30), np.arange(3), np.arange(2, 20), 2)


def test_bands_hold_the_mean_and_shrink_with_queries(rng):
    values = rng.random((400, 10)) + np.linspace(1, 0, 10)
    ranks, mean, low, high = bands(values, rng, window=5)
    assert ranks.tolist() == [3, 8]
    assert np.allclose(mean, [values[:, :5].mean(), values[:, 5:].mean()])
    assert (low < mean).all()
    assert (mean < high).all()
    trainings = np.stack([values - 0.1, values + 0.1])
    assert np.allclose(bands(trainings, rng, window=5)[:2], [ranks, mean])
    few = bands(values[:25], rng, window=5)
    assert (few[3] - few[2] > 2.5 * (high - low)).all()
    # an interval of 95 %: about ± 1.96 standard errors
    expected = 1.96 * values.reshape(400, 2, 5).mean(2).std(axis=0) / 20
    assert np.allclose((high - low) / 2, expected, rtol=0.15)
    with pytest.raises(BadInput, match="window 3"):
        bands(values, rng, window=3)


def test_pixels_are_averaged_cells_without_the_mean_picture(rng):
    class Store:
        size = 32
        images = rng.integers(0, 256, (300, 32, 32, 3)).astype(np.uint8)

        def __getitem__(self, rows):
            return self.images[rows]

    store, rows = Store(), np.arange(299, -1, -1)
    found = pixels(store, rows, side=4)
    cell = store.images[rows, 8:16, 16:24, 1].mean(axis=(1, 2))
    assert np.allclose(found.reshape(300, 4, 4, 3)[:, 1, 2, 1], cell - cell.mean(), atol=1e-3)
    with pytest.raises(BadInput, match="32 pixels"):
        pixels(store, rows, side=5)
