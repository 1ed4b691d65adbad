"""The three models of Denton et al. against their formulas, their balls, and a test of learning."""

import copy

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from helpers.errors import BadInput
from helpers.learn.train import Recipe, fit
from helpers.people import conditional as uc

CPU = torch.device("cpu")
N, M, Y, D, K = 7, 4, 5, 6, 3
MODELS = {"bilinear": uc.Bilinear, "biased": uc.UserBiased, "multiplicative": uc.UserMultiplicative,
          "full tensor": uc.UserFullTensor}  # fmt: skip


def made(name, seed=0, **how):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    how = how | ({"K": K} if name == "multiplicative" else {})
    return MODELS[name](rng.normal(size=(9, N)), rng.normal(size=(3, M)), Y, D, **how)


@pytest.mark.parametrize("name", MODELS)
def test_scores_are_the_formula(name):
    m = made(name)
    with torch.no_grad():
        x, u = m.x[4], m.u[2]
        assert np.isclose(x.norm().item(), 1, atol=1e-5)
        if name == "multiplicative":
            r = torch.relu(m.user.weight @ u + m.user.bias)
            phi = m.beta @ torch.diag(m.alpha.T @ r) @ m.gamma.T @ x
        elif name == "full tensor":
            r = torch.relu(m.user.weight @ u + m.user.bias)
            phi = sum(r[i] * m.Z[i] for i in range(uc.HIDDEN)) @ x
        else:
            phi = m.P @ x + (m.Q @ u if name == "biased" else 0)
        assert np.allclose(m.scores(np.array([4]), np.array([2]))[0], m.V @ phi, atol=1e-5)


def test_without_a_layer_the_descriptor_itself_gates():
    m = made("multiplicative", layer=False)
    with torch.no_grad():
        phi = m.beta @ torch.diag(m.alpha.T @ m.u[2]) @ m.gamma.T @ m.x[4]
        assert np.allclose(m.scores(np.array([4]), np.array([2]))[0], m.V @ phi, atol=1e-5)


def test_only_the_bilinear_model_ignores_who_asks():
    for name in MODELS:
        a, b = made(name).scores(np.array([4, 4]), np.array([0, 2]))
        assert np.allclose(a, b) == (name == "bilinear")


def test_the_gates_begin_near_one():
    m = made("multiplicative", seed=1)
    with torch.no_grad():
        m.user.weight.zero_()
        gates = torch.relu(m.user(m.u)) @ m.alpha
    assert abs(gates.mean() - 1) < 0.3


@pytest.mark.parametrize("name", MODELS)
def test_rows_stay_inside_their_ball_at_every_step(name, monkeypatch):
    rng = np.random.default_rng(0)
    m = made(name, radius=0.2)
    seen = []
    project = uc.project

    def watched(matrix, radius, dim):
        seen.append(matrix.norm(dim=dim).max().item())
        project(matrix, radius, dim)
        assert matrix.norm(dim=dim).max() <= 0.2 * 1.0001

    monkeypatch.setattr(uc, "project", watched)
    tags = (np.arange(41), rng.integers(0, Y, 40).astype(np.int32))
    recipe = Recipe(epochs=4, batch=10, lr=0.05, optimiser="adamw", weight_decay=0.0)
    uc.learn([m], rng.integers(0, 9, 40), [rng.integers(0, 3, 40)], tags, [recipe], [0], CPU)
    balls = len(uc.BALLS.keys() & dict(m.named_parameters()).keys())
    assert balls == {"biased": 3, "multiplicative": 4}.get(name, 2)
    assert len(seen) == (1 + 4 * 4) * balls  # once before, and after each step
    assert max(seen[balls:]) > 0.2  # without the projection rows would leave


def test_the_vector_of_each_known_user_has_a_ball_of_its_own():
    """Many users leave each other room: a ball for rows of Q would hold all of them together."""
    m = uc.UserBiased(np.ones((1, N)), np.arange(50), Y, D)
    with torch.no_grad():
        m.Q.fill_(0.9 / D**0.5)
        m.Q[:, 7] *= 3
    m.project()
    lengths = m.Q.norm(dim=0)
    assert torch.isclose(lengths[7], torch.tensor(1.0)), "one that was longer is on the surface"
    assert torch.allclose(lengths[np.arange(50) != 7], torch.tensor(0.9)), "the others are as they were"


def test_projection_shortens_and_never_lengthens():
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.1, 0.0]])
    uc.project(rows, 2.0)
    assert torch.allclose(rows, torch.tensor([[1.2, 1.6], [0.0, 0.0], [0.1, 0.0]]))
    uc.project(rows, 1.0, dim=-2)
    assert torch.allclose(rows.norm(dim=0), torch.ones(2))


def task(gate, n=600, seed=0):
    """Posts whose tag is (kind of image) + 3 · (kind of user) if gate, else the kind of image."""
    rng = np.random.default_rng(seed)
    image, user = rng.integers(0, 3, n), rng.integers(0, 2, n)
    tag = image + (3 * user if gate else 0)
    return np.eye(3), np.eye(2), image, user, (np.arange(n + 1), tag.astype(np.int32))


@pytest.mark.parametrize("name", MODELS)
def test_who_asks_is_learnt_by_the_user_models_only(name, device):
    x, u, image, user, tags = task(gate=True)
    torch.manual_seed(0)
    m = MODELS[name](x, u, 6, 8, **({"K": 12} if name == "multiplicative" else {}))
    recipe = Recipe(epochs=15, batch=50, lr=0.03, optimiser="adamw", weight_decay=0.0)
    history = uc.learn([m], image, [user], tags, [recipe], [0], device)[0]
    right = (m.scores(image, user).argmax(1) == tags[1]).mean()
    assert history[-1]["loss"] < history[0]["loss"]
    assert right > 0.95 if name != "bilinear" else right < 0.6


def test_the_same_seed_gives_the_same_model(device, same):
    x, u, image, user, tags = task(gate=True, n=100)
    recipe = Recipe(epochs=2, batch=20, lr=0.02, optimiser="adamw")
    results = []
    for _ in range(2):
        torch.manual_seed(1)
        m = uc.UserBiased(x, u, 6, 4)
        uc.learn([m], image, [user], tags, [recipe], [3], device)
        results.append(torch.from_numpy(m.scores(image, user)))
    assert same(*results)


@pytest.mark.parametrize("name", MODELS)
def test_side_by_side_each_learns_as_alone(name):
    """Copies with other sizes, balls, seeds, rates and users, against the loop for one network."""
    rng = np.random.default_rng(0)
    x, u = (
        torch.from_numpy(rng.normal(size=(9, N))).float(),
        torch.from_numpy(rng.normal(size=(3, M))).float(),
    )
    image, tags = rng.integers(0, 9, 40), (np.arange(41), rng.integers(0, Y, 40).astype(np.int32))
    users = [rng.integers(0, 3, 40) for _ in range(3)]
    recipes = [Recipe(epochs=3, batch=16, lr=lr, weight_decay=0.0) for lr in (0.1, 0.01, 0.03)]
    how = [{"K": K + s} if name == "multiplicative" else {} for s in range(3)]
    models = []
    for s in range(3):
        torch.manual_seed(s)
        models.append(MODELS[name](x, u, Y, D - s, radius=(0.5, 0.5, 1e6)[s], **how[s]))
    alone = copy.deepcopy(models)
    uc.learn(models, image, users, tags, recipes, [0, 1, 1], CPU)
    for one, found, user, recipe, seed in zip(alone, models, users, recipes, [0, 1, 1], strict=True):
        given = uc.TrueTags(np.stack([image, user, tags[1], np.arange(40)], 1))
        one.project()
        fit(one, given, uc.ranked(tags), recipe, device=CPU, seed=seed, after_step=one.project, log=None)
        for a, b in zip(one.parameters(), found.parameters(), strict=True):
            assert a.shape == b.shape
            assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", ["biased", "multiplicative", "no layer", "full tensor"])
def test_who_a_user_is_may_be_told_by_a_number(name):
    """One 1 in each descriptor, written out and by its place: side by side both learn the same."""
    rng, where = np.random.default_rng(0), np.array([2, 0, 1, 2])
    x, image, user = rng.normal(size=(9, N)), rng.integers(0, 9, 40), rng.integers(0, 4, 40)
    tags, found = (np.arange(41), rng.integers(0, Y, 40).astype(np.int32)), []
    how = {"layer": False} if name == "no layer" else {}
    for u in (np.eye(3)[where], where):
        models = []
        for s in range(2):
            torch.manual_seed(s)
            models.append(MODELS.get(name, uc.UserMultiplicative)(x, u, Y, D, **how))
        recipes = [Recipe(epochs=3, batch=16, lr=lr, weight_decay=0.01) for lr in (0.1, 0.03)]
        uc.learn(models, image, [user, user], tags, recipes, [0, 1], CPU)
        found.append(np.stack([m.scores(image, user) for m in models]))
    np.testing.assert_allclose(*found, atol=1e-5)
    assert np.ptp(found[0][0], axis=0).min() > 1e-3, "the scores depend on who asks and what is shown"


def test_bad_input_is_refused():
    with pytest.raises(BadInput, match="image descriptors"):
        uc.Bilinear(np.full((2, 2), np.inf), np.ones((1, 1)), 2, 2)
    none = np.zeros(0, int)
    with pytest.raises(BadInput, match="no training post"):
        uc.learn([made("biased")], none, [none], (np.zeros(1, int), none), [Recipe(epochs=1)], [0], CPU)


@pytest.mark.parametrize("name", MODELS)
def test_no_tensor_is_left_on_the_cpu(name):
    m = made(name)
    with FakeTensorMode(allow_non_fake_inputs=True):
        for part in m.modules():  # Module.to cannot exchange real parameters for fake ones
            for key, value in {**part._parameters, **part._buffers}.items():
                part._parameters.pop(key, None)
                part._buffers[key] = torch.empty(value.shape, device="cuda")
        pairs = torch.zeros(5, 2, dtype=torch.int64, device="cuda")
        assert all(part.device.type == "cuda" for part in m(pairs))
        with pytest.raises(RuntimeError, match="device"):
            m.embed(torch.zeros(5, N), m.u[:1].expand(5, -1))
