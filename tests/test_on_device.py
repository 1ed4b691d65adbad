"""Every network and every loss on another device than the CPU: nothing of a step stays behind.

Without a GPU, tensors are pretended: they have a device and a shape but no numbers, and an operation that
mixes devices raises. With one, `CROWD_TEST_DEVICE=cuda` trains on it, too.
"""

import dataclasses
from functools import cache, partial

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from helpers.crowd import multvae
from helpers.learn import examples, losses, networks
from helpers.learn.examples import Pictures, Vectors
from helpers.learn.train import Recipe, fit, optimiser
from helpers.multitask import heads
from helpers.people import conditional, user_models, warp
from helpers.people.posts import Posts
from helpers.words.bags import Bags, Drawn

N, K, U, SIDE = 24, 5, 4, 28  # examples, classes or tags, users, pixels
RNG = np.random.default_rng(0)
CLASSES = torch.from_numpy(RNG.integers(0, K, N))
X = torch.from_numpy(RNG.normal(size=(N, 6)).astype(np.float32))
BAGS = Bags.of(np.repeat(np.arange(N), 2), np.tile([1, 3, 0, 2], N // 2), N)
DENSE = torch.from_numpy(BAGS.dense(K))
POSTS = Posts(np.arange(N), np.arange(N) % U, tuple(BAGS))
TARGETS = heads.Targets.of(BAGS.dense(K) > 0, RNG.normal(size=(N, 3)))
NEAREST = heads.nearest_other(TARGETS.vectors)


class Store:
    size = 32
    pictures = RNG.integers(0, 256, (N, 32, 32, 3)).astype(np.uint8)

    def __getitem__(self, rows):
        return self.pictures[rows]


def pictures(targets=CLASSES):
    return Pictures(Store(), np.arange(N), targets, SIDE)


def adapter(outputs=K):
    return networks.Adapter(6, 8, outputs, 0.0)


def two_heads(inputs=6, backbone=None):
    return heads.TwoHeads(inputs, K, 3, 8, 0.0, backbone)


def backbone():
    return heads.Backbone("efficientnet-lite0", "stage5", 32)


def people(model, **how):
    return model(X.numpy(), K, U, 4, 3, 3, **how)


def users(model):
    return model(X.numpy(), np.eye(U), K, 4)


def when_called(make):
    """The loss that `make` makes, on pretended tensors if it is called with such."""
    made = cache(make)
    return lambda *given: made()(*given)


def ranking(device):
    return when_called(lambda: user_models.RankingLoss(POSTS, K, U, device))


def triplets(given):
    return heads.Triplets(given, NEAREST)


class Warp(nn.Module):
    """φ and V of a conditional model: the loss reads both."""

    def __init__(self, model):
        super().__init__()
        self.model = users(model)

    def forward(self, pairs):
        return self.model(pairs), self.model.V


PAIRS = Vectors(
    torch.from_numpy(np.stack([POSTS.image, POSTS.user], 1)), torch.stack([CLASSES, torch.arange(N)], 1)
)


def warps(device):
    true = cache(lambda: warp.keys(BAGS, K).to(device))
    return lambda outputs, target: warp.warp_loss(*outputs, *target.unbind(1), true(), 7)


# name -> network, examples, and the loss on a device
CASES = {
    "AlexNet": (lambda: networks.AlexNet(K, SIDE, 0.1), pictures, lambda d: F.cross_entropy),
    "GoogLeNet": (lambda: networks.GoogLeNet(K, SIDE, 0.1), pictures, lambda d: losses.with_auxiliary(F.cross_entropy)),
    "ResNet": (lambda: networks.ResNet(K, SIDE), pictures, lambda d: F.cross_entropy),
    "regression": (lambda: networks.AlexNet(6, SIDE, 0.1), partial(pictures, X), lambda d: F.mse_loss),
    "one drawn, pictures": (lambda: networks.AlexNet(K, SIDE, 0.1), lambda: Drawn(pictures(), BAGS, K), lambda d: losses.one_drawn),
    "one drawn": (adapter, lambda: Drawn(Vectors(X, CLASSES), BAGS, K, "class-uniform"), lambda d: losses.one_drawn),
    "multi-class": (adapter, lambda: Vectors(X, DENSE), lambda d: losses.multiclass),
    "one versus all": (adapter, lambda: Vectors(X, DENSE), lambda d: losses.one_versus_all(BAGS.counts(K), N)),
    "cosine": (adapter, lambda: Vectors(X, DENSE), lambda d: losses.negative_cosine),
    "some rows": (adapter, lambda: Vectors(X, CLASSES, np.arange(0, N, 2)), lambda d: losses.one_drawn),
    "two heads": (two_heads, lambda: Vectors(X, TARGETS.packed()), lambda d: heads.objective(TARGETS, 1.0)),
    "two heads, pictures": (lambda: two_heads(112, backbone()), lambda: pictures(TARGETS.packed()), lambda d: heads.objective(TARGETS, 1.0)),
    "triplets": (two_heads, lambda: triplets(Vectors(X, TARGETS.packed())), lambda d: heads.contrastive(TARGETS, 1.0, 0.5)),
    "triplets, pictures": (lambda: two_heads(112, backbone()), lambda: triplets(pictures(TARGETS.packed())), lambda d: heads.contrastive(TARGETS, 1.0, 0.5)),
    "tensor": (lambda: people(user_models.UserTensor, constants=True), lambda: POSTS, ranking),
    "perceptron": (lambda: people(user_models.UserMLP), lambda: POSTS, ranking),
    "pairs": (lambda: people(user_models.UserPairs), lambda: POSTS, ranking),
    "over all tags": (lambda: user_models.OverAllTags(people(user_models.UserTensor)), lambda: POSTS, lambda d: lambda s, batch: F.cross_entropy(s, batch[:, 1])),
    "bilinear": (lambda: Warp(conditional.Bilinear), lambda: PAIRS, warps),
    "biased": (lambda: Warp(conditional.UserBiased), lambda: PAIRS, warps),
    "multiplicative": (lambda: Warp(conditional.UserMultiplicative), lambda: PAIRS, warps),
}  # fmt: skip


class Watch(TorchDispatchMode):
    """Notes operations between devices."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        # a single number of the CPU goes along with an operation as its argument
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor) and x.ndim]
        if len({x.device for x in tensors}) > 1:
            self.seen.append(str(function))
        return out


def moved(network, device):
    """`to`, which pretended tensors do not know."""
    for part in network.modules():
        for name, tensor in part._parameters.items():
            if tensor is not None:
                new = torch.empty(tensor.shape, device=device)
                part._parameters[name] = nn.Parameter(new, tensor.requires_grad)
        for name, tensor in part._buffers.items():
            if tensor is not None:
                part._buffers[name] = torch.empty(tensor.shape, dtype=tensor.dtype, device=device)
    return network.train()


def pretended(tensor, device):
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=device)


ORDER = [np.arange(0, 8), np.arange(4, 12)]


def first(given):
    return next(given.batches(ORDER, torch.Generator(), "cpu"))


@pytest.mark.parametrize("name", CASES)
def test_forward_and_loss_on_a_gpu_copy_nothing_and_wait_for_nothing(name):
    make, given, loss = CASES[name]
    cuda = torch.device("cuda", 0)
    network, batch, loss = make(), first(given()), loss(cuda)
    with FakeTensorMode(allow_non_fake_inputs=True):
        network, (inputs, targets) = moved(network, cuda), (pretended(x, cuda) for x in batch)
        loss(network(inputs), targets)  # the first step copies what the others find there
        with Watch() as watch:
            value = loss(network(inputs), targets)
        assert value.device == cuda
        assert watch.seen == []
        with Watch() as watch:  # it can fail
            value + torch.ones(2).to(cuda)
        assert len(watch.seen) == 1
        with pytest.raises(DataDependentOutputException):  # as does what Python would wait for
            value.item()


@pytest.mark.parametrize("name", CASES)
def test_gradients_lie_where_the_weights_are(name):
    """Autograd runs on pretended CUDA tensors only where there is a GPU, but on pretended "meta" ones."""
    make, given, loss = CASES[name]
    meta = torch.device("meta")
    network, batch, loss = make(), first(given()), loss(meta)
    with FakeTensorMode(allow_non_fake_inputs=True):
        network, (inputs, targets) = moved(network, meta), (pretended(x, meta) for x in batch)
        loss(network(inputs), targets).backward()
    assert all(p.grad.device == meta for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    "given", [pictures(), Vectors(X, CLASSES), POSTS], ids=["pictures", "vectors", "posts"]
)
def test_batches_on_a_gpu_copy_nothing_after_the_first(given, monkeypatch):
    def at_once(read, parts, device):  # neither threads nor streams can be pretended
        return (torch.from_numpy(read(part)).to(device) for part in parts)

    monkeypatch.setattr(examples, "read_ahead", at_once)
    monkeypatch.setattr(examples, "free_memory", lambda device: 2**30)
    cuda = torch.device("cuda", 0)
    with FakeTensorMode(allow_non_fake_inputs=True):
        batches = given.on(cuda).batches(ORDER, torch.Generator(), cuda)
        next(batches)
        with Watch() as watch:
            batch = next(batches)
    assert {x.device for x in batch} == {cuda}
    assert watch.seen == []


def test_pictures_that_fill_more_than_half_of_the_memory_are_copied_batch_by_batch(monkeypatch):
    cuda = torch.device("cuda", 0)
    for free, held in ((2 * N * 32 * 32 * 3, True), (2 * N * 32 * 32 * 3 - 1, False)):
        monkeypatch.setattr(examples, "free_memory", lambda device, free=free: free)
        monkeypatch.setattr(
            examples, "read_ahead", lambda read, parts, device: [torch.from_numpy(read(parts[0])).to(device)]
        )
        with FakeTensorMode(allow_non_fake_inputs=True):
            assert (pictures().on(cuda).held is not None) == held
