"""Features of earlier notebooks by item, who may test them, and the learning curve's controls."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.data import BadInput, load
from helpers.data.images import ArrayImages, keep_array
from helpers.data.sets.shape import LabelledSet
from helpers.learn.examples import Pictures, extract
from helpers.learn.networks import AlexNet
from helpers.learn.pretrained import Pretrained
from helpers.learn.train import Recipe, fit
from helpers.measures import stats
from helpers.pictures import transfer
from helpers.pictures.probes import LOGISTIC, Probe, Split, probe, splits

CPU = torch.device("cpu")


class Saved:
    """Stands in for a run: arrays by notebook."""

    def __init__(self, **arrays):
        self.arrays = {number[1:]: content for number, content in arrays.items()}

    def read_arrays(self, number, name):
        assert name == "features"
        return self.arrays[number]


def saved(**changes):
    rng = np.random.default_rng(0)
    empty = np.zeros((0, 0), np.float32)
    five = {"items": np.array([0, 2, 3]), "trained": np.array([False, False, True])}
    five |= {"fc6": rng.normal(size=(3, 4)), "fc7": rng.normal(size=(3, 2))}
    six = {"items": np.arange(5), "trained": np.arange(5) < 4, "trained_words": np.arange(5) < 2}
    six |= {name: rng.normal(size=(5, 3)) for name in ("mcll", "ppmi", "words", "words_scratch")} | {
        "ms": empty
    }
    eight = {"items": np.zeros(0, np.int32), "image_only": empty, "mtl": empty, "trained": np.zeros(0, bool)}
    return Saved(**({"_05": five, "_06": six, "_08": eight} | changes)), five, six


def test_features_come_by_item_with_what_their_network_was_told():
    run, five, six = saved()
    found = transfer.gather(run.read_arrays, 5)
    assert list(found) == ["fc6", "fc7", "words_scratch", "words", "mcll", "ppmi"], "empty ones are left out"
    assert found["fc6"].there.tolist() == [True, False, True, True, False]
    assert np.allclose(found["fc6"].values[[0, 2, 3]], five["fc6"])
    assert not found["fc6"].values[[1, 4]].any()
    assert found["fc6"].seen.tolist() == [False, False, False, True, False], "of the items that are there"
    assert found["words"].seen.tolist() == [True, True, False, False, False]
    assert found["mcll"].seen.tolist() == [True] * 4 + [False], "without an array of its own: `trained`"
    assert np.allclose(found["ppmi"].values, six["ppmi"])
    there, unseen = transfer.shared_items(found, ["fc6", "words"], 5)
    assert there.tolist() == [True, False, True, True, False]
    assert unseen.tolist() == [False, False, True, False, False]
    assert all(part.all() for part in transfer.shared_items(found, [], 5))


def test_a_feature_is_completed_by_its_network():
    run, five, _ = saved()
    before = transfer.gather(run.read_arrays, 5)["fc7"]
    after = transfer.completed(before, np.full((5, 2), 7.0))
    assert np.allclose(after.values[[0, 2, 3]], five["fc7"])
    assert (after.values[[1, 4]] == 7).all()
    assert after.there.all()
    assert after.seen.tolist() == before.seen.tolist()


def test_arrays_that_do_not_fit_together():
    _, five, _ = saved()
    for wrong in ({"items": np.array([0, 2, 9])}, {"items": np.array([0, 2])}):
        run, *_ = saved(_05=five | wrong)
        with pytest.raises(BadInput, match=r"05/features: .* for 5 items; run notebook 05"):
            transfer.gather(run.read_arrays, 5)


def test_half_of_the_drawn_items_may_be_tested():
    small = load("openmoji", size=24, include=["animals-nature", "food-drink"])
    M = len(small.items)
    unseen = np.arange(M) % 4 == 0
    there = np.arange(M) % 8 != 0
    data = transfer.sets_of(small, there, unseen & there, 60, 2, np.random.default_rng(0))["group"]
    assert len(data) == 60
    assert there[data.rows].all()
    assert abs(unseen[data.rows].sum() - 30) <= 1
    everything = transfer.sets_of(small, np.ones(M, bool), np.ones(M, bool), 50, 2, np.random.default_rng(0))
    assert len(everything["group"]) == 50


def test_sets_are_of_unseen_items_where_these_suffice():
    small = load("openmoji", size=24, include=["animals-nature", "food-drink"])
    M = len(small.items)
    every, many, few = np.ones(M, bool), np.arange(M) % 2 == 0, np.arange(M) % 8 == 0

    def drawn(unseen, **how):
        return transfer.sets_of(small, every, unseen, 80, 2, np.random.default_rng(0), **how)["group"]

    assert many.sum() >= 80 > few.sum()
    assert len(drawn(many)) == 80
    assert many[drawn(many).rows].all(), "a probe learns from no picture that a network was trained on"
    assert 38 <= many[drawn(many, half=True).rows].sum() <= 42
    assert len(drawn(few)) == 80
    assert 0 < few[drawn(few).rows].sum() < 80, "too few: as with half"
    assert np.array_equal(drawn(few).rows, drawn(few, half=True).rows)


def result(values, name="style"):
    values = np.asarray(values, float)
    labels = np.eye(2, dtype=bool)[np.zeros(10, int)]
    data = LabelledSet(name, labels, ["a", "b"], np.arange(10), lambda s: None, np.full(10, ""))
    parts = [
        Split(np.arange(4), np.arange(4, 6), np.arange(8 - k % 2), np.array([8 + k % 2]))
        for k in range(len(values))
    ]
    return Probe(values, np.ones(len(values)), [v > 0.5 for v in values], parts, data)


def test_tables_and_comparisons():
    a, b = result([0.6, 0.7, 0.65, 0.7]), result([0.3, 0.45, 0.4, 0.4])
    measured = {"style": {"x": a, "y": b}, "content": {"y": b}, "caltech256": {"x": b, "y": a}}
    shown = transfer.table(measured, {"voc2007": (1.5, None)}, ["x", "y"])
    assert shown.loc["style", "x"] == "66.2 ± 4.8"
    assert shown.loc["content", "x"] == "–"
    assert shown.loc["paper: Pascal VOC 2007", "x"] == "1.5"
    assert shown.loc["paper: Pascal VOC 2007", "y"] == "–"
    rng = np.random.default_rng(0)
    own = transfer.compare(measured, ["style", "content"], "x", "y", rng)
    assert list(own) == ["style"], "a set without the feature says nothing"
    assert own["style"].mean == pytest.approx(0.275)
    a, b = own["style"].a, own["style"].b
    share = transfer.share_of_gain(own["style"], stats.Interval(b - 0.1, b - 0.1, b - 0.1))
    assert share.a == pytest.approx((a - 0.1) / (b - 0.1)), "of the gain over chance, 0.1"
    assert share.a - share.b == pytest.approx(share.mean)
    assert share.low * (b - 0.1) == pytest.approx(own["style"].low), "a gain that is known"
    wide = transfer.share_of_gain(own["style"], stats.Interval(b - 0.1, b - 0.2, b))
    assert wide.mean == share.mean
    assert wide.low < share.low < share.high < wide.high
    brought = transfer.compare(measured, ["style", "caltech256"], "x", "y", rng)
    assert list(brought) == ["caltech256"], "a brought set speaks instead of the own ones"


def test_opponents_have_a_row_for_each_picture(monkeypatch, tmp_path):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    small = load("openmoji", size=32, include=["animals-nature"])
    network = nn.Sequential(nn.AvgPool2d(32), nn.Flatten())
    tiny = Pretrained("tiny", network, {"mean": 3}, (0.0,) * 3, (1.0,) * 3, "w")
    opponents = transfer.Opponents(tiny, small, [32], AlexNet(2, 28, 0.05), 28, CPU)
    rows = np.array([5, 2, 9])
    two = np.eye(2, dtype=bool)[[0, 1, 0]]
    own = LabelledSet("own", two, ["a", "b"], rows, lambda size: small.images, np.full(3, ""))
    found = opponents.options(own)
    assert {name: len(values[0]) for o in found.values() for name, values in o.items()} == {
        "mean at 32": 3, "fc6": 3, "fc7": 3, "pixels": 3,
    }  # fmt: skip
    assert np.allclose(found["ImageNet"]["mean at 32"][0], small.images[rows].mean(axis=(1, 2)), atol=0.1)
    assert list(opponents.options(own, ["pixels"])) == ["pixels"], "what is not wanted is not computed"
    keep_array(tmp_path / "other.npy", np.asarray(small.images[np.arange(10)]))
    other = LabelledSet(
        "x", two, ["a", "b"], rows, lambda s: ArrayImages(tmp_path / "other.npy"), np.full(3, "")
    )
    again = opponents.options(other)
    for name in ("ImageNet", "random weights", "pixels"):
        for setting, (values,) in found[name].items():
            assert np.allclose(values, again[name][setting][0], atol=1e-3), "the same pictures, another store"


LEARNERS = 6  # first weights alone move the probe by ten points, so a few learners say little


def rising(tmp_path, words_tell):
    """Accuracy with many pictures to learn from minus that with one of each class, over learners.

    Few and many meet the same first weights, and the few are drawn evenly: what is left is what more
    pictures bring.
    """
    rng = np.random.default_rng(0)
    n, L, side, learn = 700, 6, 32, 400
    label = rng.integers(0, L, n)
    pictures = rng.integers(0, 120, (n, side, side, 3))
    for i in range(n):  # the class is where a bright bar crosses the picture
        pictures[i, 4 + 4 * label[i] : 6 + 4 * label[i], :, :] += 25
    file = tmp_path / "bars.npy"
    keep_array(file, pictures.astype(np.uint8))
    store = ArrayImages(file)
    word = label if words_tell else rng.permutation(label)
    data = LabelledSet(
        "bars", np.eye(L, dtype=bool)[label], [*"abcdef"], np.arange(n), lambda s: store, np.full(n, "")
    )
    ten = splits(data, np.random.default_rng(1), 10, 0.2, np.arange(n) >= learn)
    recipe = Recipe(epochs=5, batch=32, lr=1e-3, optimiser="adamw")

    def reached(items, seed):
        items = np.resize(items, learn)  # as many pictures in a sweep, whatever the share
        torch.manual_seed(seed)
        network = AlexNet(L, side, 0.06, 0.0)
        examples = Pictures(store, items, torch.from_numpy(word[items]), side, flips=False)
        loss, log = nn.functional.cross_entropy, lambda line: None
        fit(network, examples, loss, recipe, device=CPU, seed=seed, log=log)
        f = extract(network.features, store, np.arange(n), side, CPU)
        return probe([f], data, ten, LOGISTIC, [1.0, 10.0]).mean

    gains = []
    for seed in range(LEARNERS):
        order = np.random.default_rng(seed).permutation(learn)
        few = np.array([order[label[order] == c][0] for c in range(L)])
        gains.append(reached(order, seed) - reached(few, seed))
    return stats.mean_interval(gains)


@pytest.mark.controls
def test_more_pictures_help_a_learner_whose_words_tell_what_is_shown(tmp_path):
    found = rising(tmp_path, True)
    assert found.low > 0.05
    assert found.mean > 0.15


@pytest.mark.controls
def test_more_pictures_do_not_help_where_words_tell_nothing(tmp_path):
    found = rising(tmp_path, False)
    assert found.low <= 0
    assert found.mean < 0.05


def test_other_trainings_widen_the_interval_of_one():
    effect = stats.Effect(5.0, 4.0, 6.0, 7.0, 2.0, 90)
    assert transfer.widened(effect, [1.0]) == effect
    assert transfer.widened(effect, [1.0, 1.0, 1.0])[:3] == pytest.approx((5, 4, 6))
    wide = transfer.widened(effect, [1.0, 2.0, 3.0])
    assert wide.high - 5 == pytest.approx(5 - wide.low)
    assert wide.high - 5 == pytest.approx(np.hypot(1, 4.303), abs=1e-3), "Student's quantile, 2 degrees"
    mean = transfer.widened(effect, [1.0, 2.0, 3.0], mean=True)
    assert mean.high - 5 == pytest.approx(np.hypot(1, 4.303 / 3**0.5), abs=1e-3)
    assert mean.seeds == 3
    assert wide.seed_share == pytest.approx(1 / (1 + (1 / 1.96) ** 2), abs=1e-3)


def test_labels_of_a_picture_share_a_weight_of_one():
    collection = load("openmoji", size=24, include=["animals-nature", "food-drink"])
    found = transfer.label_targets(collection, 5)
    assert found
    for kind, targets in found.items():
        sums = targets.sum(axis=1)
        assert set(np.round(sums, 5)) <= {0.0, 1.0}
        of_kind = collection.labels[collection.labels["kind"] == kind]
        large = of_kind["label"].value_counts().loc[lambda n: n >= 5]
        assert targets.shape == (len(collection.items), len(large))
        assert ((targets > 0).sum(axis=0) >= 5).all()


def test_the_middle_of_pictures(tmp_path):
    keep_array(tmp_path / "a.npy", np.arange(2 * 6 * 6 * 3, dtype=np.uint8).reshape(2, 6, 6, 3))
    store = ArrayImages(tmp_path / "a.npy")
    middle = transfer.Middle(store, 4)
    assert (len(middle), middle.size) == (2, 4)
    assert np.array_equal(middle[np.array([1])], store[np.array([1])][:, 1:5, 1:5])
