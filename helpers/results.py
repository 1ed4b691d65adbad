"""What a notebook concludes: metrics, and the paper's claims beside what was found here."""

import json
import math
import numbers
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import pandas as pd

from helpers import provenance
from helpers.artefacts import write_json
from helpers.data.errors import BadInput
from helpers.notebooks import NUMBER
from helpers.paths import notebook_outputs, outputs
from helpers.run import Run

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
        if not re.fullmatch(r"[FVBJD]\d{1,2}[a-z]?", self.id):
            raise BadInput(f"claim {self.id!r}: the id is a row of the checklist such as F4 or F4b")
        for name in ("statement", "paper"):
            if not str(getattr(self, name)).strip():
                raise BadInput(f"claim {self.id}: {name} is empty")
        for name in ("cited", "ours", "spread", "note", "data"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise BadInput(
                    f"claim {self.id}: {name} is {value!r}, expected a text; write f'{{value:.3f}}'"
                )
        if self.verdict not in VERDICTS:
            raise BadInput(f"claim {self.id}: verdict {self.verdict!r}; choose one of {', '.join(VERDICTS)}")
        if self.verdict in VERDICTS[:3] and not self.ours:
            raise BadInput(f"claim {self.id}: the verdict {self.verdict!r} needs our number in `ours`")
        # what holds among simulated people reproduces nothing about real ones
        if self.simulated and self.verdict == "reproduced":
            raise BadInput(
                f"claim {self.id}: {self.data} is simulated, so the verdict is at most 'direction only'"
            )

    @property
    def simulated(self) -> bool:
        """Whether the people behind the data are generated."""
        return any(name in (self.data or "").lower() for name in SIMULATED)


def save(run: Run, metrics: Mapping[str, float], claims: Sequence[Claim] = ()) -> None:
    """Write metrics.json, claims.json and run.json of a run, and the profile's scoreboard.json.

    Args:
        metrics: name -> finite number. Only what repeats with the seed is compared with the reference;
            a name that ends in `_seconds`, `_speedup` or `_mb` is left out of that comparison.
        claims: the rows of the paper-versus-ours table.

    Raises:
        BadInput: a metric is not a finite number, an id occurs twice, or "reproduced" on simulated data.
    """
    seconds = time.perf_counter() - run.clock
    metrics = {name: finite(name, value) for name, value in metrics.items()}
    claims = [filled(run, claim) for claim in claims]
    for n, claim in enumerate(claims):
        if claim.id in [c.id for c in claims[:n]]:
            raise BadInput(f"{run.name}: claim {claim.id} is given twice; name them {claim.id}a, {claim.id}b")
    write_json(run.folder / "metrics.json", metrics)
    rows = [asdict(c) | {"simulated": c.simulated, "notebook": run.name} for c in claims]
    write_json(run.folder / "claims.json", rows)
    about = {
        "notebook": run.name,
        "profile": run.profile,
        "seconds": round(seconds, 2),
        "peak_mb": round(provenance.peak_mb(), 1),
        "seed": run.seed,
        "parameters": run.parameters,
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "platform": provenance.machine(),
        "threads": provenance.threads(),
        "inputs": dict(sorted(run.inputs.items())),
        "started_at": run.started_at.isoformat(timespec="seconds"),
    }
    write_json(run.folder / "run.json", about)
    write_scoreboard(run.profile)
    print(f"{run.name}: {len(metrics)} metrics and {len(claims)} claims recorded")


def finite(name: str, value) -> float | int:
    """A metric as a Python number."""
    if not re.fullmatch(r"[\w.@-]+", name):
        raise BadInput(f"metric {name!r}: a name holds letters, digits and _ . @ - only")
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise BadInput(f"metric {name} is {value!r} ({type(value).__name__}), expected a number")
    if not math.isfinite(value):
        raise BadInput(f"metric {name} is {value}; a metric is a finite number")
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def filled(run: Run, claim: Claim) -> Claim:
    """The claim with the name of the run's dataset where it names none."""
    if claim.data is not None:
        return claim
    file = notebook_outputs(run.profile, "00") / "collection" / "collection.json"
    if not file.is_file():
        raise BadInput(f"claim {claim.id}: no collection to name; give data=… or run: {run.remedy('00')}")
    about = json.loads(file.read_text(encoding="utf-8"))
    return replace(claim, data=about["name"])


def write_scoreboard(profile: str) -> dict:
    """Gather every notebook's claims of a profile into `outputs/<profile>/scoreboard.json`."""
    folder = outputs() / profile
    claims = []
    for file in sorted(f for f in folder.glob("*/claims.json") if re.fullmatch(NUMBER, f.parent.name)):
        claims += json.loads(file.read_text(encoding="utf-8"))
    scoreboard = {"claims": claims}
    write_json(folder / "scoreboard.json", scoreboard)
    return scoreboard


def comparison(claims: Iterable[Claim]) -> pd.DataFrame:
    """The paper-versus-ours table for display, one row per claim, indexed by its id."""
    rows = [
        {
            "": claim.id,
            "statement": claim.statement,
            "paper": claim.cited or "–",
            "ours": claim.ours or "–",
            "spread": claim.spread or "–",
            "verdict": claim.verdict,
        }
        for claim in claims
    ]
    return pd.DataFrame(rows).set_index("")
