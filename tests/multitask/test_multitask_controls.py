"""The claims of notebook 08: seen where tastes are planted, vanished where there are none."""

import numpy as np
import pytest
import torch

from helpers.crowd import filtering, multvae
from helpers.data import load
from helpers.data.collection import label_matrix
from helpers.learn import pretrained
from helpers.learn.examples import Vectors
from helpers.learn.train import Recipe
from helpers.measures import stats
from helpers.measures.metrics import mean_average_precision, resampled_map
from helpers.multitask import cf2label
from helpers.multitask.carryover import Job, Setting, Study
from helpers.multitask.heads import Targets, TwoHeads

CPU = torch.device("cpu")
OFF = {"taste_content": 0.0, "taste_style": 0.0, "attribute_taste": 0.0, "friend_views": 0.0}
ON = {
    "taste_content": 3.0,
    "taste_style": 0.5,
    "attribute_taste": 0.0,
    "friend_views": 0.0,
    "noise_views": 0.0,
}
pytestmark = pytest.mark.controls


def crowd(tastes):
    """Items with a vector, new items, their features and labels, and the vectors."""
    network = load(
        "emojigram", posts=1200, users=700, views_per_user=60.0, image_size=64, contents=16,
        drawings_per_content=6, seed=1, **tastes,
    )  # fmt: skip
    user, item = filtering.unique_views(network.views)
    M = len(network.items)
    order = np.random.default_rng(0).permutation(M)
    known = np.isin(item, order[: M * 6 // 10])
    people, _ = filtering.reindex(user[known])
    row, train = filtering.reindex(item[known])
    views = filtering.to_csr(people, row, int(people.max()) + 1)
    options = {"f": 32, "latent": 32, "learning_rate": 0.01, "batch": 100, "max_epochs": 40}
    Q = multvae.fit(views, len(train), CPU, **options)[0].Q.detach().numpy()
    lite = pretrained.load("efficientnet-lite0")
    found = pretrained.features(lite, network.images, np.arange(M), 64, CPU)
    X = lite.layer(found, "blocks")
    X = torch.from_numpy((X - X[train].mean(0)) / (X[train].std(0) + 1e-3))
    held, test = np.split(order[M * 6 // 10 :], 2)
    return X, label_matrix(network.labels, "content", M), Q, train, held, test


def carried_over(X, labels, Q, train, held, test):
    """mAP of MTL uniform minus that of Image-only on new items, one label in ten: an interval over items."""
    labelled = np.random.default_rng(3).permutation(len(train)) < len(train) // 10
    targets, inputs = Targets.of(labels[train], Q, labelled), X[train]

    @torch.inference_mode()
    def logits(network, items):
        return network(X[items])[:, : labels.shape[1]].numpy()

    study = Study(
        lambda packed: Vectors(inputs, packed), targets, {},
        lambda s: TwoHeads(X.shape[1], labels.shape[1], Q.shape[1], s.hidden, s.dropout),
        lambda networks: np.stack([logits(network, held) for network in networks]), labels[held],
        Recipe(epochs=16, batch=64, optimiser="adamw", weight_decay=0.01, validate_every=2), CPU,
    )  # fmt: skip
    setting, counts = (
        Setting(3e-3, 0.3, 8.0, 1.0, 0.0),
        stats.resamples(len(test), np.random.default_rng(0), 300),
    )
    drawn, value = {}, {}
    for method in ("image-only", "uniform"):
        made = study.learn([Job(method, setting, seed) for seed in range(3)])
        scores = [logits(network, test) for network, _ in made]
        drawn[method] = np.mean([resampled_map(labels[test], s, counts) for s in scores], axis=0)
        value[method] = np.mean([mean_average_precision(labels[test], s).mean for s in scores])
    return stats.interval(value["uniform"] - value["image-only"], drawn["uniform"] - drawn["image-only"])


def told_by_vectors(labels, Q, train):
    """mAP of CF2Label minus that of popularity, on items left out: an interval over items."""
    recipe = Recipe(epochs=20, batch=64, lr=0.005, optimiser="adamw")
    logits = cf2label.out_of_fold(Q, labels[train], recipe, np.random.default_rng(0), folds=3, device=CPU)
    floor = np.zeros_like(logits)
    counts = stats.resamples(len(train), np.random.default_rng(1), 300)
    drawn = [resampled_map(labels[train], s, counts) for s in (logits, floor)]
    value = [mean_average_precision(labels[train], s).mean for s in (logits, floor)]
    return stats.interval(value[0] - value[1], drawn[0] - drawn[1]), value[1]


def test_with_tastes_vectors_tell_labels_and_mtl_carries_over(monkeypatch, tmp_path):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    X, labels, Q, *items = crowd(ON)
    over, floor = told_by_vectors(labels, Q, items[0])
    assert over.low > floor, "at least twice popularity"
    assert carried_over(X, labels, Q, *items).low > 0.005


def test_without_tastes_neither_remains(monkeypatch, tmp_path):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    X, labels, Q, *items = crowd(OFF)
    over, floor = told_by_vectors(labels, Q, items[0])
    assert over.mean < 0.25 * floor, "what is left is the optimism of mAP on few positives"
    assert carried_over(X, labels, Q, *items).low <= 0
