"""A pretrained network that is trained on: at first the frozen features, then others."""

import numpy as np
import pytest
import torch

from helpers.errors import BadInput
from helpers.learn import pretrained
from helpers.learn.examples import Pictures, extract, normalise
from helpers.learn.train import Recipe, fit
from helpers.multitask.heads import Backbone, Targets, TwoHeads, objective, thawed

CPU = torch.device("cpu")


CLASS = np.arange(12) % 3


class Store:
    """Noise in three colours: the colour is the class. Without it a network could only memorise the noise."""

    size = 32

    def __init__(self):
        noise = np.random.default_rng(0).integers(0, 156, (12, 32, 32, 3))
        self.images = (noise + 100 * np.eye(3, dtype=int)[CLASS][:, None, None]).astype(np.uint8)

    def __getitem__(self, rows):
        return self.images[rows]


def test_it_begins_with_the_frozen_features_and_learns():
    store, lite = Store(), pretrained.load("efficientnet-lite0")
    frozen = lite.layer(pretrained.features(lite, store, np.arange(12), 64, CPU), "blocks")
    backbone = Backbone("efficientnet-lite0", "blocks", 64)
    images = normalise(torch.from_numpy(store.images))
    with torch.no_grad():
        assert np.abs(backbone(images).numpy() - frozen).max() < 2e-3
    before = {name: p.detach().clone() for name, p in backbone.named_parameters()}
    labels, Q = CLASS[:, None] == np.arange(3), np.random.default_rng(1).normal(size=(3, 4))[CLASS]
    targets = Targets.of(labels, Q)
    torch.manual_seed(0)
    network = TwoHeads(320, 3, 4, 64, 0.0, backbone=backbone)
    examples = Pictures(store, np.arange(12), targets.packed(alpha=0.5), 32, flips=False)
    recipe = Recipe(epochs=8, batch=6, lr=5e-4, warmup=2, optimiser="adamw")
    history = fit(network, examples, objective(targets), recipe, device=CPU, seed=0, log=lambda _: None)
    # five seeds end at 0.17 to 0.26 of the beginning
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    changed = [name for name, p in backbone.named_parameters() if not torch.equal(p, before[name])]
    assert next(iter(before)) in changed, "the first convolution too"
    assert len(changed) > 20


@pytest.mark.parametrize("head", [0, 7])
def test_a_thawed_network_begins_as_its_frozen_twin(head):
    store, lite = Store(), pretrained.load("efficientnet-lite0")
    frozen = lite.layer(pretrained.features(lite, store, np.arange(12), 64, CPU), "blocks")
    mean, scale = frozen.mean(axis=0), frozen.std(axis=0) + 1e-3
    matrix = np.random.default_rng(1).normal(size=(320, 30)) / scale[:, None]
    torch.manual_seed(0)
    network = TwoHeads(30, 3, 4, 64, 0.5, head).eval()
    before = network.layer.weight.detach().clone()
    with torch.no_grad():
        expected = network(torch.from_numpy((frozen - mean) @ matrix).float()).numpy()
    twin = thawed(network, Backbone("efficientnet-lite0", "blocks", 64), mean, matrix)
    found = extract(twin, store, np.arange(12), store.size, CPU, batch=5)
    assert np.ptp(expected, axis=0).min() > 0.005, "what is compared differs from picture to picture"
    assert np.abs(found - expected).max() < 0.02 * np.ptp(expected)
    assert torch.equal(network.layer.weight, before)
    assert twin.drop.p == 0.5
    with pytest.raises(BadInput, match=r"reads 30 inputs, mean has 320 numbers, matrix is \(3, 30\)"):
        thawed(network, None, mean, matrix[:3])


def test_augmentation_changes_pictures_in_training_only_and_repeats():
    backbone = Backbone("efficientnet-lite0", "blocks", 64, augment=True)
    images = normalise(torch.from_numpy(Store().images))

    def seen(seed):
        torch.manual_seed(seed)
        with torch.no_grad():
            return backbone(images)

    backbone.train()
    first = seen(0)
    assert torch.equal(first, seen(0))
    assert not torch.allclose(first, seen(1))
    plain = Backbone("efficientnet-lite0", "blocks", 64).eval()
    backbone.eval()
    assert torch.equal(seen(0), plain(images))


def test_a_random_start_forgets_the_pretraining():
    first, second = (Backbone("efficientnet-lite0", "blocks", 64, random=True) for _ in range(2))
    known = Backbone("efficientnet-lite0", "blocks", 64)
    for a, b, c in zip(first.parameters(), second.parameters(), known.parameters(), strict=True):
        assert not torch.equal(a, c)
        assert a.ndim == 1 or not torch.equal(a, b)
