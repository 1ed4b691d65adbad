"""The training loop: it learns, repeats, resumes, stops, and refuses what cannot work."""

import contextlib
import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from helpers.errors import BadInput
from helpers.learn import examples
from helpers.learn.examples import (
    Pictures,
    Vectors,
    augmented,
    centre_crop,
    draw_augmentations,
    extract,
    normalise,
)
from helpers.learn.networks import AlexNet, load_weights, parameters
from helpers.learn.train import Recipe, fit

CPU = torch.device("cpu")


class Store:
    """Pictures in memory, as an image store."""

    def __init__(self, images):
        self.images, self.size = images, images.shape[1]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        return self.images[rows]


@pytest.fixture
def striped(device):
    """Pictures with vertical or horizontal stripes, told apart by a convolution only."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (160, 28, 28, 3)).astype(np.uint8)
    classes = np.arange(160) % 2
    images[classes == 0, :, ::4] = 255
    images[classes == 1, ::4, :] = 255
    return Store(images), torch.from_numpy(classes), device


def small_network(seed=0):
    torch.manual_seed(seed)
    return AlexNet(2, 24, width=0.08, dropout=0.3)


def train(striped, recipe, **options):
    store, classes, device = striped
    network = small_network()
    given = Pictures(store, np.arange(120), classes[:120], side=24)
    history = fit(
        network,
        given,
        nn.functional.cross_entropy,
        recipe,
        device=device,
        seed=5,
        log=lambda _: None,
        **options,
    )
    return network, history


def error(striped):
    store, classes, device = striped
    rows = np.arange(120, 160)

    def wrong(network):
        network.eval()
        found = torch.from_numpy(extract(network, store, rows, 24, device))
        return (found.argmax(1) != classes[rows]).float().mean().item()

    return wrong


RECIPE = Recipe(epochs=6, batch=20, lr=2e-3, optimiser="adamw")


def test_it_learns(striped):
    network, history = train(striped, RECIPE)
    assert error(striped)(network) < 0.1
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert not network.training


def test_one_seed_one_result_on_one_or_two_threads(striped, near, same):
    first, history = train(striped, RECIPE)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        _, again = train(striped, RECIPE)
    finally:
        torch.set_num_threads(threads)
    assert history[-1]["loss"] == near(again[-1]["loss"], rel=1e-3)
    twin, _ = train(striped, RECIPE)
    assert all(map(same, first.parameters(), twin.parameters()))


def test_validation_every_second_epoch_keeps_the_best_of_those(striped):
    asked = []

    def validate(network):
        asked.append(copy.deepcopy(network.state_dict()))
        return [3.0, 1.0, 2.0][len(asked) - 1]

    network, history = train(striped, dataclasses.replace(RECIPE, validate_every=2), validate=validate)
    assert [row["validation"] for row in history] == [None, 3.0, None, 1.0, None, 2.0]
    for name, weights in network.state_dict().items():
        assert torch.equal(weights, asked[1][name])


class Stop(Exception):
    """Ends a training from its log."""


def stop_after(epochs):
    def log(line):
        if line.startswith(f"epoch {epochs:3d}"):
            raise Stop

    return log


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_resumed_run_equals_an_uninterrupted_one(striped, tmp_path, optimiser, same):
    recipe = Recipe(
        epochs=5, batch=32, lr=1e-3, optimiser=optimiser, schedule="plateau", least_epochs=1, patience=4
    )
    whole, history = train(striped, recipe, validate=error(striped))
    store, classes, device = striped
    given = Pictures(store, np.arange(120), classes[:120], side=24)
    arguments = (nn.functional.cross_entropy, recipe)
    options = {"device": device, "seed": 5, "validate": error(striped), "checkpoint": tmp_path / "c.pt"}
    with pytest.raises(Stop):
        fit(small_network(), given, *arguments, **options, log=stop_after(2))
    # the weights that the resumed run starts from do not matter: they come from the checkpoint
    resumed = small_network(seed=99)
    again = fit(resumed, given, *arguments, **options, log=lambda _: None, resume=True)
    assert all(map(same, whole.parameters(), resumed.parameters()))
    told = [torch.tensor([(r["lr"], r["loss"], r["validation"]) for r in rows]) for rows in (again, history)]
    assert same(*told)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_float16_gradients_are_scaled_and_the_scale_is_resumed(tmp_path, optimiser):
    file, x = tmp_path / "c.pt", torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    recipe = Recipe(epochs=4, batch=10, lr=1e-5, optimiser=optimiser, warmup=0.0)

    def steep(outputs, targets):  # times the first scale, 65536, its gradients are infinite in float16
        return 1e3 * nn.functional.mse_loss(outputs, targets)

    def train_steep(epochs=4, **options):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        how = {"device": CPU, "seed": 5, "precision": torch.float16} | options
        with contextlib.suppress(Stop):
            fit(network, Vectors(x, x), steep, recipe, checkpoint=file, log=stop_after(epochs), **how)
        return network

    whole = train_steep()
    train_steep(epochs=2)
    scale = torch.load(file, weights_only=True)["scaler"]["scale"]
    assert 0 < scale < 65536, "steps that overflowed were left out, and made it smaller"
    with pytest.raises(BadInput, match="precision"):
        train_steep(resume=True, precision=torch.float32)
    resumed = train_steep(resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_old_and_damaged_checkpoints_are_refused(striped, tmp_path):
    file = tmp_path / "c.pt"
    train(striped, RECIPE, checkpoint=file)
    content = torch.load(file, weights_only=True)
    torch.save({key: value for key, value in content.items() if key not in ("version", "scaler")}, file)
    with pytest.raises(BadInput, match="another version of this project; remove it or train without resume"):
        train(striped, RECIPE, checkpoint=file, resume=True)
    file.write_bytes(file.read_bytes()[:999])
    with pytest.raises(BadInput, match=r"not a readable pt file .*; remove it or train without resume"):
        train(striped, RECIPE, checkpoint=file, resume=True)


def test_a_checkpoint_is_never_loaded_unasked(striped, tmp_path):
    file = tmp_path / "c.pt"
    train(striped, Recipe(epochs=1, batch=32), checkpoint=file)
    _, history = train(striped, Recipe(epochs=1, batch=32), checkpoint=file)
    assert len(history) == 1
    assert history[0]["seconds"] > 0


def test_a_foreign_or_missing_checkpoint_is_refused(striped, tmp_path):
    file = tmp_path / "c.pt"
    with pytest.raises(BadInput, match="no checkpoint"):
        train(striped, RECIPE, checkpoint=file, resume=True)
    train(striped, Recipe(epochs=1, batch=32), checkpoint=file)
    with pytest.raises(BadInput, match="another network, recipe, seed, precision or data"):
        train(striped, Recipe(epochs=2, batch=32), checkpoint=file, resume=True)


def test_early_stopping_returns_the_best_weights(striped):
    errors = iter([0.5, 0.2, 0.4, 0.3, 0.9, 0.9])
    seen = []

    def validate(network):
        seen.append([p.detach().clone() for p in network.parameters()])
        return next(errors)

    network, history = train(striped, Recipe(epochs=6, batch=40, lr=1e-3, patience=2), validate=validate)
    assert len(history) == 4, "stopped two epochs after the best"
    for kept, best in zip(network.parameters(), seen[1], strict=True):
        assert torch.equal(kept, best)


def test_plateau_halves_the_rate_when_the_error_rises(striped):
    errors = iter([0.5, 0.6, 0.4, 0.7, 0.8, 0.1])
    recipe = Recipe(epochs=6, batch=60, lr=0.01, schedule="plateau", least_epochs=2, warmup=0)
    _, history = train(striped, recipe, validate=lambda _: next(errors))
    rates = [round(row["lr"] / 0.01, 4) for row in history]
    # it rises after epochs 2 and 4 and 5; after 5 the new rate has been kept for one epoch only
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_cosine_ends_at_zero_and_warmup_starts_there(striped):
    _, history = train(striped, Recipe(epochs=4, batch=10, lr=0.01, warmup=1.0))
    assert history[-1]["lr"] < 0.0005
    assert history[0]["lr"] == pytest.approx(0.01, rel=0.2), "full at the end of the first epoch"


def test_a_diverging_run_says_what_to_do(striped):
    with pytest.raises(BadInput, match="try a smaller lr"):
        train(striped, Recipe(epochs=3, batch=20, lr=1e6, warmup=0))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"schedule": "cosin"}, "schedule is 'cosin'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"lr": -1.0}, "lr is -1.0"),
    ],
)
def test_an_impossible_recipe_is_refused(options, expected):
    with pytest.raises(BadInput, match=expected):
        Recipe(**({"epochs": 1} | options))


def test_vectors_train_too(device):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(400, 5)).astype(np.float32))
    y = x @ torch.tensor([1.0, -2.0, 0.5, 0, 3.0])
    network = nn.Linear(5, 1)
    recipe = Recipe(epochs=30, batch=50, lr=0.05, weight_decay=0.0)
    fit(
        network,
        Vectors(x, y),
        lambda o, t: ((o[:, 0] - t) ** 2).mean(),
        recipe,
        device=device,
        seed=0,
        log=lambda _: None,
    )
    expected = torch.tensor([1.0, -2.0, 0.5, 0, 3.0])
    assert torch.allclose(network.weight[0].cpu(), expected, atol=0.01)


def test_reading_ahead_keeps_pictures_and_targets_together():
    marked = np.zeros((50, 24, 24, 3), np.uint8)
    marked[:] = np.arange(50)[:, None, None, None]
    given = Pictures(Store(marked), np.arange(50)[::-1].copy(), torch.arange(50).flip(0), 24)
    order = [np.array([3, 40, 7]), np.array([0, 49]), np.array([11])]
    for images, targets in given.batches(order, torch.Generator(), CPU):
        assert torch.allclose(images, normalise(torch.from_numpy(marked[targets.numpy()])))


def test_crops_and_flips():
    images = torch.arange(4 * 9 * 9 * 3).reshape(4, 9, 9, 3)
    generator = torch.Generator().manual_seed(1)
    corners, mirrored = draw_augmentations([250, 150], 3, True, generator)
    assert 0.35 < mirrored.float().mean() < 0.65
    assert corners.unique().tolist() == [0, 1, 2, 3]
    rows = torch.arange(400) % 4
    for row, (top, left), mirror, cut in zip(
        rows, corners.T, mirrored, augmented(images, rows, corners, mirrored, 6), strict=True
    ):
        square = images[row, top : top + 6, left : left + 6]
        assert torch.equal(cut, square.flip(1) if mirror else square)
    assert not any(drawn.any() for drawn in draw_augmentations([3], 0, False, generator))
    whole = images.permute(0, 3, 1, 2)
    assert torch.equal(centre_crop(whole, 5), whole[..., 2:7, 2:7])


def test_an_epoch_draws_batch_after_batch():
    whole = draw_augmentations([5, 3], 4, True, torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(2)
    parts = [draw_augmentations([n], 4, True, generator) for n in (5, 3)]
    for all_at_once, one, two in zip(whole, *parts, strict=True):
        assert torch.equal(all_at_once, torch.cat([one, two], -1))


def test_pictures_on_a_device_are_those_of_the_store(striped):
    store, classes, _ = striped
    given = Pictures(store, np.arange(160)[::-1].copy(), classes, side=24)
    held = dataclasses.replace(given, held=torch.from_numpy(store.images[::-1].copy()))
    order = np.array_split(np.random.default_rng(0).permutation(160), 5)
    pairs = (x.batches(order, torch.Generator().manual_seed(3), CPU) for x in (given, held))
    for (a, b), (c, d) in zip(*pairs, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)


def test_crops_larger_than_the_pictures_are_refused(striped):
    store, classes, _ = striped
    with pytest.raises(BadInput, match="crops of 29 pixels from pictures of 28"):
        Pictures(store, np.arange(160), classes, side=29)


def test_normalised_pictures_are_channels_last():
    out = normalise(torch.zeros(2, 8, 8, 3, dtype=torch.uint8))
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert out[0, :, 0, 0].tolist() == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])


def test_extract_gives_rows_in_order(striped):
    store, _, _ = striped
    network = small_network().eval()
    rows = np.array([5, 2, 9, 2])
    out = extract(network.features, store, rows, 24, CPU, batch=3)
    assert out.shape == (4, network.fc7.out_features)
    assert np.allclose(out[1], out[3], atol=1e-5)
    assert not np.allclose(out[1], out[2], atol=1e-2)
    one = network.features(centre_crop(normalise(torch.from_numpy(store[rows[:1]])), 24))
    assert np.allclose(out[0], one.detach().numpy()[0], atol=1e-5)


@pytest.mark.parametrize("scale", [1, 1e6])
def test_features_in_float16_are_near(striped, device, monkeypatch, scale):
    """On a GPU with units for it; a CPU can do it, too. What is too large for it is computed in float32."""
    store, _, _ = striped
    network, rows = small_network().eval(), np.arange(40)
    network.convolutions[0].weight.data *= scale
    whole = extract(network.features, store, rows, 24, CPU)
    monkeypatch.setattr(examples, "has_fp16", lambda device: True)
    half = extract(network.to(device).features, store, rows, 24, device)
    assert half.dtype == np.float32
    apart = np.linalg.norm(half - whole, axis=1) / np.linalg.norm(whole, axis=1)
    assert apart.max() < 0.02
    assert device.type != "cpu" or (apart.max() == 0) == (scale > 1)


def test_what_is_read_ahead_comes_in_order(device):
    parts = [np.arange(k, k + 3) for k in range(30)]
    found = list(examples.read_ahead(lambda part: part * 2, parts, device))
    assert all(x.device.type == device.type for x in found)
    assert [x.tolist() for x in found] == [(part * 2).tolist() for part in parts]


def test_extract_refuses_a_network_that_drops_units(striped):
    store, _, _ = striped
    for features in (small_network().train(), small_network().train().features):
        with pytest.raises(BadInput, match="AlexNet is in training mode; call its eval"):
            extract(features, store, np.arange(2), 24, CPU)


@pytest.mark.parametrize("side", [24, 32, 56, 64, 112, 127, 128, 224])
def test_alexnet_at_any_resolution(side):
    network = AlexNet(7, side, width=0.1)
    images = torch.zeros(2, 3, side, side)
    assert network(images).shape == (2, 7)
    layers = network.layers(images)
    assert layers["fc6"].shape == layers["fc7"].shape == (2, 410)


def test_alexnet_at_224_is_the_original():
    network = AlexNet(1000, 224)
    shapes = [tuple(m.weight.shape) for m in network.convolutions if isinstance(m, nn.Conv2d)]
    assert shapes == [(96, 3, 11, 11), (256, 96, 5, 5), (384, 256, 3, 3), (384, 384, 3, 3), (256, 384, 3, 3)]
    assert network.fc6.in_features == 6 * 6 * 256
    # without the split over two GPUs, which halved three layers: 62.4 million
    assert 60e6 < parameters(network) < 65e6


def test_a_picture_too_small_is_refused():
    with pytest.raises(BadInput, match="at least 24"):
        AlexNet(3, 16)


def test_weights_of_another_network_are_refused():
    network = small_network()
    load_weights(network, small_network(seed=1).state_dict())
    with pytest.raises(
        BadInput, match=r"weights: size mismatch for .* torch.Size\(\[.*, the shape in current model is torch"
    ):
        load_weights(network, AlexNet(2, 24, width=0.1).state_dict())
    with pytest.raises(BadInput, match=r'weights: Missing key.*"head\.bias"'):
        load_weights(network, {k: v for k, v in network.state_dict().items() if k != "head.bias"})
