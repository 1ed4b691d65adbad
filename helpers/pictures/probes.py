"""Linear probes: how well a linear classifier does on a frozen feature.

Fang et al. 2015, section 4.4 (linear SVM) and Joulin et al. 2016, section 4.2 (L2-regularised logistic
regression). What is trained and tested in a repetition: `helpers.pictures.repetitions`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from helpers.data.sets.shape import ACCURACY, LabelledSet
from helpers.errors import BadInput
from helpers.measures import metrics
from helpers.measures.stats import Interval, bootstrap, corrected_interval, interval, resamples
from helpers.pictures.repetitions import Split

SVM, LOGISTIC = "linear SVM", "logistic regression"
KERNEL_LIMIT = 5000  # above so many training items the matrix of dot products costs more than it saves


class Probe(NamedTuple):
    """What a feature reached.

    Attributes:
        values: float64 (R,), accuracy or mean average precision of each repetition.
        strengths: float (R,), the chosen C: small is a strong penalty.
        outcomes: for each repetition what a bootstrap needs: bool (n_test,), right or wrong, or float
            (n_test, L), scores.
        splits: the splits, one a repetition.
        data: the set.
    """

    values: np.ndarray
    strengths: np.ndarray
    outcomes: list[np.ndarray]
    splits: list[Split]
    data: LabelledSet

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    def __str__(self) -> str:
        """Per cent, mean ± standard deviation over the repetitions."""
        spread = self.values.std(ddof=1) if len(self.values) > 1 else np.nan
        return f"{100 * self.mean:.1f} ± {100 * spread:.1f}"


def scaled(blocks: Sequence[np.ndarray], learn: np.ndarray) -> np.ndarray:
    """Features side by side, each with the same weight: float32 (n, sum of widths).

    Every column gets mean 0 and variance 1 on `learn`, then a block of d columns is divided by √d: the mean
    squared length of its rows is 1 whatever its width, so one grid of strengths serves all features.
    """
    out = []
    for block in blocks:
        block = np.asarray(block, np.float32)
        if not np.isfinite(block).all():
            raise BadInput("scaled: a feature is not finite; did its network diverge?")
        mean, spread = block[learn].mean(axis=0), block[learn].std(axis=0)
        spread[spread < 1e-6] = np.inf  # a column without variance tells nothing
        out.append((block - mean) / (spread * np.float32(np.sqrt(block.shape[1]))))
    return np.concatenate(out, axis=1).astype(np.float32, copy=False)


def scores(
    X: np.ndarray, data: LabelledSet, train: np.ndarray, test: np.ndarray, kind: str, C: float, seed: int = 0,
    dots: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Scores of each class, float (n_test, L), by a classifier trained on `train`; the largest is the answer.

    One class each: softmax, or a linear SVM (one against one up to `KERNEL_LIMIT` items, else one against the
    rest). Several: a classifier for each class alone; a class that `train` shows always or never gets 0.

    Args:
        X: float32 (n, d), from `scaled`.
        dots: X @ X.T, where it is at hand.
    """
    small = kind == SVM and len(train) <= KERNEL_LIMIT
    if small:
        dots = X @ X.T if dots is None else dots

    def fit(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
        if small:
            model = SVC(kernel="precomputed", C=C).fit(dots[np.ix_(rows, rows)], target)
            given = dots[np.ix_(test, rows)]
        else:
            new = LinearSVC(C=C, random_state=seed) if kind == SVM else LogisticRegression(
                C=C, tol=1e-3, max_iter=1000
            )  # fmt: skip
            model, given = new.fit(X[rows], target), X[test]
        if data.measure == ACCURACY:
            return np.eye(data.labels.shape[1])[model.predict(given)]
        return model.decision_function(given)

    if data.measure == ACCURACY:
        return fit(train, data.labels[train].argmax(axis=1))
    out = np.zeros((len(test), data.labels.shape[1]))
    for c in range(data.labels.shape[1]):
        rows = train if data.ignored is None else train[~data.ignored[train, c]]
        if 0 < data.labels[rows, c].sum() < len(rows):
            out[:, c] = fit(rows, data.labels[rows, c].astype(int))
    return out


def unignored(data: LabelledSet, test: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Scores in which ignored pairs come last: a negative below every positive changes no precision."""
    return given if data.ignored is None else np.where(data.ignored[test], -np.inf, given)


def precisions(data: LabelledSet, test: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Average precision of each class: float64 (L,), NaN for a class without positives in `test`."""
    found = metrics.mean_average_precision(data.labels[test], unignored(data, test, given))
    out = np.full(data.labels.shape[1], np.nan)
    out[found.which] = found.each
    return out


def evaluate(data: LabelledSet, test: np.ndarray, given: np.ndarray) -> float:
    """Share of pictures whose answer is a true class, or the mean average precision over classes."""
    if data.measure == ACCURACY:
        return float(data.labels[test, given.argmax(axis=1)].mean())
    return float(np.nanmean(precisions(data, test, given)))


def rotated(X: np.ndarray) -> np.ndarray:
    """The same items with n instead of d > n coordinates: dot products stay, so every linear model with an
    L2 penalty gives the same scores, and sooner. X: float32 (n, d) -> float32 (n, min(n, d)).
    """
    if X.shape[1] <= len(X):
        return X
    values, vectors = np.linalg.eigh((X @ X.T).astype(np.float64))
    return (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)


def prepared(blocks: Sequence[np.ndarray], data: LabelledSet, learn: np.ndarray, kind: str) -> tuple:
    """Scaled features, and their dot products where a classifier of this kind asks for them."""
    for block in blocks:
        if len(block) != len(data):
            raise BadInput(f"{data.name}: a feature has {len(block)} rows for {len(data)} pictures")
    X = scaled(blocks, learn)
    if kind == SVM and len(data) <= KERNEL_LIMIT:
        return X, X @ X.T
    return (rotated(X) if len(data) <= KERNEL_LIMIT else X), None


def validated(
    X: np.ndarray, data: LabelledSet, split: Split, kind: str, grid: Sequence[float], seed: int, dots
) -> tuple[float, float]:
    """The strength that does best on `split.validate`, of equals the strongest penalty; and its score."""
    tried = {
        C: evaluate(data, split.validate, scores(X, data, split.learn, split.validate, kind, C, seed, dots))
        for C in sorted(grid)
    }
    best = max(tried, key=tried.get)
    return best, tried[best]


def choose(
    options: Mapping[str, Mapping[str, Sequence[np.ndarray]]], data: LabelledSet, split: Split, kind: str,
    grid: Sequence[float], seed: int = 0,
) -> tuple[dict[str, Sequence[np.ndarray]], dict[str, str]]:  # fmt: skip
    """For each feature the setting (layer, resolution) that is best on validation items, each at its best C.

    Args:
        options: feature -> setting -> blocks.

    Returns:
        feature -> blocks, and feature -> name of the setting.
    """
    taken = {}
    with threadpool_limits(1):
        for feature, settings in options.items():
            found = dict.fromkeys(settings, 0.0)
            for setting, blocks in settings.items() if len(settings) > 1 else []:
                X, dots = prepared(blocks, data, split.learn, kind)
                found[setting] = validated(X, data, split, kind, grid, seed, dots)[1]
            taken[feature] = max(found, key=found.get)
    return {feature: options[feature][setting] for feature, setting in taken.items()}, taken


def probe(
    blocks: Sequence[np.ndarray], data: LabelledSet, repetitions: Sequence[Split], kind: str,
    grid: Sequence[float], seed: int = 0,
) -> Probe:  # fmt: skip
    """All repetitions of one feature (or several, concatenated) on one set.

    Args:
        blocks: float (n, d), one or more.
        kind: `SVM` or `LOGISTIC`.
        grid: strengths C to choose from; of equally good ones the strongest penalty is taken.

    Raises:
        BadInput: a block has not a row for each picture of the set.
    """
    values, strengths, outcomes, before = [], [], [], None
    with threadpool_limits(1):  # matrices this small gain nothing by threads, and sums keep their order
        for split in repetitions:
            if before is None or split.learn is not before.learn:
                X, dots = prepared(blocks, data, split.learn, kind)
            if before is None or split.validate is not before.validate:
                C, _ = validated(X, data, split, kind, grid, seed, dots)
            given = scores(X, data, split.train, split.test, kind, C, seed, dots)
            values.append(evaluate(data, split.test, given))
            strengths.append(C)
            if data.measure == ACCURACY:
                outcomes.append(data.labels[split.test, given.argmax(axis=1)])
            else:
                outcomes.append(unignored(data, split.test, given))
            before = split
    return Probe(np.array(values), np.array(strengths, float), outcomes, list(repetitions), data)


def difference(a: Probe, b: Probe, rng: np.random.Generator) -> Interval:
    """Interval of the mean of a − b over the same repetitions.

    Drawn test sets overlap, and so do training sets: the corrected interval allows for that. Where all
    repetitions have one published test set, its pictures are drawn with replacement instead.

    Raises:
        BadInput: the two were not measured on the same splits.
    """
    if any(not np.array_equal(s.test, t.test) for s, t in zip(a.splits, b.splits, strict=True)):
        raise BadInput("difference: the two features were tested on different items")
    first = a.splits[0]
    if any(not np.array_equal(s.test, first.test) for s in a.splits[1:]) or len(a.splits) == 1:
        return corrected_interval(a.values - b.values, len(first.train), len(first.test))
    if a.data.measure == ACCURACY:
        right = [np.mean(p.outcomes, axis=0) for p in (a, b)]
        return bootstrap(right[0] - right[1], rng)
    truth, counts = a.data.labels[first.test], resamples(len(first.test), rng, 200)
    drawn = [metrics.resampled_map(truth, np.mean(p.outcomes, axis=0), counts) for p in (a, b)]
    return interval(a.mean - b.mean, drawn[0] - drawn[1])
