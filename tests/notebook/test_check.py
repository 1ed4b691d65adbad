"""An exercise is open, right or wrong; a digest tells nothing and forgives a rounding."""

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter

from helpers.notebook.check import NotYet, check, digest


@pytest.mark.parametrize("answer", [None, (1, None), (None, None)])
def test_no_answer_yet(answer, capsys):
    assert not check(2, answer, lambda answer: 1 / 0, "a hint")
    assert capsys.readouterr().out == "exercise 2: no answer yet\n"


@pytest.mark.parametrize(
    ("true", "digits", "right", "wrong"),
    [
        (
            3 / 8,
            3,
            (0.375, 0.3754, 0.374, 0.376, np.float32(0.375)),
            (0.373, 0.377, 0.5, "0.5", np.nan, np.inf),
        ),
        (0.0, 2, (0, -0.001, 1e-9, -0.01), (1.0, -1, 0.02)),
        (15, 0, (15, 15.04, np.int64(15)), (14, 16, -15, (15, 15))),
        ((4_500_000, 15_787_250), 0, ([4_500_000, 15_787_250],), (4_500_000, (4_500_000, 15_000), (), 0)),
        ((0.1, 0.01), 3, ((0.1, 0.01), (0.0995, 0.0109)), ((1 / 9, 1 / 99), (0.01, 0.1), (0.1, 0.01, 0.01))),
        ("abcd", 0, ("abcd", " ABCD"), ("abc", "abcde", "", 0, {"a"})),
        (("rise", "fall"), 0, (("rise", "Fall"),), (("rise", "rise"), "rise", ("fall", "rise"))),
    ],
)
def test_a_digest(true, digits, right, wrong, capsys):
    code = digest(3, true, digits)
    for answer in (true, *right):
        assert check(3, answer, code, "a hint", digits)
        assert capsys.readouterr().out == "exercise 3: right\n"
    for answer in wrong:
        with pytest.raises(NotYet, match=r"^exercise 3: not yet: a hint$"):
            check(3, answer, code, "a hint", digits)
    assert capsys.readouterr().out == ""


def test_a_digest_is_of_one_exercise_and_not_the_answer():
    assert digest(1, 2) != digest(2, 2)
    assert [len(code) for code in digest(1, (1, "a word")).split()] == [8, 8]


def test_a_function_decides_and_may_give_a_hint_of_its_own(capsys):
    def right(answer):
        assert answer > 0, "a number of things"
        return answer == 2

    assert check(2, 2, right, "a hint")
    assert capsys.readouterr().out == "exercise 2: right\n"
    with pytest.raises(NotYet, match="not yet: a hint"):
        check(2, 1, right, "a hint")
    with pytest.raises(NotYet, match=r"^exercise 2: not yet: a number of things"):
        check(2, -1, right, "a hint")


def test_the_last_line_of_a_cell_shows_no_true_or_false():
    for answer in (None, 2):
        said = check(2, answer, lambda answer: answer == 2, "a hint")
        assert DisplayFormatter().format(said) == ({}, {})


def test_a_notebook_shows_the_hint_alone():
    with pytest.raises(NotYet) as error:
        check(2, 1, "00000000", "a hint")
    assert error.value._render_traceback_() == ["exercise 2: not yet: a hint"]
