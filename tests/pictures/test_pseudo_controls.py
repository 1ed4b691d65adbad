"""The claim of notebook 05: seen where tastes are planted, vanished where they are off."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.crowd import factorize, filtering, negatives
from helpers.data import load
from helpers.learn.examples import Pictures
from helpers.learn.networks import AlexNet
from helpers.learn.train import Recipe, fit
from helpers.measures import stats
from helpers.pictures import pseudo
from helpers.pictures.retrieval import Experiment

CPU = torch.device("cpu")


OFF = {"taste_content": 0.0, "taste_style": 0.0, "attribute_taste": 0.0, "friend_views": 0.0}
ON = {"taste_content": 2.5, "taste_style": 1.0, "attribute_taste": 0.0, "friend_views": 0.0}


def advantage(tastes):
    """Measure 1 of the learnt feature minus that of other neighbours, as intervals over queries."""
    network = load(
        "emojigram", posts=1200, users=700, views_per_user=60.0, image_size=32, contents=8,
        drawings_per_content=6, seed=1, **tastes,
    )  # fmt: skip
    user, item = filtering.unique_views(network.views)
    tr, te = filtering.split_items(np.unique(item), 0.2, np.random.default_rng(0))
    M, N = len(network.items), len(network.users)
    no = negatives.by_ratio(user, item, M, 2, "log1p", seed=0)
    users, items = np.concatenate([user, no[0]]), np.concatenate([item, no[1]])
    value = np.repeat([1.0, 0.0], [len(user), len(no[0])])
    order = np.random.default_rng(1).permutation(np.flatnonzero(np.isin(items, tr)))
    known = factorize.group(users[order], items[order], value[order], N, M)
    Y = factorize.fit(known, 16, lam=0.06, eta=0.1, decay=0.02, max_epochs=40).Y
    classes = torch.from_numpy(pseudo.cluster(Y[tr], 12, seed=0).classes)
    torch.manual_seed(0)
    cnn = AlexNet(12, 28, width=0.1, dropout=0.2)
    experiment = Experiment(item, user, np.full(M, -1, np.int32), N)

    def retrieved(features):
        return experiment.retrieve(features, te, tr, 20)

    untrained = retrieved(pseudo.embed(cnn, network.images, np.arange(M), 28, CPU)["fc7"])
    recipe = Recipe(epochs=12, lr=1e-3, optimiser="adamw")
    examples = Pictures(network.images, tr, classes, 28)
    fit(cnn, examples, nn.functional.cross_entropy, recipe, device=CPU, seed=0, log=lambda _: None)
    ours = retrieved(pseudo.embed(cnn, network.images, np.arange(M), 28, CPU)["fc7"])
    random = retrieved(np.random.default_rng(2).normal(size=(M, 8))).common
    others = {
        "random": random,
        "random weights": untrained.common,
        "dealt": experiment.dealt(te, ours.neighbours)[0],
    }
    rng = np.random.default_rng(3)
    found = {name: stats.bootstrap((ours.common - o).mean(axis=1), rng) for name, o in others.items()}
    return found, random.mean()


@pytest.mark.controls
def test_with_tastes_the_learnt_feature_beats_random_and_random_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    over, level = advantage(ON)
    assert over["random"].low > 0.5 * level
    assert over["dealt"].low > 0.5 * level
    assert over["random weights"].low > 0.1 * level


@pytest.mark.controls
def test_without_tastes_the_learnt_feature_is_no_better_than_random(monkeypatch, tmp_path):
    # A little below random is right: without a clue the network answers with the largest class, where the
    # least viewed pictures are, and those share fewer viewers with anything. Dealt lists show that.
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    over, level = advantage(OFF)
    assert over["random"].low <= 0
    assert abs(over["random"].mean) < 0.1 * level
    assert over["dealt"].contains(0)
    assert abs(over["dealt"].mean) < 0.05 * level
