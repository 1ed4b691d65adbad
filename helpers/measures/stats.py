"""How sure: bootstrap intervals over users or items, paired tests and spreads over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from helpers.errors import BadInput


class Interval(NamedTuple):
    """A mean and its percentile bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"

    def contains(self, value: float) -> bool:
        """Whether the value lies inside, ends included."""
        return self.low <= value <= self.high


class Paired(NamedTuple):
    """A paired t-test: mean difference a − b, t, two-sided p, and the number of pairs."""

    difference: float
    t: float
    p: float
    n: int


def resamples(n: int, rng: np.random.Generator, repeats: int = 1000) -> np.ndarray:
    """int64[repeats, n]: how often each of n units is in each bootstrap sample of size n."""
    return rng.multinomial(n, np.full(n, 1 / n), size=repeats)


def bootstrap(
    values: np.ndarray, rng: np.random.Generator, repeats: int = 1000, level: float = 0.95
) -> Interval:
    """Percentile bootstrap interval of a mean over units (users, items, queries).

    For a paired comparison pass the units' differences: an interval without 0 is a difference.

    Args:
        values: float[n], one value a unit.
        level: the share of bootstrap means inside the interval.

    Raises:
        BadInput: fewer than two values, or a NaN among them.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2 or np.isnan(values).any():
        raise BadInput(f"bootstrap: {len(values)} values; at least two are needed and none may be NaN")
    # 64 samples at a time keep the counts in the cache: one matrix product gives their means
    means = [
        resamples(len(values), rng, min(64, repeats - done)) @ values / len(values)
        for done in range(0, repeats, 64)
    ]
    return interval(float(values.mean()), np.concatenate(means), level)


def bootstrap_between(
    a: np.ndarray, b: np.ndarray, rng: np.random.Generator, repeats: int = 1000, level: float = 0.95
) -> Interval:
    """Percentile bootstrap interval of mean(a) − mean(b) for two groups of different units, not paired.

    Args:
        a, b: float (n,) and (m,), resampled independently.

    Raises:
        BadInput: a group has fewer than two values, or a NaN.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if min(len(a), len(b)) < 2 or np.isnan(a).any() or np.isnan(b).any():
        raise BadInput(f"bootstrap: {len(a)} and {len(b)} values; two of each are needed and none may be NaN")
    first, second = (resamples(len(v), rng, repeats) @ v / len(v) for v in (a, b))
    return interval(float(a.mean() - b.mean()), first - second, level)


def interval(value: float, resampled: np.ndarray, level: float = 0.95) -> Interval:
    """The percentile interval of a statistic from its bootstrap values (`metrics.resampled_map`)."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def corrected_interval(
    differences: Sequence[float], n_train: int, n_test: int, level: float = 0.95
) -> Interval:
    """Interval of a mean difference over random splits into training and test.

    Splits of the same items overlap, so their values are not independent and the plain variance of the mean,
    s² / R, is far too small: it becomes s² · (1 / R + n_test / n_train), with R − 1 degrees of freedom.

    Args:
        differences: float[R], one difference a split.
        n_train, n_test: items of each split.

    Raises:
        BadInput: fewer than two splits.

    Source: Nadeau and Bengio 2003, section 3 (the corrected resampled t-test).
    """
    values = np.asarray(differences, np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        raise BadInput(
            f"corrected_interval: {len(values)} splits; at least two finite differences are needed"
        )
    scale = np.sqrt(values.var(ddof=1) * (1 / len(values) + n_test / n_train))
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * scale)
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half)


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's interval of a mean over few independent values, for example over seeds.

    Raises:
        BadInput: fewer than two values.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        raise BadInput(f"mean_interval: {len(values)} values; at least two finite ones are needed")
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half)


def paired_test(a: Sequence[float], b: Sequence[float]) -> Paired:
    """Two-sided paired t-test of two methods over the same seeds (or folds).

    Where all differences are the same, the variance is 0 and t is undefined: p is then 1 for no
    difference and 0 for a constant one, with t of 0 or ±inf.

    Raises:
        BadInput: fewer than two pairs, or different lengths.

    Source: Bibas et al. 2022, section 4.1.4.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise BadInput(
            f"paired_test: {a.shape} against {b.shape} values; give the same two or more seeds for both"
        )
    difference = a - b
    mean = float(difference.mean())
    if np.ptp(difference) == 0:
        return Paired(mean, float(np.sign(mean) * np.inf) if mean else 0.0, float(mean == 0), len(a))
    test = stats.ttest_rel(a, b)
    return Paired(mean, float(test.statistic), float(test.pvalue), len(a))


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Mean ± sample standard deviation over seeds: "0.1891 ± 0.0012 (3 seeds)"; one seed has no spread."""
    values = np.asarray(values, np.float64)
    if len(values) == 1:
        return f"{values[0]:.{digits}f} (1 seed)"
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f} ({len(values)} seeds)"
