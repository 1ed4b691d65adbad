"""What a training is made of, written and read back."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from helpers.data.images import ArrayImages, GreyImages
from helpers.errors import BadInput
from helpers.learn import again, losses
from helpers.learn.examples import Pictures, Vectors
from helpers.learn.networks import Adapter, GoogLeNet
from helpers.learn.train import Recipe, fit
from helpers.multitask.heads import Blocks, Targets, TwoHeads, nearest_other, objective
from helpers.people import conditional, user_models
from helpers.people.posts import Posts
from helpers.words.bags import Bags, Drawn

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=2, batch=10, lr=0.01, optimiser="adamw")
ROWS = np.arange(30)
X = torch.from_numpy(np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32))
BAGS = Bags.of(ROWS, (ROWS % 5).astype(np.int32), 30)
POSTS = Posts(ROWS, ROWS % 4, BAGS)


@pytest.fixture
def store(tmp_path):
    np.save(tmp_path / "pictures.npy", np.random.default_rng(0).integers(0, 255, (30, 32, 32, 3), np.uint8))
    return ArrayImages(tmp_path / "pictures.npy")


def end_to_end(store):
    examples = Pictures(store, ROWS, torch.from_numpy(ROWS % 3), 24)
    return GoogLeNet(3, 24, 0.1), examples, losses.with_auxiliary(losses.in_batch)


def drawn(store):
    return Adapter(6, 8, 5), Drawn(Vectors(X, X), BAGS, 5, "class-uniform"), losses.one_drawn


def triples(store):
    targets = Targets.of(np.eye(2)[ROWS % 2], X.numpy()[:, :3], ROWS % 3 > 0)
    packed, labelled = targets.packed(alpha=0.5, tau=1.0), np.flatnonzero(targets.labelled)
    examples = Blocks(Vectors(X, packed), labelled, True, nearest_other(targets.vectors))
    return TwoHeads(6, 2, 3, 8), examples, objective(targets, examples.count, contrastive=True)


def hard_negatives(store):
    model = user_models.UserMLP(X.numpy(), 5, 4, 3, 3, 3, hidden=4)
    model.begin(POSTS)
    return model, POSTS, user_models.RankingLoss(POSTS, 5, 4, CPU)


def gates(store):
    model = conditional.UserMultiplicative(X, np.eye(4), 5, 3, K=2)
    examples = conditional.TrueTags(np.stack([ROWS, ROWS % 4, ROWS % 5, ROWS], 1))
    return model, examples, conditional.ranked(BAGS, 0.1, 10)


@pytest.mark.parametrize("parts", [end_to_end, drawn, triples, hard_negatives, gates])
def test_what_is_written_trains_the_same_network(parts, store):
    trained = []

    def call():
        torch.manual_seed(4)
        network, examples, loss = parts(store)
        trained.append(network)
        after = getattr(network, "project", None)
        return fit(network, examples, loss, RECIPE, device=CPU, seed=7, after_step=after, log=None)

    arrays, state = {}, torch.get_rng_state()
    about = json.loads(json.dumps(again.written(call, arrays)))
    assert torch.equal(torch.get_rng_state(), state), "the caller's next draws are as if nothing was asked"
    assert ("weights" in about) == (parts is hard_negatives), "only those that no seed gives"
    stored = {key: array.copy() for key, array in arrays.items()}
    history = call()
    training = again.made(about, stored, store, CPU)
    how = {"device": CPU, "seed": training.seed, "after_step": training.after_step, "log": None}
    repeated = fit(*training[:4], **how)
    assert [row["loss"] for row in repeated] == [row["loss"] for row in history]
    for name, weights in trained[-1].state_dict().items():
        assert torch.equal(weights, training.network.state_dict()[name]), name
    assert not torch.equal(next(trained[0].parameters()), next(trained[-1].parameters())), (
        "it was not trained"
    )


@pytest.mark.parametrize("parts", [drawn, triples, hard_negatives, gates])
def test_a_resumed_training_draws_as_one_that_was_not_stopped(parts, store, tmp_path):
    class Stop(Exception):
        pass

    def stop(line):
        raise Stop

    def train(log, **options):
        torch.manual_seed(4)
        network, examples, loss = parts(store)
        options["after_step"] = getattr(network, "project", None)
        fit(network, examples, loss, RECIPE, device=CPU, seed=7, log=log, **options)
        return network

    file = tmp_path / "c.pt"
    with pytest.raises(Stop):
        train(stop, checkpoint=file)
    found = train(None, checkpoint=file, resume=True).state_dict(), train(None).state_dict()
    assert all(torch.equal(found[0][name], weights) for name, weights in found[1].items())


def test_arrays_are_stored_once():
    arrays = {}
    for _ in range(2):
        again.written(lambda: fit(nn_adapter(), Vectors(X, X), losses.multiclass, RECIPE, **HOW), arrays)
    assert [array.shape for array in arrays.values()] == [(30, 6)]


HOW = {"device": CPU, "seed": 0}


def nn_adapter():
    torch.manual_seed(0)
    return Adapter(6, 8, 6)


def asking(network=None, loss=losses.multiclass, **options):
    return partial(fit, network or nn_adapter(), Vectors(X, X), loss, RECIPE, **HOW, **options)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: None, "trains nothing"),
        (asking(nn.Linear(6, 6)), "Linear is not known"),
        (asking(loss=lambda o, t: o.mean()), "<lambda> is not known"),
        (asking(after_step=print), "after_step"),
    ],
)
def test_what_cannot_be_written_is_refused(call, expected):
    with pytest.raises(BadInput, match=expected):
        again.written(call, {})


def test_what_cannot_be_made_is_refused(store):
    def call():
        torch.manual_seed(4)
        network, examples, loss = end_to_end(store)
        fit(network, examples, loss, RECIPE, **HOW)

    about = again.written(call, arrays := {})
    with pytest.raises(BadInput, match="it had 30 pictures of 32 pixels, there are 9 of 32"):
        again.made(about, arrays, GreyImages(9, 32), CPU)
    about["network"]["kind"] = "eval"
    with pytest.raises(BadInput, match="'eval', which this version lacks"):
        again.made(about, arrays, store, CPU)
