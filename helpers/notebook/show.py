"""What a notebook says about its numbers: one table, and a sentence that follows what came out."""

from collections.abc import Mapping
from numbers import Integral, Real

import pandas as pd

from helpers.measures.stats import Effect, Interval

FIELDS = ("mean", "low", "high", "a", "b")


def table(
    rows: Mapping[str, Mapping],
    title: str = "",
    digits: int = 3,
    cited: Mapping[str, str] | None = None,
    paper: str = "the paper",
) -> pd.DataFrame:
    """Numbers as a table to display: a row for each method, a column for each thing measured.

    Args:
        rows: row -> column -> number, interval, effect or text; what is missing is shown as "–".
        title: heading of the first column.
        digits: decimals of what is no whole number.
        cited: row -> the paper's numbers as text, in a last column headed `paper`.
    """
    shown = pd.DataFrame.from_dict(
        {
            row: {column: text(value, digits) for column, value in cells.items()}
            for row, cells in rows.items()
        },
        orient="index",
    )
    if cited is not None:
        shown[f"{paper} (cited)"] = pd.Series({row: cited.get(row) for row in rows}, dtype=object)
    return shown.reindex(list(rows)).fillna("–").rename_axis(title or None)


def text(value, digits: int = 3) -> str | None:
    """A number, an interval "0.203 [0.190, 0.216]", or None as they stand in a table."""
    if isinstance(value, Interval | Effect):
        return f"{value.mean:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"
    if isinstance(value, Integral):
        return f"{value:,}"
    if isinstance(value, Real):
        return "–" if value != value else f"{value:.{digits}f}"
    return value


def say(
    effect: Interval | Effect | None,
    better: str,
    worse: str,
    unclear: str,
    digits: int = 3,
    scale: float = 1,
    before: str = "",
    margin: float = 0,
    **more,
) -> None:
    """Print the sentence that fits a difference: above 0, below 0, or around 0; nothing for None.

    Args:
        better, worse, unclear: texts with the fields {mean}, {low}, {high}, and {a}, {b} of an `Effect`, and
            those given in `more`: "the tensor is {mean} points ahead [{low}, {high}]".
        scale: 100 shows shares as points.
        before: what all three texts begin with.
        margin: what the interval must be above for `better`, as a claim asks; 0 is any difference.
    """
    if effect is None:
        return
    chosen = before + (better if effect.low > margin else worse if effect.high < 0 else unclear)
    numbers = {
        name: f"{scale * value:.{digits}f}" for name, value in effect._asdict().items() if name in FIELDS
    }
    print(chosen.format(**numbers, **{name: text(value, digits) for name, value in more.items()}))
