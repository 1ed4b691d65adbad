"""WARP: the compiled search and steps against the loop of the paper, written out."""

import numpy as np
import pytest
import torch

from helpers.crowd.filtering import to_csr
from helpers.errors import BadInput
from helpers.people import warp

K, D = 30, 8


def problem(seed=0, n=40):
    rng = np.random.default_rng(seed)
    phi, V = rng.normal(0, 0.3, (n, D)).astype(np.float32), rng.normal(0, 0.3, (K, D)).astype(np.float32)
    pair = np.unique(rng.integers(0, n, 90) * K + rng.integers(0, K, 90))
    true = to_csr(pair // K, (pair % K).astype(np.int32), n)
    row = np.flatnonzero(np.diff(true[0]))
    positive = true[1][true[0][row]].astype(np.int64)
    return phi[row], V, positive, row, true


def by_the_paper(phi, V, positive, true, seed, example, margin=0.1, most=1000):
    """One example, word for word: draw negatives until one violates; rank, weight, loss and gradients."""
    others, draws = len(V) - len(true), 0
    attempt = 0
    while draws < most:
        y = warp.candidate(seed, example, attempt, len(V))
        attempt += 1
        if y in true:
            continue
        draws += 1
        if phi @ V[y] > phi @ V[positive] - margin:
            rank = others // draws
            weight = sum(1 / i for i in range(1, rank + 1))
            loss = weight * (margin - phi @ V[positive] + phi @ V[y])
            return y, draws, rank, weight, loss, weight * (V[y] - V[positive]), weight * phi
    return -1, draws, 0, 0.0, 0.0, 0 * phi, 0 * phi


@pytest.mark.parametrize("margin", [0.1, -0.6])  # with a negative margin some examples have no violator
def test_search_rank_and_weight_agree_with_the_loop(margin):
    phi, V, positive, row, true = problem()
    found = warp.violators(phi, V, positive, row, true, seed=5, margin=margin, most=50)
    sets = [set(true[1][true[0][r] : true[0][r + 1]].tolist()) for r in row]
    loop = [by_the_paper(phi[b], V, positive[b], sets[b], 5, b, margin, most=50) for b in range(len(row))]
    assert found.negative.tolist() == [x[0] for x in loop]
    assert found.draws.tolist() == [x[1] for x in loop]
    assert found.rank.tolist() == [x[2] for x in loop]
    assert np.allclose(found.weight, [x[3] for x in loop], rtol=1e-5)
    assert (found.negative >= 0).any()
    assert margin > 0 or (found.negative < 0).any()


@pytest.mark.parametrize("margin", [0.1, -0.6])
def test_the_search_of_a_gpu_finds_the_same(margin):
    phi, V, positive, row, true = problem()
    for seed in (5, 2**62 - 1):
        found = warp.violators(phi, V, positive, row, true, seed, margin, most=50)
        given = [torch.from_numpy(x) for x in (phi, V, positive, row)]
        negative, rank = warp.search_at_once(*given, warp.keys(true, K), seed, margin, 50)
        assert negative.tolist() == found.negative.tolist()
        assert rank.tolist() == found.rank.tolist()
        values = [warp.warp_loss(*given, some, seed, margin, 50) for some in (true, warp.keys(true, K))]
        assert torch.isclose(*values, rtol=1e-5)


def test_loss_and_gradient_agree_with_the_loop():
    phi, V, positive, row, true = problem()
    p, v = torch.tensor(phi, requires_grad=True), torch.tensor(V, requires_grad=True)
    value = warp.warp_loss(p, v, torch.from_numpy(positive), torch.from_numpy(row), true, seed=5)
    value.backward()
    dphi, dV, total = np.zeros_like(phi), np.zeros_like(V), 0.0
    for b, r in enumerate(row):
        mine = set(true[1][true[0][r] : true[0][r + 1]].tolist())
        y, _, _, _, loss, gradient, of_tag = by_the_paper(phi[b], V, positive[b], mine, 5, b)
        total += loss
        if y >= 0:
            dphi[b] += gradient
            dV[y] += of_tag
            dV[positive[b]] -= of_tag
    assert np.isclose(value.item(), total / len(row), rtol=1e-5)
    assert np.allclose(p.grad.numpy(), dphi / len(row), atol=1e-6)
    assert np.allclose(v.grad.numpy(), dV / len(row), atol=1e-6)
    assert np.abs(dphi).max() > 0.1


@pytest.mark.parametrize("on_a_gpu", [False, True])
def test_copies_at_once_have_the_losses_and_gradients_of_each_alone(on_a_gpu):
    phi, V, positive, row, true = problem()
    true = warp.keys(true, K) if on_a_gpu else true
    rng, seeds = np.random.default_rng(1), torch.tensor([3, 2**61])
    two = [np.stack([x, x + rng.normal(0, 0.1, x.shape)]) for x in (phi, V)]
    phis, Vs = (torch.tensor(x, dtype=torch.float32, requires_grad=True) for x in two)
    which = [torch.from_numpy(np.stack([x, x[::-1]])) for x in (positive, row)]
    both = warp.warp_loss(phis, Vs, *which, true, seeds)
    gradients = torch.autograd.grad(both.sum(), (phis, Vs))
    for c in range(2):
        p, v = (x[c].detach().requires_grad_() for x in (phis, Vs))
        one = warp.warp_loss(p, v, *(x[c] for x in which), true, int(seeds[c]))
        assert torch.isclose(one, both[c])
        for alone, together in zip(torch.autograd.grad(one, (p, v)), gradients, strict=True):
            assert torch.allclose(alone, together[c], atol=1e-7)


def test_the_estimated_rank_is_about_the_rank():
    rng = np.random.default_rng(1)
    V = rng.normal(size=(1000, D)).astype(np.float32)
    phi = rng.normal(size=(1, D)).astype(np.float32)
    order = np.argsort(-(V @ phi[0]))
    n = 4000
    for rank in (1, 10, 100):
        positive = np.full(n, order[rank])  # `rank` tags stand above it
        true = (np.array([0, 1]), positive[:1].astype(np.int32))
        found = warp.violators(
            np.repeat(phi, n, 0), V, positive, np.zeros(n, np.int64), true, seed=3, margin=0.0, most=10**6
        )
        assert np.isclose((999 / found.draws.mean()), rank, rtol=0.07)  # draws are geometric with mean n / r
        assert set(found.negative) <= set(order[:rank])


def test_no_true_tag_is_ever_a_negative_and_nothing_is_drawn_where_all_are_true():
    V = np.ones((4, D), np.float32)
    true = (np.array([0, 3, 7]), np.array([0, 1, 2, 0, 1, 2, 3], np.int32))
    found = warp.violators(np.ones((2, D), np.float32), V, np.array([0, 0]), np.array([0, 1]), true, seed=0)
    assert found.negative.tolist() == [3, -1]
    assert found.draws.tolist() == [1, 0]
    assert found.weight.tolist() == [1.0, 0.0]


def test_draws_are_uniform():
    drawn = np.array([warp.candidate(7, e, a, 10) for e in range(200) for a in range(50)])
    expected = len(drawn) / 10
    chi = ((np.bincount(drawn, minlength=10) - expected) ** 2 / expected).sum()
    assert chi < 27.9  # the 99.9 % point of 9 degrees of freedom


def test_one_adagrad_step_on_tables_is_that_of_the_loop():
    train = (np.array([0, 1]), np.array([3], np.int32))
    X1, V1 = warp.fit_tables(train, 6, 5, epochs=1, step=0.05, seed=4)
    rng = np.random.default_rng(4)
    X, V = rng.normal(0, 0.01, (1, 5)).astype(np.float32), rng.normal(0, 0.01, (6, 5)).astype(np.float32)
    rng.permutation(1)
    y, *_, dx, dv = by_the_paper(X[0], V, 3, {3}, int(rng.integers(2**62)), 0, margin=1.0)
    assert y >= 0
    assert np.allclose(X1[0], X[0] - 0.05 * dx / np.sqrt(1 + dx**2), atol=1e-6)
    assert np.allclose(V1[y], V[y] - 0.05 * dv / np.sqrt(1 + dv**2), atol=1e-6)
    assert np.allclose(V1[3], V[3] + 0.05 * dv / np.sqrt(1 + dv**2), atol=1e-6)


def test_tables_learn_who_uses_which_tags_and_repeat():
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(60), 8)
    tag = user % 4 * 10 + rng.integers(0, 10, len(user))
    pair = np.unique(user * 40 + tag)
    train = to_csr(pair // 40, (pair % 40).astype(np.int32), 60)
    X, V = warp.fit_tables(train, 40, 8, epochs=30, seed=1)
    scores = X @ V.T
    scores[pair // 40, pair % 40] = -np.inf  # what was seen is not asked
    best = scores.argmax(1)
    asked = np.array([(pair[pair // 40 == u] % 40 // 10 == u % 4).sum() < 10 for u in range(60)])
    assert (best[asked] // 10 == np.arange(60)[asked] % 4).mean() > 0.7  # by chance 0.25
    again = warp.fit_tables(train, 40, 8, epochs=30, seed=1)
    assert np.array_equal(X, again[0])
    assert np.array_equal(V, again[1])


def test_bad_input_is_refused():
    phi, V, positive, row, true = problem()
    with pytest.raises(BadInput, match="positives"):
        warp.violators(phi[:3], V, positive, row, true, seed=0)
    with pytest.raises(BadInput, match="of 3 in V"):
        warp.violators(phi, V[:3], positive, row, true, seed=0)
    with pytest.raises(BadInput, match="not finite"):
        warp.violators(phi * np.nan, V, positive, row, true, seed=0)
    with pytest.raises(BadInput, match="from 0 to 2"):
        warp.fit_tables((np.array([0, 1]), np.array([3], np.int32)), 3, 4, 1)


def test_a_later_process_finds_the_compiled_loops():
    """A loop that closes over another compiled function would be compiled again by every process."""
    phi, V, positive, row, true = problem()
    for made in range(2):
        search, learn = warp.kernels.__wrapped__(D)
        X, Y = np.ones((len(true[0]) - 1, D), np.float32), V.copy()
        negative, draws = np.empty(len(phi), np.int64), np.empty(len(phi), np.int64)
        search(phi, V, positive, row, *true, np.float32(0.1), 100, 1, negative, draws)
        pairs = (row, positive.astype(np.int32), *true, warp.rank_weights(K))
        learn(X, Y, np.ones_like(X), np.ones_like(Y), *pairs, np.float32(0.1), 100, np.float32(0.1), 1)
        for kernel in (search, learn) if made else ():
            assert sum(kernel.stats.cache_hits.values()) == 1
