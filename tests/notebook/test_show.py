"""One table, and sentences that follow the numbers."""

import numpy as np
import pytest

from helpers.measures.stats import Effect, Interval
from helpers.notebook.show import say, table


def test_a_table():
    shown = table(
        {"ours": {"A@10": Interval(0.2034, 0.19, 0.21), "users": np.int64(1234)}, "floor": {"A@10": np.nan}},
        title="model", digits=2, cited={"ours": "43.65 %"}, paper="Veit et al.",
    )  # fmt: skip
    assert shown.index.name == "model"
    assert list(shown.columns) == ["A@10", "users", "Veit et al. (cited)"]
    assert shown.loc["ours"].tolist() == ["0.20 [0.19, 0.21]", "1,234", "43.65 %"]
    assert shown.loc["floor"].tolist() == ["–", "–", "–"]
    assert list(table({"b": {"x": 1.0}, "a": {"x": "text"}}).index) == ["b", "a"]


@pytest.mark.parametrize(("ends", "said"), [((1, 3), "ahead"), ((-3, -1), "behind"), ((-1, 1), "unclear")])
def test_a_sentence_follows_the_interval(ends, said, capsys):
    effect = Effect(np.mean(ends), *ends, a=0.5, b=0.25)
    texts = {"better": "ahead", "worse": "behind", "unclear": "unclear"}
    say(
        effect,
        **{name: text + " {mean} [{low}, {high}] {a} {n}" for name, text in texts.items()},
        digits=1,
        n=7,
    )
    numbers = f"{np.mean(ends):.1f} [{ends[0]:.1f}, {ends[1]:.1f}] 0.5 7"
    assert capsys.readouterr().out == f"{said} {numbers}\n"
