"""What the five papers claim: one YAML file per paper, beside this module, and nothing in them is ours.

A file holds the paper's rows (what this project shows of it), its measures (unit and margin of practical
equivalence, with the reason) and its claims. `CLAIMS`, `ROWS` and `PAPERS` hold them all by id: a claim's id
is its row's with a letter where a row has several, "F10a" belongs to F10. `TABLES` holds what notebooks cite.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, Field, model_validator

from helpers.errors import BadInput

FILES = ("fang2015", "veit2018", "bibas2022", "joulin2016", "denton2015")
Side = Literal["above", "equal", "not below", "not above"]


class Measure(BaseModel, frozen=True, extra="forbid"):
    """What a difference is measured in; `margin` (in `unit`) is the largest difference that means nothing."""

    unit: str = ""
    scale: float = 1.0  # from the numbers of the notebooks to the unit: 100 from shares to points
    digits: int = 3
    margin: Annotated[float, Field(ge=0)]
    because: str


class Claim(BaseModel, frozen=True, extra="forbid"):
    """One claim of a paper, worded so that a positive difference a − b speaks for it."""

    id: str
    paper: str
    notebook: str  # that decides it, "05_pseudo_class_cnn"
    statement: str
    where: str
    says: Side | Literal["procedure"] = "above"  # of the difference; a procedure claims nothing
    exceptions: dict[str, Side] = {}  # case -> what is claimed there instead ("except MovieLens")
    compared: str = ""  # which a and b, "A@10, MCLL and the regression"
    over: str = ""  # the units that are resampled, "users"
    measure: Measure | None = None  # a name in `measures`; `margin` and `because` may replace the measure's
    needs: list[str] = []  # parts of the data (`helpers.notebook.parts`) without which it is not testable
    timed: bool = False  # whether seconds decide it, so that it does not repeat
    unmeasured: str = ""  # why no notebook measures it yet
    cited: str | None = None  # the paper's numbers as text, for the table
    numbers: dict[str, tuple[float, float]] = {}  # case (a dataset, a K …) -> the paper's a and b
    relative: bool = False  # effects are alike if (a − b) / b is: where the level depends on the data

    @model_validator(mode="after")
    def _complete(self):
        if self.says != "procedure" and not (self.measure and self.compared and self.over):
            raise ValueError(f"claim {self.id} needs a measure, what is compared, and the units it is over")
        if unknown := self.exceptions.keys() - self.numbers.keys():
            raise ValueError(f"claim {self.id}: exception {min(unknown)!r} has no numbers")
        return self

    def side(self, case: str) -> Side:
        """What the paper claims of a case, a dataset for example."""
        return self.exceptions.get(case, self.says)

    def effects(self, case: str) -> list[float]:
        """The paper's own effects: of this case, or of all where it is none of the paper's."""
        pairs = [self.numbers[case]] if case in self.numbers else self.numbers.values()
        return [(a - b) / b if self.relative else a - b for a, b in pairs]


def read(name: str) -> dict:
    """The content of one of the YAML files."""
    return yaml.safe_load((Path(__file__).parent / f"{name}.yaml").read_text(encoding="utf-8"))


def claims_of(content: dict) -> dict[str, Claim]:
    """id -> claim, from a file's content."""
    measures = {name: Measure(**about) for name, about in content.get("measures", {}).items()}
    claims = {}
    for id, about in content["claims"].items():
        about = dict(about)
        own = {key: about.pop(key) for key in ("margin", "because") if key in about}
        if "measure" in about:
            if about["measure"] not in measures:
                raise BadInput(f"claim {id}: measure {about['measure']!r} is none of {', '.join(measures)}")
            about["measure"] = measures[about["measure"]].model_copy(update=own)
        claims[id] = Claim(id=id, paper=content["paper"], **about)
    return claims


_READ = {name: read(name) for name in FILES}
PAPERS = {c["letter"]: f"{c['paper']}, {c['title']}" for c in _READ.values()}
ROWS = {row: title for c in _READ.values() for row, title in c["rows"].items()}
CLAIMS = {id: claim for c in _READ.values() for id, claim in claims_of(c).items()}
TABLES = {name: c.get("tables", {}) for name, c in _READ.items()}


def row_of(claim: str) -> str:
    """ "F10a" -> "F10".

    Raises:
        BadInput: there is no such row.
    """
    match = re.fullmatch(r"([FVBJD]\d{1,2})[a-z]?", claim)
    if match is None or match[1] not in ROWS:
        raise BadInput(f"claim {claim!r} belongs to no row; rows are {', '.join(list(ROWS)[:3])}, …")
    return match[1]


def of_notebook(name: str) -> list[Claim]:
    """The claims that a notebook ("05_pseudo_class_cnn") decides, in the papers' order."""
    return [claim for claim in CLAIMS.values() if claim.notebook == name]


def mentioned(source: str) -> set[str]:
    """The rows that a text names: "F4", 'F10a', "rows F7–F10"."""
    letters = "".join(PAPERS)
    ranges = re.findall(rf"\b([{letters}])(\d{{1,2}})\s?[–-]\s?(?:[{letters}])?(\d{{1,2}})\b", source)
    found = {f"{letter}{n}" for letter, low, high in ranges for n in range(int(low), int(high) + 1)}
    return (found | set(re.findall(rf"\b([{letters}]\d{{1,2}})[a-z]?\b", source))) & ROWS.keys()
