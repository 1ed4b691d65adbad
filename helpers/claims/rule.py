"""The one rule that turns measured differences into a verdict.

The margins were set without looking at our numbers. `FEWEST` and `MOST` are later: experience showed that few
units, seen items and zeros on both sides would otherwise pass for evidence. So is what searches leave open.

A claim says that a difference a − b is above 0 (or equal to it, not below it, not above it). It has a margin
m: differences up to m mean nothing in practice. With the 95 % interval [low, high] of the difference,

    says        supported           contradicted
    above       low > m             high < 0, or −m ≤ low and high ≤ m
    equal       −m ≤ low, high ≤ m  low > m or high < −m
    not below   low ≥ −m            high < −m
    not above   high ≤ m            low > m

and *undecided* otherwise, with the number of units or seeds that would decide it. A claim about several
differences ("all models …") is supported if each is, and contradicted if one is: of k differences one lies
beyond its bound by chance k times as often, so for this their intervals are wider (Bonferroni, 1 − .05 / k).

Who loses at an edge of what was tried, where more could have been tried, has not lost: a difference that may
still rise contradicts no claim that it is above 0, one that may still fall supports none. It is *undecided*.

Supported is *reproduced* where people are real, the paper gives numbers, and our effect lies between half its
smallest and twice its largest. It is only *supported (planted)* where people are simulated. Where most test
items were seen in training, memory is tested as much as sight, and *supported* is the most.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from helpers.claims.papers import Claim, Side
from helpers.measures.stats import Effect

VERDICTS = ("reproduced", "supported", "supported (planted)", "contradicted", "undecided")
VERDICTS += ("not testable", "procedure")
FACTOR = 2.0
MOST = 0.5  # of the test items
FEWEST = 5  # units: a bootstrap of fewer says nothing, it may give [0, 0]
Z = stats.norm.ppf(0.975)


class Part(NamedTuple):
    """One of a claim's differences: where it was measured, what the paper says there, and the difference."""

    case: str
    says: Side
    effect: Effect  # in the unit of the claim's measure
    rise: str = ""  # what of the searches was left open and could make it larger: "tensor (epochs)"
    fall: str = ""  # and smaller


def parts_of(
    claim: Claim, effects: Mapping[str, Effect], data: str,
    rise: Mapping[str, str] = {}, fall: Mapping[str, str] = {},
) -> dict[str, Part]:  # fmt: skip
    """The differences of a claim with what the paper says of each.

    Args:
        effects: name -> difference, in the notebooks' numbers; a name may be a case of `claim.numbers`.
        data: the dataset, the case of all other names.
        rise, fall: name -> what could make this difference larger, smaller (`Part`).
    """
    cases = {name: name if name in claim.numbers else data for name in effects}
    scale = claim.measure.scale
    return {
        n: Part(cases[n], claim.side(cases[n]), e.scaled(scale), rise.get(n, ""), fall.get(n, ""))
        for n, e in effects.items()
    }


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


def _wider(parts: int) -> float:
    """How many times the interval of each of several differences is as wide, where one alone contradicts."""
    return stats.norm.isf(0.025 / parts) / Z


def _measured(part: Part, margin: float, parts: int) -> str:
    """`side_of` one of several differences."""
    _, says, e, *_ = part
    times, found = _wider(parts), side_of(says, e.low, e.high, margin)
    wide = (e.mean - times * (e.mean - e.low), e.mean + times * (e.high - e.mean))
    return side_of(says, *wide, margin) if found == "contradicted" else found


def _left_open(part: Part, side: str) -> str:
    """What of the searches could undo a side, the part's interval being what it is; empty for nothing."""
    _, says, e, rise, fall = part
    if side == "undecided":
        return ""
    if says == "equal":
        return (rise or fall) if side == "supported" else fall if e.mean > 0 else rise
    return rise if (says == "not above") == (side == "supported") else fall


def _side(part: Part, margin: float, parts: int) -> str:
    """What one of several differences says of its claim, with what the searches left open."""
    side = _measured(part, margin, parts)
    return "undecided" if _left_open(part, side) else side


def verdict(claim: Claim, parts: Mapping[str, Part], simulated: bool = False, seen: float = 0.0) -> str:
    """The verdict on a claim; `seen` is the share of the test items that training showed."""
    if any(0 < part.effect.units < FEWEST or _blank(part.says, part.effect) for part in parts.values()):
        return "undecided"
    found = {_side(p, claim.measure.margin, len(parts)) for p in parts.values()}
    if found != {"supported"}:
        return "contradicted" if "contradicted" in found else "undecided"
    if simulated:
        return "supported (planted)"
    alike = claim.numbers and seen <= MOST and all(_alike(claim, part) for part in parts.values())
    return "reproduced" if alike else "supported"


def _blank(says: str, e: Effect) -> bool:
    """Whether nothing was seen that could differ, as where neither of two methods has a hit: a bootstrap of
    zeros gives [0, 0], which is no evidence that they are equally good."""
    return says == "above" and e.a == e.b == e.low == e.high == 0


def _alike(claim: Claim, part: Part) -> bool:
    if part.says != "above":
        return True  # there is no effect whose size could be compared
    theirs, effect = claim.effects(part.case), part.effect
    ours = effect.mean / effect.b if claim.relative else effect.mean
    return min(theirs) / FACTOR <= ours <= max(theirs) * FACTOR


def p_value(claim: Claim, parts: Mapping[str, Part]) -> float:
    """Two-sided p of what the verdict rests on: how far the end of the interval is from its bound.

    For one difference it is below .05 exactly where the verdict is decided or only the searches leave it
    open. Of several the largest counts for "supported"; for "contradicted" the smallest, times their number
    (Bonferroni).
    """
    if any(_blank(part.says, part.effect) for part in parts.values()):
        return 1.0
    margin, supported, contradicted = claim.measure.margin, [], []
    for _, says, e, *_ in parts.values():
        down, up = (max(d, 1e-12) / Z for d in (e.mean - e.low, e.high - e.mean))  # standard errors
        above, below = (e.mean - margin) / down, (-margin - e.mean) / up
        no_less, no_more = (e.mean + margin) / down, (margin - e.mean) / up
        inside = min(no_less, no_more)
        sides = {
            "above": (above, max(-e.mean / up, inside)),
            "equal": (inside, max(above, below)),
            "not below": (no_less, below),
            "not above": (no_more, above),
        }
        for distances, distance in zip((supported, contradicted), sides[says], strict=True):
            distances.append(distance)
    distance = max(min(supported), stats.norm.isf(len(parts) * stats.norm.sf(max(contradicted))))
    return float(min(1.0, 2 * stats.norm.sf(distance)))


def holm(p: Sequence[float]) -> np.ndarray:
    """p values corrected for their number, float64[n] (Holm 1979)."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected


def would_decide(claim: Claim, parts: Mapping[str, Part]) -> str:
    """How many units or seeds would decide the undecided parts, if the differences stayed what they are; each
    after the name of its part, where parts have names."""
    texts = {name: _needed(claim, part, len(parts)) for name, part in parts.items()}
    return "; ".join(f"{name}: {text}" if name else text for name, text in texts.items() if text)


def _needed(claim: Claim, part: Part, parts: int) -> str:
    """What would decide one part; nothing for one that is decided."""
    _, says, e, *_ = part
    if 0 < e.units < FEWEST:
        return f"{e.units} {claim.over} are too few for an interval"
    if _blank(says, e):
        return "zero on both sides, so nothing could differ"
    margin = claim.measure.margin
    if (side := _measured(part, margin, parts)) != "undecided":
        left = _left_open(part, side)
        return f"{side} if more tries could not help {left}" if left else ""
    # how wide the interval may be on either side to be clear of a bound, and how wide it is here
    room, half = min(abs(e.mean - margin), abs(e.mean + margin)), (e.high - e.low) / 2
    if side_of(says, e.low, e.high, margin) == "contradicted":  # so it would be alone
        half *= _wider(parts)
    if says == "above" and e.mean < 0:
        room = max(-e.mean, margin + e.mean)  # below 0, or equivalent
    if room < half / 30:
        return "too close to the bound for any number to decide it"
    times = (half / room) ** 2  # the variance is so many times too large
    by_seeds, by_units = e.seed_share * times, (1 - e.seed_share) * times
    if by_seeds < 0.5:
        return _more(e.units, by_units / (1 - by_seeds), claim.over)
    if by_units < 0.5:
        return _more(e.seeds, by_seeds / (1 - by_units), "seeds")
    return f"{_more(e.units, 2 * by_units, claim.over)} and {_more(e.seeds, 2 * by_seeds, 'seeds')}"


def _more(here: int, times: float, what: str) -> str:
    number = here * times
    unit = 10 ** max(0, math.floor(math.log10(max(number, 1))) - 1)  # two digits say enough
    return f"about {math.ceil(number / unit) * unit:,} {what} would decide it ({here:,} here)"


def ours(claim: Claim, parts: Mapping[str, Part]) -> str:
    """Our numbers for the table: "0.203 and 0.190: +1.3 [0.4, 2.1] points"."""
    digits, texts = claim.measure.digits, []
    for name, (_, _, e, *_) in parts.items():
        levels = f"{e.a:.{digits}f} and {e.b:.{digits}f}: " if math.isfinite(e.a) else ""
        interval = f"{e.mean:+.{digits}f} [{e.low:.{digits}f}, {e.high:.{digits}f}]"
        texts.append(f"{f'{name}: ' if name else ''}{levels}{interval} {claim.measure.unit}".rstrip())
    return "; ".join(texts)
