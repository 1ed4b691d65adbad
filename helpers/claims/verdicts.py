"""Verdicts on claims "a is above b", all by one rule that is written before anything is run.

The claim holds if the 95 % interval of the difference lies above 0. On real data it is *reproduced* if,
besides, our ratio a / b is within a factor of 1.5 of the paper's. Where the paper gives no two numbers, on
simulated data, and where most test images show an item that was trained on, it is *direction only*. Otherwise
it *does not hold*; that includes "no difference seen".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from helpers.claims.cited import Cited
from helpers.claims.claim import Claim
from helpers.data.collection import Collection
from helpers.measures.stats import Interval, bootstrap, bootstrap_between

NEAR = 1.5
MOST = 0.5  # of the test images: more seen ones test memory as much as sight


class Comparison(NamedTuple):
    """The interval of mean(a) − mean(b), and the two means."""

    interval: Interval
    a: float
    b: float


def paired(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> Comparison:
    """Compare two methods on the same units, float (n,) each."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return Comparison(bootstrap(a - b, rng), float(a.mean()), float(b.mean()))


def between(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> Comparison:
    """Compare two groups of different units, float (n,) and (m,)."""
    return Comparison(bootstrap_between(a, b, rng), float(np.mean(a)), float(np.mean(b)))


def worst(comparisons: Iterable[Comparison]) -> Comparison:
    """The comparison that speaks least for the claim."""
    return min(comparisons, key=lambda c: c.interval.low)


def listed(values: Mapping[str, float], names: Iterable[str], digits: int = 3) -> str:
    """Some values with their names, for a sentence: "MCLL 0.120, NCSL-MS 0.080"."""
    return ", ".join(f"{name} {values[name]:.{digits}f}" for name in names)


def verdict(comparison: Comparison, pair: Sequence[float] | None, simulated: bool, seen: float = 0.0) -> str:
    """The rule of this module; `pair` holds the paper's a and b, `seen` is the share of the test images that
    show an item of the training images.
    """
    if not comparison.interval.low > 0:
        return "does not hold"
    if simulated or pair is None or comparison.b <= 0 or seen > MOST:
        return "direction only"
    ratio = (comparison.a / comparison.b) / (pair[0] / pair[1])
    return "reproduced" if 1 / NEAR <= ratio <= NEAR else "direction only"


def judge(
    cited: Cited, comparison: Comparison | None, collection: Collection, why: str = "", seen: float = 0.0
) -> Claim:
    """The claim with its verdict and `why`, a sentence on what that rests on; a share `seen` above a half is
    told in the note. Without a comparison the claim is not testable.
    """
    about = {"id": cited.id, "statement": cited.statement, "paper": cited.where, "cited": cited.text}
    if comparison is None:
        note = f"{collection.name} has no such data, or this profile does not train the network"
        return Claim(**about, verdict="not testable on this data", note=note)
    if seen > MOST:
        why = f"{why}; {seen:.0%} of the test images show an item seen in training".removeprefix("; ")
    _, low, high = comparison.interval
    return Claim(
        **about, verdict=verdict(comparison, cited.pair, collection.simulated, seen),
        ours=f"{cited.measured}: {comparison.a:.4f}, {comparison.b:.4f}",
        spread=f"95 % interval of the difference {low:.4f} to {high:.4f}", note=why,
    )  # fmt: skip
