"""Probes against plain loops; the splits keep their promises; planted labels are found, shuffled ones not."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.svm import SVC

from helpers.data import BadInput
from helpers.data.sets.shape import ACCURACY, PRECISION, LabelledSet
from helpers.measures import stats
from helpers.pictures import probes
from helpers.pictures.probes import LOGISTIC, SVM, Probe, Split, difference, over_trainings, probe, splits

GRID = [1.0, 10.0]


def made(n=200, L=4, measure=ACCURACY, seed=0, split=None, **more):
    rng = np.random.default_rng(seed)
    if measure == ACCURACY:
        labels = np.eye(L, dtype=bool)[rng.integers(0, L, n)]
    else:
        labels = rng.random((n, L)) < 0.3
    split = np.full(n, "", dtype="<U10") if split is None else np.asarray(split)
    names = [f"c{k}" for k in range(L)]
    return LabelledSet("made", labels, names, np.arange(n), lambda size: None, split, measure=measure, **more)


def planted(data, strength, d=12, seed=1):
    """A feature that tells the labels with this strength, and noise of variance 1."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(data.labels.shape[1], d))
    noise = rng.normal(size=(len(data), d))
    return (strength * data.labels @ centres + noise).astype(np.float32)


def test_drawn_splits_keep_choice_and_test_apart():
    data = made(200)
    ten = splits(data, np.random.default_rng(0), 10, 0.2)
    for s in ten:
        assert len(s.test) == 40
        assert not set(s.test) & set(s.train)
        assert set(s.learn) | set(s.validate) <= set(s.train)
        assert not set(s.learn) & set(s.validate)
        assert len(s.train) + len(s.test) == 200
    everything_tested = set(np.concatenate([s.test for s in ten]))
    assert not everything_tested & (set(ten[0].learn) | set(ten[0].validate)), "no choice sees a tested item"
    assert len(everything_tested) > 80, "the draws differ"


def test_only_items_that_may_test_are_tested_or_validated():
    data = made(300)
    allowed = np.random.default_rng(3).random(300) < 0.3
    for s in splits(data, np.random.default_rng(0), 5, 0.2, allowed):
        assert allowed[s.test].all()
        assert allowed[s.validate].all()
        assert set(np.flatnonzero(~allowed)) <= set(s.learn)
        assert 0 < len(s.test) <= allowed.sum() // 3
    with pytest.raises(BadInput, match="12 items may be tested"):
        splits(data, np.random.default_rng(0), 5, 0.2, np.arange(300) < 12)


def test_published_and_class_wise_splits():
    part = ["train"] * 100 + ["test"] * 60 + ["validation"] * 40
    data = made(200, split=part)
    for s in splits(data, np.random.default_rng(0), 3):
        assert s.test.tolist() == list(range(100, 160))
        assert s.validate.tolist() == list(range(160, 200))
        assert s.learn.tolist() == list(range(100))
        assert len(s.train) == 140
    data = made(200, split=["train"] * 150 + ["test"] * 50)
    first, second = splits(data, np.random.default_rng(0), 2)
    assert set(first.validate) != set(second.validate)
    assert len(first.validate) == 30
    assert set(first.learn) | set(first.validate) == set(range(150))
    with pytest.raises(BadInput, match="split is published"):
        splits(data, np.random.default_rng(0), 2, may_test=np.arange(200) > 3)

    data = made(400, per_class=(50, 20))
    for s in splits(data, np.random.default_rng(0), 3):
        assert data.labels[s.train].sum(axis=0).tolist() == [50] * 4
        assert data.labels[s.test].sum(axis=0).tolist() == [20] * 4
        assert not set(s.train) & set(s.test)
        assert set(s.learn) | set(s.validate) <= set(s.train)
    with pytest.raises(BadInput, match=r"class c\d has \d+ pictures, its rule needs 90"):
        splits(made(400, per_class=(90, 20)), np.random.default_rng(0), 3)

    halves = [(np.arange(0, 100), np.arange(100, 200)), (np.arange(100, 200), np.arange(0, 100))]
    data = made(200, partitions=halves)
    found = splits(data, np.random.default_rng(0), 4)
    assert [s.test[0] for s in found] == [100, 0, 100, 0]
    assert all(set(s.learn) | set(s.validate) == set(s.train) for s in found)


@pytest.mark.parametrize("kind", [SVM, LOGISTIC])
def test_one_class_each_as_by_a_plain_loop(kind):
    data = made(200)
    X = planted(data, 0.6)
    found = probe([X], data, ten := splits(data, np.random.default_rng(0), 4), kind, GRID)
    y = data.labels.argmax(axis=1)
    for s, value, strength in zip(ten, found.values, found.strengths, strict=True):
        mean, spread = X[s.learn].mean(axis=0), X[s.learn].std(axis=0)
        Z = (X - mean) / spread / np.sqrt(X.shape[1])

        def score(C, train, test, Z=Z):
            model = SVC(kernel="linear", C=C) if kind == SVM else LogisticRegression(C=C, tol=1e-6)
            return (model.fit(Z[train], y[train]).predict(Z[test]) == y[test]).mean()

        tried = {C: score(C, s.learn, s.validate) for C in GRID}
        assert strength == max(tried, key=tried.get)
        assert value == pytest.approx(score(strength, s.train, s.test), abs=0.026)


@pytest.mark.parametrize("kind", [SVM, LOGISTIC])
def test_several_labels_class_by_class(kind):
    data = made(150, measure=PRECISION)
    X = planted(data, 0.8)
    found = probe([X], data, two := splits(data, np.random.default_rng(0), 2), kind, [10.0])
    for s, value, given in zip(two, found.values, found.outcomes, strict=True):
        each = [average_precision_score(data.labels[s.test, c], given[:, c]) for c in range(4)]
        assert value == pytest.approx(np.mean(each))
        assert np.allclose(probes.precisions(data, s.test, given), each)
        Z = probes.scaled([X], s.learn)
        model = SVC(kernel="linear", C=10.0) if kind == SVM else LogisticRegression(C=10.0, tol=1e-6)
        plain = model.fit(Z[s.train], data.labels[s.train, 1]).decision_function(Z[s.test])
        assert np.corrcoef(plain, given[:, 1])[0, 1] > 0.999


def test_ignored_pairs_count_neither_way():
    data = made(120, measure=PRECISION)
    ignored = np.random.default_rng(5).random(data.labels.shape) < 0.2
    data = made(120, measure=PRECISION, ignored=ignored & ~data.labels)
    given = np.random.default_rng(6).normal(size=(40, 4))
    test = np.arange(40)
    for c, value in enumerate(probes.precisions(data, test, given)):
        keep = ~data.ignored[test, c]
        assert value == pytest.approx(average_precision_score(data.labels[test, c][keep], given[keep, c]))
    X = planted(data, 0.5)
    changed = X.copy()
    (s,) = splits(data, np.random.default_rng(0), 1)
    rows = np.flatnonzero(data.ignored[s.train, 0])
    other = made(120, measure=PRECISION, ignored=data.ignored)
    other.labels[s.train[rows], 0] ^= True  # what is ignored may be anything
    a = probes.scores(X, data, s.train, s.test, LOGISTIC, 1.0)
    b = probes.scores(changed, other, s.train, s.test, LOGISTIC, 1.0)
    assert np.array_equal(a[:, 0], b[:, 0])


def test_scaling_knows_the_training_items_only_and_weighs_blocks_alike():
    rng = np.random.default_rng(0)
    wide, narrow = rng.normal(3, 50, size=(300, 80)), rng.normal(size=(300, 5))
    wide[:, 7] = 4
    Z = probes.scaled([wide, narrow], np.arange(200))
    assert Z.dtype == np.float32
    assert np.allclose(Z[:, 7], 0)
    assert (Z[:200, :80] ** 2).sum(axis=1).mean() == pytest.approx(79 / 80, rel=1e-3)
    assert (Z[:200, 80:] ** 2).sum(axis=1).mean() == pytest.approx(1, rel=1e-3)
    wide[250:] += 1000
    assert np.array_equal(probes.scaled([wide, narrow], np.arange(200))[:200], Z[:200])
    half = probes.scaled([wide, narrow], np.arange(200), (0.5, 1))
    assert np.allclose(half[:200, :80], Z[:200, :80] / 2)
    assert np.array_equal(half[:200, 80:], Z[:200, 80:])
    with pytest.raises(BadInput, match="not finite"):
        probes.scaled([np.full((3, 2), np.nan)], np.arange(3))


def test_rotation_changes_no_dot_product():
    X = np.random.default_rng(0).normal(size=(30, 80)).astype(np.float32)
    turned = probes.rotated(X)
    assert turned.shape == (30, 30)
    assert np.allclose(turned @ turned.T, X @ X.T, atol=1e-3)
    assert probes.rotated(X[:, :20]).shape == (30, 20)


def test_more_items_than_the_kernel_limit(monkeypatch):
    data = made(200)
    X, ten = planted(data, 1.0), splits(data, np.random.default_rng(0), 3)
    small = probe([X], data, ten, SVM, GRID)
    monkeypatch.setattr(probes, "KERNEL_LIMIT", 50)
    assert probe([X], data, ten, SVM, GRID).mean == pytest.approx(small.mean, abs=0.08)


def test_choosing_a_setting():
    data = made(200)
    (s, *_) = splits(data, np.random.default_rng(0), 2)
    noise = np.random.default_rng(9).normal(size=(200, 12)).astype(np.float32)
    options = {"x": {"bad": [noise], "good": [planted(data, 2.0)]}, "y": {"only": [noise]}}
    blocks, taken = probes.choose(options, data, s, LOGISTIC, GRID)
    assert taken == {"x": "good", "y": "only"}
    assert blocks["x"] is options["x"]["good"]
    broken = planted(data, 2.0)
    broken[s.test] = 0  # what the test items look like must not matter
    options["x"]["good"] = [broken]
    assert probes.choose(options, data, s, LOGISTIC, GRID)[1] == taken
    parts = {"noise": (1, 0.001), "the other": (0.001, 1)}
    both = {"both": {name: [noise, planted(data, 2.0)] for name in parts}}
    blocks, taken = probes.choose(both, data, s, LOGISTIC, GRID, weights=parts)
    assert taken == {"both": "the other"}
    bad, good = (probe(blocks["both"], data, [s], LOGISTIC, GRID, weights=w) for w in parts.values())
    assert good.mean > bad.mean + 0.3
    with pytest.raises(BadInput, match="5 rows for 200 pictures"):
        probe([noise[:5]], data, [s], SVM, GRID)


def test_differences_on_one_published_test_set():
    data = made(300, split=["train"] * 150 + ["test"] * 150)
    ten = splits(data, np.random.default_rng(0), 3)
    good, bad = (probe([planted(data, k)], data, ten, LOGISTIC, GRID) for k in (1.0, 0.2))
    found = difference(good, bad, np.random.default_rng(1))
    assert found.low > 0
    assert found.mean == pytest.approx(good.mean - bad.mean)
    assert difference(good, good, np.random.default_rng(1)).contains(0)
    several = made(300, measure=PRECISION, split=data.split)
    a, b = (probe([planted(several, k)], several, ten, LOGISTIC, GRID) for k in (1.5, 0.3))
    found = difference(a, b, np.random.default_rng(1))
    assert found.low > 0
    assert found.low < a.mean - b.mean < found.high
    other = probe([planted(data, 1.0)], data, splits(made(300), np.random.default_rng(4), 3), LOGISTIC, GRID)
    with pytest.raises(BadInput, match="different items"):
        difference(good, other, np.random.default_rng(1))


def test_the_corrected_interval_covers_and_the_plain_one_does_not():
    """Overlapping splits of one sample: how often is the true mean 0 inside?"""
    rng, inside = np.random.default_rng(0), {"corrected": 0, "plain": 0}
    for _ in range(300):
        each = rng.normal(size=100)
        values = [each[rng.permutation(100)[:20]].mean() for _ in range(10)]
        inside["corrected"] += stats.corrected_interval(values, 80, 20).contains(0)
        inside["plain"] += stats.mean_interval(values).contains(0)
    assert inside["corrected"] / 300 > 0.9
    assert inside["plain"] / 300 < inside["corrected"] / 300 - 0.05
    by_hand = 2.2622 * 0.02 * np.sqrt(1 / 10 + 1 / 4)
    values = np.array([0.02, -0.02] * 5) * np.sqrt(0.9)
    found = stats.corrected_interval(values, 80, 20)
    assert (found.high - found.low) / 2 == pytest.approx(by_hand, rel=1e-3)
    assert stats.mean_interval([1.0, 2.0, 3.0]).high == pytest.approx(2 + 4.3027 / np.sqrt(3), rel=1e-4)
    for wrong in ([1.0], [1.0, np.nan]):
        with pytest.raises(BadInput, match="at least two"):
            stats.corrected_interval(wrong, 8, 2)
        with pytest.raises(BadInput, match="at least two"):
            stats.mean_interval(wrong)


def test_drawn_test_sets_say_no_more_than_their_candidates():
    """Without luck in training the interval is that of a plain mean over all that may be tested."""
    n, data, rng = 300, made(300), np.random.default_rng(0)
    halves, outdated = [], []
    for _ in range(60):
        ten = splits(data, rng, 10, 0.2, np.arange(n) < 90)
        right = rng.random(n) < 0.7  # whatever is learnt
        values, each = np.array([right[s.test].mean() for s in ten]), [right[s.test] for s in ten]
        a = Probe(values, np.ones(10), each, ten, data)
        b = Probe(np.zeros(10), np.ones(10), [np.zeros(len(o)) for o in each], ten, data)
        candidates = right[np.unique(np.concatenate([s.test for s in ten]))]
        plain = candidates.std(ddof=1) / np.sqrt(len(candidates)) * 2.262  # as many degrees of freedom
        found, before = (
            difference(a, b, rng), stats.corrected_interval(values, len(ten[0].train), len(ten[0].test)),
        )  # fmt: skip
        halves.append((found.high - found.low) / 2 / plain)
        outdated.append((before.high - before.low) / 2 / plain)
    assert len(candidates) == 45
    assert np.mean(halves) == pytest.approx(1, abs=0.12)
    assert np.mean(outdated) < 0.5, "with n_test / n_train"


def test_the_lead_over_chance_is_judged_as_a_difference():
    data = made(200)
    ten = splits(data, np.random.default_rng(0), 10)
    good, noise = (probe([planted(data, k)], data, ten, LOGISTIC, GRID) for k in (1.5, 0.0))
    rng = np.random.default_rng(1)
    assert difference(good, None, rng).low > 0
    assert difference(good, None, rng).mean == pytest.approx(good.mean - data.chance)
    assert difference(noise, None, rng).low <= 0
    assert noise.mean < data.chance + 0.05
    for measure in (ACCURACY, PRECISION):
        published = made(300, measure=measure, split=["train"] * 150 + ["test"] * 150)
        two = splits(published, np.random.default_rng(0), 2)
        good = probe([planted(published, 1.5)], published, two, LOGISTIC, GRID)
        found = difference(good, None, rng)
        assert found.mean == pytest.approx(good.mean - published.chance)
        assert 0 < found.low < found.mean < found.high


@pytest.mark.controls
@pytest.mark.parametrize("kind", [SVM, LOGISTIC])
@pytest.mark.parametrize("measure", [ACCURACY, PRECISION])
def test_planted_labels_are_found_and_shuffled_ones_are_not(kind, measure):
    data = made(300, measure=measure)
    ten = splits(data, np.random.default_rng(0), 10)
    feature = planted(data, 1.0)
    shuffled = feature[np.random.default_rng(2).permutation(300)]
    noise = np.random.default_rng(3).normal(size=feature.shape).astype(np.float32)
    found = {
        n: probe([f], data, ten, kind, GRID)
        for n, f in [("on", feature), ("off", shuffled), ("noise", noise)]
    }
    assert difference(found["on"], found["off"], np.random.default_rng(4)).low > 0.2
    assert difference(found["off"], found["noise"], np.random.default_rng(4)).contains(0)
    guess = (data.labels.mean(axis=0) ** 2).sum() if measure == ACCURACY else found["noise"].mean
    assert stats.corrected_interval(
        found["off"].values - guess, len(ten[0].train), len(ten[0].test)
    ).contains(0)
    assert abs(found["off"].mean - data.chance) < 0.1
    assert found["on"].mean > data.chance + 0.3


@pytest.mark.controls
def test_two_features_together_are_better_only_if_they_know_different_things():
    data = made(400, L=4)
    ten = splits(data, np.random.default_rng(0), 10)
    rng = np.random.default_rng(1)
    first, second = (data.labels[:, [k, k + 1]] @ np.eye(2, 8) * 2 for k in (0, 2))
    a = (first + rng.normal(size=(400, 8))).astype(np.float32)
    b = (second + rng.normal(size=(400, 8))).astype(np.float32)
    empty = rng.normal(size=(400, 8)).astype(np.float32)
    alone, both, padded = (probe(f, data, ten, LOGISTIC, GRID) for f in ([a], [a, b], [a, empty]))
    assert difference(both, alone, rng).low > 0.05
    assert difference(padded, alone, rng).low <= 0
    assert padded.mean < alone.mean + 0.05


@pytest.mark.controls
def test_a_feature_that_remembers_labels_gains_on_told_items_only():
    data, rng = made(500), np.random.default_rng(0)
    told = rng.random(500) < 0.6
    memory = (rng.normal(size=(500, 4)) + 5 * data.labels * told[:, None]).astype(np.float32)
    seen, unseen = (
        probe([memory], data, splits(data, np.random.default_rng(1), 10, may_test=allowed), LOGISTIC, GRID)
        for allowed in (told, ~told)
    )
    assert seen.mean > 0.9
    assert difference(unseen, None, rng).low <= 0
    assert unseen.mean < data.chance + 0.05


def test_trainings_and_items_widen_one_interval():
    """As wide as the spread of independent experiments, in which both trainings and items are new."""
    n, S, apart, noise = 100, 8, 0.1, 0.05
    rng = np.random.default_rng(0)

    def experiment():
        data = made(2 * n)
        split = [Split(*np.split(np.arange(n), [n // 2]), np.arange(n), np.arange(n, 2 * n))]
        hard = rng.normal(size=n)  # what an item brings, the same for all trainings
        each = []
        for level in (0.6 + apart, 0.6):
            skill = norm.ppf(level) + rng.normal(scale=noise / 0.39, size=S)
            right = [(s - hard > 0) for s in skill]
            each.append([Probe(np.array([o.mean()]), np.ones(1), [o], split, data) for o in right])
        return over_trainings(*each, rng)

    found = [experiment() for _ in range(60)]
    covered = np.mean([e.low <= np.mean([f.mean for f in found]) <= e.high for e in found])
    assert covered > 0.85
    assert all(e.seeds == S and e.units == n for e in found)
    assert 0.1 < np.mean([e.seed_share for e in found]) < 0.95


def test_precision_over_trainings_and_other_items_are_refused():
    data = made(120, measure=PRECISION)
    split = splits(data, np.random.default_rng(0), 1)

    def learnt(strength):
        return [probe([planted(data, strength, seed=k)], data, split, LOGISTIC, [1.0]) for k in range(2)]

    good, bad = learnt(3.0), learnt(0.0)
    found = over_trainings(good, bad, np.random.default_rng(1))
    assert found.low > 0
    assert found.mean == pytest.approx(found.a - found.b)
    assert found.a == pytest.approx(np.mean([p.mean for p in good]))
    assert (found.seeds, found.units) == (2, len(split[0].test))
    other = probe([planted(data, 3.0)], data, splits(data, np.random.default_rng(2), 1), LOGISTIC, [1.0])
    for wrong in ([other, other], good[:1]):
        with pytest.raises(BadInput, match="on the same items"):
            over_trainings(good, wrong, np.random.default_rng(1))


@pytest.mark.controls
def test_ours_is_ahead_where_it_tells_the_labels_and_behind_where_it_tells_nothing():
    """F11a and F11d: ours tells styles, the other feature objects, and of a third set both tell the same."""
    data, lead = made(n=400, L=4), {}
    ten = splits(data, np.random.default_rng(0), 5, 0.2)

    def reached(strength, *trainings):
        noise = [np.random.default_rng(s).normal(size=(len(data), 12)) for s in trainings]
        each = [planted(data, strength) + of_training for of_training in noise]
        return probes.averaged([probe([f], data, ten, SVM, [1.0], 0) for f in each])

    for name, (ours, other) in {"style": (1.0, 0.0), "objects": (0.0, 1.0), "alike": (0.5, 0.5)}.items():
        lead[name] = difference(reached(ours, 1, 2), reached(other, 3, 4), np.random.default_rng(0))
    assert lead["style"].low > 0.1
    assert lead["objects"].high < -0.1
    assert lead["alike"].contains(0)
    assert abs(lead["alike"].mean) < 0.1
