"""Many networks at once: each as it would be alone."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import vmap

from helpers.errors import BadInput
from helpers.learn.examples import Vectors
from helpers.learn.many import Stack, fit_many, looped, outputs_of
from helpers.learn.networks import Adapter, hashed, masks
from helpers.learn.train import Recipe, fit

CPU = torch.device("cpu")
X = torch.randn(300, 20, generator=torch.Generator().manual_seed(0))
Y = torch.tanh(X[:, :4] * 2) + 0.3 * torch.randn(300, 4, generator=torch.Generator().manual_seed(1))
ALL = Vectors(X[:200], Y[:200])
LOSS = nn.functional.mse_loss


def networks(dropouts):
    made = []
    for s, dropout in enumerate(dropouts):
        torch.manual_seed(s)
        made.append(Adapter(20, 16, 4, dropout))
    return made


def error(network):
    with torch.inference_mode():
        return LOSS(network(X[200:]), Y[200:]).item()


def errors(some):
    return [error(network) for network in some]


def apart(one, other):
    """The largest difference of two networks' weights, relative to the largest weight of each tensor."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max() / a.detach().abs().max()) for a, b in pairs)


def both(nets, examples, recipes, seeds, **how):
    """Histories of all at once, and of each alone, after the same networks were trained both ways."""
    alone = copy.deepcopy(nets)
    at_once = fit_many(nets, examples, LOSS, recipes, seeds, device=CPU, validate=errors, **how)
    each = [
        fit(net, given, LOSS, recipe, device=CPU, seed=seed, validate=error, log=None)
        for net, given, recipe, seed in zip(alone, examples, recipes, seeds, strict=True)
    ]
    for one, other in zip(alone, nets, strict=True):
        assert apart(one, other) < 1e-4
        assert not other.training
    for one, other in zip(each, at_once, strict=True):
        assert len(one) == len(other)
        for name in ("epoch", "lr", "loss", "validation"):
            first, second = ([row[name] for row in history] for history in (one, other))
            assert [value is None for value in first] == [value is None for value in second]
            pairs = [pair for pair in zip(first, second, strict=True) if None not in pair]
            assert all(a == pytest.approx(b, rel=1e-3) for a, b in pairs)
    return at_once


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
@pytest.mark.parametrize("together", [None, 2])
def test_copies_with_other_settings_end_as_alone(optimiser, together):
    recipes = [
        Recipe(5, 32, 0.002 * (c + 1), weight_decay=0.1 * c, optimiser=optimiser, validate_every=2)
        for c in range(5)
    ]
    nets = networks([0.1, 0.5, 0.0, 0.3, 0.5])
    both(nets, [ALL] * 5, recipes, [0, 0, 1, 2, 2], together=together)


@pytest.mark.parametrize("seeds", [(3, 3, 3), (3, 4, 5)])
def test_early_stopping_is_each_ones_own(seeds):
    recipes = [
        Recipe(30, 50, lr, optimiser="adamw", patience=1, schedule="constant") for lr in (0.1, 0.03, 0.003)
    ]
    histories = both(networks([0.2] * 3), [ALL] * 3, recipes, seeds)
    assert len({len(history) for history in histories}) > 1, "they stop at different epochs"


def test_the_plateau_schedule_is_each_ones_own():
    how = {"schedule": "plateau", "least_epochs": 1, "optimiser": "adamw"}
    histories = both(
        networks([0.0] * 3), [ALL] * 3, [Recipe(12, 50, lr, **how) for lr in (0.1, 0.03, 0.003)], [1] * 3
    )
    halved = [history[-1]["lr"] < history[2]["lr"] for history in histories]
    assert set(halved) == {True, False}


def test_other_targets_rows_sizes_and_shapes():
    examples = [ALL, Vectors(ALL.inputs, 2 * Y[:200]), Vectors(ALL.inputs, Y[:200], np.arange(0, 200, 4))]
    nets = networks([0.1, 0.1, 0.1])
    torch.manual_seed(9)
    nets.append(Adapter(20, 7, 4, 0.1))
    recipes = [Recipe(4, 32, 0.02) for _ in range(3)] + [Recipe(6, 20, 0.02)]
    both(nets, [*examples, ALL], recipes, [0, 0, 1, 2])


def test_classes_and_shares_of_classes_are_targets_of_two_kinds():
    classes, loss = Y[:200].argmax(1), nn.functional.cross_entropy
    examples = [Vectors(X[:200], classes), Vectors(X[:200], Y[:200].softmax(1))]
    nets, recipe = networks([0.1, 0.1]), Recipe(4, 32, 0.02)
    alone = copy.deepcopy(nets)
    fit_many(nets, examples, loss, [recipe] * 2, [0, 1], device=CPU)
    for seed, (network, given) in enumerate(zip(alone, examples, strict=True)):
        fit(network, given, loss, recipe, device=CPU, seed=seed, log=None)
        assert apart(network, nets[seed]) < 1e-4


def test_company_does_not_matter():
    found = []
    for others in ([0.5, 0.0], [0.2, 0.3]):
        nets = networks([0.3, *others])
        recipes = [Recipe(4, 32, lr) for lr in (0.01, 0.03 + 0.01 * len(found), 0.02)]
        fit_many(nets, [ALL] * 3, LOSS, recipes, [0, 1, 2], device=CPU)
        found.append(nets[0])
    assert apart(*found) < 1e-6


def test_one_that_diverges_stops_alone():
    nets = networks([0.1] * 3)
    recipes = [Recipe(6, 32, lr, warmup=0.0) for lr in (0.01, 1e20, 0.02)]
    one, failed, three = fit_many(nets, [ALL] * 3, LOSS, recipes, [0] * 3, device=CPU, validate=errors)
    assert len(one) == len(three) == 6
    assert len(failed) < 6
    assert failed[-1]["validation"] == np.inf
    assert error(nets[0]) < 0.7  # 1 where nothing is learnt
    with pytest.raises(BadInput, match="try a smaller lr"):
        fit_many(networks([0.1]), [ALL], LOSS, recipes[1:2], [0], device=CPU)


def test_a_loss_that_vmap_does_not_know():
    def loss(outputs, targets):
        return LOSS(outputs, targets) * (
            1.0 if targets.mean().item() < 1e9 else 2.0
        )  # .item() is unknown to it

    plain, ours = networks([0.2] * 2), networks([0.2] * 2)
    recipes = [Recipe(2, 32, 0.01)] * 2
    fit_many(plain, [ALL] * 2, LOSS, recipes, [0, 1], device=CPU)
    fit_many(ours, [ALL] * 2, looped(loss), recipes, [0, 1], device=CPU)
    assert max(map(apart, plain, ours)) < 1e-5


def test_what_copies_share_is_not_copied():
    class Table(nn.Module):
        def __init__(self, table):
            super().__init__()
            self.register_buffer("table", table, persistent=False)
            self.map = nn.Linear(20, 4)

        def forward(self, rows):
            return self.map(self.table[rows])

    stack = Stack([Table(X) for _ in range(3)], CPU)
    assert stack.shared["table"].data_ptr() == X.data_ptr()
    assert not stack.own
    assert stack(torch.zeros(3, 5, dtype=torch.int64)).shape == (3, 5, 4)


def test_outputs_of_all_are_those_of_each_and_leave_the_networks_alone():
    nets = [net.eval() for net in networks([0.5] * 3)]
    before = [p.data_ptr() for net in nets for p in net.parameters()]
    found = outputs_of(nets, X, batch=64)
    assert found.shape == (3, 300, 4)
    with torch.no_grad():
        assert torch.allclose(found, torch.stack([net(X) for net in nets]), atol=1e-5)
    assert [p.data_ptr() for net in nets for p in net.parameters()] == before


def test_weights_belong_to_the_networks_afterwards():
    nets = networks([0.1] * 2)
    fit_many(nets, [ALL] * 2, LOSS, [Recipe(1, 32, 0.01)] * 2, [0, 1], device=CPU)
    for net in nets:
        for p in net.parameters():
            assert p.untyped_storage().nbytes() == p.numel() * 4, "not a view of all copies"
            assert p.requires_grad


def test_bad_input_is_refused():
    with pytest.raises(BadInput, match="one of each a copy"):
        fit_many(networks([0.1] * 2), [ALL], LOSS, [Recipe(1)] * 2, [0, 1], device=CPU)
    other = Vectors(X[:200].clone(), Y[:200])
    with pytest.raises(BadInput, match="share the tensor"):
        fit_many(networks([0.1] * 2), [ALL, other], LOSS, [Recipe(1)] * 2, [0, 1], device=CPU)


def test_the_compiled_mask_is_the_hash_of_its_places():
    """What a GPU computes operation by operation, for copies with keys and rates of their own."""
    keys, rates = torch.tensor([5, -(2**31), 2**31 - 1], dtype=torch.int32), torch.tensor([0.0, 0.3, 0.8])
    z = hashed(torch.arange(4000, dtype=torch.int32), keys[:, None])
    expected = (z >= rates[:, None] * 2.0**31).float() / (1 - rates[:, None])
    assert torch.equal(masks(keys, rates, 4000), expected)
    assert torch.equal(vmap(masks, (0, 0, None))(keys, rates, 4000), expected)
    assert torch.equal(vmap(masks, (0, None, None))(keys, rates[1], 4000)[1], expected[1])
    assert ((expected == 0).float().mean(1) - rates).abs().max() < 0.03
