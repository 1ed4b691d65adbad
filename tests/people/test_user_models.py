"""The models of triplets against their formulas, and the ranking loss against loops."""

import copy
from collections import Counter

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from helpers.errors import BadInput
from helpers.learn.train import Recipe, fit
from helpers.people import user_models
from helpers.people.posts import UNKNOWN, Posts
from helpers.people.user_models import UserAttention, UserMLP, UserPairs, UserTensor

CPU = torch.device("cpu")
M, K, U, D, F, E = 6, 5, 4, 4, 3, 3
MODELS = {
    "tensor": (UserTensor, {}), "constants": (UserTensor, {"constants": True}),
    "mlp": (UserMLP, {"hidden": 7}), "pairs": (UserPairs, {}),
}  # fmt: skip


def made(name, seed=0, features=None, **more):
    torch.manual_seed(seed)
    cls, how = MODELS[name]
    features = np.random.default_rng(seed).normal(size=(M, 8)) if features is None else features
    return cls(features, K, U, D, F, E, **how, **more)


def by_formula(name, m, f, h, u):
    """The score of one triplet, from the definition."""
    if name == "mlp":
        hidden = m.of_tag.weight @ h + m.of_tag.bias + m.of_image.weight @ f + m.of_user.weight @ u
        return m.out.weight[0] @ torch.relu(hidden)
    if name == "pairs":
        return h @ (m.A.weight @ f + m.A.bias + m.B.weight @ u)
    if name == "constants":
        f, h, u = (torch.cat([x[:-1], torch.ones(1)]) for x in (f, h, u))
    return sum(m.W[a, b, r] * h[a] * f[b] * u[r] for a in range(D) for b in range(F) for r in range(E))


@pytest.mark.parametrize("name", MODELS)
def test_every_way_to_score_agrees_with_the_formula(name):
    m = made(name)
    image, tag, user = np.array([0, 3, 5]), np.array([4, 0, 2]), np.array([1, 1, 3])
    with torch.no_grad():
        want = torch.tensor([
            [by_formula(name, m, m.embed_images(torch.tensor([i]))[0], m.tag[t], m.user[u]) for t in range(K)]
            for i, u in zip(image, user, strict=True)
        ])  # fmt: skip
        scores = m(torch.from_numpy(np.stack([image, tag, user], 1)))
    assert np.allclose(m.tag_scores(image, user), want, atol=1e-5)
    for axis in range(3):
        assert np.allclose(scores[axis].diagonal(), want[np.arange(3), tag], atol=1e-5)
    assert np.allclose(scores[0], want[:, tag], atol=1e-5)
    for b in range(3):
        # the images of the batch, for triplet b
        swapped = m.tag_scores(image, np.full(3, user[b]))[:, tag[b]]
        assert np.allclose(scores[1, b], swapped, atol=1e-5)
        assert np.allclose(m.image_scores(tag[[b]], user[[b]], image)[0], swapped, atol=1e-5)
        others = m.tag_scores(np.full(3, image[b]), user)[:, tag[b]]  # the users of the batch
        assert np.allclose(scores[2, b], others, atol=1e-5)


def test_the_users_own_matrix_is_eq_4():
    m = made("tensor")
    with torch.no_grad():
        W = m.for_user(m.user[[2]])[0]
        want = sum(m.user[2, r] * m.W[:, :, r] for r in range(E))
        assert torch.allclose(W, want, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_an_unknown_user_is_the_average_user(name):
    m = made(name)
    stranger = m.tag_scores([2], [UNKNOWN])
    with torch.no_grad():
        m.user[3] = m.user[:3].mean(0)  # then the mean of all four is the same vector
    assert not np.allclose(stranger, made(name).tag_scores([2], [0]))
    assert np.allclose(m.tag_scores([2], [UNKNOWN]), m.tag_scores([2], [3]), atol=1e-5)


def posts(n=60, seed=0):
    rng = np.random.default_rng(seed)
    sets = [np.sort(rng.choice(K, rng.integers(1, 3), replace=False)) for _ in range(n)]
    indptr = np.concatenate([[0], np.cumsum([len(s) for s in sets])])
    tags = np.concatenate(sets).astype(np.int32)
    return Posts(rng.integers(0, M, n), rng.integers(0, U, n), (indptr, tags))


def test_ranking_loss_against_loops():
    data, m = posts(8), made("tensor")
    loss = user_models.RankingLoss(data, K, U, CPU)
    known = {
        (i, t, u)
        for i, u, a, b in zip(data.image, data.user, data.tags[0][:-1], data.tags[0][1:], strict=True)
        for t in data.tags[1][a:b]
    }  # fmt: skip
    batch, _ = next(data.batches([np.arange(8)], torch.Generator().manual_seed(1), CPU))
    with torch.no_grad():
        scores = m(batch)
    observed = loss.observed(batch)
    chosen, possible = loss.negatives(scores, batch, observed)
    value = loss(scores, batch).item()
    total = 0.0
    for axis, column in enumerate((1, 0, 2)):  # tag, image, user
        for b in range(8):
            free = []
            for c in range(8):
                triplet = batch[b, :3].clone()
                triplet[column] = batch[c, column]
                assert observed[axis, b, c].item() == (tuple(triplet.tolist()) in known)
                if tuple(triplet.tolist()) not in known:
                    free.append(c)
            assert possible[axis, b].item() == possible[axis + 3, b].item() == bool(free)
            if not free:
                continue
            hard = max(free, key=lambda c: scores[axis, b, c].item())
            assert scores[axis, b, chosen[axis, b]] == scores[axis, b, hard]
            assert chosen[axis + 3, b].item() in free
            for c in (hard, chosen[axis + 3, b].item()):
                total += max(0.0, scores[axis, b, c].item() - scores[0, b, b].item() + 1)
    assert np.isclose(value, total / 8, rtol=1e-5)
    assert value > 0


@pytest.mark.parametrize(("n", "users"), [(1, 1), (40, 5), (3000, 900)])
def test_marked_keys_are_found_and_no_others(n, users):
    rng = np.random.default_rng(n)
    known = np.unique(rng.integers(0, 2000 * users * 50, n))  # some are of triplets that the batch can form
    image, tag, user = (rng.integers(0, top, 60) for top in (2000, 50, users))
    part = np.stack([tag, image * users * 50, user * 50])
    known = np.unique(np.append(known, part.sum(0)[::2]))
    keys = (part.sum(0) - part)[:, :, None] + part[:, None, :]
    found = user_models.among(part[None], known, user_models.marks(known))
    np.testing.assert_array_equal(found[0], np.isin(keys, known))
    assert found.any()
    assert not found.all()


def test_random_negatives_are_uniform_among_what_is_possible():
    data, m = posts(6, seed=2), made("pairs")
    loss = user_models.RankingLoss(data, K, U, CPU)
    batch, _ = next(data.batches([np.arange(6)], torch.Generator().manual_seed(1), CPU))
    with torch.no_grad():
        scores = m(batch)
    observed = loss.observed(batch)
    noise = torch.randint(2**31, (2000, 6), generator=torch.Generator().manual_seed(0))
    drawn = torch.stack([
        loss.negatives(scores, torch.cat([batch[:, :3], some[:, None]], 1), observed)[0][3] for some in noise
    ])  # fmt: skip
    free = torch.nonzero(~observed[0, 0])[:, 0]
    counts = torch.bincount(drawn[:, 0], minlength=6)
    assert counts[free].sum() == 2000
    assert (abs(counts[free] - 2000 / len(free)) < 5 * (2000 / len(free)) ** 0.5).all()


def test_without_hard_negatives_all_six_are_drawn():
    data, m = posts(40, seed=2), made("pairs")
    batch = next(data.batches([np.arange(40)], torch.Generator().manual_seed(1), CPU))[0]
    with torch.no_grad():
        scores = m(batch)
    observed = user_models.RankingLoss(data, K, U, CPU).observed(batch)
    losses = (user_models.RankingLoss(data, K, U, CPU, hard=h) for h in (1, 0))
    hard, drawn = (loss.negatives(scores, batch, observed) for loss in losses)
    assert torch.equal(hard[0][3:], drawn[0][3:])
    assert torch.equal(hard[1], drawn[1])
    first, second = drawn[0][:3], drawn[0][3:]
    assert (first != second).float().mean() > 0.8
    assert (first != hard[0][:3]).float().mean() > 0.8
    blocked = observed.repeat(2, 1, 1)
    assert not (blocked.gather(2, drawn[0][:, :, None])[:, :, 0] & drawn[1]).any()


def test_the_logistic_loss_is_that_of_each_triplet():
    data, m = posts(8), made("tensor")
    batch = next(data.batches([np.arange(8)], torch.Generator().manual_seed(1), CPU))[0]
    loss = user_models.RankingLoss(data, K, U, CPU, logistic=True)
    with torch.no_grad():
        scores = m(batch)
    chosen, possible = (part.numpy() for part in loss.negatives(scores, batch, loss.observed(batch)))
    s, total = scores.numpy(), 0.0
    for axis in range(6):
        for b in np.flatnonzero(possible[axis]):
            total += np.log1p(np.exp(s[axis % 3, b, chosen[axis, b]])) + np.log1p(np.exp(-s[0, b, b]))
    assert np.isclose(loss(scores, batch), total / 8, rtol=1e-5)


def test_begin_puts_users_and_images_where_their_tags_are():
    rng = np.random.default_rng(0)
    n, groups = 200, np.arange(200) % 4
    features = np.eye(4)[groups] + 0.1 * rng.normal(size=(n, 4))
    # 20 users, 5 a group
    data = Posts(np.arange(n), np.arange(n) % 20, (np.arange(n + 1), groups.astype(np.int32)))
    for cls, how in ((UserTensor, {"constants": True}), (UserPairs, {}), (UserMLP, {"hidden": 40})):
        torch.manual_seed(0)
        m = cls(features, 4, 20, 5, 5, 5, tag_vectors=np.eye(4), **how)
        before = (m.tag_scores(data.image, data.user).argmax(1) == groups).mean()
        m.begin(data)
        assert (m.tag_scores(data.image, data.user).argmax(1) == groups).mean() > 0.95 > before
        unknown = m.tag_scores(data.image, np.full(n, UNKNOWN))
        assert (unknown.argmax(1) == groups).mean() > 0.95  # from the image alone


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("loss", sorted(user_models.LOSSES))
def test_learning_lowers_the_loss_and_repeats(name, loss, device, same):
    recipe = Recipe(epochs=12, batch=20, lr=0.02, optimiser="adamw", weight_decay=0.0)
    one, two = made(name), made(name)
    history = user_models.learn([one], [posts()], [recipe], [5], device, [loss])[0]
    user_models.learn([two], [posts()], [recipe], [5], device, [loss])
    assert history[-1]["loss"] < history[0]["loss"] - (0.02 if loss == "softmax" else 0.3)
    assert same(*(torch.from_numpy(m.tag_scores([0, 1], [0, 1])) for m in (one, two)))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("loss", ["ranking", "softmax"])
def test_side_by_side_each_learns_as_alone(name, loss):
    """Copies with other seeds, rates and posts, against the loop for one network."""
    features, data = (
        user_models.standard(np.random.default_rng(0).normal(size=(M, 8))),
        [posts(), posts(seed=1)],
    )
    recipes = [Recipe(epochs=3, batch=20, lr=lr, weight_decay=0.1) for lr in (0.02, 0.005, 0.01)]
    models, given, seeds = (
        [made(name, s, features=features) for s in range(3)],
        [data[0], data[0], data[1]],
        [5, 5, 6],
    )
    alone = copy.deepcopy(models)
    user_models.learn(models, given, recipes, seeds, CPU, [loss] * 3)
    for one, found, some, recipe, seed in zip(alone, models, given, recipes, seeds, strict=True):
        network = user_models.OverAllTags(one) if loss == "softmax" else one
        criterion = user_models._likelihood if loss == "softmax" else user_models.RankingLoss(some, K, U, CPU)
        fit(network, some, criterion, recipe, device=CPU, seed=seed, log=None)
        for a, b in zip(one.parameters(), found.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("copies", [0, 3])
def test_rectified_sums_and_their_gradients_are_those_of_the_formula(copies):
    torch.manual_seed(0)
    first, shapes = [copies] if copies else [], ((11, 4), (6, 4), (4,))
    parts = [torch.randn(*first, *shape, requires_grad=True) for shape in shapes]

    def formula(a, c, o):
        return torch.relu(a[:, None] + c[None]) @ o

    one = torch.func.vmap(formula) if copies else formula
    ours = torch.func.vmap(user_models.RectifiedSums.apply) if copies else user_models.RectifiedSums.apply
    want, got = (each(*parts) for each in (one, ours))
    assert torch.allclose(got, want, atol=1e-6)
    weight = torch.randn_like(want)
    pairs = (torch.autograd.grad((weight * each).sum(), parts) for each in (want, got))
    for a, b in zip(*pairs, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_rectified_sums_do_not_hide_what_is_no_number():
    a, c, o = torch.full((2, 3), torch.nan), torch.ones(4, 3), torch.ones(3)
    assert user_models.RectifiedSums.apply(a, c, o).isnan().all()


def test_what_all_copies_share_is_shared_in_rectified_sums():
    torch.manual_seed(0)
    a, c, o = torch.randn(3, 5, 4, requires_grad=True), torch.randn(6, 4, requires_grad=True), torch.randn(4)
    got = torch.func.vmap(user_models.RectifiedSums.apply, (0, None, None))(a, c, o)
    want = torch.relu(a[:, :, None] + c) @ o
    assert torch.allclose(got, want, atol=1e-6)
    pairs = (torch.autograd.grad(each.square().sum(), (a, c)) for each in (want, got))
    for x, y in zip(*pairs, strict=True):
        assert torch.allclose(x, y, atol=1e-4)


def attention(data, past=3, seed=0):
    torch.manual_seed(seed)
    m = UserAttention(np.random.default_rng(seed).normal(size=(M, 8)), K, U, D, F, E, past=past)
    m.begin(data)
    return m


def test_attention_against_loops():
    data = posts(12)
    m = attention(data)
    image, user = np.array([0, 3, 5, 1]), np.array([1, 0, 3, UNKNOWN])
    got = m.tag_scores(image, user)
    with torch.no_grad():
        for q, (i, u) in enumerate(zip(image, user, strict=True)):
            f, wrote = m.embed_images(torch.tensor([i]))[0], []
            for post in np.flatnonzero(data.user == u):
                some = data.tags[1][data.tags[0][post] : data.tags[0][post + 1]]
                wrote += [(int(t), int(data.image[post])) for t in some]
            read = [two for two in zip(m.wrote[u].tolist(), m.at[u].tolist(), strict=True) if two[0] >= 0]
            assert len(read) == min(3, len(wrote))
            assert not Counter(read) - Counter(wrote), "some of what the user wrote, none of it twice"
            written = [t for t, at in read if at != i]
            ask = [float((m.P.weight @ m.tag[t]) @ (m.Q.weight @ f)) / E**0.5 for t in written]
            weight = np.exp([*ask, 0.0]) / np.exp([*ask, 0.0]).sum()
            context = sum((w * m.tag[t] for w, t in zip(weight, written, strict=False)), torch.zeros(D))
            want = m.tag @ (m.A.weight @ f + m.A.bias + m.B.weight @ context)
            assert np.allclose(got[q], want, atol=1e-5)


def test_attention_does_not_look_at_the_post_that_it_predicts():
    """Else training would only copy: with another tag at that post, its own scores stay."""
    data = posts(12)
    changed = Posts(data.image, data.user, (data.tags[0], data.tags[1].copy()))
    changed.tags[1][0] = (changed.tags[1][0] + 1) % K
    one, two = attention(data, past=32), attention(data, past=32)
    two.wrote.copy_(attention(changed, past=32).wrote)
    at = data.image[[0]], data.user[[0]]
    others = np.flatnonzero((data.user == data.user[0]) & (data.image != data.image[0]))
    assert len(others) > 0
    assert np.array_equal(one.tag_scores(*at), two.tag_scores(*at))
    elsewhere = data.image[others], data.user[others]
    assert not np.allclose(one.tag_scores(*elsewhere), two.tag_scores(*elsewhere))


def test_attention_learns_and_repeats(device, same):
    recipe = Recipe(epochs=12, batch=20, lr=0.02, optimiser="adamw", weight_decay=0.0)
    one, two = (attention(posts()).to(device) for _ in range(2))
    history = user_models.learn([one], [posts()], [recipe], [5], device, ["softmax"])[0]
    user_models.learn([two], [posts()], [recipe], [5], device, ["softmax"])
    assert history[-1]["loss"] < history[0]["loss"] - 0.02
    assert same(*(torch.from_numpy(m.tag_scores([0, 1], [0, 1])) for m in (one, two)))


def test_a_shared_contraction_scores_as_three_do():
    for name in ("tensor", "constants"):
        m = made(name)
        with torch.no_grad():
            f, h, u = torch.randn(5, F), torch.randn(5, D), torch.randn(5, E)
            apart = m.with_tags(f, u, h), m.with_images(h, u, f), m.with_users(f, h, u)
            for got, want in zip(m.replaced(f, h, u), apart, strict=True):
                assert torch.allclose(got, want, atol=1e-5)


def test_bad_input_is_refused():
    with pytest.raises(BadInput, match="not finite"):
        UserTensor(np.full((2, 2), np.nan), K, U, D, F, E)
    with pytest.raises(BadInput, match="loss is"):
        user_models.learn([made("pairs")], [posts()], [Recipe(epochs=1)], [0], CPU, ["hinge"])
    data = posts()
    data.user[0] = UNKNOWN
    with pytest.raises(BadInput, match="users from 0"):
        user_models.learn([made("pairs")], [data], [Recipe(epochs=1)], [0], CPU, ["ranking"])


@pytest.mark.parametrize("name", MODELS)
def test_no_tensor_is_left_on_the_cpu(name):
    """All of a step lies on the model's device: on a device that does not exist, mixing would raise."""
    m = made(name)
    with FakeTensorMode(allow_non_fake_inputs=True):
        for part in m.modules():  # Module.to cannot exchange real parameters for fake ones
            for key, value in {**part._parameters, **part._buffers}.items():
                if value is not None:
                    part._parameters.pop(key, None)
                    part._buffers[key] = torch.empty(value.shape, device="cuda")
        batch = torch.zeros(5, 4, dtype=torch.int64, device="cuda")
        scores = m(batch)
        assert scores.device.type == user_models.OverAllTags(m)(batch).device.type == "cuda"
        loss = user_models.RankingLoss(posts(), K, U, CPU)
        loss.known = torch.empty(loss.known.shape, dtype=torch.int64, device="cuda")
        assert loss(scores, batch).device.type == "cuda"
        with pytest.raises(RuntimeError, match="device"):
            m(batch.cpu())


def test_attention_with_a_random_start_reads_the_same_past():
    data = posts(12)
    read, begun = (UserAttention(np.ones((M, 8)), K, U, D, F, E, past=3) for _ in range(2))
    read.read(data)
    begun.begin(data)
    assert torch.equal(read.wrote, begun.wrote)
    assert torch.equal(read.at, begun.at)
    assert (read.wrote >= 0).any()
    assert not torch.equal(read.B.weight, torch.eye(D)), "the start of `begin`"
