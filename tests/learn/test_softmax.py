"""The sampled output layer and the bounds of Joulin et al. 2016, section 3."""

from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from helpers.errors import BadInput
from helpers.learn import losses


def test_the_first_loss_and_gradient_are_those_of_the_batchs_classes():
    output = losses.SampledOutput(50, 8, samples=0, seed=1)
    e = torch.randn(6, 8, requires_grad=True)
    targets = torch.tensor([3, 7, 3, 40, 7, 7])
    scores = e.detach() @ output.weight[[3, 7, 40]].T
    other = e.detach().clone().requires_grad_()
    expected = F.cross_entropy(other @ output.weight[[3, 7, 40]].T, torch.tensor([0, 1, 0, 2, 1, 1]))
    before = output.weight.clone()
    loss = output.step(e, targets)
    expected.backward()
    assert loss.item() == pytest.approx(F.cross_entropy(scores, torch.tensor([0, 1, 0, 2, 1, 1])).item())
    assert torch.allclose(e.grad, other.grad)
    moved = (output.weight != before).any(1).nonzero()[:, 0].tolist()
    assert moved == [3, 7, 40], "no other row is touched"


def test_all_classes_as_sample_is_the_full_softmax_on_average():
    torch.manual_seed(0)
    K, e, targets = 400, torch.randn(8, 5), torch.arange(8) * 7
    full = losses.SampledOutput(K, 5, 0, seed=3)
    full.weight *= 60
    true = F.cross_entropy(full.scores(e), targets)
    means = {}
    for samples in (0, 200):
        found = []
        for s in range(60):
            output = losses.SampledOutput(K, 5, samples, seed=s)
            output.weight = full.weight.clone()
            found.append(output.step(e, targets).item())
        means[samples] = np.mean(found)
    assert means[0] < 0.7 * true, "Joulin et al.: never above, here far below"
    assert means[200] == pytest.approx(true.item(), rel=0.05), "corrected samples estimate the true loss"


def test_it_learns_to_tell_classes_apart():
    torch.manual_seed(0)
    centres = torch.randn(300, 16)
    output = losses.SampledOutput(300, 16, 64, lr=0.3)
    for _ in range(150):
        targets = torch.randint(300, (128,))
        output.step(centres[targets] + 0.3 * torch.randn(128, 16), targets)
    right = (output.scores(centres).argmax(1) == torch.arange(300)).float().mean()
    assert right > 0.9


def test_samples_beyond_the_classes_are_refused():
    with pytest.raises(BadInput, match="11 samples of 10 classes"):
        losses.SampledOutput(10, 4, 11)
    with pytest.raises(BadInput, match="sample of 5 classes of 4"):
        losses.log_sum_over_samples(np.zeros(4), 5, np.random.default_rng(0))


def test_bounds_against_all_sets_of_a_small_dictionary():
    scores = np.random.default_rng(0).normal(size=7) * 2
    shifted = np.exp(scores - scores.min())
    Z = shifted.sum()
    for size in range(1, 8):
        sets = list(combinations(range(7), size))
        approximate = np.array([np.log(np.exp(scores[list(c)]).sum()) for c in sets])
        lower, expected, upper = losses.bounds(approximate, size, scores)
        reach = np.mean([shifted[list(c)].mean() >= Z / 7 - 1e-12 for c in sets])
        assert upper == pytest.approx(np.log(Z))
        assert expected == pytest.approx(np.mean([np.log(shifted[list(c)].sum()) for c in sets]))
        assert lower == pytest.approx(reach * (np.log(size / 7) + np.log(Z)))
        assert lower <= expected + 1e-12 <= upper + 1e-9
    drawn = losses.log_sum_over_samples(scores, 3, np.random.default_rng(1), 4000)
    exact = np.mean([np.log(np.exp(scores[list(c)]).sum()) for c in combinations(range(7), 3)])
    assert drawn.mean() == pytest.approx(exact, abs=0.03)


def test_the_distance_can_be_arbitrarily_large():
    scores = np.zeros(100)
    scores[0] = 50.0  # a class that is hardly ever drawn has all the mass
    drawn = losses.log_sum_over_samples(scores, 2, np.random.default_rng(0), 500)
    _, expected, upper = losses.bounds(drawn, 2, scores)
    assert upper - expected > 40


def test_log_sum_does_not_overflow():
    assert losses.log_sum(np.array([1000.0, 1000.0])) == pytest.approx(1000 + np.log(2))


def test_seconds_per_step_names_its_rows():
    found = losses.seconds_per_step(500, 8, 16, steps=3)
    assert list(found) == ["all classes", "classes of the batch", "shared sample"]
    assert all(seconds.shape == (3,) and seconds.min() > 0 for seconds in found.values())
