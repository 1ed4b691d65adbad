"""Posts, and floors that know no image."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.errors import BadInput
from helpers.measures import metrics
from helpers.people import posts as crowd

VOCABULARY = np.array(["cat", "dog", "sea"])


def table(rows):
    user, item, tag = zip(*rows, strict=True)
    return pd.DataFrame({"user": np.int32(user), "item": np.int32(item), "tag": pd.Categorical(tag)})


def test_posts_of_a_table():
    rows = [(5, 2, "sea"), (5, 2, "cat"), (7, 2, "dog"), (9, 1, "cat"), (5, 0, "unheard")]
    found = crowd.from_table(table(rows), VOCABULARY, np.array([5, 7]))
    assert found.image.tolist() == [1, 2, 2]  # the post without a known tag is gone
    assert found.user.tolist() == [crowd.UNKNOWN, 0, 1]
    assert found.tags[0].tolist() == [0, 1, 3, 4]
    assert found.tags[1].tolist() == [0, 0, 2, 1]


def test_an_empty_table_gives_no_posts():
    assert len(crowd.from_table(table([(1, 1, "x")]), VOCABULARY, np.array([1]))) == 0
    assert len(crowd.from_table(table([(1, 1, "cat")])[:0], VOCABULARY, np.zeros(0, int))) == 0


def test_take_keeps_sets_together():
    found = crowd.from_table(table([(0, 0, "cat"), (0, 1, "sea"), (0, 1, "dog")]), VOCABULARY, np.array([0]))
    some = found.take(np.array([1, 0, 1]))
    assert some.image.tolist() == [1, 0, 1]
    assert some.tags[0].tolist() == [0, 2, 3, 5]
    assert some.tags[1].tolist() == [1, 2, 0, 1, 2]


def test_a_batch_draws_each_tag_of_a_post_equally_often():
    found = crowd.from_table(table([(0, 0, "cat"), (0, 1, "sea"), (0, 1, "dog")]), VOCABULARY, np.array([0]))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([b for b, _ in found.batches([np.array([0, 1])] * 1000, generator, "cpu")])
    counts = torch.bincount(drawn[drawn[:, 0] == 1, 1], minlength=3)
    assert counts[0] == 0
    assert abs(counts[1] - 500) < 60
    assert (drawn[drawn[:, 0] == 0, 1] == 0).all()


def test_user_frequency_against_counting():
    rng = np.random.default_rng(0)
    rows = [(int(u), i, VOCABULARY[t]) for i, (u, t) in enumerate(rng.integers(0, 3, (40, 2)))]
    train = crowd.from_table(table(rows), VOCABULARY, np.arange(3))
    asked = crowd.from_table(table([(0, 0, "cat"), (2, 1, "cat"), (8, 2, "cat")]), VOCABULARY, np.arange(3))
    scores = crowd.frequency(train, 3, 3, own=True)(asked)
    everybody = np.array([sum(t == v for _, _, t in rows) for v in VOCABULARY])
    for line, user in zip(scores, (0, 2, 8), strict=True):
        mine = np.array([sum(u == user and t == v for u, _, t in rows) for v in VOCABULARY])
        assert np.array_equal(np.argsort(-line), np.lexsort((-everybody, -mine)))
    by_all = crowd.frequency(train, 3, 3, own=False)(asked)[1]
    assert np.array_equal(np.argsort(-by_all), np.argsort(-everybody))


def test_bad_input_is_refused():
    with pytest.raises(BadInput, match="one each"):
        crowd.Posts(np.zeros(2, int), np.zeros(1, int), (np.array([0, 1]), np.array([0])))
    with pytest.raises(BadInput, match="post 1 has no hashtag"):
        crowd.Posts(np.zeros(2, int), np.zeros(2, int), (np.array([0, 1, 1]), np.array([0])))


def some_posts(n, K, seed=0):
    rng = np.random.default_rng(seed)
    sets = [np.sort(rng.choice(K, rng.integers(1, 4), replace=False)) for _ in range(n)]
    indptr = np.concatenate([[0], np.cumsum([len(s) for s in sets])])
    return crowd.Posts(
        rng.integers(0, 30, n), rng.integers(0, 9, n), (indptr, np.concatenate(sets).astype(np.int32))
    )


@pytest.mark.parametrize("cells", [7, 100, 10**6])
def test_hits_in_parts_are_those_of_all_scores(cells, monkeypatch):
    monkeypatch.setattr(crowd, "CELLS", cells)
    posts, table = some_posts(40, 12), np.random.default_rng(1).normal(size=(30, 12)).round(1)
    bonuses = np.random.default_rng(2).normal(size=(3, 12))
    got = crowd.hits(lambda some: table[some.image], posts, 12, (1, 5))
    with_bonus = crowd.hits(lambda some: table[some.image], posts, 12, (1, 5), bonuses)
    assert with_bonus.shape == (3, 2, 40)
    for n, k in enumerate((1, 5)):
        assert np.array_equal(got[n], metrics.at_k(table[posts.image], posts.tags, k)["accuracy"].each)
        for t, bonus in enumerate(bonuses):
            each = metrics.at_k(table[posts.image] + bonus, posts.tags, k)["accuracy"].each
            assert np.array_equal(with_bonus[t, n], each)
    assert crowd.hits(lambda some: table[some.image], posts, 12, (1, 50)).shape == (2, 40)


def test_many_posts_and_tags_need_bounded_memory():
    """Scores of 20,000 posts and 20,000 tags would fill 1.6 GB; at no time more than some chunks are held."""
    n, K = 20_000, 20_000
    rng = np.random.default_rng(0)
    posts = crowd.Posts(
        np.arange(n), rng.integers(0, 99, n), (np.arange(n + 1), rng.integers(0, K, n).astype(np.int32))
    )
    posts = posts.take(np.arange(0, n, 10))  # a tenth is enough to see what is held
    asked = []

    def score(some):
        asked.append(len(some))
        return np.broadcast_to(-np.arange(K, dtype=np.float32), (len(some), K))

    tracemalloc.start()
    found = crowd.hits(score, posts, K)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(asked) * K <= crowd.CELLS
    assert sum(asked) == len(posts) == found.shape[1]
    assert peak < 4 * 4 * crowd.CELLS < 4 * len(posts) * K  # a few chunks of float32, not all scores


def test_no_item_is_in_two_parts():
    parts = [some_posts(60, 12, seed) for seed in range(3)]
    train, held, test = crowd.items_apart(parts, (0.6, 0.2, 0.2), np.random.default_rng(0))
    assert not set(train.image) & set(held.image)
    assert not set(train.image) & set(test.image)
    assert not set(held.image) & set(test.image)
    assert min(map(len, (train, held, test))) > 0
    kept = np.isin(parts[0].image, train.image)
    assert np.array_equal(train.tags[1], parts[0].take(np.flatnonzero(kept)).tags[1])


def test_blocks_hold_few_scores_and_come_out_in_order(monkeypatch):
    monkeypatch.setattr(crowd, "CELLS", 10)  # two posts of four hashtags at once
    posts = crowd.Posts(np.arange(5), np.zeros(5, int), (np.arange(6), np.zeros(5, np.int32)))
    asked = []

    def score(some):
        asked.append(len(some))
        return some.image[:, None] + np.arange(4.0)

    assert crowd.in_blocks(score, posts, 4, lambda s: s[:, 2]).tolist() == [2, 3, 4, 5, 6]
    assert asked == [2, 2, 1]
