"""Losses for bags of tags against loops over pictures and tags."""

import numpy as np
import pytest
import torch

from helpers.errors import BadInput
from helpers.learn import losses


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(7, 5)), (rng.random((7, 5)) < 0.4).astype(float)
    return z, y, torch.tensor(z), torch.tensor(y)


def test_multiclass_sums_over_the_positives(case):
    z, y, Z, Y = case
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    expected = np.mean([-sum(np.log(p[n, k]) for k in range(5) if y[n, k]) for n in range(7)])
    assert losses.multiclass(Z, Y).item() == pytest.approx(expected)


def test_one_drawn_is_multiclass_of_one_tag(case):
    _, _, Z, _ = case
    tags = torch.tensor([0, 1, 2, 3, 4, 0, 1])
    one = torch.nn.functional.one_hot(tags, 5).double()
    assert losses.one_drawn(Z, tags).item() == pytest.approx(losses.multiclass(Z, one).item())


def test_one_versus_all_weighs_as_the_paper(case):
    z, y, Z, Y = case
    N, counts = 7, y.sum(axis=0)
    sigma = 1 / (1 + np.exp(-z))
    total = 0.0
    for n in range(N):
        for k in range(5):
            total -= y[n, k] / counts[k] * np.log(sigma[n, k])
            total -= (1 - y[n, k]) / (N - counts[k]) * np.log(1 - sigma[n, k])
    # over the whole training set the mean over pictures is the sum of the paper / K
    assert losses.one_versus_all(counts, N)(Z, Y).item() == pytest.approx(total / 5, rel=1e-5)


def test_one_versus_all_starts_at_2_log_2_and_bears_empty_and_full_classes():
    Y = torch.tensor([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
    loss = losses.one_versus_all(np.array([0, 2, 1]), 2)
    assert loss(torch.zeros(2, 3), Y).item() == pytest.approx((1 + 1 + 2) / 3 * np.log(2))
    assert torch.isfinite(loss(torch.randn(2, 3) * 50, Y))


def test_one_versus_all_of_one_class_a_picture_takes_all_others_for_wrong(case):
    _, _, Z, _ = case
    tags, loss = torch.tensor([0, 1, 2, 3, 4, 0, 1]), losses.one_versus_all(np.ones(5), 5)
    assert loss(Z, tags).item() == pytest.approx(loss(Z, torch.eye(5).double()[tags]).item())
    right, wrong = -torch.nn.functional.logsigmoid(Z), -torch.nn.functional.logsigmoid(-Z)
    each = [5 * right[n, k] + 5 / 4 * (wrong[n].sum() - wrong[n, k]) for n, k in enumerate(tags)]
    assert loss(Z, tags).item() == pytest.approx(float(sum(each)) / 35, rel=1e-5), "one in five has a class"


@pytest.mark.parametrize("counts", [[], [-1, 2], [3, 8]])
def test_one_versus_all_refuses_impossible_counts(counts):
    with pytest.raises(BadInput, match="between 0 and N = 7"):
        losses.one_versus_all(np.array(counts), 7)


def test_negative_cosine_against_a_loop_and_with_a_zero_target():
    rng = np.random.default_rng(1)
    f, h = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    h[2] = 0
    expected = [0 if n == 2 else -f[n] @ h[n] / np.linalg.norm(f[n]) / np.linalg.norm(h[n]) for n in range(6)]
    found = losses.negative_cosine(torch.tensor(f), torch.tensor(h)).item()
    assert found == pytest.approx(np.mean(expected))


def test_auxiliary_outputs_count_a_third(case):
    _, _, Z, Y = case
    total = losses.with_auxiliary(losses.multiclass)
    assert total(Z, Y).item() == losses.multiclass(Z, Y).item()
    both = total((Z, 2 * Z, 0 * Z), Y).item()
    parts = [losses.multiclass(z, Y).item() for z in (Z, 2 * Z, 0 * Z)]
    assert both == pytest.approx(parts[0] + 0.3 * (parts[1] + parts[2]))


def test_in_batch_sums_over_the_classes_of_the_batch_only(case):
    z, _, Z, _ = case
    tags = np.array([3, 1, 3, 3, 1, 1, 3])
    expected = np.mean([np.log(np.exp(z[n, 1]) + np.exp(z[n, 3])) - z[n, t] for n, t in enumerate(tags)])
    assert losses.in_batch(Z, torch.tensor(tags)).item() == pytest.approx(expected)
    assert losses.in_batch(Z, torch.tensor(tags)) < losses.one_drawn(Z, torch.tensor(tags))


def test_the_power_of_the_weights_leads_from_the_papers_to_none(case):
    z, y, Z, Y = case
    counts = y.sum(axis=0)
    plain = torch.nn.functional.binary_cross_entropy_with_logits(Z, Y).item()
    assert losses.one_versus_all(counts, 7, 0.0)(Z, Y).item() == pytest.approx(plain)
    root = -(y * np.sqrt(7 / counts) * np.log(1 / (1 + np.exp(-z))))
    root -= (1 - y) * np.sqrt(7 / (7 - counts)) * np.log(1 / (1 + np.exp(z)))
    assert losses.one_versus_all(counts, 7, 0.5)(Z, Y).item() == pytest.approx(root.mean(), rel=1e-5)


def test_ranking_moves_two_columns_of_a_picture(case):
    z, _, _, _ = case
    Z, tags = torch.tensor(z, requires_grad=True), torch.tensor([0, 1, 2, 3, 4, 0, 1])
    loss = losses.pairwise_ranking(Z, tags)
    others = [1, 0, 1, 2, 3, 4, 0]  # that of the picture before
    expected = [max(0.0, 1 - z[n, tags[n]] + z[n, others[n]]) for n in range(7)]
    assert loss.item() == pytest.approx(np.mean(expected))
    loss.backward()
    moved = [set(np.flatnonzero(row)) for row in Z.grad.numpy()]
    assert moved == [{int(tags[n]), others[n]} if expected[n] else set() for n in range(7)]


def test_sigmoid_pairs_judge_each_pair_alone(case):
    z, y, Z, Y = case
    signs = 2 * y - 1
    assert losses.sigmoid_pairs(Z, Y).item() == pytest.approx(np.log1p(np.exp(-signs * z)).sum() / 7)
