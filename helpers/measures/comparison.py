"""Methods compared on the same test items by mAP: over seeds, and over items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from helpers.errors import BadInput
from helpers.measures.metrics import mean_average_precision, resampled_map
from helpers.measures.stats import Interval, interval, paired_test

LEVEL = 0.01  # of the paired test: Bibas et al. 2022, Table 5


class Gain(NamedTuple):
    """By how much one method is ahead of another.

    Attributes:
        over_items: mean difference of mAP and its bootstrap interval over test items, 95 %.
        relative: the mean difference as a share of the other's mAP.
        p: two-sided, of the paired t-test over seeds.
        sign: +1 or −1 where p < 0.01 and the interval leaves out 0 on the same side; else 0.
    """

    over_items: Interval
    relative: float
    p: float
    sign: int

    @property
    def percent(self) -> str:
        """As in Table 5: "+2.6 %*", with a star where the sign is sure."""
        return f"{100 * self.relative:+.1f} %" + "*" * abs(self.sign)


@dataclass(frozen=True)
class Comparison:
    """mAP of several methods.

    Attributes:
        values: method -> float64 (S,), mAP of each seed.
        drawn: method -> float64 (R,), mean mAP over seeds in each bootstrap sample; the same samples for all.
    """

    values: Mapping[str, np.ndarray]
    drawn: Mapping[str, np.ndarray]

    def level(self, method: str) -> Interval:
        """Mean mAP over seeds, with its interval over items."""
        return interval(float(self.values[method].mean()), self.drawn[method])

    def gain(self, method: str, over: str) -> Gain:
        """How far `method` is ahead of `over`."""
        test = paired_test(self.values[method], self.values[over])
        found = interval(test.difference, self.drawn[method] - self.drawn[over])
        sure = test.p < LEVEL and (found.low > 0 if test.difference > 0 else found.high < 0)
        sign = int(np.sign(test.difference)) if sure else 0
        return Gain(found, test.difference / float(self.values[over].mean()), test.p, sign)


def compare(truth: np.ndarray, scores: Mapping[str, Sequence[np.ndarray]], counts: np.ndarray) -> Comparison:
    """Score all methods.

    Args:
        truth: bool (m, N), labels of the test items.
        scores: method -> one array float (m, N) per seed, the same seeds for all methods.
        counts: int64 (R, m), bootstrap samples of the items (`stats.resamples`).

    Raises:
        BadInput: methods with different numbers of seeds.
    """
    if len({len(each) for each in scores.values()}) != 1:
        raise BadInput(
            "compare: every method needs the same seeds, found "
            + ", ".join(f"{name}: {len(each)}" for name, each in scores.items())
        )
    values, drawn = {}, {}
    for name, each in scores.items():
        values[name] = np.array([mean_average_precision(truth, s).mean for s in each])
        drawn[name] = np.mean([resampled_map(truth, s, counts) for s in each], axis=0)
    return Comparison(values, drawn)
