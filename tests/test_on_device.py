"""Every network and every loss on another device than the CPU: nothing of a step stays behind.

Without a GPU, tensors are pretended: they have a device and a shape but no numbers, and an operation that
mixes devices raises. With one, `CROWD_TEST_DEVICE=cuda` trains on it, too.
"""

from functools import cache, partial

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from helpers.learn import examples, losses, networks
from helpers.learn.examples import Pictures, Vectors
from helpers.learn.train import Recipe, fit
from helpers.multitask import heads
from helpers.people import conditional, user_models
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


def drawn_pictures():
    return Drawn(pictures(), BAGS, K)


def alexnet(outputs=K):
    return networks.AlexNet(outputs, SIDE, 0.1, 0.0)


def adapter():
    return networks.Adapter(6, 8, K, 0.0)


def two_heads():
    return heads.TwoHeads(6, K, 3, 8, 0.0)


def fine_tuned():
    return heads.TwoHeads(112, K, 3, 8, 0.0, backbone=heads.Backbone("efficientnet-lite0", "stage5", 32))


def people(model, **how):
    return model(X.numpy(), K, U, 4, 3, 3, **how)


def vectors(targets=CLASSES, **rows):
    return Vectors(X, targets, **rows)


def triplets(given):
    return heads.Blocks(given, np.arange(N), nearest=NEAREST)


def made_when_called(make):
    """A loss that is made on pretended tensors if it is called with such."""
    made = cache(make)
    return lambda *given: made()(*given)


def ranking(device):
    return made_when_called(lambda: user_models.RankingLoss(POSTS, K, U, device))


def asked(model):
    return model(X.numpy(), np.eye(U), K, 4)


PAIRS = conditional.TrueTags(np.stack([POSTS.image, POSTS.user, BAGS.indices[::2], np.arange(N)], 1))


def likelihood(scores, batch):
    return F.cross_entropy(scores, batch[:, 1])


entropy = F.cross_entropy
both, three = partial(heads.objective, TARGETS), partial(heads.objective, TARGETS, 3, contrastive=True)
PACKED = TARGETS.packed(tau=0.5)
# name -> a network, examples and a loss for them on a device; nothing is dropped at random
CASES = {
    "AlexNet": lambda d: (alexnet(), pictures(), entropy),
    "GoogLeNet": lambda d: (
        networks.GoogLeNet(K, SIDE, 0.1, 0.0),
        pictures(),
        losses.with_auxiliary(entropy),
    ),
    "ResNet": lambda d: (networks.ResNet(K, SIDE), pictures(), entropy),
    "regression": lambda d: (alexnet(6), pictures(X), F.mse_loss),
    "one drawn, pictures": lambda d: (alexnet(), drawn_pictures(), losses.one_drawn),
    "one drawn": lambda d: (adapter(), Drawn(vectors(), BAGS, K, "class-uniform"), losses.one_drawn),
    "multi-class": lambda d: (adapter(), vectors(DENSE), losses.multiclass),
    "one versus all": lambda d: (adapter(), vectors(DENSE), losses.one_versus_all(BAGS.counts(K), N)),
    "cosine": lambda d: (adapter(), vectors(DENSE), losses.negative_cosine),
    "ranked words": lambda d: (
        adapter(),
        Drawn(vectors(), BAGS, K, "class-uniform"),
        losses.pairwise_ranking,
    ),
    "sigmoids": lambda d: (adapter(), vectors(DENSE), losses.sigmoid_pairs),
    "some rows": lambda d: (adapter(), vectors(rows=np.arange(0, N, 2)), losses.one_drawn),
    "two heads": lambda d: (two_heads(), vectors(PACKED), both()),
    "two heads, pictures": lambda d: (fine_tuned(), pictures(PACKED), both()),
    "triplets": lambda d: (two_heads(), triplets(vectors(PACKED)), three()),
    "triplets, pictures": lambda d: (fine_tuned(), triplets(pictures(PACKED)), three()),
    "tensor": lambda d: (people(user_models.UserTensor, constants=True), POSTS, ranking(d)),
    "perceptron": lambda d: (people(user_models.UserMLP), POSTS, ranking(d)),
    "pairs": lambda d: (people(user_models.UserPairs), POSTS, ranking(d)),
    "attention": lambda d: (user_models.OverAllTags(people(user_models.UserAttention)), POSTS, likelihood),
    "over all tags": lambda d: (user_models.OverAllTags(people(user_models.UserTensor)), POSTS, likelihood),
    "bilinear": lambda d: (asked(conditional.Bilinear), PAIRS, conditional.ranked(BAGS)),
    "biased": lambda d: (asked(conditional.UserBiased), PAIRS, conditional.ranked(BAGS)),
    "multiplicative": lambda d: (asked(conditional.UserMultiplicative), PAIRS, conditional.ranked(BAGS)),
}
# the sizes of their tensors depend on numbers, for which Python waits in each step
WAITING = {"in batch": lambda d: (adapter(), vectors(), losses.in_batch)}


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
    cuda = torch.device("cuda", 0)
    network, given, loss = CASES[name](cuda)
    batch = first(given)
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
    meta = torch.device("meta")
    network, given, loss = CASES[name](meta)
    batch = first(given)
    with FakeTensorMode(allow_non_fake_inputs=True):
        network, (inputs, targets) = moved(network, meta), (pretended(x, meta) for x in batch)
        loss(network(inputs), targets).backward()
    assert all(p.grad.device == meta for p in network.parameters() if p.requires_grad)


def at_once(read, parts, device):
    """`read_ahead` without threads and streams, which cannot be pretended."""
    return (torch.from_numpy(read(part)).to(device) for part in parts)


@pytest.mark.parametrize("given", [pictures(), vectors()], ids=["pictures", "vectors"])
def test_batches_on_a_gpu_copy_nothing_after_the_first(given, monkeypatch):
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


@pytest.mark.parametrize("name", CASES | WAITING)
def test_a_device_trains_the_network_of_the_cpu(name, device, near):
    if device.type == "cpu":
        pytest.skip("no CUDA device: where there is one, set CROWD_TEST_DEVICE=cuda")
    found = []
    for where in (torch.device("cpu"), device):
        torch.manual_seed(0)
        network, given, loss = (CASES | WAITING)[name](where)
        recipe = Recipe(epochs=3, batch=8, lr=1e-3, optimiser="adamw", warmup=0)
        history = fit(network, given, loss, recipe, device=where, seed=1, log=None)
        assert all(p.device.type == where.type for p in network.parameters())
        found.append([row["loss"] for row in history])
    assert found[1] == near(found[0])
