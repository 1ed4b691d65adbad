"""Which teacher wins where it is known: adapters that learn pseudo classes, factors or labels (F7b, F9, F10).

A picture is sixteen numbers. In a crowd with groups, its group is the largest of the first six, and it is
viewed by people of that group; its factor is the group's, with noise. The next six decide a label that has
nothing to do with the viewers."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.measures.stats import compare
from helpers.pictures import crossed
from helpers.pictures.retrieval import Experiment

CPU = torch.device("cpu")
M, N, GROUPS, K_NEAREST = 600, 360, 6, 20
SOFTMAX, SQUARED = nn.functional.cross_entropy, nn.functional.mse_loss
ENOUGH = 18  # classes: k-means has squared distances, too, and far outliers take some classes for themselves
pytestmark = pytest.mark.controls


class World:
    """Pictures, viewers and factors; `views` tells who views: a group, neighbours on a line, or anybody."""

    def __init__(self, views="groups"):
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(M, 16)).astype(np.float32)
        self.group, self.label = self.X[:, :6].argmax(axis=1), self.X[:, 6:12].argmax(axis=1)
        taste = np.arange(N) % GROUPS
        if views == "groups":
            weight, Y = 3.0 * (taste == self.group[:, None]), rng.normal(size=(GROUPS, 16))[self.group]
        elif views == "line":
            place = self.X[:, 0]
            weight = -4 * np.abs(np.sort(rng.normal(size=N)) - place[:, None])
            Y = np.stack([place, place**2] + [np.zeros(M)] * 14, axis=1)
        else:
            weight, Y = np.zeros((M, N)), np.zeros((M, 16))
        self.Y = (Y + rng.normal(0, 0.3, (M, 16))).astype(np.float32)
        user = np.argsort(-weight - rng.gumbel(size=(M, N)), axis=1)[:, :20]
        item = np.repeat(np.arange(M), 19).astype(np.int32)
        self.experiment = Experiment(
            item, user[:, 1:].ravel().astype(np.int32), user[:, 0].astype(np.int32), N
        )
        self.te, self.tr = np.arange(150), np.arange(150, M)

    def found(self, kind, Y=None, K=GROUPS):
        """Both measures of three adapters that this teacher taught: (3, queries) each."""
        Y, lessons = self.Y if Y is None else Y, []
        for s in range(3):
            if kind == "classes":
                of = torch.from_numpy(crossed.classes_of(Y, self.tr, K, s)), K, SOFTMAX
            elif kind == "regression":
                of = torch.from_numpy(crossed.standardised(Y, self.tr)), 16, SQUARED
            else:
                of = torch.from_numpy(self.group if kind == "group" else self.label), GROUPS, SOFTMAX
            lessons.append(crossed.Lesson(*of, self.tr, 0.01, 20, s))
        learnt = crossed.adapt(torch.from_numpy(self.X), lessons, 32, 0.2, 64, CPU)
        each = [self.experiment.retrieve(f, self.te, self.tr, K_NEAREST) for f in learnt]
        return tuple(np.stack([one[m].mean(axis=1) for one in each]) for m in (1, 2))


def ahead(a, b):
    return compare(a, b, np.random.default_rng(1))


@pytest.fixture(scope="module")
def groups():
    return World()


@pytest.mark.parametrize("measure", [0, 1])
def test_classes_are_ahead_of_labels_only_where_labels_do_not_tell_the_viewers(groups, measure):
    ours, blind, told = (groups.found(kind)[measure] for kind in ("classes", "label", "group"))
    won = ahead(ours, blind)
    assert won.low > 0.2 * won.b
    assert abs(ahead(ours, told).mean) < 0.1 * won.mean


def test_the_planted_number_of_classes_is_better_than_fewer(groups):
    own, few = (groups.found("classes", K=K)[0] for K in (GROUPS, 2))
    assert ahead(own, few).low > 0.1 * few.mean()


def test_no_number_of_classes_is_better_where_anybody_views():
    nobody = World("anybody")
    gap = ahead(*(nobody.found("classes", K=K)[0] for K in (GROUPS, 2)))
    assert gap.low <= 0 <= gap.high
    assert abs(gap.mean) < 0.05 * gap.b


def test_classes_beat_the_regression_where_factors_have_far_outliers(groups):
    spoilt = crossed.with_outliers(groups.Y, groups.tr, 0.1, 10.0, np.random.default_rng(2))
    ours, other = groups.found("classes", spoilt, ENOUGH)[0], groups.found("regression", spoilt)[0]
    assert ahead(ours, other).low > 0


def test_the_regression_beats_classes_where_tastes_lie_on_a_line():
    line = World("line")
    assert ahead(line.found("classes", K=2)[0], line.found("regression")[0]).high < 0


def test_outliers_cost_the_regression_more_and_no_outliers_cost_nothing(groups):
    clean = {kind: groups.found(kind, K=ENOUGH)[0] for kind in ("regression", "classes")}
    for share in (0.1, 0.0):
        spoilt = crossed.with_outliers(groups.Y, groups.tr, share, 10.0, np.random.default_rng(2))
        lost = [clean[kind] - groups.found(kind, spoilt, ENOUGH)[0] for kind in clean]
        if share:
            assert ahead(*lost).low > 0
        else:
            assert not np.any(lost)
