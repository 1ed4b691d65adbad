"""GoogLeNet, ResNet, the adapter, and how they are fed and trained on words."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from helpers.errors import BadInput
from helpers.learn.learners import Learner
from helpers.learn.losses import one_drawn
from helpers.learn.networks import Adapter, AlexNet, GoogLeNet, PairAdapter, ResNet, parameters
from helpers.learn.train import Recipe
from helpers.words.bags import Drawn
from helpers.words.prediction import (
    VARIANTS,
    dictionary,
    regress_words,
    right_labels,
    train_words,
    word_scores,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize("network", [AlexNet, GoogLeNet, ResNet])
@pytest.mark.parametrize("side", [32, 56, 224])
def test_features_and_outputs_have_their_shapes(network, side):
    with FakeTensorMode():  # shapes only, nothing is computed
        net = network(7, side, **({} if network is ResNet else {"width": 0.125})).eval()
        images = torch.zeros(2, 3, side, side)
        assert net(images).shape == (2, 7)
        assert net.features(images).shape == (2, net.head.in_features)
        assert net.head.weight.shape[0] == 7


def test_googlenet_has_the_papers_size_and_answers_three_times_while_training():
    with FakeTensorMode():
        net = GoogLeNet(1000, 224)
        assert net.head.in_features == 1024
        trunk = parameters(net) - sum(p.numel() for p in net.auxiliary.parameters())
        assert 6e6 < trunk < 7.5e6, "Szegedy et al. 2015: about 6.8 million"
        outputs = net.train()(torch.zeros(2, 3, 224, 224))
        assert [o.shape for o in outputs] == [(2, 1000)] * 3


def test_too_small_or_narrow_is_refused():
    with pytest.raises(BadInput, match="at least 24"):
        GoogLeNet(5, 20)
    with pytest.raises(BadInput, match="full width only"):
        ResNet(5, 64, width=0.5)


def test_the_adapters_head_reads_its_features():
    net = Adapter(6, 4, 3).eval()
    x = torch.randn(5, 6)
    assert torch.allclose(net(x), net.head(net.features(x)))
    assert net.features(x).min() >= 0


def test_a_pair_is_scored_by_the_cosine_of_picture_and_tag():
    torch.manual_seed(0)
    net, x = PairAdapter(6, 4, 3).eval(), torch.randn(5, 6)
    f, h = net.features(x).detach().numpy(), net.head.weight.detach().numpy()
    size = np.maximum(np.linalg.norm(f, axis=1, keepdims=True), 1e-12) * np.linalg.norm(h, axis=1)
    expected = 10 * f @ h.T / size - np.log(2)
    assert np.allclose(net(x).detach().numpy(), expected, atol=1e-5)


class Store:
    """Pictures whose colour is their first word."""

    size = 28

    def __init__(self, colours):
        self.images = np.random.default_rng(0).integers(0, 80, (len(colours), 28, 28, 3)).astype(np.uint8)
        for n, colour in enumerate(colours):
            self.images[n, ..., colour] += 150

    def __getitem__(self, rows):
        return self.images[rows]


@pytest.fixture(scope="module")
def small():
    """240 items: one of three colours as a word, and two words of noise out of fifteen."""
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 3, 240)
    rows = [(n, f"colour{c}") for n, c in enumerate(colours)]
    rows += [(n, f"noise{k}") for n in range(240) for k in rng.choice(15, 2, replace=False)]
    words = pd.DataFrame(rows, columns=["item", "word"])
    ranked = words["word"].value_counts().index
    words["word"] = pd.Categorical(words["word"], ranked)
    parts = np.split(rng.permutation(240), [60, 100])
    frozen = torch.from_numpy(np.eye(3, dtype=np.float32)[colours] + 0.1 * rng.normal(size=(240, 3)))
    learner = Learner(Store(colours), frozen.float(), 16, 0.1, 24, 0.1, 0, CPU)
    return words, (parts[2], parts[1], parts[0]), learner


def test_a_dictionary_keeps_the_most_common_words_and_the_items_that_have_one(small):
    words, parts, _ = small
    book = dictionary(words, 2, 240, parts)
    assert book.words.tolist() == words["word"].cat.categories[:2].tolist()
    having = set(words.loc[words["word"].isin(book.words), "item"])
    assert set(book.train) == set(parts[0]) & having
    assert (book.bags.dense(2).sum(axis=1) > 0).sum() == len(having)
    with pytest.raises(BadInput, match="a dictionary of 1000 words: 01 kept 18"):
        dictionary(words, 1000, 240, parts)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_learns_the_colour_on_frozen_features(small, variant):
    words, parts, learner = small
    book = dictionary(words, 18, 240, parts)
    recipe = Recipe(30, 32, 0.02, optimiser="adamw")
    [(net, history)] = train_words(learner, book, variant, [recipe])
    # among the words for colours: with class-uniform sampling a word of noise may come before all of them
    columns = [list(book.words).index(f"colour{c}") for c in range(3)]
    said = learner.outputs("frozen", net, book.test)[:, columns].argmax(axis=1)
    assert (said == learner.frozen[book.test].argmax(1).numpy()).mean() > 0.9
    assert history[-1]["validation"] <= 1
    with pytest.raises(BadInput, match="variant"):
        train_words(learner, book, "other", [recipe])


@pytest.mark.parametrize("variant", VARIANTS)
def test_side_by_side_each_learns_as_alone(small, variant):
    words, parts, learner = small
    book = dictionary(words, 18, 240, parts)
    recipes = [Recipe(3, 32, lr, weight_decay=0.1) for lr in (0.02, 0.05)]
    both = train_words(learner, book, variant, recipes, repetitions=[0, 1])
    for s, recipe in enumerate(recipes):
        [(alone, past)] = train_words(learner, book, variant, [recipe], repetitions=[s])
        assert [row["loss"] for row in past] == pytest.approx([row["loss"] for row in both[s][1]], rel=1e-4)
        for a, b in zip(alone.parameters(), both[s][0].parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("kind", ["alexnet", "googlenet"])
def test_networks_learn_the_colour_from_pictures(small, kind):
    words, parts, learner = small
    book = dictionary(words, 18, 240, parts)
    recipe = Recipe(8, 20, 3e-3, optimiser="adamw", schedule="plateau", least_epochs=2)
    [(net, _)] = train_words(learner, book, "multi-class", [recipe], kind)
    top = learner.outputs(kind, net, book.test).argmax(axis=1)
    colour = learner.frozen[book.test].argmax(1).tolist()
    assert np.mean([book.words[k] == f"colour{c}" for k, c in zip(top, colour, strict=True)]) > 0.8
    assert learner.outputs(kind, net, book.test, "features").shape == (60, net.head.in_features)


def test_the_regression_finds_the_colour_too_and_unknown_networks_are_refused(small):
    words, parts, learner = small
    book = dictionary(words, 18, 240, parts)
    each = regress_words(learner, book, [0.1, 0.001])
    [(strongest, value)] = regress_words(learner, book, [0.1])
    assert np.array_equal(strongest, each[0][0]), "one of each strength, in their order"
    assert value == each[0][1]
    scores, found = max(each, key=lambda one: one[1])
    colour = learner.frozen[book.test].argmax(1).tolist()
    said = [book.words[k] for k in scores.argmax(axis=1)]
    assert np.mean([s == f"colour{c}" for s, c in zip(said, colour, strict=True)]) > 0.9
    assert 0.1 < found < 0.3
    with pytest.raises(BadInput, match="choose frozen, pairs, alexnet"):
        learner.network("vgg", 3)


def test_one_seed_one_network(small):
    *_, learner = small
    a, b, c = (learner.network("frozen", 5, s).head.weight for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_word_scores_against_a_loop(small):
    words, parts, _ = small
    book = dictionary(words, 18, 240, parts)
    truth = book.bags.rows(book.test)
    scores = np.random.default_rng(0).random((len(book.test), 18))
    each, rare = word_scores(scores, truth)
    has, top = truth.dense(18) > 0, np.argsort(-scores, axis=1)[:, :10]
    assert each.tolist() == pytest.approx([has[n, top[n]].sum() / 10 for n in range(len(top))])
    hit = np.zeros_like(has)
    np.put_along_axis(hit, top, True, axis=1)
    expected = [(has & hit)[:, k].sum() / has[:, k].sum() for k in range(9, 18) if has[:, k].any()]
    assert rare.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["resnet", "googlenet"])
def test_a_network_learns_words_end_to_end_through_a_bottleneck(small, kind):
    words, parts, learner = small
    book = dictionary(words, 18, 240, parts)
    whole, items = replace(learner, width=1.0 if kind == "resnet" else 0.1), book.train[:24]
    net = whole.network(kind, 18, bottleneck=5)
    before = [p.detach().clone() for p in net.parameters()]
    given = Drawn(whole.examples(kind, items), book.bags.rows(items), 18)
    recipe = Recipe(1, 12, 1e-3, optimiser="adamw")
    whole.fit(kind, [net], given, one_drawn, [recipe], lambda nets: [0.0], [0])
    assert any(not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    f, scores = (whole.outputs(kind, net, items[:3], part) for part in ("features", "forward"))
    head = [p.detach().numpy() for p in net.head.parameters()]
    assert f.shape == (3, 5)
    assert np.allclose(f @ head[0].T + head[1], scores, atol=1e-4)


def test_a_probe_names_what_features_show_and_nothing_else(small):
    _, parts, learner = small
    colours = np.argmax(learner.frozen.numpy(), axis=1)
    labels = np.eye(3, dtype=bool)[colours]
    labels[:7] = False  # without a label: not asked
    right = right_labels(learner.frozen.numpy(), labels, parts, [0.01, 0.1])
    assert len(right) == (parts[2] >= 7).sum()
    assert right.mean() > 0.95
    noise = np.random.default_rng(0).normal(size=(240, 3)).astype(np.float32)
    assert right_labels(noise, labels, parts, [0.01, 0.1]).mean() < 0.6
