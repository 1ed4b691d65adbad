"""Linear probes: how well a linear classifier does on a frozen feature.

Fang et al. 2015, section 4.4 (linear SVM) and Joulin et al. 2016, section 4.2 (L2-regularised logistic
regression). `splits` says what is trained and tested in a repetition.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from helpers.data.sets.shape import ACCURACY, LabelledSet
from helpers.errors import BadInput
from helpers.measures import metrics, stats
from helpers.measures.stats import Interval, bootstrap, corrected_interval, interval, resamples

SVM, LOGISTIC = "linear SVM", "logistic regression"
KERNEL_LIMIT = 5000  # above so many training items the matrix of dot products costs more than it saves


class Split(NamedTuple):
    """Positions, int64. The strength of the penalty is chosen on `validate`, by a classifier trained on
    `learn`; one with that strength is trained on `train`, which holds both, and meets `test` once."""

    learn: np.ndarray
    validate: np.ndarray
    train: np.ndarray
    test: np.ndarray


def splits(
    data: LabelledSet, rng: np.random.Generator, repeats: int = 10, test_share: float = 0.2,
    may_test: np.ndarray | None = None,
) -> list[Split]:  # fmt: skip
    """The repetitions of a set, by its own rule: published, by class, or drawn.

    A drawn split: half of the items that may be tested are candidates; each repetition tests a random draw of
    them and trains on all else. The strength is chosen once, on items that are no candidates (35 % to learn,
    15 % to validate), so no choice ever sees an item that is tested. Published: test as published; where
    nothing is published to validate, 20 % of the training items, drawn anew in each repetition.

    test_share is of all items, at most two thirds of the candidates; may_test is bool (n,), items that no
    feature learner has seen the labels of. BadInput where too few may be tested, or a class is too small."""
    n = len(data)
    allowed = np.ones(n, bool) if may_test is None else np.asarray(may_test, bool)
    if data.partitions or (data.split != "").any():
        if not allowed.all():
            raise BadInput(f"{data.name}: its split is published, so no item can be kept from testing")
        return _published(data, rng, repeats)
    pool, others = np.flatnonzero(allowed), np.flatnonzero(~allowed)
    if len(pool) < 20:
        raise BadInput(f"{data.name}: {len(pool)} items may be tested; at least 20 are needed")
    pool = rng.permutation(pool)
    candidates, learn, validate = np.split(pool, [len(pool) // 2, round(0.85 * len(pool))])
    learn = np.concatenate([learn, others])
    if data.per_class is not None:
        both = [_by_class(data, rng, candidates) for _ in range(repeats)]
        # the classes' quota may leave some out of training; the choice is made inside it
        return [Split(np.intersect1d(learn, t), np.intersect1d(validate, t), t, test) for t, test in both]
    size = min(round(test_share * n), 2 * len(candidates) // 3)
    tests = [np.sort(rng.permutation(candidates)[:size]) for _ in range(repeats)]
    every = np.arange(n)
    return [Split(learn, validate, np.setdiff1d(every, t, assume_unique=True), t) for t in tests]


def _published(data: LabelledSet, rng: np.random.Generator, repeats: int) -> list[Split]:
    validate = np.flatnonzero(data.split == "validation")
    train = np.flatnonzero(np.isin(data.split, ["train", "validation"]))
    test = np.flatnonzero(data.split == "test")
    found = []
    for r in range(repeats):
        if data.partitions:
            train, test = data.partitions[r % len(data.partitions)]
        if len(train) < 5 or not len(test):
            raise BadInput(f"{data.name}: {len(train)} pictures for training, {len(test)} for testing")
        held = validate if len(validate) else rng.permutation(train)[: max(1, len(train) // 5)]
        found.append(Split(np.setdiff1d(train, held), np.sort(held), train, test))
    return found


def _by_class(data: LabelledSet, rng: np.random.Generator, candidates: np.ndarray) -> tuple:
    """As many of each class for training and testing as the set's rule says."""
    many, few = data.per_class
    of_class, able = data.labels.argmax(axis=1), np.zeros(len(data), bool)
    able[candidates] = True
    train, test = [], []
    for c in range(data.labels.shape[1]):
        members = rng.permutation(np.flatnonzero(of_class == c))
        if len(members) < many + few or able[members].sum() < few:
            rule = f"its rule needs {many} for training and {few} for testing"
            raise BadInput(f"{data.name}: class {data.classes[c]} has {len(members)} pictures, {rule}")
        chosen = members[able[members]][:few]
        test.append(chosen)
        train.append(np.setdiff1d(members, chosen, assume_unique=True)[:many])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


class Probe(NamedTuple):
    """What a feature reached in R repetitions."""

    values: np.ndarray  # float64 (R,), accuracy or mean average precision
    strengths: np.ndarray  # float (R,), the chosen C: small is a strong penalty
    outcomes: list[np.ndarray]  # of each `outcome`, for a bootstrap
    splits: list[Split]
    data: LabelledSet
    trainings: np.ndarray = np.zeros(0)  # of a mean over S networks: what each reached, float64 (S,)

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    def __str__(self) -> str:
        """Per cent, mean ± standard deviation over the repetitions."""
        spread = self.values.std(ddof=1) if len(self.values) > 1 else np.nan
        return f"{100 * self.mean:.1f} ± {100 * spread:.1f}"


def scaled(
    blocks: Sequence[np.ndarray], learn: np.ndarray, weights: Sequence[float] | None = None
) -> np.ndarray:  # fmt: skip
    """Features side by side: float32 (n, sum of widths).
    Every column gets mean 0 and variance 1 on `learn`, then a block of d columns is divided by √d: the mean
    squared length of its rows is 1 whatever its width, so one grid of strengths serves all features. Each
    block is multiplied by its weight at last, of `weights`; without these all weigh the same."""
    out = []
    for block, weight in zip(blocks, weights or [1.0] * len(blocks), strict=True):
        block = np.asarray(block, np.float32)
        if not np.isfinite(block).all():
            raise BadInput("scaled: a feature is not finite; did its network diverge?")
        mean, spread = block[learn].mean(axis=0), block[learn].std(axis=0)
        spread[spread < 1e-6] = np.inf  # a column without variance tells nothing
        out.append((block - mean) / (spread * np.float32(np.sqrt(block.shape[1]) / weight)))
    return np.concatenate(out, axis=1).astype(np.float32, copy=False)


def scores(
    X: np.ndarray, data: LabelledSet, train: np.ndarray, test: np.ndarray, kind: str, C: float, seed: int = 0,
    dots: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Scores of each class, float (n_test, L), by a classifier trained on `train`; the largest is the answer.

    One class each: softmax, or a linear SVM (one against one up to `KERNEL_LIMIT` items, else one against the
    rest). Several: a classifier for each class alone; a class that `train` shows always or never gets 0.
    X is float32 (n, d), from `scaled`; dots is X @ X.T, where it is at hand."""
    small = kind == SVM and len(train) <= KERNEL_LIMIT
    if small:
        dots = X @ X.T if dots is None else dots
        model = SVC(kernel="precomputed", C=C)
    elif kind == SVM:
        model = LinearSVC(C=C, random_state=seed)
    else:
        model = LogisticRegression(C=C, tol=1e-3, max_iter=1000)

    def fit(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
        known, given = (dots[np.ix_(rows, rows)], dots[np.ix_(test, rows)]) if small else (X[rows], X[test])
        model.fit(known, target)
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


def outcome(data: LabelledSet, test: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Whether the answer is a true class, bool (n_test,); where precision is measured, float (n_test, L), the
    scores with ignored pairs last: a negative below every positive changes no precision."""
    if data.measure == ACCURACY:
        return data.labels[test, given.argmax(axis=1)]
    return given if data.ignored is None else np.where(data.ignored[test], -np.inf, given)


def precisions(data: LabelledSet, test: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Average precision of each class: float64 (L,), NaN for a class without positives in `test`."""
    found = metrics.mean_average_precision(data.labels[test], outcome(data, test, given))
    out = np.full(data.labels.shape[1], np.nan)
    out[found.which] = found.each
    return out


def evaluate(data: LabelledSet, test: np.ndarray, given: np.ndarray) -> float:
    """Share of pictures whose answer is a true class, or the mean average precision over classes."""
    if data.measure == ACCURACY:
        return float(outcome(data, test, given).mean())
    return float(np.nanmean(precisions(data, test, given)))


def rotated(X: np.ndarray) -> np.ndarray:
    """The same items with n instead of d > n coordinates: dot products stay, so every linear model with an
    L2 penalty gives the same scores, and sooner. X: float32 (n, d) -> float32 (n, min(n, d))."""
    if X.shape[1] <= len(X):
        return X
    values, vectors = np.linalg.eigh((X @ X.T).astype(np.float64))
    return (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)


def prepared(
    blocks: Sequence[np.ndarray], data: LabelledSet, learn: np.ndarray, kind: str,
    weights: Sequence[float] | None = None,
) -> tuple:  # fmt: skip
    """Scaled features, and their dot products where a classifier of this kind asks for them."""
    if wrong := [len(block) for block in blocks if len(block) != len(data)]:
        raise BadInput(f"{data.name}: a feature has {wrong[0]} rows for {len(data)} pictures")
    X = scaled(blocks, learn, weights)
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
    grid: Sequence[float], seed: int = 0, weights: Mapping[str, Sequence[float]] | None = None,
) -> tuple[dict[str, Sequence[np.ndarray]], dict[str, str]]:  # fmt: skip
    """For each feature the setting (layer, resolution) that is best on validation items, each at its best C:
    from feature -> setting -> blocks to feature -> blocks, and feature -> name of the setting.
    weights: setting -> those of its blocks, as for `scaled`, where settings differ in them."""
    taken, weights = {}, weights or {}
    with threadpool_limits(1):
        for feature, settings in options.items():
            found = dict.fromkeys(settings, 0.0)
            for setting, blocks in settings.items() if len(settings) > 1 else []:
                X, dots = prepared(blocks, data, split.learn, kind, weights.get(setting))
                found[setting] = validated(X, data, split, kind, grid, seed, dots)[1]
            taken[feature] = max(found, key=found.get)
    return {feature: options[feature][setting] for feature, setting in taken.items()}, taken


def probe(
    blocks: Sequence[np.ndarray], data: LabelledSet, repetitions: Sequence[Split], kind: str,
    grid: Sequence[float], seed: int = 0, weights: Sequence[float] | None = None,
) -> Probe:  # fmt: skip
    """All repetitions of one feature, or of several side by side, on one set.
    blocks are float (n, d), BadInput if one has not a row for each picture; kind is `SVM` or `LOGISTIC`; grid
    holds strengths C to choose from: of equally good ones the strongest penalty is taken; weights of the
    blocks are as for `scaled`."""
    values, strengths, outcomes, before = [], [], [], None
    with threadpool_limits(1):  # matrices this small gain nothing by threads, and sums keep their order
        for split in repetitions:
            if before is None or split.learn is not before.learn:
                X, dots = prepared(blocks, data, split.learn, kind, weights)
            if before is None or split.validate is not before.validate:
                C, _ = validated(X, data, split, kind, grid, seed, dots)
            given = scores(X, data, split.train, split.test, kind, C, seed, dots)
            values.append(evaluate(data, split.test, given))
            strengths.append(C)
            outcomes.append(outcome(data, split.test, given))
            before = split
    return Probe(np.array(values), np.array(strengths, float), outcomes, list(repetitions), data)


def difference(a: Probe, b: Probe | None, rng: np.random.Generator) -> Interval:
    """Interval of the mean of a − b over the same repetitions, without b of a less `data.chance`; BadInput if
    their splits are not the same. Where all repetitions have one test set, its pictures are drawn with
    replacement. Else test sets overlap, and so do training sets, which the corrected interval allows for.

    Nadeau and Bengio 2003 multiply the variance s² of the repetitions by 1 / R + n_test / n_train, for test
    sets drawn from all items. Those of `splits` are drawn from candidates only, so n_train is replaced by
    n_items − n_test, where n_items are the different items that any repetition tested. If luck is only in
    the items, whose answers have the variance S², then s² is S² (1 / n_test − 1 / n_items) on average, and
    s² · n_test / (n_items − n_test) is S² / n_items: the variance of a mean over all candidates, as it must
    be. With n_train it would be too small by (n_items − n_test) / n_train."""
    parts = [a] if b is None else [a, b]
    tests = [split.test for split in a.splits]
    if any(not np.array_equal(s, t.test) for s, t in zip(tests, parts[-1].splits, strict=True)):
        raise BadInput("difference: the two features were tested on different items")

    def apart(values: list):
        return values[0] - (a.data.chance if b is None else values[1])

    n_items, n_test = len(np.unique(np.concatenate(tests))), len(tests[0])
    if n_items > n_test:
        return corrected_interval(apart([p.values for p in parts]), n_items - n_test, n_test)
    if a.data.measure == ACCURACY:
        return bootstrap(apart([np.mean(p.outcomes, axis=0) for p in parts]), rng)
    truth, counts = a.data.labels[tests[0]], resamples(n_test, rng, 200)
    drawn = [metrics.resampled_map(truth, np.mean(p.outcomes, axis=0), counts) for p in parts]
    return interval(apart([p.mean for p in parts]), apart(drawn))


def averaged(each: Sequence[Probe]) -> Probe:
    """The mean of one feature's probes over S trainings of its network, all on the same repetitions."""
    values = np.mean([p.values for p in each], axis=0)
    outcomes = [np.mean(several, axis=0) for several in zip(*(p.outcomes for p in each), strict=True)]
    reached = np.array([p.mean for p in each])
    return each[0]._replace(values=values, outcomes=outcomes, trainings=reached)


def over_trainings(a: Sequence[Probe], b: Sequence[Probe], rng: np.random.Generator) -> stats.Effect:
    """a − b of features that were learnt S times, a probe each, on the test items of the first repetition;
    the spread over items and over trainings in one interval. BadInput if splits or numbers differ."""
    first, truth = a[0].splits[0], a[0].data
    if len(a) != len(b) or any(not np.array_equal(p.splits[0].test, first.test) for p in (*a, *b)):
        raise BadInput(f"over_trainings: {len(a)} and {len(b)} probes; as many are needed, on the same items")
    outcomes = [np.array([p.outcomes[0] for p in probes], float) for probes in (a, b)]
    if truth.measure == ACCURACY:
        return stats.compare(*outcomes, rng)
    counts = resamples(len(first.test), rng, 200)
    drawn = [[metrics.resampled_map(truth.labels[first.test], s, counts) for s in of] for of in outcomes]
    reached = [np.array([p.values[0] for p in probes]) for probes in (a, b)]
    levels, resampled = map(np.mean, reached), np.mean(drawn[0], axis=0) - np.mean(drawn[1], axis=0)
    return stats.compare_resampled(
        reached[0] - reached[1], resampled, rng, *map(float, levels), len(first.test)
    )
