"""What a notebook finds of the papers' claims: measured here, judged by the one rule, written for the board.

    gap = stats.compare(tensor, mlp, run.rng("V7a"), units=test.user)
    run.measured("V7a", gap)
    run.verdicts()

Statements, margins and cited numbers stand in `helpers/claims/*.yaml`; a notebook holds none of them.
"""

import json
from collections.abc import Mapping

import pandas as pd

from helpers.claims import papers, rule
from helpers.claims.papers import Claim
from helpers.errors import BadInput
from helpers.measures.stats import Effect, Interval
from helpers.notebook import parts
from helpers.paths import notebook_outputs

NO_COLLECTION = {"name": None, "simulated": False}


def about_collection(profile: str) -> dict:
    """`name` and `simulated` of the collection that notebook 00 saved."""
    file = notebook_outputs(profile, "00") / "collection" / "collection.json"
    return NO_COLLECTION | (json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {})


def record(claim: Claim, verdict: str, name: str, data: str | None, simulated: bool = False, **found) -> dict:
    """A claim as claims.json and the board hold it."""
    if data is None:
        raise BadInput(f"claim {claim.id}: no collection to name; give data=… or run notebook 00")
    margin = f"±{claim.measure.margin:g} {claim.measure.unit}".strip() if claim.measure else None
    return {
        "id": claim.id, "statement": claim.statement, "paper": f"{claim.paper}, {claim.where}",
        "cited": claim.cited, "ours": None, "over": claim.over, "margin": margin,
        "because": claim.measure and claim.measure.because, "note": "", "p": None, "effects": {},
        "verdict": verdict, "data": data, "simulated": simulated, "notebook": name, **found,
    }  # fmt: skip


def not_testable(name: str, why: str, profile: str) -> list[dict]:
    """The claims of a notebook that is not run."""
    data = about_collection(profile)
    return [
        record(claim, "not testable", name, data["name"] or "no collection", data["simulated"], note=why)
        for claim in papers.of_notebook(name)
    ]


class Conclusions:
    """The part of a `Run` that judges claims; `found` holds what was judged so far, by id."""

    found: dict[str, dict]

    def _claim(self, id: str) -> Claim:
        claim = papers.CLAIMS.get(id)
        if claim is None or claim.notebook != self.name:
            mine = ", ".join(c.id for c in papers.of_notebook(self.name)) or "none"
            raise BadInput(f"{self.name}: {id!r} is no claim of this notebook; they are {mine}")
        if id in self.found:
            raise BadInput(f"{self.name}: claim {id} is given twice; name them {id}a, {id}b in its YAML file")
        return claim

    def measured(
        self,
        id: str,
        effects: Effect | Interval | Mapping[str, Effect],
        note: str = "",
        seen: float = 0.0,
        data: str | None = None,
        simulated: bool | None = None,
    ) -> None:
        """Judge a claim by the difference that was measured, in the notebook's own numbers.

        Args:
            effects: one difference, or name -> difference where the claim is about several ("all models …").
            note: a sentence on what the difference rests on.
            seen: share of the test items that were seen in training.
            data, simulated: what it was measured on; default: the collection.
        """  # fmt: skip
        claim, collection = self._claim(id), about_collection(self.profile)
        if claim.says == "procedure":
            raise BadInput(f"{self.name}: {id} is a procedure, which claims nothing; use run.showed")
        each = effects if isinstance(effects, Mapping) else {"": effects}
        each = {n: e if isinstance(e, Effect) else Effect(*e) for n, e in each.items()}
        if not each:
            raise BadInput(f"{self.name}: claim {id} has no difference; say run.cannot({id!r}, why)")
        data = collection["name"] if data is None else data
        simulated = collection["simulated"] if simulated is None else simulated
        measured = rule.parts_of(claim, each, data or "")
        verdict = rule.verdict(claim, measured, simulated, seen)
        notes = [note, rule.would_decide(claim, measured) if verdict == "undecided" else ""]
        if seen > rule.MOST:
            notes.append(f"{seen:.0%} of the test items were seen in training")
        self.found[id] = record(
            claim, verdict, self.name, data, simulated, ours=rule.ours(claim, measured),
            note="; ".join(filter(None, notes)), p=rule.p_value(claim, measured),
            effects={n: e._asdict() for n, e in each.items()},
        )  # fmt: skip

    def showed(self, id: str, ours: str, note: str = "") -> None:
        """Say what came out of a procedure, a row that claims nothing."""
        claim, collection = self._claim(id), about_collection(self.profile)
        if claim.says != "procedure":
            raise BadInput(f"{self.name}: {id} claims something; use run.measured or run.cannot")
        self.found[id] = record(
            claim, "procedure", self.name, collection["name"], collection["simulated"], ours=ours, note=note
        )

    def cannot(self, ids: str, why: str) -> None:
        """Say why claims ("J9a, J9b") are not testable here: what the data or this profile lack."""
        for id in ids.split(", "):
            claim, data = self._claim(id), about_collection(self.profile)
            self.found[id] = record(
                claim, "not testable", self.name, data["name"], data["simulated"], note=why
            )

    def concluded(self) -> list[dict]:
        """Every claim of this notebook, judged; those of parts that the data lack are not testable.

        Raises:
            BadInput: a claim was forgotten.
        """
        for claim in papers.of_notebook(self.name):
            if claim.id not in self.found:
                why = claim.unmeasured or parts.first_reason(claim.needs, self.missing)
                if why is None:
                    raise BadInput(
                        f"{self.name}: claim {claim.id} was not judged; measure it or say run.cannot"
                    )
                self.cannot(claim.id, why)
        return [self.found[claim.id] for claim in papers.of_notebook(self.name)]

    def verdicts(self) -> pd.DataFrame:
        """The paper beside what was found here, a row for each claim of this notebook."""
        table = pd.DataFrame(self.concluded()).set_index("id").rename_axis(None)
        shown = table[["statement", "cited", "ours", "margin", "verdict", "note"]]
        names = {
            "statement": "the paper claims",
            "cited": "the paper's numbers",
            "ours": "here",
            "note": "why",
        }
        return shown.rename(columns=names).fillna("–").replace("", "–")
