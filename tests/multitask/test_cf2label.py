"""CF2Label and the confidence that comes from it."""

import numpy as np
import pytest

from helpers.errors import BadInput
from helpers.learn.train import Recipe
from helpers.measures.metrics import mean_average_precision
from helpers.multitask import cf2label

RECIPE = Recipe(epochs=15, batch=50, lr=0.01, optimiser="adamw")


@pytest.fixture(scope="module")
def known():
    """Vectors whose first two numbers decide two labels; a third label is a coin."""
    rng = np.random.default_rng(0)
    Q = rng.normal(size=(400, 6))
    return Q, np.column_stack([Q[:, 0] > 0.5, Q[:, 1] > 0, rng.random(400) < 0.3])


def test_it_learns_what_the_vectors_know_and_nothing_else(known, device):
    Q, labels = known
    f = cf2label.learn(Q[:300], labels[:300], RECIPE, device=device)
    each = mean_average_precision(labels[300:], f(Q[300:])).each
    assert each[:2].min() > 0.9
    assert each[2] < 0.5


def test_out_of_fold_does_not_memorise(known, device):
    Q, labels = known
    logits = cf2label.out_of_fold(Q, labels, RECIPE, np.random.default_rng(1), device=device)
    each = mean_average_precision(labels, logits).each
    assert each[:2].min() > 0.9
    assert each[2] < 0.45, "a coin cannot be told by a network that has not seen this throw"
    memorised = cf2label.learn(
        Q, labels, Recipe(epochs=60, batch=50, lr=0.02, optimiser="adamw"), device=device
    )(Q)
    assert mean_average_precision(labels, memorised).each[2] > each[2] + 0.1


def test_the_best_pass_on_validation_is_kept(known, device):
    Q, labels = known
    errors = iter([0.5, 0.1, 0.9])
    kept = []

    def validate(f):
        kept.append(f(Q[:5]))
        return next(errors)

    recipe = Recipe(epochs=3, batch=50, lr=0.02, optimiser="adamw")
    f = cf2label.learn(Q, labels, recipe, device=device, validate=validate)
    assert np.array_equal(f(Q[:5]), kept[1])
    assert not np.allclose(kept[1], kept[2])


def test_positive_loss_and_confidence_by_hand():
    logits = np.array([[0.0, np.log(1 / 3), 5.0], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    labels = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]]) > 0
    found = cf2label.positive_loss(logits, labels)
    assert np.allclose(found[:2], [(np.log(2) + np.log(4)) / 2, np.log(2)])
    assert np.isnan(found[2])
    omega = cf2label.confidence(logits, labels)
    assert np.allclose(omega[:2], 1 / found[:2])
    assert omega[2] == pytest.approx(np.median(omega[:2]))


def test_lengths_must_agree(known, device):
    Q, labels = known
    with pytest.raises(BadInput, match="there must be one each"):
        cf2label.learn(Q[:5], labels, RECIPE, device=device)
