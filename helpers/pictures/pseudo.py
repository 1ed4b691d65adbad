"""Pseudo classes: items grouped by what their viewers have in common (Fang et al. 2015, section 2.2)."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from helpers.errors import BadInput
from helpers.learn.examples import extract
from helpers.learn.networks import AlexNet


class Clusters(NamedTuple):
    """A partition of the items."""

    classes: np.ndarray  # int64 (M,), the pseudo class of each item, 0 to K − 1
    centres: np.ndarray  # float32 (K, d), the mean factor of each class
    within: float  # sum of squared distances to the own centre, what k-means makes small


def cluster(Y: np.ndarray, K: int, seed: int, starts: int = 3) -> Clusters:
    """K-means of the item factors Y, float32 (M, d): c_k = {I_i : y_i in a_k} (Fang et al. 2015, equation 4).
    The seed decides the first centres (k-means++); the best of so many starts is kept. BadInput unless K is
    from 2 to M. One thread: with more, sums are added in another order in each run, which may show."""
    if not 2 <= K <= len(Y):
        raise BadInput(f"cluster: K = {K} pseudo classes of {len(Y)} items; give 2 to {len(Y)}")
    with threadpool_limits(1):
        found = KMeans(K, n_init=starts, random_state=seed, tol=0).fit(Y)
    return Clusters(found.labels_.astype(np.int64), found.cluster_centers_, float(found.inertia_))


def purity(classes: np.ndarray, labels: np.ndarray) -> float:
    """Share of items that carry the most frequent label of their class: classes int (M,), labels bool (M, L).
    Never below the share of the most frequent label of all, and 1 where each item has a class of its own: it
    is only to be read beside `chance_purity`."""
    counts = np.zeros((classes.max() + 1, labels.shape[1]), np.int64)
    np.add.at(counts, classes, labels)
    return float(counts.max(axis=1).sum() / len(classes))


def chance_purity(
    classes: np.ndarray, labels: np.ndarray, rng: np.random.Generator, repeats: int = 20
) -> np.ndarray:
    """The purity of classes of the same sizes that are filled at random: float64 (repeats,)."""
    return np.array([purity(rng.permutation(classes), labels) for _ in range(repeats)])


def stability(partitions: Sequence[np.ndarray]) -> np.ndarray:
    """How much partitions agree: the adjusted Rand index of each pair, float64 (Hubert and Arabie 1985).
    1 is the same partition; 0 is expected of two unrelated ones, whatever their sizes."""
    return np.array([adjusted_rand_score(a, b) for a, b in combinations(partitions, 2)])


def embed(
    network: AlexNet, store, items: np.ndarray, side: int, device: torch.device,
    rows: np.ndarray | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """FC6 and FC7 of pictures, from their central crops: "fc6" and "fc7", each float32 (M, units).
    items, int (M,), are pictures of the image store; side is that of the crops, in pixels. Where `rows` of
    them are given, only these are computed; the others stay 0, so that rows keep their numbers."""
    rows = np.arange(len(items)) if rows is None else rows
    network.to(device).eval()
    found = extract(lambda x: torch.cat([*network.layers(x).values()], 1), store, items[rows], side, device)
    full = np.zeros((len(items), found.shape[1]), np.float32)
    full[rows] = found
    units = network.fc6.out_features
    return {"fc6": full[:, :units], "fc7": full[:, units:]}


def explained(Y: np.ndarray, labels: np.ndarray) -> float:
    """Share of the variance of factors Y (M, d) that a linear function of the labels reaches on them (R²).
    labels is bool (M, L), all kinds of labels side by side; L well below M, or it means nothing."""
    X = np.hstack([np.ones((len(Y), 1)), labels])
    rest = Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]
    return float(1 - (rest**2).sum() / ((Y - Y.mean(axis=0)) ** 2).sum())
