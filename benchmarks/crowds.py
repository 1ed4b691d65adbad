"""People with tastes, of any size, for the benchmarks of recommenders."""

import numpy as np
from cornac.data import Dataset

from helpers.crowd import negatives
from helpers.crowd.factorize import Factors
from helpers.crowd.filtering import to_csr


def views(n_users: int, n_items: int, mean_views: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs (user, item): 60 topics, three for each user, long-tailed popularity, 20 % noise."""
    rng = np.random.default_rng(seed)
    topics = 60
    popularity = rng.pareto(1.5, n_items) + 0.2
    by_topic = rng.permutation(n_items)
    bounds = np.linspace(0, n_items, topics + 1).astype(int)
    cumulated = np.concatenate([[0], np.cumsum(popularity[by_topic])])
    user = np.repeat(np.arange(n_users), rng.geometric(1 / mean_views, n_users) + 9)
    topic = rng.integers(0, topics, (n_users, 3))[user, rng.integers(0, 3, len(user))]
    noise = rng.random(len(user)) < 0.2
    low = np.where(noise, 0, cumulated[bounds[topic]])
    high = np.where(noise, cumulated[-1], cumulated[bounds[topic + 1]])
    at = np.searchsorted(cumulated, low + rng.random(len(user)) * (high - low), side="right") - 1
    key = np.unique(user * n_items + by_topic[np.minimum(at, n_items - 1)])
    return key // n_items, (key % n_items).astype(np.int32)


def entries(n_users: int, n_items: int, mean_views: int, seed: int = 0):
    """Shuffled entries (user int32, item int32, value float32): positives and twice as many negatives."""
    user, item = views(n_users, n_items, mean_views, seed)
    indptr, indices = to_csr(user, item, n_users)
    weight = negatives.weights(negatives.popularity(item, n_items), "log1p")
    starts, unseen = negatives.sample_negatives(indptr, indices, weight, 2 * np.diff(indptr), seed)
    order = np.random.default_rng(seed).permutation(len(item) + len(unseen))
    value = np.repeat(np.float32([1, 0]), [len(item), len(unseen)])[order]
    of_unseen = np.repeat(np.arange(n_users), np.diff(starts))
    return (
        np.concatenate([user, of_unseen])[order].astype(np.int32),
        np.concatenate([item, unseen])[order].astype(np.int32),
        value,
    )


def for_cornac(user: np.ndarray, item: np.ndarray, value: np.ndarray | None = None) -> Dataset:
    """Pairs, each with value 1 or a given one, in the form of cornac."""
    value = np.ones(len(user)) if value is None else value
    return Dataset.from_uir([*zip(user.tolist(), item.tolist(), value.tolist(), strict=True)])


def of_cornac(model, dataset: Dataset, n_users: int, n_items: int) -> tuple[Factors, np.ndarray]:
    """Factors and items' biases of cornac's model by our numbers; zeros, and the least bias, where it has
    none."""
    users, items = list(dataset.uid_map), list(dataset.iid_map)
    at_user, at_item = list(dataset.uid_map.values()), list(dataset.iid_map.values())
    X, Y = (np.zeros((n, model.k), np.float32) for n in (n_users, n_items))
    X[users], Y[items] = model.u_factors[at_user], model.i_factors[at_item]
    bias = np.full(n_items, model.i_biases.min(), np.float32)
    bias[items] = model.i_biases[at_item]
    return Factors(X, Y), bias
