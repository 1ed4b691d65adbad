"""Pseudo classes against brute force; the retrieval experiment against loops; the claim's two controls."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers import entries, factorize, filtering, negatives, pseudo, stats
from helpers.data import load
from helpers.data.errors import BadInput
from helpers.examples import Pictures
from helpers.images import extract
from helpers.networks import AlexNet
from helpers.similarity import Experiment, bands, pixels
from helpers.train import Recipe, fit

CPU = torch.device("cpu")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def blobs(rng):
    """Five far-away groups of 30 points."""
    truth = np.repeat(np.arange(5), 30)
    return (20 * rng.normal(size=(5, 4))[truth] + rng.normal(size=(150, 4))).astype(np.float32), truth


def test_clusters_are_groups_and_repeat(blobs):
    Y, truth = blobs
    found = pseudo.cluster(Y, 5, seed=3)
    assert pseudo.stability([found.classes, truth]) == 1
    assert found.classes.dtype == np.int64
    for k in range(5):
        assert np.allclose(found.centres[k], Y[found.classes == k].mean(axis=0), atol=1e-3)
    assert np.isclose(found.within, ((Y - found.centres[found.classes]) ** 2).sum(), rtol=1e-4)
    again = pseudo.cluster(Y, 5, seed=3)
    assert np.array_equal(found.classes, again.classes)
    assert np.array_equal(found.centres, again.centres)


@pytest.mark.parametrize("K", [1, 151])
def test_impossible_numbers_of_classes_are_refused(blobs, K):
    with pytest.raises(BadInput, match=rf"K = {K} .* 150 items; give 2 to 150"):
        pseudo.cluster(blobs[0], K, seed=0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40))
def test_purity_is_the_share_with_the_commonest_label_of_the_class(pairs):
    classes, labels = (np.array(column) for column in zip(*pairs, strict=True))
    right = sum(np.bincount(labels[classes == k]).max() for k in np.unique(classes))
    found = pseudo.purity(classes, np.eye(4, dtype=bool)[labels])
    assert np.isclose(found, right / len(pairs))


def test_an_item_with_two_labels_counts_for_either():
    labels = np.array([[1, 1], [1, 0], [0, 1]], bool)
    assert np.isclose(pseudo.purity(np.array([0, 0, 1]), labels), 1)
    assert np.isclose(pseudo.purity(np.array([0, 0, 0]), labels), 2 / 3)


def test_chance_purity_grows_with_the_number_of_classes_and_true_classes_exceed_it(blobs, rng):
    labels = np.eye(5, dtype=bool)[blobs[1]]
    few, many = (
        pseudo.chance_purity(np.arange(150) % K, labels, rng).mean() for K in (2, 75)
    )  # 75 pairs of random points: the first of a pair is always "pure"
    assert 0.2 < few < 0.35 < 0.5 < many < 0.7
    assert pseudo.purity(blobs[1], labels) == 1
    assert pseudo.chance_purity(blobs[1], labels, rng).max() < 0.5


def test_stability_of_unrelated_partitions_is_zero(rng):
    partitions = [rng.integers(0, 10, 5000) for _ in range(3)]
    assert np.abs(pseudo.stability(partitions)).max() < 0.01
    assert len(pseudo.stability(partitions)) == 3
    assert pseudo.stability([partitions[0], 9 - partitions[0]]) == 1


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


OFF = {"taste_content": 0.0, "taste_style": 0.0, "attribute_taste": 0.0, "friend_views": 0.0}
ON = {"taste_content": 2.5, "taste_style": 2.0, "attribute_taste": 0.0, "friend_views": 0.0}


def advantage(tastes):
    """Measure 1 of the learnt feature minus that of random retrieval and of random weights, over queries."""
    network = load(
        "emojigram", posts=700, users=500, views_per_user=60.0, image_size=32, contents=8,
        drawings_per_content=3, seed=1, **tastes,
    )  # fmt: skip
    user, item = filtering.unique_views(network.views)
    tr, te = filtering.split_items(np.unique(item), 0.2, np.random.default_rng(0))
    M, N = len(network.items), len(network.users)
    no = negatives.by_ratio(user, item, M, 2, "log1p", seed=0)
    users, items = np.concatenate([user, no[0]]), np.concatenate([item, no[1]])
    value = np.repeat([1.0, 0.0], [len(user), len(no[0])])
    order = np.random.default_rng(1).permutation(np.flatnonzero(np.isin(items, tr)))
    known = entries.group(users[order], items[order], value[order], N, M)
    Y = factorize.fit(known, 16, lam=0.06, eta=0.1, decay=0.02, max_epochs=40).Y
    classes = torch.from_numpy(pseudo.cluster(Y[tr], 12, seed=0).classes)
    torch.manual_seed(0)
    cnn = AlexNet(12, 28, width=0.1, dropout=0.2)
    experiment = Experiment(item, user, np.full(M, -1, np.int32), N)
    everything = np.arange(M)

    def measured(features):
        return experiment.retrieve(features, te, tr, 20).common.mean(axis=1)

    untrained = measured(extract(cnn.features, network.images, everything, 28, CPU))
    recipe = Recipe(epochs=8, lr=1e-3, optimiser="adamw")
    examples = Pictures(network.images, tr, classes, 28)
    fit(cnn, examples, nn.functional.cross_entropy, recipe, device=CPU, seed=0, log=lambda _: None)
    ours = measured(extract(cnn.features, network.images, everything, 28, CPU))
    random = measured(np.random.default_rng(2).normal(size=(M, 8)))
    rng = np.random.default_rng(3)
    return stats.bootstrap(ours - random, rng), stats.bootstrap(ours - untrained, rng), random.mean()


@pytest.mark.controls
def test_with_tastes_the_learnt_feature_beats_random_and_random_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    over_random, over_untrained, level = advantage(ON)
    assert over_random.low > 0.5 * level
    assert over_untrained.low > 0.1 * level


@pytest.mark.controls
def test_without_tastes_the_learnt_feature_is_no_better_than_random(monkeypatch, tmp_path):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    over_random, over_untrained, level = advantage(OFF)
    assert over_random.contains(0)
    assert over_untrained.contains(0)
    assert abs(over_random.mean) < 0.05 * level
