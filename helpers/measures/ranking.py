"""How well a recommender ranks: personalised ranking PR and AUC, and floors that know no user."""

from collections.abc import Callable

import numba
import numpy as np
import pandas as pd

from helpers.measures.metrics import Score, check_scores, mean_of_known

Scorer = Callable[[np.ndarray], np.ndarray]
"""users int[B] -> scores float32[B, M] of all items, higher is better."""


@numba.njit(cache=True, parallel=True)
def grouped(user, item, n_users):
    """indptr int64[N+1] and the items by user, ascending in each row: a counting sort, then each row alone.

    The items np.arange(n) become the stable order of the entries by user.
    """
    counts = np.zeros(n_users + 1, np.int64)
    for u in user:
        counts[u + 1] += 1
    indptr = np.cumsum(counts)
    place = indptr[:-1].copy()
    indices = np.empty_like(item)
    for k in range(len(user)):
        u = user[k]
        indices[place[u]] = item[k]
        place[u] += 1
    for u in numba.prange(n_users):
        row = indices[indptr[u] : indptr[u + 1]]
        if (row[1:] < row[:-1]).any():
            row.sort()
    return indptr, indices


def personalised_ranking(user: np.ndarray, positive: np.ndarray, score: np.ndarray, n_users: int) -> Score:
    """PR: where a user's held-out positives stand among that user's other held-out entries.

    The percentile rank of a positive is the share of the user's *other* held-out entries (positives and
    negatives) that are scored above it, ties counted half: 0 is the top, 1 the bottom. PR is the mean over
    a user's positives, then over users. At random it is 0.5; lower is better. A perfect ranking of p
    positives and q negatives gives (p − 1) / 2 / (p + q − 1), which is not 0 (`best_ranking`).
    All arrays have one value a held-out entry; users, 0..n_users-1, without both kinds are left out. Raises
    BadInput for a score that is NaN, or where no user has both kinds.
    Source: Fang et al. 2015, section 4.1 (after Dror et al. 2011).
    """
    score, positive = np.asarray(score, np.float64), np.asarray(positive, bool)
    check_scores(score, "personalised_ranking")
    above = pd.Series(score).groupby(user).rank(ascending=False).to_numpy() - 1  # and half of the other ties
    n, p, total = (np.bincount(user, weights, n_users) for weights in (None, positive, positive * above))
    ranks = np.where((p > 0) & (p < n), total / np.maximum(p * (n - 1), 1), np.nan)
    return mean_of_known(ranks, "personalised_ranking")


def best_ranking(user: np.ndarray, positive: np.ndarray, n_users: int) -> Score:
    """The PR of a perfect ranking of the same held-out entries: the value that no model can undercut."""
    return personalised_ranking(user, positive, np.asarray(positive, np.float64), n_users)


@numba.njit(nogil=True, cache=True)
def _outranked(scores, users, indptr, item, held_indptr, held_item):
    """For each user the share of pairs, a held-out item and one in neither list, in the right order; NaN
    where there are none. Overwrites the scores: what is in a list becomes NaN, which no comparison counts."""
    values = np.full(len(users), np.nan)
    for row in range(len(users)):
        u, mine = users[row], scores[row]
        held = held_item[held_indptr[u] : held_indptr[u + 1]]
        own = mine[held]
        for k in held:
            mine[k] = np.nan
        for k in item[indptr[u] : indptr[u + 1]]:
            mine[k] = np.nan
        others, twice = 0, 0
        for score in mine:
            others += score == score
        for mark in own:
            for score in mine:
                twice += (score < mark) + (score <= mark)
        if others:
            values[row] = twice / (2 * len(held) * others)
    return values


def recommender_auc(
    scorer: Scorer, train, held_out, users: np.ndarray | None = None, block: int = 256
) -> Score:
    """AUC of a recommender: how often a held-out positive outranks an item that the user never touched.

    Exact: every held-out item of a user against every item that is in neither list, ties counted half. Users
    without a held-out item, or who touched everything, are left out. BadInput if all are, or a score is NaN.
    `train` and `held_out`, disjoint, are (indptr int64[N+1], indices int32[·]), the items of each user. All
    users are measured, or `users` int[·]; `block` of them are scored at a time, to save memory.
    Source: Bibas et al. 2022, section 4.1.5 and Table 3.
    """
    users = np.arange(len(train[0]) - 1) if users is None else np.asarray(users)
    values = np.full(len(train[0]) - 1, np.nan)
    asked = users[np.diff(held_out[0])[users] > 0]
    for some in (asked[first : first + block] for first in range(0, len(asked), block)):
        scores = np.asarray(scorer(some))
        check_scores(scores, "recommender_auc")
        floats = np.array(scores, np.result_type(scores, np.float32), order="C")  # a copy, to be written to
        values[some] = _outranked(floats, some, *train, *held_out)
    each = mean_of_known(values[users], "recommender_auc")
    return each._replace(which=users[each.which])


def dot_scorer(X: np.ndarray, Y: np.ndarray, bias: np.ndarray | float = 0.0) -> Scorer:
    """Scores x_uᵀ y_i (+ b_i) of a factor model: X float32[N, d], Y float32[M, d], bias float32[M]."""
    return lambda users: X[users] @ Y.T + bias


def popularity_scorer(item: np.ndarray, n_items: int) -> Scorer:
    """The floor that suggests to everybody what most took: item int[n] of the training interactions."""
    popularity = np.bincount(item, minlength=n_items).astype(np.float32)
    return lambda users: np.broadcast_to(popularity, (len(users), n_items))


def random_scorer(n_items: int, seed: int) -> Scorer:
    """The floor that knows nothing. A user's scores depend on (seed, user) only, not on the block."""
    return lambda users: np.stack([np.random.default_rng([seed, u]).random(n_items) for u in users])
