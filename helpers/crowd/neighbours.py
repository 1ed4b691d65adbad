"""Who is near whom: exact cosine neighbours, and what the near ones have in common."""

from math import comb

import faiss
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from helpers.errors import BadInput


def unit(vectors: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """Rows scaled to length 1, in this precision; a row of zeros stays zero and is near nothing."""
    vectors = np.ascontiguousarray(vectors, dtype)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


def nearest(queries: np.ndarray, base: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of `base` with the largest cosine to each query, exactly, best first.

    From float (Q, d) and (M, d) to rows of `base` int64 (Q, k) and cosines float32 (Q, k). Raises BadInput
    where k is larger than M, the widths differ, or a value is not finite."""
    if queries.shape[1] != base.shape[1]:
        raise BadInput(f"nearest: queries have {queries.shape[1]} dimensions, the base has {base.shape[1]}")
    if not 1 <= k <= len(base):
        raise BadInput(f"nearest: k = {k}, expected 1 to {len(base)}, the size of the base")
    if not (np.isfinite(queries).all() and np.isfinite(base).all()):
        raise BadInput("nearest: a vector is not finite; did its training diverge?")
    index = faiss.IndexFlatIP(base.shape[1])
    index.add(unit(base))
    cosines, rows = index.search(unit(queries), k)
    return rows, cosines


def nearest_others(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """`nearest` of each row among the other rows: (M, k), itself left out."""
    rows, cosines = nearest(vectors, vectors, min(k + 1, len(vectors)))
    own = rows == np.arange(len(rows))[:, None]
    # a duplicate may push a row out of its own list; then the last entry is left out instead
    own[~own.any(axis=1), -1] = True
    return rows[~own].reshape(len(rows), -1), cosines[~own].reshape(len(rows), -1)


def agreement(neighbours: np.ndarray, queries: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Which neighbours, rows of the base int (Q, k), share a label with the query: bool (Q, k).

    The labels of queries and base are bool (Q, L) and (M, L), from `data.collection.label_matrix`."""
    found = np.empty(neighbours.shape, bool)
    for start in range(0, len(queries), 1024):  # a block of (1024, k, L) at a time
        part = slice(start, start + 1024)
        found[part] = (queries[part, None, :] & base[neighbours[part]]).any(axis=2)
    return found


def chances(queries: np.ndarray, base: np.ndarray) -> np.ndarray:
    """How often a random member of the base shares a label with each query, exactly: float64 (Q,)."""
    parts, labels = np.split(queries, range(1024, len(queries), 1024)), base.T.astype(np.float32)
    return np.concatenate([np.count_nonzero(part @ labels, axis=1) for part in parts]) / len(base)


def chance_agreement(queries: np.ndarray, base: np.ndarray) -> float:
    """How often a random member of the base shares a label with a random query, exactly."""
    return float(chances(queries, base).mean())


def finer(neighbours: np.ndarray, category: np.ndarray, style: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the neighbours that share a query's category: how many share its style as well, and by chance.

    From rows int (M, k) and labels bool (M, L) of all M items to the share among those neighbours and the
    share among all other items of the category, float64 (M,); NaN for a query without any."""
    same = agreement(neighbours, category, category)
    both = same & agreement(neighbours, style, style)
    found, chance = (np.full(len(neighbours), np.nan) for _ in range(2))
    np.divide(both.sum(axis=1), same.sum(axis=1), out=found, where=same.any(axis=1))
    categories, styles = category.T.astype(np.float32), style.T.astype(np.float32)
    for start in range(0, len(neighbours), 1024):
        rows = np.arange(start, min(start + 1024, len(neighbours)))
        kin = category[rows] @ categories > 0
        kin[np.arange(len(rows)), rows] = False
        alike = kin & (style[rows] @ styles > 0)
        of = kin.sum(axis=1)
        chance[rows] = np.divide(alike.sum(axis=1), of, out=np.full(len(rows), np.nan), where=of > 0)
    return found, chance


def occurrences(neighbours: np.ndarray, n: int) -> np.ndarray:
    """N_k: in how many lists of k neighbours each of n rows occurs; hubs occur in far more than the mean, k
    (Radovanović et al. 2010)."""
    return np.bincount(neighbours.ravel(), minlength=n)


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Share of common neighbours of each query in two lists of equal length: float (Q,)."""
    both = np.sort(np.concatenate([first, second], axis=1), axis=1)
    return (both[:, 1:] == both[:, :-1]).sum(axis=1) / first.shape[1]


def explained(factors: dict[str, np.ndarray], near: np.ndarray) -> dict[str, float]:
    """How much each factor tells neighbours from random pairs.

    A factor is float (n,), a property of each pair (for example 1 where both show the same); `near` is bool
    (n,), neighbours or random pair. A logistic regression predicts the latter from the former. A factor's
    share is the average, over all orders in which the factors could be added, of the deviance that it removes
    (the Shapley value); "together" is their sum, McFadden's R² of the full model."""
    names = list(factors)
    columns = StandardScaler().fit_transform(np.stack(list(factors.values()), axis=1))
    nothing = log_loss(near, np.full(len(near), near.mean()))
    gain = {0: 0.0}
    for chosen in range(1, 2 ** len(names)):
        some = columns[:, [k for k in range(len(names)) if chosen >> k & 1]]
        predicted = LogisticRegression(C=1e3).fit(some, near).predict_proba(some)[:, 1]
        gain[chosen] = 1 - log_loss(near, predicted) / nothing
    # in which share of the orders of n factors a given set of s others comes just before the factor
    weight = [1 / (len(names) * comb(len(names) - 1, s)) for s in range(len(names))]
    shares = {}
    for k, name in enumerate(names):
        without = [chosen for chosen in gain if not chosen >> k & 1]
        shares[name] = sum(weight[s.bit_count()] * (gain[s | 1 << k] - gain[s]) for s in without)
    return shares | {"together": gain[2 ** len(names) - 1]}
