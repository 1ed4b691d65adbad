"""The methods side by side: what each uses, and what it must not use."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.errors import BadInput
from helpers.learn.examples import Pictures, Vectors
from helpers.learn.many import outputs_of
from helpers.learn.train import Recipe
from helpers.multitask.carryover import METHODS, OWN, Job, Setting, Study
from helpers.multitask.heads import Targets, TwoHeads, stretched

CPU = torch.device("cpu")
SETTING = Setting(lr=0.01, dropout=0.1, alpha=2.0, quantile=0.8, tau=0.5, hidden=16)


def study(seed=0, labelled=None, vectors=None, epochs=6):
    """Features that tell a vector of three numbers, whose signs are the labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 10)).astype(np.float32)
    Q = X[:, :3] + 0.1 * rng.normal(size=(200, 3))
    labels = Q > 0.3
    inputs, new = torch.from_numpy(X[:120]), torch.from_numpy(X[120:])

    def held(networks):
        return outputs_of(networks, new)[..., :3].numpy()

    targets = Targets.of(labels[:120], Q[:120] if vectors is None else vectors, labelled)
    omega = {"interaction": rng.uniform(1, 3, 120), "loss": rng.uniform(1, 3, 120)}
    recipe = Recipe(epochs=epochs, batch=20, optimiser="adamw", validate_every=2)
    make = lambda s: TwoHeads(10, 3, targets.vectors.shape[1], s.hidden, s.dropout, s.head)  # noqa: E731
    return Study(lambda t: Vectors(inputs, t), targets, omega, make, held, labels[120:], recipe, CPU)


def learn(study, method, setting, seed):
    return study.learn([Job(method, setting, seed)])[0]


def weights(made):
    """Of a network, but the bias of the guessed vector, which cancels in a triplet: rounding moves it."""
    return torch.cat(
        [p.flatten() for name, p in made[0].named_parameters() if name != "to_vector.bias"]
    ).detach()


@pytest.mark.parametrize("method", METHODS)
def test_each_method_learns_and_repeats(method):
    made = learn(study(), method, SETTING, 1)
    assert made[1] > 0.7
    assert made[1] == pytest.approx(1 - study().validate([made[0]])[0])
    assert torch.equal(weights(made), weights(learn(study(), method, SETTING, 1)))
    assert not torch.equal(weights(made), weights(learn(study(), method, SETTING, 2)))


@pytest.mark.parametrize("method", METHODS)
def test_only_image_only_is_blind_to_the_vectors(method):
    other = np.random.default_rng(9).normal(size=(120, 3))
    same = torch.equal(
        weights(learn(study(), method, SETTING, 1)), weights(learn(study(vectors=other), method, SETTING, 1))
    )
    assert same == (method == "image-only")


def test_image_only_is_the_two_headed_network_with_alpha_zero():
    first = learn(study(), "image-only", SETTING, 1)
    none = learn(study(), "uniform", replace(SETTING, alpha=0.0), 1)
    assert torch.equal(weights(first), weights(none))


def test_confidences_differ_and_uniform_has_none():
    found = {m: weights(learn(study(), m, SETTING, 1)) for m in ("uniform", "interaction", "loss")}
    assert not torch.equal(found["uniform"], found["interaction"])
    assert not torch.equal(found["loss"], found["interaction"])
    flat = learn(replace(study(), omega={"interaction": np.full(120, 7.0)}), "interaction", SETTING, 1)
    assert torch.allclose(weights(flat), found["uniform"], atol=1e-6)


def test_forms_and_heads_change_those_that_read_them():
    for method in METHODS:
        plain = weights(learn(study(), method, SETTING, 1))
        other = weights(learn(study(), method, replace(SETTING, form="L2"), 1))
        assert torch.equal(plain, other) == (method not in OWN["form"]), method
        deeper = weights(learn(study(), method, replace(SETTING, head=4), 1))
        assert len(deeper) != len(plain)


def test_unlabelled_items_are_used_by_the_second_task_only():
    labelled = np.arange(120) < 30
    made = study().with_labels(labelled)
    full = made.targets
    changed = np.where(labelled[:, None], full.labels, ~full.labels)
    lying = replace(made, targets=replace(full, labels=changed))
    for method in ("image-only", "uniform", "sequential"):
        assert torch.equal(
            weights(learn(made, method, SETTING, 1)), weights(learn(lying, method, SETTING, 1))
        )
    moved = replace(full, vectors=np.where(labelled[:, None], full.vectors, -full.vectors))
    elsewhere = replace(made, targets=moved)
    assert torch.equal(
        weights(learn(made, "image-only", SETTING, 1)), weights(learn(elsewhere, "image-only", SETTING, 1))
    )
    assert not torch.equal(
        weights(learn(made, "uniform", SETTING, 1)), weights(learn(elsewhere, "uniform", SETTING, 1))
    )


def test_a_job_may_bring_labels_and_a_confidence_of_its_own():
    some, made = np.arange(120) % 4 == 0, study()
    given = replace(made, omega=made.omega | {"mine": np.linspace(1, 9, 120)})
    jobs = [Job("uniform", replace(SETTING, omega="mine"), 1, some), Job("image-only", SETTING, 1, ~some)]
    first, second = given.learn(jobs)
    mine = replace(made.with_labels(some), omega={"uniform": np.linspace(1, 9, 120)})
    assert torch.allclose(weights(first), weights(learn(mine, "uniform", SETTING, 1)), atol=1e-5)
    plain = learn(made.with_labels(~some), "image-only", SETTING, 1)
    assert torch.allclose(weights(second), weights(plain), atol=1e-5)


def test_a_training_that_diverges_fails_alone():
    """A search must survive a learning rate that is too large, also where a first phase is not validated."""
    methods = ("image-only", "sequential", "contrastive", "uniform")
    jobs = [Job(m, replace(SETTING, lr=lr), 1) for m in methods for lr in (SETTING.lr, 1e30)]
    made = [value for _, value in study().learn(jobs)]
    assert np.isfinite(made[::2]).all()
    assert made[1::2] == [-np.inf] * len(methods)


def test_fewer_labels_make_as_many_steps_and_looks():
    made = study().with_labels(np.arange(120) < 20)
    recipe = made._budget(20)
    assert recipe.epochs * -(-20 // recipe.batch) == made.recipe.epochs * 6
    assert recipe.epochs // recipe.validate_every == made.recipe.epochs // made.recipe.validate_every


def test_as_many_steps_and_looks_where_most_items_have_labels():
    made = study()
    made = replace(made, recipe=replace(made.recipe, batch=2))
    recipe, steps = made._budget(84), made.recipe.epochs * 60
    assert abs(recipe.epochs * 42 - steps) <= 0.2 * steps, "rounded down, a third would be missing"
    assert recipe.epochs // recipe.validate_every == made.recipe.epochs // made.recipe.validate_every


@pytest.mark.parametrize("share", [30, 120])
def test_image_only_is_mtl_with_alpha_zero_at_every_share_of_labels(share):
    made = study().with_labels(np.arange(120) < share)
    first = learn(made, "image-only", SETTING, 1)
    none = learn(made, "uniform", replace(SETTING, alpha=0.0), 1)
    assert torch.allclose(weights(first), weights(none), atol=1e-5)
    assert first[1] == pytest.approx(none[1], abs=1e-4)


def test_trained_at_once_each_is_as_alone():
    made = study()
    other = replace(SETTING, lr=0.003, dropout=0.4, alpha=0.5)
    narrow, theirs = replace(SETTING, hidden=8), replace(SETTING, form="program", head=6)
    some = (SETTING, 1), (other, 2), (narrow, 1), (theirs, 1)
    jobs = [Job(m, s, seed) for m in METHODS for s, seed in some]
    for job, found in zip(jobs, made.learn(jobs), strict=True):
        alone = made.learn([job])[0]
        assert torch.allclose(weights(alone), weights(found), atol=1e-5), job
        assert alone[1] == pytest.approx(found[1], abs=1e-4)


def test_pictures_and_features_are_trained_alike(monkeypatch):
    """The loop for pictures, one network after the other, on the same vectors."""
    for method in METHODS:
        many = learn(study(), method, SETTING, 1)
        with monkeypatch.context() as patch:
            patch.setattr("helpers.multitask.carryover.Vectors", Pictures)  # so that none is told apart
            one = learn(study(), method, SETTING, 1)
        assert torch.allclose(weights(many), weights(one), atol=1e-5), method


def test_jobs_that_are_the_same_share_one_training():
    made = study()
    jobs = [Job("uniform", SETTING, 1), Job("loss", SETTING, 1), Job("uniform", SETTING, 1)]
    first, other, again = made.learn(jobs)
    assert first[0] is again[0]
    assert first[0] is not other[0]
    assert torch.allclose(weights(first), weights(learn(made, "uniform", SETTING, 1)), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_items_without_a_vector_take_part_with_their_labels(method):
    """Their labels count, whatever stands in the place of their vector and confidence."""
    whole = study()
    viewed = np.arange(120) < 60
    Q = np.where(viewed[:, None], whole.targets.vectors, np.nan)
    omega = {name: np.where(viewed, values, np.nan) for name, values in whole.omega.items()}
    some = replace(whole, targets=Targets.of(whole.targets.labels, Q), omega=omega)
    found = learn(some, method, SETTING, 1)
    assert found[1] > 0.7
    flipped = replace(some.targets, labels=whole.targets.labels ^ ~viewed[:, None])
    assert learn(replace(some, targets=flipped), method, SETTING, 1)[1] < found[1] - 0.1


def test_a_rate_that_is_too_large_fails_alone():
    jobs = [Job("uniform", replace(SETTING, lr=lr), 1) for lr in (1e30, 0.01)]
    failed, found = study().learn(jobs)
    assert failed[1] == -np.inf
    assert found[1] > 0.7


def test_the_search_chooses_on_validation_with_equal_tries():
    grids = {"lr": [0.001, 0.01, 0.1], "dropout": [0.1, 0.3, 0.5], "alpha": [0.5, 2.0]}
    grids |= {"quantile": [0.5, 0.8], "tau": [0.5, 1.0], "form": ["exp", "program"], "head": [0, 8]}
    found = study(epochs=2).choose(METHODS, grids, 6, np.random.default_rng(0), 1)
    assert np.ptp([len(one.table) for one in found.values()]) <= len(METHODS), (
        "but for what was tried already"
    )
    for method, one in found.items():
        assert one.value == one.table["value"].max()
        assert all((name in one.table) == (method in OWN.get(name, METHODS)) for name in grids)


def test_an_unknown_method_is_refused():
    with pytest.raises(BadInput, match="choose one of image-only"):
        learn(study(), "magic", SETTING, 0)


def test_the_bias_is_one_more_target_of_those_that_read_it():
    rng = np.random.default_rng(5)
    one = study()
    plain = one.targets
    biased = replace(plain, bias=rng.normal(size=120).astype(np.float32))
    one = replace(one, targets=biased, network=lambda s: TwoHeads(10, 3, 3 + s.bias, s.hidden, s.dropout))
    assert np.array_equal(biased.with_bias.vectors[:, :3], plain.vectors)
    jobs = [Job(m, replace(SETTING, bias=b), 1) for m in ("uniform", "sequential") for b in (0, 1)]
    made = one.learn(jobs)
    for k, (job, (network, value)) in enumerate(zip(jobs, made, strict=True)):
        assert network.to_vector.out_features == 3 + job.setting.bias
        assert value > 0.7
        if not job.setting.bias:  # trained beside the others as alone
            alone = weights(learn(study(), job.method, SETTING, 1))
            assert torch.allclose(weights(made[k]), alone, atol=1e-4)
    with pytest.raises(BadInput, match="no biases were given"):
        study().learn([Job("uniform", replace(SETTING, bias=1), 1)])


def test_confidences_are_clipped_to_quartiles_on_request():
    omega = np.array([0.0, 1, 2, 3, 4, np.nan])
    assert np.allclose(stretched(omega), [1, 1, 2, 3, 3, np.nan], equal_nan=True)
    clipped = learn(study(), "loss", replace(SETTING, clip=1), 1)
    other = learn(study(), "loss", replace(SETTING, clip=1, quantile=0.3), 1)
    assert torch.equal(weights(clipped), weights(other)), "Ω is not read"
    assert not torch.equal(weights(clipped), weights(learn(study(), "loss", SETTING, 1)))


def test_biases_are_in_the_unit_of_the_vectors():
    rng = np.random.default_rng(0)
    Q, labels = rng.normal(size=(30, 4)), rng.random((30, 2)) < 0.5
    labels[:, 0] = True
    bias = 2 + rng.normal(size=30)
    found = Targets.of(labels, Q, bias=bias)
    apart = Q - Q.mean(axis=0)
    assert np.allclose(found.bias, (bias - bias.mean()) / apart.std(), atol=1e-6)
    Q[3] = np.nan
    assert Targets.of(labels, Q, bias=bias).bias[3] == 0
