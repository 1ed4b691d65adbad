"""PPMI by counting, skip-gram against a plain loop and finite differences, seats by a plain restaurant."""

import math

import numpy as np
import pytest

from helpers.crowd.negatives import alias_table
from helpers.errors import BadInput
from helpers.randomness import mix
from helpers.words import embeddings
from helpers.words.bags import Bags
from helpers.words.embeddings import Senses, TagSets, epoch, pull, seat_weights

GOLDEN, MASK = 0x9E3779B97F4A7C15, 2**64 - 1


def sets_of(*images, n_tags=None) -> TagSets:
    rows = [(b, t) for b, image in enumerate(images) for t in image]
    image, tag = np.array(rows).T
    return embeddings.tag_sets(image, tag, n_tags or int(tag.max()) + 1)


def topics(sets=600, groups=4, words=12, size=4, seed=0):
    """Images of one topic each, with a last tag that two topics share: sets, topics, n first tags."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, groups, sets)
    images = [[*(rng.choice(words, size, replace=False) + t * words), groups * words + t // 2] for t in topic]
    return sets_of(*images), topic, groups * words


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Draws:
    """The kernel's random numbers, in Python."""

    def __init__(self, seed):
        self.state = seed

    def bits(self):
        self.state = (self.state + GOLDEN) & MASK
        return int(mix(np.uint64(self.state)))

    def uniform(self):
        return (self.bits() >> 11) * 2.0**-53

    def negative(self, table):
        bits = self.bits()
        cell = ((bits >> 32) * len(table)) >> 32
        entry = int(table[cell])
        return cell if (bits & 0xFFFFFFFF) < (entry >> 32) else entry & 0xFFFFFFFF


def plain_epoch(sets, order, G, C, S, count, seat, table, negative, gamma, rates, seed):
    """The same epoch, one step after the other, in float64."""
    draws, done = Draws(seed), 0

    def step(v, others, lr):
        for word in others:
            error = np.zeros_like(v)
            targets = [(word, 1.0)] + [(draws.negative(table), 0.0) for _ in range(negative)]
            for target, label in targets:
                if label == 0 and target == word:
                    continue
                g = lr * (label - sigmoid(v @ C[target]))
                error += g * C[target]
                C[target] += g * v
            v += error

    for b in order:
        image = sets.tags[sets.indptr[b] : sets.indptr[b + 1]].tolist()
        lr = rates[0] + (rates[1] - rates[0]) * done / len(sets.tags)
        done += len(image)
        for k, w in enumerate(image):
            others, at = image[:k] + image[k + 1 :], sets.indptr[b] + k
            if not others:
                continue
            step(G[w], others, lr)
            if seat[at] >= 0:
                count[w, seat[at]] -= 1

            def fit(v, others=others):
                return math.prod(sigmoid(v @ C[o]) for o in others)

            free = next((s for s in range(len(S[w])) if count[w, s] == 0), None)
            weight = [count[w, s] * fit(S[w, s]) if count[w, s] else 0.0 for s in range(len(S[w]))]
            if free is not None:
                weight[free] = gamma * fit(G[w])
            x = draws.uniform() * sum(weight)
            s = int(np.searchsorted(np.cumsum(weight), x, side="right"))
            if s == free:
                S[w, s] = G[w]
            count[w, s] += 1
            seat[at] = s
            step(S[w, s], others, lr)


def test_the_kernel_does_what_the_plain_loop_does():
    rng = np.random.default_rng(0)
    sets = sets_of([0, 1, 2], [3], [2, 0], [1, 3, 4, 0], [4, 2, 3])
    K, d, most = 5, 4, 3
    start = [rng.normal(0, 0.5, (K, d)), rng.normal(0, 0.5, (K, d)), np.zeros((K, most, d))]
    table = alias_table(np.bincount(sets.tags, minlength=K) ** 0.75)
    states = []
    for kind, run in (("float32", epoch), ("float64", plain_epoch)):
        G, C, S = (a.astype(kind) for a in start)
        count, seat = np.zeros((K, most), np.int64), np.full(len(sets.tags), -1, np.int32)
        for e in range(6):
            order = np.random.default_rng(e).permutation(5)
            if kind == "float32":
                run(
                    sets.indptr,
                    sets.tags,
                    order,
                    G,
                    C,
                    S,
                    count,
                    seat,
                    table,
                    3,
                    1.0,
                    0.1,
                    0.05,
                    np.uint64(e),
                )
            else:
                run(sets, order, G, C, S, count, seat, table, 3, 1.0, (0.1, 0.05), e)
        states.append((G, C, S, count, seat))
    (*vectors, count, seat), (*wanted, wanted_count, wanted_seat) = states
    assert seat.tolist() == wanted_seat.tolist()
    assert count.tolist() == wanted_count.tolist()
    assert (count > 0).sum() > K, "some tag must have opened a second table, or this tests little"
    for found, right in zip(vectors, wanted, strict=True):
        np.testing.assert_allclose(found, right, atol=2e-5)


def test_a_step_follows_the_gradient_of_negative_sampling():
    """One pair, one negative: the step is lr times the slope of log σ(v·c₊) + log σ(−v·c₋)."""
    rng = np.random.default_rng(1)
    v, C = rng.normal(0, 0.5, 3), rng.normal(0, 0.5, (3, 3))
    table = alias_table(np.array([0.0, 0.0, 1.0]))  # the negative is always tag 2

    def objective(v, C):
        return np.log(sigmoid(v @ C[1])) + np.log(sigmoid(-v @ C[2]))

    lr, h = 1e-3, 1e-5
    moved, contexts = v.astype(np.float32), C.astype(np.float32)
    tags = np.array([0, 1], np.int32)
    pull(moved, np.empty(3, np.float32), tags, 0, 2, 0, contexts, table, 1, np.float32(lr), np.uint64(5))
    for k in range(3):
        e = np.eye(3)[k] * h
        slope = (objective(v + e, C) - objective(v - e, C)) / (2 * h)
        assert (moved[k] - v[k]) / lr == pytest.approx(slope, abs=2e-3)
        for row in (1, 2):
            E = np.zeros((3, 3))
            E[row, k] = h
            slope = (objective(v, C + E) - objective(v, C - E)) / (2 * h)
            assert (contexts[row, k] - C[row, k]) / lr == pytest.approx(slope, abs=2e-3)


def test_seats_by_hand():
    """Tag 0 beside tag 1: one table with three customers, the second free, the third empty for now."""
    G, C = np.zeros((2, 1), np.float32), np.array([[0.0], [1.0]], np.float32)
    S = np.array([[[2.0], [0.0], [0.0]]] * 2, np.float32)
    weight = np.empty(3)
    free = seat_weights(
        0, np.array([0, 1], np.int32), 0, 2, 0, G, C, S, np.array([[3, 0, 0]] * 2), 0.5, weight
    )
    assert free == 1
    assert weight / weight.sum() == pytest.approx(
        np.array([3 * sigmoid(2), 0.5 * 0.5, 0]) / (3 * sigmoid(2) + 0.25)
    )


def test_ppmi_by_counting():
    sets = sets_of([0, 1], [0, 1, 2], [2, 3], [0], n_tags=5)
    images = [{0, 1}, {0, 1, 2}, {2, 3}, {0}]
    C = np.array([[sum(i != j and {i, j} <= s for s in images) for j in range(5)] for i in range(5)], float)
    assert embeddings.cooccurrence(sets).toarray().tolist() == C.tolist()
    wanted, total = np.zeros((5, 5)), C.sum()
    for i, j in np.argwhere(C > 0):
        wanted[i, j] = max(0, np.log(C[i, j] / total / (C[i].sum() / total * C[j].sum() / total)))
    np.testing.assert_allclose(embeddings.ppmi(embeddings.cooccurrence(sets)).toarray(), wanted, atol=1e-12)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_svd_gives_the_principal_singular_vectors(power):
    rng = np.random.default_rng(0)
    sets = sets_of(*[rng.choice(30, 4, replace=False) for _ in range(80)])
    M = embeddings.ppmi(embeddings.cooccurrence(sets)).toarray()
    U, s, _ = np.linalg.svd(M)
    found = embeddings.ppmi_svd(sets, 6, power)
    assert (found.dtype, found.shape) == (np.float32, (len(M), 6))
    np.testing.assert_allclose(found @ found.T, (U[:, :6] * s[:6] ** (2 * power)) @ U[:, :6].T, atol=1e-4)
    assert found.tobytes() == embeddings.ppmi_svd(sets, 6, power).tobytes()


def test_a_tag_that_is_always_alone_has_no_direction():
    sets = sets_of([0, 1], [2], [0, 1], n_tags=4)
    vectors = embeddings.ppmi_svd(sets, 3)
    assert np.abs(vectors[2:]).max() < 1e-6
    assert np.isfinite(vectors).all()
    found = embeddings.multi_sense(sets, 3, epochs=2)
    assert found.counts.sum(axis=1).tolist() == [2, 2, 0, 0]
    assert found.seats[sets.tags == 2].tolist() == [-1]


def test_tag_sets_are_sets():
    sets = embeddings.tag_sets(np.array([9, 3, 9, 9]), np.array([1, 0, 2, 1]), 3)
    assert sets.indptr.tolist() == [0, 1, 3]
    assert sets.tags.tolist() == [0, 1, 2]
    assert Bags(sets.indptr, sets.tags).dense(3).tolist() == [[1, 0, 0], [0, 1, 1]]


def test_two_meanings_are_told_apart_and_one_meaning_is_not_split_much():
    sets, topic, first = topics()
    row = np.repeat(np.arange(len(topic)), np.diff(sets.indptr))
    found = embeddings.multi_sense(sets, 12, seed=1)
    again = embeddings.multi_sense(sets, 12, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    assert not np.array_equal(found.vectors, embeddings.multi_sense(sets, 12, seed=2).vectors)
    for word in range(first, sets.n_tags):
        here = sets.tags == word
        table = np.zeros((4, 4))
        np.add.at(table, (topic[row[here]], found.seats[here]), 1)
        assert table.max(axis=0).sum() / table.sum() > 0.9, "a sense belongs to one topic"
    assert (found.counts > 0).sum(axis=1)[:first].mean() < 2


def test_skip_gram_brings_together_what_is_together():
    sets, _, first = topics()
    V = embeddings.skip_gram(sets, 12).vectors[:first]
    V /= np.linalg.norm(V, axis=1, keepdims=True)
    same = np.arange(first)[:, None] // 12 == np.arange(first) // 12
    cosine = V @ V.T
    assert cosine[same & ~np.eye(first, dtype=bool)].mean() > cosine[~same].mean() + 0.3
    assert embeddings.skip_gram(sets, 12).counts.shape == (sets.n_tags, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: embeddings.ppmi_svd(s, 9), "d is 9; with 3 tags"),
        (lambda s: embeddings.multi_sense(s, 2, gamma=0.0), "gamma 0.0"),
        (lambda s: embeddings.multi_sense(s, 2, max_senses=0), "max_senses 0"),
        (lambda s: embeddings.skip_gram(s, 2, epochs=0), "epochs 0"),
        (lambda s: embeddings.skip_gram(s, 2, lr=float("nan")), "lr nan"),
        (lambda s: embeddings.skip_gram(sets_of([0], [1]), 2), "no image has two tags"),
        (lambda s: embeddings.skip_gram(s, 2, lr=1e20), "diverged"),
        (lambda s: embeddings.tag_sets(np.array([0]), np.array([3]), 3), "expected codes from 0 to 2"),
        (lambda s: embeddings.tag_sets(np.array([0, 1]), np.array([3]), 3), "one image per tag"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(BadInput, match=message):
        call(sets_of([0, 1, 2], [0, 2]))


def test_the_kinds_of_the_result():
    found = embeddings.multi_sense(sets_of([0, 1, 2], [0, 2]), 2, max_senses=3)
    assert isinstance(found, Senses)
    assert [a.dtype for a in found] == [np.float32] * 3 + [np.int64, np.int32]
    assert found.senses.shape == (3, 3, 2)
