"""What the papers claim, with their numbers, for notebooks 06 and 06b. The data are in the YAML files beside.

Nothing there is ours: statements and numbers are those of Veit et al. 2018 and Joulin et al. 2016.
"""

from pathlib import Path
from typing import NamedTuple

import yaml


class Cited(NamedTuple):
    """A claim "a is above b" of a paper.

    Attributes:
        id: row of the checklist.
        statement: what is claimed.
        where: paper and place.
        measured: what we compare to test it.
        text: the cited numbers as text, or None where the paper gives none.
        pair: the numbers of a and b, or None.
    """

    id: str
    statement: str
    where: str
    measured: str
    text: str | None = None
    pair: list[float] | None = None


def read(name: str) -> dict:
    """The content of one of the YAML files."""
    return yaml.safe_load((Path(__file__).parent / f"{name}.yaml").read_text(encoding="utf-8"))


VEIT, JOULIN = read("veit2018"), read("joulin2016")
TABLE2 = {name: tuple(numbers) for name, numbers in VEIT["table 2"].items()}
WORDS, SIMILARITY, ANALOGIES = JOULIN["words"], JOULIN["similarity"], JOULIN["analogies"]
TRANSLATIONS, BEST_PAIRS = JOULIN["translations"], JOULIN["best pairs"]
PROCEDURES, OTHERS = VEIT["procedures"], JOULIN["others"]
CLAIMS, WORD_CLAIMS = ([Cited(**c) for c in VEIT[of] + JOULIN[of]] for of in ("claims", "word claims"))
