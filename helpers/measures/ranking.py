"""How well a recommender ranks: personalised ranking PR and AUC, and floors that know no user."""

from collections.abc import Callable

import numba
import numpy as np

from helpers.measures.metrics import Score, check_scores, mean_of_known

Scorer = Callable[[np.ndarray], np.ndarray]
"""users int[B] -> scores float32[B, M] of all items, higher is better."""


@numba.njit(cache=True, parallel=True)
def grouped(user, item, n_users):
    """indptr int64[N+1] and the items by user, ascending in each row: a counting sort, then each row alone.

    The items np.arange(n) become the stable order of the entries by user.
    """
    indptr = np.zeros(n_users + 1, np.int64)
    for u in user:
        indptr[u + 1] += 1
    for u in range(n_users):
        indptr[u + 1] += indptr[u]
    place = indptr[:-1].copy()
    indices = np.empty_like(item)
    for k in range(len(user)):
        u = user[k]
        indices[place[u]] = item[k]
        place[u] += 1
    for u in numba.prange(n_users):
        row = indices[indptr[u] : indptr[u + 1]]
        ascending = True
        for k in range(1, len(row)):
            ascending &= row[k - 1] <= row[k]
        if not ascending:
            row.sort()
    return indptr, indices


@numba.njit(cache=True)
def _percentile_ranks(indptr, order, positive, score):
    result = np.full(len(indptr) - 1, np.nan)
    for u in range(len(indptr) - 1):
        mine = order[indptr[u] : indptr[u + 1]]
        n, hits = len(mine), 0
        for t in mine:
            hits += positive[t]
        if hits == 0 or hits == n:
            continue
        best_first = mine[np.argsort(-score[mine])]
        total, first = 0.0, 0
        while first < n:
            last, tied_hits = first, 0
            while last < n and score[best_first[last]] == score[best_first[first]]:
                tied_hits += positive[best_first[last]]
                last += 1
            total += tied_hits * (first + 0.5 * (last - first - 1))  # above, and half of the other ties
            first = last
        result[u] = total / (hits * (n - 1))
    return result


def personalised_ranking(user: np.ndarray, positive: np.ndarray, score: np.ndarray, n_users: int) -> Score:
    """PR: where a user's held-out positives stand among that user's other held-out entries.

    The percentile rank of a positive is the share of the user's *other* held-out entries (positives and
    negatives) that are scored above it, ties counted half: 0 is the top, 1 the bottom. PR is the mean over
    a user's positives, then over users. At random it is 0.5; lower is better. A perfect ranking of p
    positives and q negatives gives (p − 1) / 2 / (p + q − 1), which is not 0 (`best_ranking`).

    Args:
        user: int[n], user of each held-out entry, 0..n_users-1; those without both kinds are left out.
        positive: bool[n], whether the entry is a positive.
        score: float[n], the prediction for the entry.

    Raises:
        BadInput: a score is NaN, or no user has both kinds.

    Source: Fang et al. 2015, section 4.1 (after Dror et al. 2011).
    """
    score = np.asarray(score, np.float64)
    check_scores(score, "personalised_ranking")
    by_user = grouped(np.ascontiguousarray(user, np.int32), np.arange(len(user)), n_users)
    ranks = _percentile_ranks(*by_user, np.asarray(positive, bool), score)
    return mean_of_known(ranks, "personalised_ranking")


def best_ranking(user: np.ndarray, positive: np.ndarray, n_users: int) -> Score:
    """The PR of a perfect ranking of the same held-out entries: the value that no model can undercut."""
    return personalised_ranking(user, positive, np.asarray(positive, np.float64), n_users)


@numba.njit(cache=True)
def _auc_rows(scores, users, train_ptr, train_items, held_ptr, held_items, result):
    n_items = scores.shape[1]
    touched = np.zeros(n_items, np.bool_)
    for row in range(len(users)):
        u = users[row]
        train = train_items[train_ptr[u] : train_ptr[u + 1]]
        held = held_items[held_ptr[u] : held_ptr[u + 1]]
        touched[train] = True
        touched[held] = True
        thresholds = np.sort(scores[row][held])
        p, wins, others = len(thresholds), 0.0, 0
        for i in range(n_items):
            if touched[i] or p == 0:
                continue
            others += 1
            s = scores[row, i]
            low = np.searchsorted(thresholds, s)  # positives before `low` are outranked by item i
            high = low
            while high < p and thresholds[high] == s:
                high += 1
            wins += (p - high) + 0.5 * (high - low)
        touched[train] = False
        touched[held] = False
        result[row] = wins / (p * others) if p > 0 and others > 0 else np.nan


def recommender_auc(
    scorer: Scorer, train, held_out, users: np.ndarray | None = None, block: int = 256
) -> Score:
    """AUC of a recommender: how often a held-out positive outranks an item that the user never touched.

    Exact: every held-out item of a user against every item that is in neither list, ties counted half. Users
    without a held-out item, or who touched everything, are left out.

    Args:
        scorer: users int[B] -> scores float[B, M].
        train: (indptr int64[N+1], indices int32[·]), the interactions a user trained with.
        held_out: the same for the held-out positives; disjoint from `train`.
        users: int[·], the users to measure; all of them by default.
        block: users scored at a time, which bounds memory to block × M scores.

    Raises:
        BadInput: a score is NaN, or no user has a held-out item.

    Source: Bibas et al. 2022, section 4.1.5 and Table 3.
    """
    users = np.arange(len(train[0]) - 1) if users is None else np.asarray(users)
    values = np.full(len(train[0]) - 1, np.nan)
    asked = users[np.diff(held_out[0])[users] > 0]
    for first in range(0, len(asked), block):
        some = asked[first : first + block]
        scores = np.ascontiguousarray(scorer(some))
        check_scores(scores, "recommender_auc")
        result = np.empty(len(some))
        _auc_rows(scores, some, *train, *held_out, result)
        values[some] = result
    each = mean_of_known(values[users], "recommender_auc")
    return each._replace(which=users[each.which])


def dot_scorer(X: np.ndarray, Y: np.ndarray, bias: np.ndarray | None = None) -> Scorer:
    """Scores x_uᵀ y_i (+ b_i) of a factor model: X float32[N, d], Y float32[M, d], bias float32[M]."""
    if bias is None:
        return lambda users: X[users] @ Y.T
    return lambda users: X[users] @ Y.T + bias


def popularity_scorer(item: np.ndarray, n_items: int) -> Scorer:
    """The floor that suggests to everybody what most took: item int[n] of the training interactions."""
    popularity = np.bincount(item, minlength=n_items).astype(np.float32)
    return lambda users: np.broadcast_to(popularity, (len(users), n_items))


def random_scorer(n_items: int, seed: int) -> Scorer:
    """The floor that knows nothing. A user's scores depend on (seed, user) only, not on the block."""
    return lambda users: np.stack([np.random.default_rng([seed, u]).random(n_items) for u in users])
