"""Cross-fitting: no picture queries what learnt from it; and adapters find what views tell."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.crowd import factorize, filtering, negatives
from helpers.data import load
from helpers.errors import BadInput
from helpers.learn import pretrained
from helpers.measures.stats import Effect, compare
from helpers.pictures import crossed
from helpers.pictures.retrieval import Experiment, in_gains

CPU = torch.device("cpu")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def dealt(rng):
    return crossed.deal(np.arange(3), np.arange(3, 40), 0.2, 4, rng)


@pytest.fixture
def known(rng):
    cells = rng.choice(40 * 30, 600, replace=False)
    value = rng.integers(0, 2, 600).astype(np.float32)
    return crossed.Known((cells % 30).astype(np.int32), (cells // 30).astype(np.int32), value, 30, 40)


def test_every_picture_that_is_not_held_queries_once(dealt):
    held, folds = dealt
    assert sorted([*held, *crossed.all_queries(folds)]) == list(range(40))
    assert set(range(3)) <= set(folds[0].queries)
    assert len(held) == 7
    for queries, base, train in folds:
        assert sorted([*queries, *base]) == list(range(40))
        assert set(train) == set(base) - set(held)


def test_a_te_that_fills_more_than_a_fold_is_refused(rng):
    with pytest.raises(BadInput, match="give fewer folds"):
        crossed.deal(np.arange(30), np.arange(30, 60), 0.2, 4, rng)


def test_factors_of_a_fold_do_not_depend_on_the_views_of_its_queries(dealt, known):
    fold = dealt[1][1]
    of_queries = np.isin(known.item, fold.queries)
    other = known._replace(value=np.where(of_queries, 1 - known.value, known.value))
    first, second = (
        crossed.factors(each.of(fold.base), 4, 0.05, 5, np.random.default_rng(1), 0)
        for each in (known, other)
    )
    assert of_queries.any()
    assert np.array_equal(first, second)
    every = [crossed.factors(each, 4, 0.05, 5, np.random.default_rng(1), 0) for each in (known, other)]
    assert not np.array_equal(*every)


def test_the_weight_is_chosen_that_predicts_held_entries_best(rng):
    X, Y = rng.random((60, 2)), rng.random((50, 2))
    user, item = (x.ravel().astype(np.int32) for x in np.meshgrid(np.arange(60), np.arange(50)))
    known = crossed.Known(user, item, (X @ Y.T)[user, item].astype(np.float32), 60, 50)
    lam, epochs = crossed.choose_factors(known, 2, [0.001, 5.0], rng, 0)
    assert lam == 0.001
    assert 1 <= epochs <= 60
    lam, _ = crossed.choose_factors(known, 2, [0.3, 0.5, 1.0], rng, 0)
    assert lam == pytest.approx(0.3 * 0.6**7, rel=0.02), "continued downwards as often as it may be"


def test_of_weights_that_predict_alike_the_smallest_is_chosen(known, rng, monkeypatch):
    alike = factorize.Factors(np.empty(0), np.empty(0), [{"rmse": 0.4}, {"rmse": 0.3}], 2)
    monkeypatch.setattr(factorize, "fit", lambda *_, **options: alike)
    assert crossed.choose_factors(known, 2, [0.001, 0.1], rng, 0) == (0.001, 2)


def test_a_share_of_the_factors_changes_places(rng):
    Y, rows = rng.normal(size=(50, 3)), np.arange(10, 50)
    spoilt = crossed.with_outliers(Y, rows, 0.25, 1, rng)
    moved = np.flatnonzero((spoilt != Y).any(axis=1))
    assert len(moved) == 10
    assert set(moved) <= set(rows)
    assert np.array_equal(np.sort(spoilt, axis=0), np.sort(Y, axis=0))
    longer = crossed.with_outliers(Y, rows, 0.25, 5, np.random.default_rng(0))
    changed = (longer != Y).any(axis=1)
    assert np.linalg.norm(longer[changed]).round(3) == np.linalg.norm(5 * Y[changed]).round(3)


def test_answering_the_mean_of_standardised_factors_costs_one(rng):
    Y, rows = 7 + 3 * rng.normal(size=(50, 4)), np.arange(30)
    target = crossed.standardised(Y, rows)
    assert np.isclose((target[rows] ** 2).mean(), 1, atol=1e-5)
    assert np.allclose(target[rows].mean(axis=0), 0, atol=1e-5)


def test_lists_of_folds_and_trainings_are_those_of_each_alone(dealt, rng):
    cells = rng.choice(40 * 12, 150, replace=False)
    owner = rng.integers(-1, 12, 40).astype(np.int32)
    experiment = Experiment((cells // 12).astype(np.int32), (cells % 12).astype(np.int32), owner, 12)
    folds = dealt[1]
    features = rng.normal(size=(2, len(folds), 40, 5)).astype(np.float32)
    found = crossed.retrieve(experiment, folds, features, 4)
    assert found.common.shape == (2, 33, 4)
    alone = experiment.retrieve(features[1, 2], folds[2].queries, folds[2].base, 4)
    start = sum(len(fold.queries) for fold in folds[:2])
    part = slice(start, start + len(folds[2].queries))
    assert np.array_equal(found.neighbours[1, part], alone.neighbours)
    assert np.array_equal(found.common[1, part], alone.common)
    known = owner[crossed.all_queries(folds)] >= 0
    assert found.owned.shape == (2, known.sum(), 4)
    drawn = crossed.random_pairs(experiment, folds, 6, rng)
    for queries, base, _ in folds:
        of_fold = np.isin(crossed.all_queries(folds), queries)
        assert np.isin(drawn.neighbours[0, of_fold], base).all()
    assert drawn.owned.shape == (1, known.sum(), 6)


def test_an_adapter_is_the_same_alone_and_beside_others(rng):
    inputs = torch.from_numpy(rng.normal(size=(60, 8)).astype(np.float32))
    classes = torch.from_numpy(rng.integers(0, 3, 60))
    vectors = torch.from_numpy(rng.normal(size=(60, 2)).astype(np.float32))
    softmax, squared = nn.functional.cross_entropy, nn.functional.mse_loss
    lessons = [
        crossed.Lesson(classes, 3, softmax, np.arange(40), 0.01, 2, 0),
        crossed.Lesson(vectors, 2, squared, np.arange(40), 0.01, 2, 1),
        crossed.Lesson(classes, 3, softmax, np.arange(10, 50), 0.003, 2, 2),
    ]
    together = crossed.adapt(inputs, lessons, 16, 0.5, 16, CPU)
    for lesson, found in zip(lessons, together, strict=True):
        (alone,) = crossed.adapt(inputs, [lesson], 16, 0.5, 16, CPU)
        assert found.shape == (60, 16)
        assert np.allclose(found, alone, atol=1e-4)


def test_in_units_of_a_gain_the_floor_is_0_and_the_gain_1(rng):
    floor = rng.normal(1.0, 0.1, 400)
    top = floor + rng.normal(0.2, 0.1, 400)
    found = in_gains(np.stack([top, top + 0.1]), floor[None], top, floor[None], rng)
    assert np.allclose([found.mean, found.a, found.b], [1 + 0.05 / (top - floor).mean()] * 2 + [0])
    itself = in_gains(top, floor, top, floor, rng)
    assert np.allclose(itself[:5], [1, 1, 1, 1, 0]), "of itself it is all, whatever is drawn"
    assert in_gains(top, floor, floor, top, rng) is None


def test_the_uncertainty_of_the_unit_is_in_the_interval(rng):
    floor, few = rng.normal(size=100), rng.normal(0.5, 0.3, 100)
    found = in_gains(np.full(100, 2.0), np.zeros(100), floor + few, floor, rng)
    drawn = rng.integers(0, 100, (4000, 100))
    low, high = np.quantile(2 / few[drawn].mean(axis=1), [0.025, 0.975])
    assert found.high - found.low == pytest.approx(high - low, rel=0.2)


def on_top(shuffled: bool) -> dict[str, Effect | None]:
    """Measure 1 of adapters that learnt pseudo classes minus that of the frozen feature and of random pairs,
    and of the frozen feature minus random pairs. People view contents that they like, whatever the style,
    which the frozen feature heeds as well. Shuffled: each picture has the viewers of another one."""
    network = load(
        "emojigram", posts=800, users=500, views_per_user=60.0, image_size=32, contents=8, seed=1,
        drawings_per_content=4, taste_content=2.5, taste_style=0.0, attribute_taste=0.0, friend_views=0.0,
    )  # fmt: skip
    user, item = filtering.unique_views(network.views)
    M, N, rng = len(network.items), len(network.users), np.random.default_rng(0)
    if shuffled:
        item = rng.permutation(M)[item].astype(np.int32)
        user, item = (column[np.lexsort((item, user))] for column in (user, item))
    no = negatives.by_ratio(user, item, M, 2, "log1p", seed=0)
    value = np.repeat(np.float32([1, 0]), [len(user), len(no[0])])
    known = crossed.Known(np.concatenate([user, no[0]]), np.concatenate([item, no[1]]), value, N, M)
    _, folds = crossed.deal(np.arange(0), np.arange(M), 0.1, 4, rng)
    lite = pretrained.load("efficientnet-lite0")
    frozen = lite.layer(pretrained.features(lite, network.images, np.arange(M), 64, CPU), "blocks")
    inputs = torch.from_numpy((frozen - frozen.mean(axis=0)) / (frozen.std(axis=0) + 1e-6))
    lessons = []
    for s, fold in [(s, fold) for s in range(3) for fold in folds]:
        Y = crossed.factors(known.of(fold.base), 16, 0.06, 40, rng, s)
        classes = torch.from_numpy(crossed.classes_of(Y, fold.base, 12, s))
        softmax = nn.functional.cross_entropy
        lessons.append(crossed.Lesson(classes, 12, softmax, fold.train, 3e-3, 20, s))
    learnt = crossed.adapt(inputs, lessons, 128, 0.5, 64, CPU)
    experiment = Experiment(item, user, np.full(M, -1, np.int32), N)
    each = {
        "adapters": crossed.retrieve(experiment, folds, [learnt[s : s + 4] for s in (0, 4, 8)], 20),
        "frozen": crossed.retrieve(experiment, folds, [[frozen] * 4], 20),
        "random": crossed.random_pairs(experiment, folds, 50, rng),
    }
    mean = {name: found.common.mean(axis=-1) for name, found in each.items()}
    pairs = [("adapters", "frozen"), ("adapters", "random"), ("frozen", "random")]
    found = {f"{a} - {b}": compare(mean[a], mean[b], rng) for a, b in pairs}
    return found | {
        "in gains": in_gains(*(mean[name] for name in ("adapters", "frozen", "frozen", "random")), rng)
    }


@pytest.mark.controls
def test_pseudo_classes_on_top_help_where_people_view_what_they_like():
    found = on_top(shuffled=False)
    assert found["in gains"].low > 0.1


@pytest.mark.controls
def test_pseudo_classes_on_top_do_not_help_where_views_are_shuffled_over_the_pictures():
    found = on_top(shuffled=True)
    assert found.pop("in gains") is None
    for effect in found.values():
        assert effect.low <= 0 <= effect.high
