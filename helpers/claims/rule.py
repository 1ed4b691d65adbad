"""The one rule that turns a measured difference into a verdict. It was written before anything was run.

A claim says that a difference a − b is above 0 (or equal to it, not below it, not above it), and has a margin m:
differences up to m mean nothing in practice. With the 95 % interval [low, high] of the difference,

    says        supported           contradicted
    above       low > m             high < 0, or −m ≤ low and high ≤ m
    equal       −m ≤ low, high ≤ m  low > m or high < −m
    not below   low ≥ −m            high < −m
    not above   high ≤ m            low > m

and *undecided* otherwise, with the number of units or seeds that would decide it. A claim about several
differences ("all models …") is supported if each is, and contradicted if one is. Supported is *reproduced* where
people are real, the paper gives numbers, and our effect lies between half its smallest and twice its largest; it
is only *supported (planted)* where people are simulated. Where most test items were seen in training, memory
is tested as much as sight, and supported is the most.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from helpers.claims.papers import Claim, Side
from helpers.measures.stats import Effect

VERDICTS = (
    "reproduced", "supported", "supported (planted)", "contradicted", "undecided", "not testable", "procedure",
)  # fmt: skip
FACTOR = 2.0
MOST = 0.5  # of the test items
Z = stats.norm.ppf(0.975)


def side_of(says: Side, low: float, high: float, margin: float) -> str:
    """The table above: "supported", "contradicted" or "undecided"."""
    within = -margin <= low and high <= margin
    supported, contradicted = {
        "above": (low > margin, high < 0 or within),
        "equal": (within, low > margin or high < -margin),
        "not below": (low >= -margin, high < -margin),
        "not above": (high <= margin, low > margin),
    }[says]
    return "supported" if supported else "contradicted" if contradicted else "undecided"


def verdict(
    claim: Claim, parts: Mapping[str, Effect], case: str = "", simulated: bool = False, seen: float = 0.0
) -> str:
    """The verdict on a claim.

    Args:
        parts: name -> difference, in the notebooks' numbers (`Measure.scale` leads to the unit); one or several.
        case: the dataset; the paper's exceptions and numbers go by it.
        seen: share of the test items that training showed.
    """
    scaled = {name: effect.scaled(claim.measure.scale) for name, effect in parts.items()}
    found = {
        name: side_of(
            claim.side(name if name in claim.exceptions else case), e.low, e.high, claim.measure.margin
        )
        for name, e in scaled.items()
    }
    for decided in ("contradicted", "undecided"):
        if decided in found.values():
            return decided
    if simulated:
        return "supported (planted)"
    alike = claim.numbers and seen <= MOST and all(_alike(claim, n, case, e) for n, e in scaled.items())
    return "reproduced" if alike else "supported"


def _alike(claim: Claim, name: str, case: str, effect: Effect) -> bool:
    where = name if name in claim.numbers else case
    if claim.side(where) != "above":
        return True  # there is no effect whose size could be compared
    theirs = claim.effects(where)
    ours = effect.mean / effect.b if claim.relative else effect.mean
    return min(theirs) / FACTOR <= ours <= max(theirs) * FACTOR


def p_value(claim: Claim, parts: Mapping[str, Effect], case: str = "") -> float:
    """Two-sided p of what the verdict rests on, the normal distance of the interval's end to its bound.

    It is below .05 exactly where the verdict is decided; of several parts the largest counts for "supported", the
    smallest, times their number, for "contradicted".
    """
    margin, distances = claim.measure.margin, {"supported": [], "contradicted": []}
    for name, effect in parts.items():
        e, says = effect.scaled(claim.measure.scale), claim.side(name if name in claim.exceptions else case)
        down, up = (max(d, 1e-12) / Z for d in (e.mean - e.low, e.high - e.mean))  # standard errors
        above, below = (e.mean - margin) / down, (-margin - e.mean) / up
        inside = min((e.mean + margin) / down, (margin - e.mean) / up)
        side = {
            "above": (above, max(-e.mean / up, inside)), "equal": (inside, max(above, below)),
            "not below": ((e.mean + margin) / down, below), "not above": ((margin - e.mean) / up, above),
        }[says]  # fmt: skip
        for which, distance in zip(distances, side, strict=True):
            distances[which].append(2 * stats.norm.sf(distance))
    return float(min(1.0, max(distances["supported"]), len(parts) * min(distances["contradicted"])))


def holm(p: Sequence[float]) -> np.ndarray:
    """p values corrected for their number (Holm 1979), float64[n]."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected


def would_decide(claim: Claim, parts: Mapping[str, Effect], case: str = "") -> str:
    """How many units and seeds would decide an undecided claim if the differences stayed what they are."""
    texts = []
    for name, effect in parts.items():
        e, margin = effect.scaled(claim.measure.scale), claim.measure.margin
        says = claim.side(name if name in claim.exceptions else case)
        if side_of(says, e.low, e.high, margin) != "undecided":
            continue
        # the interval may be as wide as the distance to the nearest bound on the side where the mean lies
        bounds = {"above": (margin, 0.0, -margin)}.get(says, (margin, -margin))
        room = min(abs(e.mean - bound) for bound in bounds)
        if says == "above" and 0 < e.mean < margin:  # only equivalence is left
            room = margin - e.mean
        half = (e.high - e.low) / 2
        if room < half / 30:
            texts.append("at the bound, so no number would decide it")
            continue
        needed = (half / room) ** 2  # times less variance
        by_seeds, by_units = e.seed_share * needed, (1 - e.seed_share) * needed
        if by_seeds < 0.5 or e.seeds < 2:
            factors = {claim.over: (e.units, by_units / (1 - min(by_seeds, 0.5)))}
        elif by_units < 0.5:
            factors = {"seeds": (e.seeds, by_seeds / (1 - by_units))}
        else:
            factors = {claim.over: (e.units, 2 * by_units), "seeds": (e.seeds, 2 * by_seeds)}
        texts.append(" and ".join(f"{_round(n * f)} {what} (here {n})" for what, (n, f) in factors.items()))
    return "about " + "; about ".join(texts) if texts else ""


def _round(number: float) -> str:
    digits = max(0, math.floor(math.log10(max(number, 1))) - 1)
    return f"{math.ceil(number / 10**digits) * 10**digits:,}"


def ours(claim: Claim, parts: Mapping[str, Effect]) -> str:
    """Our numbers for the table: "MCLL 0.203, regression 0.190: +1.3 [0.4, 2.1] points"."""
    m, texts = claim.measure, []
    for name, effect in parts.items():
        e = effect.scaled(m.scale)
        levels = f"{e.a:.{m.digits}f} and {e.b:.{m.digits}f}: " if math.isfinite(e.a) else ""
        label = f"{name}: " if name else ""
        texts.append(
            f"{label}{levels}{e.mean:+.{m.digits}f} [{e.low:.{m.digits}f}, {e.high:.{m.digits}f}] {m.unit}".rstrip()
        )
    return "; ".join(texts)
