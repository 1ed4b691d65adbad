"""What every profile found of every claim: runs in outputs/, and references where there is no run."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from helpers.claims import board, rule
from helpers.claims.papers import CLAIMS, Claim
from helpers.measures.stats import Effect
from helpers.notebook.artefacts import read_json
from helpers.paths import number_of
from helpers.runner.compare import OR, REFERENCE

FIRST = ("smoke", "demo", "openmoji", "movielens", "ml-1m", "gpu")  # the order of profiles, others after them


class Profile(NamedTuple):
    """A profile on the board."""

    name: str
    claims: dict[str, dict]  # id -> record as in scoreboard.json, with `others` and `source`
    seconds: dict[str, float]  # number of a notebook -> of its run, where known
    seeds: dict[str, int]  # number -> seeds behind its reference; of one that was run here 1

    @property
    def simulated(self) -> bool:
        """Whether its people are."""
        return any(claim["simulated"] for claim in self.claims.values())

    def until(self, number: str) -> float | None:
        """Seconds of all notebooks up to this one, None where one is not known."""
        before = [n for n in sorted({number_of(c.notebook) for c in CLAIMS.values()} | {"00"}) if n <= number]
        return sum(self.seconds[n] for n in before) if self.seconds.keys() >= set(before) else None


class Line(NamedTuple):
    """One difference of a claim in one profile, in margins: 1 is the largest that means nothing."""

    part: str  # its name, "" where the claim has one difference only
    mean: float
    low: float
    high: float
    paper: list[float]  # the paper's own, none where it gives no numbers


def gather(outputs: Path, reference: Path = REFERENCE) -> list[Profile]:
    """All profiles with a run or a reference. A notebook that was run counts with that run, any other with
    its reference; Holm's correction is over what is then there."""
    names = {file.parent.name for file in outputs.glob("*/scoreboard.json")}
    names |= {file.parent.name for file in reference.glob("*/*.json")}
    order = {name: k for k, name in enumerate(FIRST)}
    return [_profile(n, outputs, reference) for n in sorted(names, key=lambda n: (order.get(n, 99), n))]


def _profile(name: str, outputs: Path, reference: Path) -> Profile:
    claims, seconds, seeds = [], {}, {}
    for number in sorted({number_of(claim.notebook) for claim in CLAIMS.values()} | {"00"}):
        run, other = outputs / name / number, reference / name / f"{number}.json"
        if (run / "claims.json").is_file():
            found = [record | {"source": "run"} for record in read_json(run / "claims.json")]
            about = read_json(run / "run.json")
            seeds[number] = 1
        elif other.is_file():
            about = read_json(other)
            found = [_of_reference(id, verdict, about) for id, verdict in about["verdicts"].items()]
            seeds[number] = about.get("seeds", 1)
        else:
            continue
        claims += [record for record in found if record["id"] in CLAIMS]
        if about.get("seconds") is not None:
            seconds[number] = about["seconds"]
    return Profile(name, {c["id"]: c for c in board.corrected(claims)}, seconds, seeds)


def _of_reference(id: str, verdicts: str, about: Mapping) -> dict:
    """A record of a reference; one that is older than `claims` has a verdict and nothing else."""
    verdict, *others = verdicts.split(OR)
    empty = {"ours": None, "note": "", "p": None, "effects": {}, "data": "", "simulated": False}
    found = empty | about.get("claims", {}).get(id, {})
    found["simulated"] |= "planted" in verdicts
    return found | {"id": id, "verdict": verdict, "others": others, "source": "reference"}


def parts(claim: Claim, record: Mapping) -> dict[str, rule.Part]:
    """The differences of a record as the rule takes them; none in references of an earlier form."""
    effects = {name: Effect(**values) for name, values in record["effects"].items()}
    return rule.parts_of(claim, effects, record["data"] or "") if claim.measure else {}


def lines(claim: Claim, record: Mapping) -> list[Line]:
    """The differences of a record in margins, with the paper's own of the same case; those of a claim whose
    effects are alike if they are in proportion, in proportion to our level."""
    made = []
    for name, (case, _, e, *_) in parts(claim, record).items():
        margin, level = claim.measure.margin, e.b if claim.relative else 1.0
        theirs = [x * level / margin for x in claim.effects(case) if math.isfinite(level)]
        made.append(Line(name, e.mean / margin, e.low / margin, e.high / margin, theirs))
    return made
