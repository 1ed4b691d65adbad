"""Mult-VAE: the gathered loss against a dense one, gradients, devices, early stopping."""

import numpy as np
import pytest
import torch
from crowds import tastes
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from helpers.crowd import multvae
from helpers.crowd.filtering import to_csr
from helpers.errors import BadInput
from helpers.learn.devices import on_each_core
from helpers.measures import ranking

CPU = torch.device("cpu")


def dense_loss(model, x, beta, noise):
    """Liang et al. (2018), written with the dense 0/1 matrix x [B, M]; no dropout."""
    normalised = F.normalize(x, dim=1)
    h = torch.tanh(normalised @ model.items.weight + model.items_bias)
    mean, log_variance = (h @ model.moments.weight.T + model.moments.bias).chunk(2, dim=1)
    z = mean + noise * torch.exp(log_variance / 2)
    logits = torch.tanh(z @ model.hidden.weight.T + model.hidden.bias) @ model.Q.T + model.decoder.bias
    likelihood = (x * F.log_softmax(logits, dim=1)).sum(1)
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1)
    return (-likelihood + beta * divergence).mean()


def example(n_users=9, n_items=14):
    generator = torch.Generator().manual_seed(1)
    x = (torch.rand(n_users, n_items, generator=generator) < 0.3).float()
    x[3] = 0  # a user without items
    user, item = x.nonzero(as_tuple=True)
    return x, to_csr(user.numpy(), item.numpy(), n_users), torch.randn(n_users, 5, generator=generator)


def test_loss_and_gradients_equal_the_dense_reference():
    x, train, noise = example()
    model = multvae.MultVAE(14, f=6, latent=5, dropout=0.0)
    with torch.no_grad():
        model.decoder.bias.normal_()
        model.hidden.bias.normal_()
    batch = multvae.Users(train, CPU).batch(torch.arange(9))
    gathered, dense = model.loss(*batch, 0.3, noise), dense_loss(model, x, 0.3, noise)
    torch.testing.assert_close(gathered, dense)
    names = [name for name, _ in model.named_parameters()]
    for name, a, b in zip(
        names,
        torch.autograd.grad(gathered, model.parameters()),
        torch.autograd.grad(dense, model.parameters()),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4, msg=name)


def test_batches_are_the_users_rows():
    _, train, _ = example()
    some = torch.tensor([4, 3, 0, 4])
    items, offsets = multvae.Users(train, CPU).batch(some)
    for row, u in enumerate(some.tolist()):
        expected = train[1][train[0][u] : train[0][u + 1]]
        np.testing.assert_array_equal(items[offsets[row] : offsets[row + 1]], expected)


def test_dropout_hides_items_from_the_encoder_only_while_training():
    _, train, _ = example()
    model = multvae.MultVAE(14, f=6, latent=5, dropout=0.5)
    batch = multvae.Users(train, CPU).batch(torch.arange(9))
    means = [model.encode(*batch)[0] for _ in range(2)]
    assert not torch.equal(*means)
    model.eval()
    assert torch.equal(model(*batch), model(*batch))


def test_no_tensor_strays_to_another_device():
    """On pretended CUDA tensors, PyTorch itself refuses an operation that mixes devices."""
    cuda = torch.device("cuda")
    with FakeTensorMode(allow_non_fake_inputs=False), cuda:
        model = multvae.MultVAE(14, f=6, latent=5)
        items, offsets = torch.zeros(30, dtype=torch.int64), torch.zeros(10, dtype=torch.int64)
        assert model.loss(items, offsets, 0.1, torch.zeros(9, 5)).device.type == "cuda"
        assert model(items, offsets).device.type == "cuda"
        users = multvae.Users((np.arange(10), np.zeros(9, np.int32)), cuda)
        assert users.items.device.type == users.indptr.device.type == "cuda"
        with pytest.raises(RuntimeError, match="device"):  # the check can fail
            model.loss(items, offsets, 0.1, torch.zeros(9, 5, device="cpu"))


def test_training_repeats_learns_and_keeps_the_best(device, same):
    train, held = tastes()
    asked = []

    def validate(scorer):
        asked.append(ranking.recommender_auc(scorer, train, held).mean)
        return asked[-1]

    options = {"f": 16, "latent": 8, "learning_rate": 0.02, "batch": 50, "max_epochs": 60, "every": 3}
    state = torch.get_rng_state()
    model, history = multvae.fit(train, 60, device, **options, validate=validate)
    assert torch.equal(state, torch.get_rng_state())  # the caller's random stream is left alone
    assert model.Q.shape == (60, 16)
    final = ranking.recommender_auc(multvae.scorer(model, train, device), train, held).mean
    assert final == max(asked)
    assert final > 0.7
    assert [row["validation"] for row in history if "validation" in row] == asked
    options["max_epochs"] = 4
    first, again, other = (multvae.fit(train, 60, device, **options, seed=seed)[0] for seed in (0, 0, 1))
    assert same(first.Q, again.Q)
    assert not same(first.Q, other.Q)


def test_a_horizon_repeats_the_start_of_a_longer_training():
    train, _ = tastes()
    options = {"f": 8, "latent": 4, "learning_rate": 0.01, "batch": 50, "beta": 5.0}
    weights = {}

    def keep(name):
        return lambda scorer: weights.setdefault(name, []).append(scorer(np.arange(3))) or -len(weights[name])

    for name, more in {
        "long": {"max_epochs": 12},
        "short": {"max_epochs": 3, "horizon": 12},
        "hurried": {"max_epochs": 3},
    }.items():
        multvae.fit(train, 60, CPU, **options, **more, every=1, patience=99, validate=keep(name))
    np.testing.assert_array_equal(weights["long"][2], weights["short"][2])
    assert not np.allclose(weights["long"][2], weights["hurried"][2])


def test_biases_can_be_left_out():
    train, _ = tastes()
    options = {"f": 8, "latent": 4, "max_epochs": 3, "learning_rate": 0.01}
    assert multvae.fit(train, 60, CPU, **options)[0].decoder.bias.abs().max() > 0
    assert multvae.fit(train, 60, CPU, **options, with_bias=False)[0].decoder.bias.abs().max() == 0


def test_scoring_hides_nothing_and_leaves_the_mode():
    train, _ = tastes()
    model = multvae.MultVAE(60, f=8, latent=4)
    score = multvae.scorer(model, train, CPU)
    np.testing.assert_array_equal(score(np.array([3, 5])), score(np.array([3, 5])))
    np.testing.assert_allclose(score(np.array([5]))[0], score(np.array([3, 5]))[1], atol=1e-6)
    assert model.training


def test_bad_input():
    train, _ = tastes()
    with pytest.raises(BadInput, match="items from 0 to 9"):
        multvae.fit(train, 10, CPU)
    with pytest.raises(BadInput, match="lower learning_rate"):
        multvae.fit(train, 60, CPU, learning_rate=1e30, max_epochs=5)


def test_trainings_side_by_side_are_as_alone(same):
    train, _ = tastes()

    def fit(seed):
        return multvae.fit(train, 60, CPU, f=8, latent=4, max_epochs=6, batch=50, seed=seed)[0].Q

    for seed, Q in enumerate(on_each_core(fit, range(4))):
        assert same(Q, fit(seed))
