"""Pseudo classes and the network's features, against brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import BadInput
from helpers.learn.examples import centre_crop, normalise
from helpers.learn.networks import AlexNet
from helpers.pictures import pseudo

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


def test_embedding_is_the_two_layers_of_the_central_crop(rng):
    class Store:
        size = 32
        images = rng.integers(0, 256, (9, 32, 32, 3)).astype(np.uint8)

        def __getitem__(self, rows):
            return self.images[rows]

    torch.manual_seed(0)
    network = AlexNet(4, 24, width=0.05)
    network.train()  # with dropout the layers would differ from call to call
    items = np.array([7, 3, 5])
    found = pseudo.embed(network, Store(), items, 24, CPU)
    network.eval()
    with torch.no_grad():
        layers = network.layers(centre_crop(normalise(torch.from_numpy(Store.images[items])), 24))
    for name, values in layers.items():
        assert np.allclose(found[name], values.numpy(), atol=1e-5)
    some = pseudo.embed(network, Store(), items, 24, CPU, rows=np.array([2, 0]))
    assert np.allclose(some["fc6"][[0, 2]], found["fc6"][[0, 2]], atol=1e-5)
    assert not some["fc6"][1].any()


def test_explained_is_the_share_between_the_groups(rng):
    group = np.arange(2000) % 4
    means = rng.normal(size=(4, 3))
    Y = means[group] + rng.normal(size=(2000, 3))
    between = means.var(axis=0).sum()
    assert np.isclose(pseudo.explained(Y, np.eye(4, dtype=bool)[group]), between / (between + 3), atol=0.03)
    assert pseudo.explained(means[group], np.eye(4, dtype=bool)[group]) > 1 - 1e-9
    assert pseudo.explained(Y, np.eye(4, dtype=bool)[rng.permutation(group)]) < 0.01
