"""A pretrained network that is trained on: at first the frozen features, then others."""

import numpy as np
import pytest
import torch
import torchvision

from helpers.errors import BadInput
from helpers.learn import pretrained
from helpers.learn.examples import Pictures, extract, normalise
from helpers.learn.train import Recipe, fit
from helpers.multitask.carryover import Job, Setting, Study
from helpers.multitask.heads import Backbone, Targets, TwoHeads, augmented, objective, thawed

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


def test_augmentation_changes_what_it_says_and_no_more():
    """Place, mirroring and colours, each seen alone in pictures that only it can change."""
    torch.manual_seed(0)
    grey = torch.full((400, 3, 8, 8), 0.5)
    found = augmented(grey, 6)
    assert found.shape == (400, 3, 6, 6)
    assert (found - found.mean((1, 2, 3), keepdim=True)).abs().max() < 1e-5, (
        "grey stays grey, flat stays flat"
    )
    assert 0.445 < found.min() < 0.46
    assert 0.54 < found.max() < 0.555
    slope = torch.linspace(0, 1, 8).expand(400, 3, 8, 8)
    found = augmented(slope, 8)
    rise = (found[..., -1] - found[..., 0]).mean((1, 2))
    assert 0.4 < (rise > 0).float().mean() < 0.6, "half of them mirrored"
    assert 0.2 < rise.abs().min() < 0.4, "the smallest part is a quarter of the width or so"
    red = torch.tensor([0.8, 0.2, 0.2])[:, None, None].expand(2000, 3, 4, 4)
    colours = augmented(red, 4).mean((2, 3))
    assert 0.07 < (colours.std(1) < 1e-5).float().mean() < 0.13, "one in ten is grey"
    lively = colours[colours.std(1) > 1e-5]
    assert (lively.argmax(1) == 0).all(), "a tenth of the circle leaves red the strongest"
    assert (lively[:, 1] > lively[:, 2] + 0.1).any()
    assert (lively[:, 2] > lively[:, 1] + 0.1).any()


def test_a_random_start_forgets_the_pretraining():
    first, second = (Backbone("efficientnet-lite0", "blocks", 64, random=True) for _ in range(2))
    known = Backbone("efficientnet-lite0", "blocks", 64)
    for a, b, c in zip(first.parameters(), second.parameters(), known.parameters(), strict=True):
        assert not torch.equal(a, c)
        assert a.ndim == 1 or not torch.equal(a, b)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "regnet_y_400mf"])
def test_the_papers_three_backbones_are_trained_too(monkeypatch, name):
    """With random weights, because theirs need a network once; all else as notebook 08 does it."""
    plain = torchvision.models.get_model
    monkeypatch.setattr(torchvision.models, "get_model", lambda name, weights, progress: plain(name))
    torch.manual_seed(0)
    store, made = Store(), pretrained.load(name)
    rows, width = np.arange(12), made.widths["head"]
    frozen = made.layer(pretrained.features(made, store, rows, 32, CPU), "head")
    mean, scale = frozen.mean(axis=0), frozen.std(axis=0) + 1e-3
    matrix = np.random.default_rng(1).normal(size=(width, 5)) / scale[:, None]
    inputs, labels = torch.from_numpy((frozen - mean) @ matrix).float(), CLASS[:, None] == np.arange(3)
    first = TwoHeads(5, 3, 4, 16).eval()

    def begin(_):
        backbone = Backbone(name, "head", 32, augment=True)
        backbone.network.load_state_dict(made.network.state_dict())
        return thawed(first, backbone, mean, matrix)

    def held(networks):
        return np.stack([extract(one, store, rows, store.size, CPU) for one in networks])[..., :3]

    with torch.no_grad():
        assert np.abs(held([begin(None)])[0] - first(inputs)[:, :3].numpy()).max() < 0.02
    targets = Targets.of(labels, np.random.default_rng(1).normal(size=(12, 4)))
    pictures = lambda packed: Pictures(store, rows, packed, store.size)  # noqa: E731
    recipe = Recipe(2, 6, optimiser="adamw")
    study = Study(pictures, targets, {"loss": np.arange(1.0, 13)}, begin, held, labels, recipe, CPU)
    for method in ("image-only", "loss"):
        ((tuned, value),) = study.learn([Job(method, Setting(1e-4, 0.2, hidden=16), 1)])
        assert 0 < value <= 1
        before = begin(None).state_dict()
        changed = [k for k, p in tuned.named_parameters() if not torch.equal(p, before[k])]
        assert any(k.startswith("backbone") for k in changed), method
        assert any(k.startswith("layer") for k in changed), method
