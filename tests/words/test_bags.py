"""Bags of tags, what is drawn from them, and how images are grouped."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from helpers.errors import BadInput
from helpers.learn.examples import Vectors
from helpers.learn.many import TOGETHER, fit_many
from helpers.learn.train import Recipe
from helpers.words.bags import Bags, Drawn, by_item, gallery, tagged_images

OWN = [[0, 2], [1], [], [0, 1, 3]]


@pytest.fixture
def bags():
    picture = np.repeat(np.arange(4), [len(t) for t in OWN])
    return Bags.of(picture.astype(np.int32), np.concatenate(OWN).astype(np.int32), 4)


def test_rows_turned_counts_and_dense_agree_with_lists(bags):
    dense = np.zeros((4, 5))
    for n, own in enumerate(OWN):
        dense[n, own] = 1
    assert np.array_equal(bags.dense(5), dense)
    assert np.array_equal(bags.turned(5).dense(4), dense.T)
    assert bags.counts(5).tolist() == [2, 2, 1, 1, 0]
    chosen = np.array([3, 0, 3])
    assert np.array_equal(bags.rows(chosen).dense(5), dense[chosen])
    assert bags.rows(np.zeros(0, int)).dense(5).shape == (0, 5)
    share = bags.dense(5, share=True)
    assert share.sum(axis=1).tolist() == pytest.approx([1, 1, 0, 1])


def test_sums_of_vectors(bags):
    vectors = np.random.default_rng(0).normal(size=(5, 3))
    expected = [sum((vectors[t] for t in own), np.zeros(3)) for own in OWN]
    assert np.allclose(bags.sums(vectors), expected, atol=1e-6)


def inputs(n):
    return Vectors(torch.arange(n).float()[:, None], torch.zeros(n))


def test_natural_visits_each_picture_once_and_draws_its_own_tags(bags):
    some = bags.rows(np.array([0, 1, 3]))
    source = Drawn(inputs(3), some, 5)
    parts = [np.array([2, 0]), np.array([1])]
    seen = list(source.batches(parts, torch.Generator().manual_seed(0), "cpu"))
    assert [x[:, 0].tolist() for x, _ in seen] == [[2, 0], [1]]
    for x, tags in seen:
        for n, tag in zip(x[:, 0].long().tolist(), tags.tolist(), strict=True):
            assert some.dense(5)[n, tag] == 1
    picture, tag = source.draw(np.tile(np.arange(3), 6000), np.random.default_rng(0))
    drawn = np.zeros((3, 5))
    np.add.at(drawn, (picture, tag), 1 / 6000)
    assert np.allclose(drawn, some.dense(5, share=True), atol=0.03)


def test_class_uniform_draws_every_tag_alike_and_one_of_its_pictures(bags):
    source = Drawn(inputs(4), bags, 5, "class-uniform")
    picture, tag = source.draw(np.arange(12_000) % 4, np.random.default_rng(0))
    assert np.allclose(np.bincount(tag, minlength=5) / 12_000, [0.25, 0.25, 0.25, 0.25, 0], atol=0.02)
    assert (bags.dense(5)[picture, tag] == 1).all()
    of_tag_0 = np.bincount(picture[tag == 0], minlength=4) / (tag == 0).sum()
    assert np.allclose(of_tag_0, [0.5, 0, 0, 0.5], atol=0.03)


def test_many_copies_draw_at_once(bags):
    """Copies are trained in threads, in which no parallel kernel may start."""
    networks = [torch.nn.Linear(1, 5) for _ in range(2 * TOGETHER)]
    shared = inputs(4)
    source = [Drawn(shared, bags, 5, "class-uniform") for _ in networks]
    recipes, seeds = [Recipe(epochs=1, batch=2) for _ in networks], list(range(len(networks)))
    histories = fit_many(
        networks, source, nn.functional.cross_entropy, recipes, seeds, device=torch.device("cpu")
    )
    assert all(np.isfinite(history[0]["loss"]) for history in histories)


def test_a_pass_repeats_with_its_generator(bags):
    source = Drawn(inputs(4), bags, 5, "class-uniform")
    parts = [np.array([0, 1]), np.array([2, 3])]
    a, b, c = (list(source.batches(parts, torch.Generator().manual_seed(s), "cpu")) for s in (1, 1, 2))
    assert all(torch.equal(x[1], y[1]) for x, y in zip(a, b, strict=True))
    assert not all(torch.equal(x[1], y[1]) for x, y in zip(a, c, strict=True))


def test_drawn_refuses_what_it_cannot_draw(bags):
    with pytest.raises(BadInput, match="no tag to draw"):
        Drawn(inputs(4), bags, 5)
    with pytest.raises(BadInput, match="choose one of natural, class-uniform"):
        Drawn(inputs(4), bags, 5, "rare")
    with pytest.raises(BadInput, match="3 pictures but 4 bags"):
        Drawn(inputs(3), bags, 5, "class-uniform")


@pytest.fixture
def hashtags():
    rows = [(0, 5, "a", "train"), (0, 5, "b", "train"), (0, 6, "b", "train"), (1, 5, "b", "test"),
            (1, 5, "c", "test"), (1, 7, "c", "validation"), (2, 5, "a", "test"),
            (2, 8, "a", "train")]  # fmt: skip
    return pd.DataFrame(rows, columns=["user", "item", "tag", "split"]).astype({"tag": "category"})


def test_images_are_pairs_and_the_vocabulary_is_ranked_on_training_images_only(hashtags):
    images = tagged_images(hashtags, 10)
    assert images.tags.tolist() == ["a", "b"], "c is on no training image; a before b by the alphabet"
    found = {(u, i): images.tags[images.bags.dense(2)[n] > 0].tolist()
             for n, (u, i) in enumerate(zip(images.user, images.item, strict=True))}  # fmt: skip
    assert found == {(0, 5): ["a", "b"], (0, 6): ["b"], (1, 5): ["b"], (2, 5): ["a"], (2, 8): ["a"]}
    assert images.split[images.rows("test")].tolist() == ["test", "test"]
    assert tagged_images(hashtags, 1).tags.tolist() == ["a"]
    assert len(tagged_images(hashtags.iloc[:0], 5).tags) == 0


def test_a_gallery_has_each_item_once_with_everybodys_tags(hashtags):
    images = tagged_images(hashtags, 10)
    items, first, bags = gallery(images, images.rows("test"))
    assert items.tolist() == [5]
    assert first.tolist() == [0]
    assert bags.dense(2).tolist() == [[1, 1]]


def test_targets_of_equal_items_add_up_to_the_same_mean_loss():
    rng = np.random.default_rng(0)
    item, targets = np.array([3, 1, 3, 1, 3]), rng.random((5, 4)).astype(np.float32)
    logp = np.log(rng.dirichlet(np.ones(4), 4))
    items, total = by_item(item, targets)
    assert items.tolist() == [1, 3]
    assert (total * logp[items]).sum() / 2 == pytest.approx((targets * logp[item]).sum() / 5, rel=1e-5)
