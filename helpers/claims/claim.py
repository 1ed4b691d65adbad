"""One claim of a paper, and what was found of it here."""

import re
from dataclasses import dataclass

from helpers.errors import BadInput

VERDICTS = ("reproduced", "direction only", "does not hold", "not testable on this data", "procedure run")
SIMULATED = ("emojigram",)


@dataclass(frozen=True)
class Claim:
    """One row of the paper-versus-ours table.

    Attributes:
        id: the row of the checklist, "F4"; several claims of one row are "F4a", "F4b".
        statement: what the paper claims, in one sentence.
        paper: where it says so, "Fang et al. 2015, section 2.1".
        verdict: one of `VERDICTS`, computed from numbers; "procedure run" is for a row that is a
            procedure and claims nothing.
        cited: the paper's numbers, or None where it gives none. Never a number of ours.
        ours: our numbers, rounded.
        spread: "± 0.003 over 3 seeds", "95 % interval 0.61–0.66 over users".
        note: one sentence why.
        data: the dataset; filled from the run where it is omitted.
    """

    id: str
    statement: str
    paper: str
    verdict: str
    cited: str | None = None
    ours: str | None = None
    spread: str | None = None
    note: str = ""
    data: str | None = None

    def __post_init__(self):
        def refuse(what: str):
            raise BadInput(f"claim {self.id}: {what}")

        if not re.fullmatch(r"[FVBJD]\d{1,2}[a-z]?", self.id):
            refuse("the id is a row of the checklist such as F4 or F4b")
        for name in ("statement", "paper"):
            if not str(getattr(self, name)).strip():
                refuse(f"{name} is empty")
        for name in ("cited", "ours", "spread", "note", "data"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                refuse(f"{name} is {value!r}, expected a text; write f'{{value:.3f}}'")
        if self.verdict not in VERDICTS:
            refuse(f"verdict {self.verdict!r}; choose one of {', '.join(VERDICTS)}")
        if self.verdict in VERDICTS[:3] and not self.ours:
            refuse(f"the verdict {self.verdict!r} needs our number in `ours`")
        # what holds among simulated people reproduces nothing about real ones
        if self.simulated and self.verdict == "reproduced":
            refuse(f"{self.data} is simulated, so the verdict is at most 'direction only'")

    @property
    def simulated(self) -> bool:
        """Whether the people behind the data are generated."""
        return any(name in (self.data or "").lower() for name in SIMULATED)
