"""How sure: intervals over users or items and over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from helpers.errors import BadInput, TooFew


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


class Effect(NamedTuple):
    """A difference between two methods and how sure it is."""

    mean: float  # a − b
    low: float  # of its 95 % interval
    high: float
    a: float = np.nan  # the two means, NaN where there are no two
    b: float = np.nan
    units: int = 0  # that were resampled
    seeds: int = 1  # one leaves the spread over trainings out
    seed_share: float = 0.0  # of the variance

    def scaled(self, factor: float) -> "Effect":
        """In another unit: 100 leads from shares to points."""
        return Effect(*(factor * value for value in self[:5]), *self[5:])


def resamples(n: int, rng: np.random.Generator, repeats: int = 1000) -> np.ndarray:
    """int64[repeats, n]: how often each of n units is in each bootstrap sample of size n."""
    return rng.multinomial(n, np.full(n, 1 / n), size=repeats)


def _checked(what: str, *groups: Sequence[float]) -> list[np.ndarray]:
    """As float64. Raises TooFew where a group has fewer than two values, BadInput where one is not finite."""
    groups = [np.asarray(values, np.float64) for values in groups]
    few = min(map(len, groups)) < 2
    if few or not all(np.isfinite(values).all() for values in groups):
        sizes = " and ".join(str(len(values)) for values in groups)
        raise (TooFew if few else BadInput)(f"{what}: {sizes} values; at least two are needed, all finite")
    return groups


def _resampled_sums(rng: np.random.Generator, repeats: int, *columns: np.ndarray) -> list[np.ndarray]:
    """Of each column, (n,) or (n, m), its sum in each bootstrap sample of the n units: (R,) or (R, m)."""
    # 64 samples at a time keep the counts in the cache: one matrix product gives their sums
    sizes = [min(64, repeats - done) for done in range(0, repeats, 64)]
    counts = (resamples(len(columns[0]), rng, size) for size in sizes)
    sums = [[each @ column for column in columns] for each in counts]
    return [np.concatenate(of_column) for of_column in zip(*sums, strict=True)]


def bootstrap(values: np.ndarray, rng: np.random.Generator, repeats: int = 1000) -> Interval:
    """Percentile bootstrap interval of a mean over units (users, items, queries): float[n], one value a unit.

    For a paired comparison pass the units' differences: an interval without 0 is a difference. This and the
    other intervals raise BadInput for fewer than two values, or one that is not finite.
    """
    (values,) = _checked("bootstrap", values)
    (sums,) = _resampled_sums(rng, repeats, values)
    return interval(float(values.mean()), sums / len(values))


def interval(value: float, resampled: np.ndarray) -> Interval:
    """The 95 % percentile interval of a statistic from its bootstrap values (`metrics.resampled_map`)."""
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def compare(a, b, rng: np.random.Generator, units: np.ndarray | None = None, repeats: int = 1000) -> Effect:
    """Two methods on the same cases, with the spread over units and over seeds in one interval.

    Units are resampled as in `bootstrap`. Seeds are resampled on top: their deviations, widened by
    √(S / (S − 1)) because a bootstrap of S values is too narrow by that, are added to each resampled mean.

    a and b are float (n,), one value a case, or (S, n) with a row for each of S seeds (trainings); units, int
    (n,), tells to whom a case belongs: users are drawn, each with all their cases. Without it each case is
    its own unit. BadInput for unequal shapes, fewer than two units, or a value that is not finite.
    """
    a, b = (np.atleast_2d(np.asarray(values, np.float64)) for values in (a, b))
    if a.shape[1] != b.shape[1] or len({len(a), len(b)} - {1}) > 1:
        raise BadInput(f"compare: {a.shape} against {b.shape} values; give the same cases and seeds for both")
    difference = a - b
    n = difference.shape[1]
    code = np.arange(n) if units is None else np.unique(units, return_inverse=True)[1]
    size = np.bincount(code)
    (total,) = _checked("compare", np.bincount(code, difference.mean(axis=0), len(size)))
    totals, sizes = _resampled_sums(rng, repeats, total, size)
    levels = float(a.mean()), float(b.mean())
    return _two_levels(difference.mean(axis=1), totals / sizes, rng, *levels, len(size))


def over_users(values, units: np.ndarray, rng: np.random.Generator) -> Interval:
    """A mean and its interval, with whole users and seeds resampled; arguments as for `compare`."""
    alone = compare(values, np.zeros_like(values), rng, units)
    return Interval(alone.mean, alone.low, alone.high)


def compare_resampled(by_seed, resampled, rng, a=np.nan, b=np.nan, units: int = 0) -> Effect:
    """As `compare` for a statistic that is no mean of values a case, such as mAP or a ratio: by_seed is float
    (S,), the difference in each training on all units, and resampled float (R,), its mean over the trainings
    in each bootstrap sample of the units.

    Where the methods were searched H times, each time with other items to choose and to test on, by_seed is
    (H, S), and the searches are one more level, drawn like the seeds: two of them widen the interval until it
    holds the difference of each. What they differ by holds the luck of the units too, so it is rather too
    wide; but two that err alike do not show it, and it counts as luck of the units in `seed_share`.

    Resampled values of such a statistic may all lie too high (in a ranking an item that is drawn twice stands
    beside itself), so they are moved to the measured one: they tell how far it spreads, not where it is.
    """
    by_seed, resampled = np.asarray(by_seed, np.float64), np.asarray(resampled, np.float64)
    return _two_levels(by_seed, resampled - resampled.mean() + by_seed.mean(), rng, a, b, units)


def _two_levels(by_seed, resampled, rng, a: float, b: float, units: int) -> Effect:
    by_seed = np.atleast_2d(by_seed)
    searches, seeds, share = by_seed.mean(axis=1), by_seed.mean(axis=0), 0.0

    def drawn(values: np.ndarray) -> np.ndarray:
        apart = (values - values.mean()) * np.sqrt(len(values) / (len(values) - 1))
        return resamples(len(values), rng, len(resampled)) @ apart / len(values)

    if len(searches) > 1:
        resampled = resampled + drawn(searches)
    if len(seeds) > 1:
        by_seeds = drawn(seeds)
        share = float(by_seeds.var() / max(by_seeds.var() + resampled.var(), 1e-300))
        resampled = resampled + by_seeds
    return Effect(*interval(float(by_seed.mean()), resampled), a, b, units, len(seeds), share)


def compare_groups(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> Effect:
    """Two groups of different units, float (n,) and (m,), each resampled alone, or (S, n) and (S, m) with a
    row for each of S seeds, which are resampled on top as in `compare`. Its `units` are those of the smaller
    group."""
    by_seed = [np.atleast_2d(np.asarray(values, np.float64)) for values in (a, b)]
    a, b = _checked("bootstrap", *(values.mean(axis=0) for values in by_seed))
    first, second = (_resampled_sums(rng, 1000, values)[0] / len(values) for values in (a, b))
    apart = by_seed[0].mean(axis=1) - by_seed[1].mean(axis=1)
    levels = float(a.mean()), float(b.mean())
    return _two_levels(apart, first - second, rng, *levels, min(len(a), len(b)))


Sums = tuple[np.ndarray, np.ndarray]  # part and whole, each float (n,), one value a unit


def compare_ratios(a: Sums, b: Sums, rng: np.random.Generator, repeats: int = 1000) -> Effect:
    """Two ratios of sums over the same units, each drawn with all that it adds to both: a density is such a
    ratio (views and cells), and so is a share of images where a user is a unit. A unit may add nothing to
    one. BadInput for fewer than two units, a value that is not finite, or a whole that is 0."""
    parts = np.stack(_checked("compare_ratios", *a, *b))
    if not parts[[1, 3]].sum(axis=1).all():
        raise TooFew("compare_ratios: a whole is 0, so there is no ratio")

    def ratios(sums: np.ndarray) -> np.ndarray:
        return sums[:, ::2] / sums[:, 1::2]

    (sums,) = _resampled_sums(rng, repeats, parts.T)
    resampled = ratios(sums[sums[:, 1::2].all(axis=1)])  # a sample of few units may hold none that counts
    (first, second), *_ = ratios(parts.sum(axis=1)[None])
    effect = interval(float(first - second), resampled[:, 0] - resampled[:, 1])
    return Effect(*effect, float(first), float(second), parts.shape[1])


def corrected_interval(differences: Sequence[float], n_train: int, n_test: int) -> Interval:
    """Interval of a mean difference over R random splits into n_train and n_test items, one value a split.

    Splits of the same items overlap, so their values are not independent and the plain variance of the mean,
    s² / R, is far too small: it becomes s² · (1 / R + n_test / n_train), with R − 1 degrees of freedom
    (Nadeau and Bengio 2003, section 3, the corrected resampled t-test).
    """
    (values,) = _checked("interval over splits or seeds", differences)
    scale = np.sqrt(values.var(ddof=1) * (1 / len(values) + n_test / n_train))
    half = float(stats.t.ppf(0.975, len(values) - 1) * scale)
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half)


def mean_interval(values: Sequence[float]) -> Interval:
    """Student's interval of a mean over few independent values, for example over seeds."""
    return corrected_interval(values, 1, 0)


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Mean ± sample standard deviation over seeds: "0.1891 ± 0.0012 (3 seeds)"; one seed has no spread.
    Of H searches, (H, S), their mean in each seed."""
    values = np.atleast_2d(np.asarray(values, np.float64)).mean(axis=0)
    if len(values) == 1:
        return f"{values[0]:.{digits}f} (1 seed)"
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f} ({len(values)} seeds)"
