"""The methods side by side: what each uses, and what it must not use."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.errors import BadInput
from helpers.learn.examples import Pictures, Vectors
from helpers.learn.train import Recipe
from helpers.multitask.carryover import METHODS, Setting, Study, draw_settings
from helpers.multitask.heads import Targets, TwoHeads

CPU = torch.device("cpu")
SETTING = Setting(lr=0.01, dropout=0.1, alpha=2.0, quantile=0.8, tau=0.5)


def study(seed=0, labelled=None, vectors=None, epochs=6):
    """Features that tell a vector of three numbers, whose signs are the labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 10)).astype(np.float32)
    Q = X[:, :3] + 0.1 * rng.normal(size=(200, 3))
    labels = Q > 0.3
    inputs, new = torch.from_numpy(X[:120]), torch.from_numpy(X[120:])

    @torch.inference_mode()
    def held(network):
        return network(new)[:, :3].numpy()

    targets = Targets.of(labels[:120], Q[:120] if vectors is None else vectors, labelled)
    omega = {"interaction": rng.uniform(1, 3, 120), "loss": rng.uniform(1, 3, 120)}
    recipe = Recipe(epochs=epochs, batch=20, optimiser="adamw", validate_every=2)
    make = lambda d: TwoHeads(10, 3, targets.vectors.shape[1], 16, d)  # noqa: E731
    return Study(lambda t: Vectors(inputs, t), targets, omega, make, held, labels[120:], recipe, CPU)


def weights(made):
    return torch.cat([p.flatten() for p in made[0].parameters()]).detach()


@pytest.mark.parametrize("method", METHODS)
def test_each_method_learns_and_repeats(method):
    made = study().learn(method, SETTING, 1)
    assert made[1] > 0.7
    assert made[1] == pytest.approx(1 - study().validate(made[0]))
    assert torch.equal(weights(made), weights(study().learn(method, SETTING, 1)))
    assert not torch.equal(weights(made), weights(study().learn(method, SETTING, 2)))


@pytest.mark.parametrize("method", METHODS)
def test_only_image_only_is_blind_to_the_vectors(method):
    other = np.random.default_rng(9).normal(size=(120, 3))
    same = torch.equal(
        weights(study().learn(method, SETTING, 1)), weights(study(vectors=other).learn(method, SETTING, 1))
    )
    assert same == (method == "image-only")


def test_image_only_is_the_two_headed_network_with_alpha_zero():
    first = study().learn("image-only", SETTING, 1)
    none = study().learn("uniform", replace(SETTING, alpha=0.0), 1)
    assert torch.equal(weights(first), weights(none))


def test_confidences_differ_and_uniform_has_none():
    found = {m: weights(study().learn(m, SETTING, 1)) for m in ("uniform", "interaction", "loss")}
    assert not torch.equal(found["uniform"], found["interaction"])
    assert not torch.equal(found["loss"], found["interaction"])
    flat = replace(study(), omega={"interaction": np.full(120, 7.0)}).learn("interaction", SETTING, 1)
    assert torch.allclose(weights(flat), found["uniform"], atol=1e-6)


def test_unlabelled_items_are_used_by_the_second_task_only():
    labelled = np.arange(120) < 30
    made = study().with_labels(labelled)
    full = made.targets
    changed = np.where(labelled[:, None], full.labels, ~full.labels)
    lying = replace(made, targets=replace(full, labels=changed))
    for method in ("image-only", "uniform", "sequential"):
        assert torch.equal(weights(made.learn(method, SETTING, 1)), weights(lying.learn(method, SETTING, 1)))
    moved = replace(full, vectors=np.where(labelled[:, None], full.vectors, -full.vectors))
    elsewhere = replace(made, targets=moved)
    assert torch.equal(
        weights(made.learn("image-only", SETTING, 1)), weights(elsewhere.learn("image-only", SETTING, 1))
    )
    assert not torch.equal(
        weights(made.learn("uniform", SETTING, 1)), weights(elsewhere.learn("uniform", SETTING, 1))
    )


def test_fewer_labels_make_as_many_steps_and_looks():
    made = study().with_labels(np.arange(120) < 20)
    examples, recipe = made._labelled(made.examples(made.targets.packed()), made.recipe)
    assert len(examples) == 20
    assert recipe.epochs * -(-len(examples) // recipe.batch) == made.recipe.epochs * 6
    assert recipe.epochs // recipe.validate_every == made.recipe.epochs // made.recipe.validate_every
    pictures = Pictures(None, np.arange(120), made.targets.packed(), 8)
    fewer, _ = made._labelled(pictures, made.recipe)
    assert np.array_equal(fewer.rows, np.arange(20))


def test_settings_try_each_value_equally_often():
    grids = {"lr": [1, 2], "dropout": [0.1, 0.2], "alpha": [1, 2, 3, 4], "quantile": [0.5], "tau": [0, 1, 2]}
    drawn = draw_settings(8, np.random.default_rng(0), grids)
    assert len(drawn) == 8
    for name, grid in grids.items():
        counts = np.unique([getattr(s, name) for s in drawn], return_counts=True)
        assert set(counts[0]) == set(grid)
        assert np.ptp(counts[1]) <= 1
    assert drawn == draw_settings(8, np.random.default_rng(0), grids)


def test_the_best_setting_on_validation_is_chosen():
    settings = [replace(SETTING, lr=1e-6), SETTING, replace(SETTING, lr=1e-5)]
    best, found = study().choose("uniform", settings, 1)
    assert best == settings[1]
    assert max(found) == found[1]


def test_an_unknown_method_is_refused():
    with pytest.raises(BadInput, match="choose one of image-only"):
        study().learn("magic", SETTING, 0)
