"""The measures for labels and tags, each defined once. None divides by min(k, ·); ties are treated exactly.

What averages over users, queries or classes returns a `Score`, whose parts a bootstrap (`stats`) resamples.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numba
import numpy as np

from helpers.errors import BadInput
from helpers.measures.stats import Effect, compare_resampled


class Score(NamedTuple):
    """A mean over users, queries or classes."""

    mean: float  # over the parts that are defined
    each: np.ndarray  # float64[n], one value a part
    which: np.ndarray  # int64[n], the user, query or class that each value belongs to
    left_out: int  # how many users, queries or classes have no value


def mean_of_known(values: np.ndarray, what: str) -> Score:
    """Over the values that are not NaN, which means undefined. Raises BadInput, naming `what`, if all are."""
    known = np.flatnonzero(~np.isnan(values))
    if len(known) == 0:
        raise BadInput(f"{what}: no value is defined; at least one positive and one other entry are needed")
    each = values[known]
    return Score(float(each.mean()), each, known, len(values) - len(known))


def check_scores(scores: np.ndarray, what: str) -> None:
    """Raises BadInput where a score is NaN, which no ranking can place."""
    if np.isnan(scores).any():
        raise BadInput(f"{what}: a score is NaN; the model diverged (lower its step size) or was not fitted")


def rmse(value: np.ndarray, predicted: np.ndarray) -> float:
    """Root-mean-square error of predictions, both float[n] (Fang et al. 2015, section 4.1)."""
    return float(np.sqrt(np.mean(np.subtract(value, predicted, dtype=np.float64) ** 2)))


@numba.njit(nogil=True, cache=True)
def _top_k(scores, k, top):
    for q in range(scores.shape[0]):
        for c in range(scores.shape[1]):
            at = min(c, k)  # class c climbs from the end past those that it beats
            while at > 0 and scores[q, c] > scores[q, top[q, at - 1]]:
                if at < k:
                    top[q, at] = top[q, at - 1]
                at -= 1
            if at < k:
                top[q, at] = c


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """int32[Q, k]: the k best classes of each row of scores float[Q, C]; of equals the lower index first.
    BadInput where a score is NaN or k is not in 1..C.
    """
    scores = np.ascontiguousarray(scores)
    check_scores(scores, "top_k")
    if not 1 <= k <= scores.shape[1]:
        raise BadInput(f"top_k: k is {k}, but there are {scores.shape[1]} classes; choose k from 1 to that")
    top = np.empty((len(scores), k), np.int32)
    _top_k(scores, k, top)
    return top


def hits(top: np.ndarray, truth) -> np.ndarray:
    """bool[Q, k]: whether each suggestion of `top` int[Q, k] is among the query's true classes, which are
    `truth` = (indptr int64[Q+1], indices int[·]).
    """
    indptr, indices = truth
    first = np.arange(len(top)) * (1 + max(top.max(initial=0), indices.max(initial=0)))  # id of class 0
    return np.isin(first[:, None] + top, np.repeat(first, np.diff(indptr)) + indices)


def at_k(scores: np.ndarray, truth, k: int) -> dict[str, Score]:
    """accuracy@k, precision@k and recall@k over queries, from scores float[Q, C]; truth as for `hits`.

    accuracy@k is the share of queries with at least one true class in the top k; precision@k is hits / k;
    recall@k is hits / number of true classes. Queries without a true class are left out and counted.
    Source: Veit et al. 2018, Table 2; Denton et al. 2015, Table 3; Joulin et al. 2016, Table 1.
    """
    count = hits(top_k(scores, k), truth).sum(axis=1)
    size = np.diff(truth[0])
    asked = np.where(size > 0, 1.0, np.nan)
    return {
        "accuracy": mean_of_known((count > 0) * asked, "accuracy@k"),
        "precision": mean_of_known(count / k * asked, "precision@k"),
        "recall": mean_of_known(count * asked / np.maximum(size, 1), "recall@k"),
    }


def _share_of_hits(top: np.ndarray, truth, among: np.ndarray, n_classes: int, what: str) -> Score:
    found, all_of = (np.bincount(c, minlength=n_classes) for c in (top[hits(top, truth)], among))
    return mean_of_known(np.where(all_of > 0, found / np.maximum(all_of, 1), np.nan), what)


def recall_per_class(top: np.ndarray, truth, n_classes: int) -> Score:
    """For each class, the share of its queries that have it in the top k; the mean is the macro recall@k.
    Classes that are true for no query are left out. Source: Denton et al. 2015, Fig. 6.
    """
    return _share_of_hits(top, truth, truth[1], n_classes, "recall_per_class")


def precision_per_class(top: np.ndarray, truth, n_classes: int) -> Score:
    """For each class, the share of its suggestions that are right; classes never suggested are left out."""
    return _share_of_hits(top, truth, top.ravel(), n_classes, "precision_per_class")


@numba.njit(nogil=True, cache=True)
def _average_precision(truth, scores, order, counts, result):
    for c in range(scores.shape[0]):
        s, y, o = scores[c], truth[c], order[c]
        for r in range(counts.shape[0]):
            above, hit, here_hit, total = 0, 0, 0, 0.0
            for k in range(len(o) - 1, -1, -1):  # `order` is ascending, so the walk is from its end
                i = o[k]
                above += counts[r, i]
                here_hit += counts[r, i] * y[i]
                if here_hit > 0 and (k == 0 or s[o[k - 1]] != s[i]):  # equal scores enter as one step
                    hit += here_hit
                    total += here_hit * (hit / above)
                    here_hit = 0
            result[r, c] = total / hit if hit > 0 else np.nan


def _precisions(truth: np.ndarray, scores: np.ndarray, counts: np.ndarray, what: str) -> np.ndarray:
    truth, scores = (np.ascontiguousarray(np.transpose(x)) for x in (np.asarray(truth, np.bool_), scores))
    check_scores(scores, what)
    if truth.shape != scores.shape:
        shapes = f"truth is {truth.T.shape} and scores {scores.T.shape}"
        raise BadInput(f"{what}: {shapes}; they must be alike [n, C]")
    result = np.empty((len(counts), len(truth)))
    _average_precision(truth, scores, np.argsort(scores, axis=1), counts, result)
    return result


def mean_average_precision(truth: np.ndarray, scores: np.ndarray) -> Score:
    """mAP: the mean over classes of average precision Σ (R_n − R_{n−1}) P_n over distinct thresholds.

    From bool[n, C], whether item n has class C, and scores float[n, C]. Equal scores enter together, as in
    scikit-learn, so the order of the items does not matter. Classes without positives are left out and
    counted. Raises BadInput for a score that is NaN, different shapes, or no positive at all.
    Source: Bibas et al. 2022, section 4.1.4.
    """
    what = "mean_average_precision"
    return mean_of_known(_precisions(truth, scores, np.ones((1, len(scores)), np.int64), what)[0], what)


def resampled_map(truth: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """float64[R]: `mean_average_precision` of R bootstrap samples of the items, from one sorting. `counts`
    int64[R, n] are those of `stats.resamples`; a class without positives in a sample is left out there.
    """
    values = _precisions(truth, scores, counts, "resampled_map")
    return np.array([mean_of_known(row, "resampled_map").mean for row in values])


def average_precisions(truth: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """float64[R, C]: what `resampled_map` averages, of each class; NaN where a sample has no positive."""
    return _precisions(truth, scores, counts, "average_precisions")


class Comparison(NamedTuple):
    """mAP of several methods on the same items."""

    values: dict[str, np.ndarray]  # method -> float64[S], mAP of each seed; of H searches [H, S]
    drawn: dict[str, np.ndarray]  # -> float64[R], mean over seeds in each bootstrap sample, the same for all
    items: int

    def level(self, method: str, rng: np.random.Generator) -> Effect:
        """Mean mAP of a method, and how sure it is over seeds and items."""
        return compare_resampled(self.values[method], self.drawn[method], rng, units=self.items)

    def effect(self, method: str, over: str, rng: np.random.Generator) -> Effect:
        """By how much `method` is ahead of `over`."""
        a, b = self.values[method], self.values[over]
        drawn, levels = self.drawn[method] - self.drawn[over], (float(a.mean()), float(b.mean()))
        return compare_resampled(a - b, drawn, rng, *levels, self.items)

    def gain(self, method: str, over: str) -> tuple[np.ndarray, np.ndarray]:
        """The lead as a share of the mAP of `over`: of each seed, as `values`, in each resample [R]."""
        values, drawn = (at[method] - at[over] for at in (self.values, self.drawn))
        return values / self.values[over].mean(), drawn / self.drawn[over]

    @classmethod
    def of_halves(cls, first: "Comparison", second: "Comparison") -> "Comparison":
        """The mean of two comparisons whose items exchanged roles: those that the first tests the second
        chose its settings by, and the other way round. Both have the same methods and seeds."""
        values = {m: np.stack([first.values[m], second.values[m]]) for m in first.values}
        drawn = {m: (first.drawn[m] + second.drawn[m]) / 2 for m in first.drawn}
        return cls(values, drawn, first.items + second.items)


def compare(truth: np.ndarray, scores: Mapping[str, Sequence[np.ndarray]], counts: np.ndarray) -> Comparison:
    """Compare methods on the same test items by mAP: over seeds, each with scores float[n, C], and over items
    (`resampled_map`). BadInput if methods differ in their number of seeds.
    """
    if len({len(each) for each in scores.values()}) != 1:
        found = ", ".join(f"{name}: {len(each)}" for name, each in scores.items())
        raise BadInput(f"compare: every method needs the same seeds, found {found}")
    values, drawn = {}, {}
    for name, each in scores.items():
        values[name] = np.array([mean_average_precision(truth, s).mean for s in each])
        drawn[name] = np.mean([resampled_map(truth, s, counts) for s in each], axis=0)
    return Comparison(values, drawn, len(truth))
