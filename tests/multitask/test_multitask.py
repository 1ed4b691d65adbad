"""The two-headed network and its losses, against plain loops; and the two tasks that meet in one layer."""

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from helpers.errors import BadInput
from helpers.learn.examples import Pictures, Vectors
from helpers.multitask import heads as multitask
from helpers.multitask.heads import Blocks, Targets, TwoHeads

CPU = torch.device("cpu")


def some(n=12, N=4, f=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.random((n, N)) < 0.4
    labels[0] = True
    return labels, rng.normal(size=(n, f)), rng


def test_weights_have_mean_one_over_the_classes_that_occur():
    labels = np.zeros((7, 4), bool)
    labels[:4, 0], labels[:2, 1], labels[:1, 2] = True, True, True
    found = multitask.class_weights(labels)
    assert np.allclose(found[:3], [3 / 7, 6 / 7, 12 / 7])
    assert found[3] == 0
    with pytest.raises(BadInput, match="no training item has a label"):
        multitask.class_weights(labels[:, 3:])


def test_losses_equal_plain_loops():
    labels, Q, rng = some()
    targets = Targets.of(labels, Q)
    omega = rng.uniform(0.5, 2, len(Q)).astype(np.float32)
    out = rng.normal(size=(12, 10)).astype(np.float32)
    w, q = multitask.class_weights(labels), targets.vectors
    expected = 0
    for i in range(12):
        for n in range(4):
            p = 1 / (1 + np.exp(-out[i, n]))
            expected -= w[n] * np.log(p) if labels[i, n] else np.log(1 - p)
        difference = out[i, 4:] - q[i]
        size = (np.abs(difference).sum() + np.sqrt((difference**2).sum())) / targets.unit
        expected += 1.3 * omega[i] * (np.exp(size) if size < 5 else np.exp(5) * (size - 4))
    found = multitask.objective(targets)(torch.from_numpy(out), targets.packed(omega, 1.3))
    assert found.item() == pytest.approx(expected / 12, rel=1e-5)


def test_guessing_the_mean_costs_one_unit():
    labels, Q, _ = some(n=50)
    targets = Targets.of(labels, 1e-4 * Q + 3)  # neither place nor size of the vectors matters
    assert np.abs(targets.vectors.mean(0)).max() < 1e-3
    q = torch.from_numpy(targets.vectors)
    for form in ("exp", "L1 + L2"):
        loss = multitask.reconstruction(form, targets.vectors)
        by_unit = multitask.distance(torch.ones_like(q), q) / targets.unit
        expected = multitask.tame_exp(by_unit) if form == "exp" else by_unit
        assert torch.allclose(loss(torch.ones_like(q), q), expected), "both in the same unit"
    assert (multitask.distance(torch.zeros_like(q), q) / targets.unit).mean().item() == pytest.approx(
        1, abs=1e-4
    )


def test_the_tamed_exponential_is_finite_and_has_the_same_minimum():
    x = torch.tensor([-3.0, 0, 2, 4.999, 5, 6, 90, 1e4], requires_grad=True)
    y = multitask.tame_exp(x)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert torch.isfinite(x.grad).all()
    assert torch.allclose(y[:4], x[:4].exp())
    assert (y.diff() > 0).all()
    assert (x.grad.diff() >= 0).all(), "convex"
    points = torch.tensor([[0.0, 1.0], [0.4, -0.3], [-1.0, 0.2]], dtype=torch.float64)

    def minimum(f):
        guess = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.Adam([guess], lr=0.01)
        for step in range(500):
            optimiser.param_groups[0]["lr"] = 0.05 * (1 - step / 500)
            optimiser.zero_grad()
            f(multitask.distance(guess.expand(3, 2), points)).sum().backward()
            optimiser.step()
        return guess.detach()

    assert torch.allclose(minimum(torch.exp), minimum(multitask.tame_exp), atol=1e-3)


def test_unlabelled_items_teach_vectors_only():
    labels, Q, rng = some()
    known = np.arange(12) < 5
    targets = Targets.of(labels, Q, known)
    changed = labels.copy()
    changed[5:] = ~changed[5:]
    others = Targets.of(changed, Q, known)
    out = torch.from_numpy(rng.normal(size=(12, 10)).astype(np.float32))
    loss = multitask.objective(targets)
    assert loss(out, targets.packed(alpha=0.0)) == loss(out, others.packed(alpha=0.0))
    assert np.array_equal(multitask.class_weights(labels[known]), targets.weights.numpy())
    far = multitask.distance(out[:, 4:], torch.from_numpy(targets.vectors)) / targets.unit
    alone = multitask.tame_exp(far).mean()
    assert loss(out, targets.packed(main=False)).item() == pytest.approx(alone.item(), rel=1e-6)


def test_the_second_task_reaches_the_first_through_the_shared_layer():
    labels, Q, _ = some()
    targets = Targets.of(labels, Q)
    torch.manual_seed(0)
    network = TwoHeads(5, 4, 6, hidden=8, dropout=0.0)
    nn.init.normal_(network.to_vector.weight)
    x = torch.randn(12, 5)
    gradients = []
    for alpha in (0.0, 1.0):
        network.zero_grad()
        multitask.objective(targets)(network(x), targets.packed(alpha=alpha)).backward()
        gradients.append([p.grad.clone() for p in (network.layer.weight, network.to_labels.weight)])
    assert not torch.allclose(gradients[0][0], gradients[1][0])
    assert torch.allclose(gradients[0][1], gradients[1][1]), "the head of the labels is not touched"


def test_capped():
    omega = np.array([1.0, 2.0, 3.0, 100.0])
    found = multitask.capped(omega, 2 / 3)
    assert found.mean() == pytest.approx(1)
    assert np.allclose(found / found[0], [1, 2, 3, 3])


def test_items_without_a_vector_learn_from_their_labels_alone():
    labels, Q, rng = some()
    viewed = np.arange(12) % 3 > 0
    targets = Targets.of(labels, np.where(viewed[:, None], Q, np.nan))
    alone = Targets.of(labels[viewed], Q[viewed])
    assert np.array_equal(targets.vectors[viewed], alone.vectors)
    assert not targets.vectors[~viewed].any()
    assert targets.unit == alone.unit
    assert np.array_equal(np.flatnonzero(viewed)[alone.nearest], targets.nearest[viewed])
    assert (targets.nearest != np.arange(12)).all()
    omega = np.where(viewed, rng.uniform(0.5, 2, 12), np.nan)
    assert multitask.capped(omega, 0.8)[viewed] == pytest.approx(multitask.capped(omega[viewed], 0.8))
    out = torch.from_numpy(rng.normal(size=(12, 10)).astype(np.float32))
    for form in ("exp", "L2"):
        loss = multitask.objective(targets, form=form)
        both = loss(out, targets.packed(multitask.capped(omega, 0.8), 1.3)).item()
        labels_alone = loss(out, targets.packed(alpha=0.0)).item()
        packed = alone.packed(multitask.capped(omega[viewed], 0.8), 1.3, main=False)
        second = multitask.objective(alone, form=form)(out[torch.from_numpy(viewed)], packed).item()
        assert both - labels_alone == pytest.approx(second * viewed.mean(), rel=1e-5)


def test_nearest_other_equals_brute_force():
    vectors = np.random.default_rng(0).normal(size=(1100, 3))
    found = multitask.nearest_other(vectors)
    for i in (0, 5, 1023, 1024, 1099):
        far = ((vectors - vectors[i]) ** 2).sum(1)
        far[i] = np.inf
        assert found[i] == far.argmin()


def test_triplets_deal_each_anchor_once_and_no_negative_twice():
    n = 9
    vectors = np.arange(n, dtype=np.float32)[:, None] ** 1.1
    nearest = multitask.nearest_other(vectors)
    given = Vectors(torch.from_numpy(vectors), torch.arange(n))
    examples = Blocks(given, np.arange(n), nearest=nearest)
    seen, negatives = [], set()
    for epoch in range(60):
        generator = torch.Generator().manual_seed(epoch)
        order = [np.array([3, 1, 8, 0]), np.array([2, 7, 4, 5, 6])]
        for inputs, targets in examples.batches(order, generator, CPU):
            anchor, positive, negative = inputs.chunk(3)
            targets = targets.chunk(3)[0]
            rows = [
                np.searchsorted(vectors[:, 0], part[:, 0].numpy()) for part in (anchor, positive, negative)
            ]
            assert np.array_equal(rows[0], targets.numpy())
            assert np.array_equal(rows[1], nearest[rows[0]])
            assert not ((rows[2] == rows[0]) | (rows[2] == rows[1])).any()
            seen += targets.tolist()
            negatives |= set(zip(rows[0].tolist(), rows[2].tolist(), strict=True))
    assert sorted(seen) == sorted(list(range(n)) * 60)
    assert len(negatives) == n * (n - 2), "every other item can be a negative"


def test_triplets_of_pictures_keep_inputs_and_targets_together():
    class Store:
        size = 8

        def __getitem__(self, rows):
            return np.broadcast_to(
                np.asarray(rows, np.uint8)[:, None, None, None], (len(rows), 8, 8, 3)
            ).copy()

    examples = Blocks(
        Pictures(Store(), np.arange(6), torch.arange(6), 8),
        np.arange(6),
        nearest=np.array([1, 0, 3, 2, 5, 4]),
    )
    from helpers.learn.examples import normalise

    for inputs, targets in examples.batches([np.array([4, 0])], torch.Generator(), CPU):
        expected = normalise(torch.from_numpy(Store()[np.array([4, 0, 5, 1])]))
        assert targets[:4].tolist() == [4, 0, 5, 1]
        assert torch.allclose(inputs[:4], expected)


def test_few_labels_are_all_visited_and_companions_come_from_everywhere():
    labelled, n = np.array([2, 5, 7]), 30
    examples, seen = Blocks(Vectors(torch.arange(n), torch.arange(n)), labelled, companions=True), set()
    for epoch in range(60):
        plan = examples.plan(np.array([1, 2, 0]), torch.Generator().manual_seed(epoch))
        assert plan[:, 0].tolist() == [5, 7, 2]
        assert len(set(plan[:, 1].tolist())) == 3
        seen |= set(plan[:, 1].tolist())
    assert seen == set(range(n))


def test_triplet_by_hand():
    a, p, n = (torch.tensor([row]) for row in ([0.0, 0], [3.0, 4], [0.0, 1]))
    assert multitask.triplet(a, p, n, 0.5).item() == pytest.approx(4.5)
    assert multitask.triplet(a, n, p, 0.5).item() == 0
    assert multitask.triplet(a, n, p, 4.5).item() == pytest.approx(0.5)


def test_bad_vectors_are_refused():
    labels, Q, _ = some()
    for bad in (Q[:5], np.ones_like(Q), np.where(Q > 1, np.nan, Q)):
        with pytest.raises(BadInput, match="there must be a finite one each"):
            Targets.of(labels, bad)


def test_nothing_mixes_devices():
    labels, Q, _ = some()
    targets = Targets.of(labels, Q)
    loss, packed = multitask.objective(targets, 3, contrastive=True), targets.packed(tau=0.5)
    with FakeTensorMode(allow_non_fake_inputs=True):
        with torch.device("cuda"):
            network = TwoHeads(5, 4, 6, hidden=8)
        out = network(torch.zeros(36, 5, device="cuda"))
        assert loss(out, torch.zeros(36, packed.shape[1], device="cuda")).device.type == "cuda"
        with pytest.raises(RuntimeError, match="device"):
            network(torch.zeros(2, 5))


@pytest.mark.parametrize(
    ("form", "by_hand"),
    [
        ("exp", lambda d, L1, L2, unit: np.exp((L1 + L2) / unit)),
        ("L1", lambda d, L1, L2, unit: L1 / unit),
        ("L2", lambda d, L1, L2, unit: L2 / unit),
        ("L1 + L2", lambda d, L1, L2, unit: (L1 + L2) / unit),
        ("program", lambda d, L1, L2, unit: np.exp((d**2).mean() + np.abs(d).mean()) - 1),
    ],
)
def test_forms_of_the_second_task(form, by_hand):
    vectors, rng = np.float32([[2.0, 0, -2], [-2, 0, 2]]), np.random.default_rng(0)  # mean 0, all as far
    unit = {"L1": 4, "L2": 8**0.5}.get(form, 4 + 8**0.5)
    guess = np.float32(vectors + rng.normal(scale=0.5, size=(2, 3)))
    found = multitask.reconstruction(form, vectors)(torch.from_numpy(guess), torch.from_numpy(vectors))
    for d, value in zip(guess - vectors, found.tolist(), strict=True):
        assert value == pytest.approx(by_hand(d, np.abs(d).sum(), (d**2).sum() ** 0.5, unit), rel=1e-5)


def test_an_unknown_form_is_refused():
    with pytest.raises(BadInput, match="choose one of exp, L1"):
        multitask.reconstruction("L3", np.ones((2, 2), np.float32))


def test_a_head_may_have_a_layer_of_its_own():
    torch.manual_seed(0)
    network = TwoHeads(5, 4, 6, hidden=8, head=7)
    assert [tuple(p.shape) for p in network.to_vector.parameters()] == [(7, 8), (7,), (6, 7), (6,)]
    out = network.eval()(torch.randn(300, 5))
    assert out.shape == (300, 10)
    assert out[:, 4:].abs().max() < 0.1, "it begins near the mean vector"
