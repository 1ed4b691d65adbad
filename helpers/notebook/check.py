"""What the exercises of a notebook are checked by.

    check(1, your_answer, "40ea9cab", "how many of the three are left?", digits=3)
    check(2, my_lam, lambda lam: 0 < held_out_error(lam) < 0.5, "what holds the vectors back?")

An answer that does not depend on data is compared with a digest, so that the check does not tell it:

    python -c "from helpers.notebook.check import digest; print(digest(1, 2 / 3, digits=3))"
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any


class NotYet(AssertionError):
    """An answer is wrong. A notebook shows one line: a student should read the hint, not our call stack."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


@dataclass(frozen=True)
class Said:
    """Whether an answer is right, true or false. As the last line of a cell it shows nothing: what is to be
    told was printed."""

    right: bool

    def __bool__(self) -> bool:
        return self.right

    def _ipython_display_(self) -> None:
        pass


def check(exercise: int, answer: Any, right: str | Callable[[Any], bool], hint: str, digits: int = 0) -> Said:
    """Print "no answer yet", or "right", for an exercise. True if it is right, false if there is no answer.

    Args:
        answer: None is no answer yet, and so is a tuple that holds None.
        right: the `digest` of the right answer; or a function that tells whether an answer is right, and may
            assert something with a hint of its own.
        hint: what is said of a wrong answer; it must not give the right one away.
        digits: decimals of a number that count, if `right` is a digest: one too high or too low in the last
            of them is right too. Without decimals a number must be exact.

    Raises:
        NotYet: the answer is wrong.
    """
    if answer is None or (isinstance(answer, tuple) and any(part is None for part in answer)):
        print(f"exercise {exercise}: no answer yet")
        return Said(False)
    try:
        fits = _fits(exercise, answer, right, digits) if isinstance(right, str) else right(answer)
    except AssertionError as error:
        fits, hint = False, str(error) or hint
    if not fits:
        raise NotYet(f"exercise {exercise}: not yet: {hint}")
    print(f"exercise {exercise}: right")
    return Said(True)


def digest(exercise: int, answer: str | Real | tuple, digits: int = 0) -> str:
    """Eight hexadecimal characters for a word, or a number that is rounded to `digits` decimals; of a tuple,
    eight for each part."""
    return " ".join(_one(exercise, part, digits) for part in _parts(answer))


def near(answer: Any, right: str | Real | tuple, digits: int = 0) -> bool:
    """Whether `check` with the digest of `right` would say "right" to an answer: a hidden test so is neither
    stricter nor laxer than what students see."""
    return answer is not None and _fits(0, answer, digest(0, right, digits), digits)


def _fits(exercise: int, answer: Any, wanted: str, digits: int) -> bool:
    parts, codes = _parts(answer), wanted.split()
    return len(parts) == len(codes) and all(
        any(_one(exercise, near, digits) == code for near in _neighbours(part, digits))
        for part, code in zip(parts, codes, strict=True)
    )


def _neighbours(part: Any, digits: int) -> list:
    """A part of an answer, and what is one higher or lower in its last decimal, if it has any."""
    steps = (-1, 0, 1) if digits and isinstance(part, Real) else ()
    return [part + step / 10**digits for step in steps] or [part]


def _parts(answer: Any) -> tuple | list:
    return answer if isinstance(answer, tuple | list) else [answer]


def _one(exercise: int, part: Any, digits: int) -> str:
    # 0.0 makes a zero of -0.0, which is written otherwise
    text = f"{round(part, digits) + 0.0:.{digits}f}" if isinstance(part, Real) else str(part).strip().lower()
    return hashlib.sha256(f"learning from the crowd, exercise {exercise}: {text}".encode()).hexdigest()[:8]
