"""What word vectors know: similarity as people judge it, analogies, and words of two languages.

Joulin et al. 2016, section 4.3. Every function takes `words`, text (K,), and vectors, float (K, D), one row a
word; only directions count. Words that are not among `words` are left out, and how many stay is returned.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from helpers.crowd import neighbours
from helpers.errors import BadInput
from helpers.measures.stats import Effect, Interval, compare_resampled, interval

unit = partial(neighbours.unit, dtype=np.float64)  # a zero row has cosine 0 with everything


def together(*vectors: np.ndarray) -> np.ndarray:
    """Concatenated vectors, each scaled to length 1, so that each part counts alike: "AlexNet + word2vec"."""
    return np.hstack([unit(v) for v in vectors])


def covered(words: np.ndarray, frame: pd.DataFrame, columns: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows whose words are all known, and int64 (n, columns) with their places in `words`."""
    index = pd.Index(words)
    if not index.is_unique:
        raise BadInput(f"words: {index[index.duplicated()][0]!r} occurs twice")
    places = np.stack([index.get_indexer(frame[column]) for column in columns], axis=1)
    known = (places >= 0).all(axis=1)
    return frame[known].reset_index(drop=True), places[known]


def cosines(vectors: np.ndarray, places: np.ndarray) -> np.ndarray:
    """float64 (n,): cosine of the two words of each pair."""
    return np.einsum("nd,nd->n", *unit(vectors)[places.T])


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rank correlation along the last axis; ties get mean ranks; NaN where one side is constant."""
    ranks = (rankdata(x, axis=-1) for x in (a, b))
    a, b = (x - x.mean(-1, keepdims=True) for x in ranks)
    size = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size > 0, (a * b).sum(-1) / size, np.nan)


class Correlations(NamedTuple):
    """`correlations`, by method."""

    intervals: dict[str, Interval]  # of the mean over the seeds, over pairs
    by_seed: dict[str, np.ndarray]  # float64 (S,)
    resampled: dict[str, np.ndarray]  # float64 (repeats,), bootstrap values of the mean over the seeds
    pairs: int

    def difference(self, first: str, second: str | None, rng: np.random.Generator) -> Effect:
        """Correlation of `first` minus that of `second`, or minus 0 (None), which random vectors have on
        average: over the same resampled pairs, and over the seeds."""
        if second is None:
            apart, level = (self.by_seed[first], self.resampled[first]), 0.0
        else:
            apart = [of[first] - of[second] for of in (self.by_seed, self.resampled)]
            level = self.intervals[second].mean
        return compare_resampled(*apart, rng, self.intervals[first].mean, level, self.pairs)


def correlations(
    found: dict[str, np.ndarray], scores: np.ndarray, rng: np.random.Generator, repeats: int = 1000
) -> Correlations:
    """Spearman's rank correlation of cosines with human scores, with bootstrap intervals over pairs (Joulin
    et al. 2016, section 4.3, Table 4, right).

    `found` has the cosines of each method, float (n,), or (S, n) for S seeds, whose correlations are
    averaged; `scores`, float (n,), are what people said. BadInput for fewer than five."""
    if len(scores) < 5:
        raise BadInput(f"correlations: {len(scores)} pairs; at least five are needed")
    draws = rng.integers(0, len(scores), (repeats, len(scores)))
    intervals, by_seed, resampled = {}, {}, {}
    for name, values in found.items():
        values = np.atleast_2d(values)
        # vectors that say the same of all pairs know nothing: 0, not undefined
        by_seed[name] = np.array([np.nan_to_num(spearman(v, scores)) for v in values])
        resampled[name] = np.mean([np.nan_to_num(spearman(v[draws], scores[draws])) for v in values], axis=0)
        intervals[name] = interval(float(by_seed[name].mean()), resampled[name])
    return Correlations(intervals, by_seed, resampled, len(scores))


def analogies(vectors: np.ndarray, places: np.ndarray) -> np.ndarray:
    """bool (n,): whether d is the word nearest to b − a + c, other than a, b and c themselves, for the words
    of each question "a is to b as c is to d", int (n, 4) (Mikolov et al. 2013; Joulin et al. 2016, section
    4.3, Table 4, left). Vectors have length 1 before they are added, as in Mikolov's evaluation."""
    U = unit(vectors)
    a, b, c, d = places.T
    score = (U[b] - U[a] + U[c]) @ U.T
    np.put_along_axis(score, places[:, :3], -np.inf, axis=1)
    return score.argmax(axis=1) == d


class Ranking(NamedTuple):
    """`translations`: how words of one language rank for the q words of the other, by their places."""

    rank: np.ndarray  # int64 (q,), place of the first right answer in the ranking, from 0
    chance: np.ndarray  # float64 (q,), P@1 of a random ranking: right answers / words that are ranked

    def precision(self, k: int) -> np.ndarray:
        """float64 (q,), 1 where a right answer is among the first k: its mean is the paper's precision@k."""
        return (self.rank < k).astype(np.float64)


def translations(vectors: np.ndarray, pairs: np.ndarray) -> Ranking:
    """Rank the second words of all pairs by cosine for each first word. Swap the columns for the way back.
    Pairs are int (n, 2), places of a word and of its translation; a word may have several.

    Source: Joulin et al. 2016, section 4.3, Table 5: "taking a word in one language and ranking the words in
    the other language", which are the words of the pairs (their chance level 0.0032 is 1 / 309)."""
    *_, score, places = _scored(vectors, pairs)
    right = np.zeros(score.shape, bool)
    right[places] = True
    best = np.where(right, score, -np.inf).max(axis=1, keepdims=True)
    # a wrong word that ties with the right one goes first: nothing is won by vectors that are all alike
    rank = ((score >= best) & ~right).sum(axis=1)
    return Ranking(rank, right.mean(axis=1))


def best_pairs(vectors: np.ndarray, pairs: np.ndarray, k: int = 12) -> np.ndarray:
    """int64 (k, 2): the k pairs (first word, second word) with the highest cosine of all that can be made of
    the words of `pairs`, as in `translations`; whatever pairs them is not used (Joulin et al. 2016, Table 6).
    """
    first, second, score, _ = _scored(vectors, pairs)
    a, b = np.unravel_index(np.argsort(-score, axis=None, kind="stable")[:k], score.shape)
    return np.stack([first[a], second[b]], axis=1)


def _scored(vectors: np.ndarray, pairs: np.ndarray):
    """The distinct first and second words, the cosines of all of them, and where the pairs are in those."""
    (first, a), (second, b) = (np.unique(column, return_inverse=True) for column in pairs.T)
    U = unit(vectors)
    return first, second, U[first] @ U[second].T, (a, b)
