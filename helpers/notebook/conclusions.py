"""What a notebook finds of the papers' claims: measured here, judged by the one rule, written for the board.

    gap = stats.compare(tensor, mlp, run.rng("V7a"), units=test.user)
    run.measured("V7a", gap)
    run.verdicts()

Statements, margins and cited numbers stand in `helpers/claims/*.yaml`; a notebook holds none of them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pandas as pd
from IPython.display import HTML

from helpers.claims import papers, rule
from helpers.claims.papers import Claim
from helpers.errors import BadInput, TooFew
from helpers.measures.stats import Effect, Interval
from helpers.notebook import parts
from helpers.notebook.artefacts import read_json
from helpers.paths import notebook_outputs


def about_collection(profile: str) -> dict:
    """`name` (None before notebook 00 has run) and `simulated` of a profile's collection."""
    file = notebook_outputs(profile, "00") / "collection" / "collection.json"
    return {"name": None, "simulated": False} | (read_json(file) if file.is_file() else {})


def record(claim: Claim, verdict: str, name: str, collection: Mapping, **found) -> dict:
    """A claim as claims.json and the board hold it."""
    if collection["name"] is None:
        raise BadInput(f"claim {claim.id}: no collection to name; run notebook 00")
    measure = claim.measure
    margin = f"±{measure.margin:g} {measure.unit}".strip() if measure else None
    return {
        "id": claim.id, "statement": claim.statement, "paper": f"{claim.paper}, {claim.where}",
        "cited": claim.cited, "ours": None, "over": claim.over, "margin": margin,
        "because": measure and measure.because, "note": "", "p": None, "effects": {}, "open": [],
        "verdict": verdict,
        "data": collection["name"], "simulated": collection["simulated"], "notebook": name, **found,
    }  # fmt: skip


def not_testable(name: str, why: str, profile: str) -> list[dict]:
    """The claims of a notebook that is not run."""
    about = about_collection(profile)
    about["name"] = about["name"] or "no collection"
    return [record(claim, "not testable", name, about, note=why) for claim in papers.of_notebook(name)]


def _finite(effect: Effect) -> dict[str, float]:
    return {name: value for name, value in effect._asdict().items() if value == value}


class Conclusions:
    """The part of a `Run` that judges claims; `found` holds what was judged so far, by id."""

    found: dict[str, dict]

    def _keep(self, claim: Claim, verdict: str, about: Mapping | None = None, **found) -> None:
        about = about or about_collection(self.profile)
        self.found[claim.id] = record(claim, verdict, self.name, about, **found)

    def _claim(self, id: str) -> Claim:
        claim = papers.CLAIMS.get(id)
        if claim is None or claim.notebook != self.name:
            mine = ", ".join(c.id for c in papers.of_notebook(self.name)) or "none"
            raise BadInput(f"{self.name}: {id!r} is no claim of this notebook; they are {mine}")
        if id in self.found:
            raise BadInput(f"{self.name}: claim {id} is given twice; name them {id}a, {id}b in its YAML file")
        return claim

    def measured(
        self, id: str, effects: Effect | Interval | Mapping[str, Effect] | None, note: str = "",
        seen: float = 0.0, data: str | None = None, otherwise: str = "",
        rise: str | Mapping[str, str] = "", fall: str | Mapping[str, str] = "",
    ) -> None:  # fmt: skip
        """Judge a claim by the difference that was measured, in the notebook's own numbers. Where the data
        lack what the claim needs, it is not testable, whatever was measured.

        Args:
            effects: one difference, or name -> difference where the claim is about several ("all models …").
            note: a sentence on what the difference rests on.
            seen: share of the test items that were seen in training.
            data: what it was measured on, if not on the collection: data without people.
            otherwise: why the claim is not testable if `effects`, or one of them, is None or there are none.
            rise, fall: what was searched up to an edge beyond which more could be tried, "tensor (epochs)",
                and could make the differences larger, smaller; or name -> this, where they differ. Who loses
                there has not lost.
        """
        claim = self._claim(id)
        if data is None and parts.first_reason(claim.needs, self.missing):
            return  # `concluded` says why
        some = effects.values() if isinstance(effects, Mapping) else [effects]
        if otherwise and (not some or None in some):
            self.cannot(id, otherwise)
            return
        about = {"name": data, "simulated": False} if data else about_collection(self.profile)
        if claim.says == "procedure":
            raise BadInput(f"{self.name}: {id} is a procedure, which claims nothing; use run.showed")
        each = effects if isinstance(effects, Mapping) else {"": effects}
        each = {n: e if isinstance(e, Effect) else Effect(*e) for n, e in each.items()}
        if not each:
            raise BadInput(f"{self.name}: claim {id} has no difference; say run.cannot({id!r}, why)")
        rise, fall = (dict.fromkeys(each, one) if isinstance(one, str) else one for one in (rise, fall))
        measured = rule.parts_of(claim, each, about["name"] or "", rise, fall)
        verdict = rule.verdict(claim, measured, about["simulated"], seen)
        notes = [note, rule.would_decide(claim, measured) if verdict == "undecided" else ""]
        if searched := sorted({*rise.values(), *fall.values()} - {""}):
            notes.append(f"at an edge of what was tried: {', '.join(searched)}")
        if seen > rule.MOST:
            notes.append(f"{seen:.0%} of the test items were seen in training")
        found = {"ours": rule.ours(claim, measured), "note": "; ".join(filter(None, notes))}
        found |= {"p": rule.p_value(claim, measured), "effects": {n: _finite(e) for n, e in each.items()}}
        found["open"] = searched
        self._keep(claim, verdict, about, **found)

    def showed(self, id: str, ours: str, note: str = "") -> None:
        """Say what came out of a procedure, a row that claims nothing."""
        claim = self._claim(id)
        if claim.says != "procedure":
            raise BadInput(f"{self.name}: {id} claims something; use run.measured or run.cannot")
        self._keep(claim, "procedure", ours=ours, note=note)

    def cannot(self, ids: str, why: str) -> None:
        """Say why claims ("J9a, J9b") are not testable here: what the data or this profile lack."""
        for id in ids.split(", "):
            self._keep(self._claim(id), "not testable", note=why)

    def concluded(self) -> list[dict]:
        """Every claim of this notebook, judged; those of parts that the data lack are not testable. BadInput
        if one was forgotten."""
        for claim in papers.of_notebook(self.name):
            if claim.id not in self.found:
                why = claim.unmeasured or parts.first_reason(claim.needs, self.missing)
                if why is None:
                    todo = "measure it or say run.cannot"
                    raise BadInput(f"{self.name}: claim {claim.id} was not judged; {todo}")
                self.cannot(claim.id, why)
        return [self.found[claim.id] for claim in papers.of_notebook(self.name)]

    def verdicts(self) -> HTML:
        """The paper beside what was found here, a row for each claim of this notebook, to display."""
        names = {"id": "", "statement": "the paper claims", "cited": "the paper's numbers", "ours": "here"}
        names |= {"margin": "margin", "verdict": "verdict", "note": "why"}
        table = pd.DataFrame(self.concluded())[list(names)].rename(columns=names).fillna("–").replace("", "–")
        return HTML(table.to_html(index=False, border=0))  # as text as well it would be thrice as long

    @contextmanager
    def measuring(self, ids: str) -> Iterator[None]:
        """`with run.measuring("F1a, F1c"):` around what measures claims: where too few users or items are
        left for that, they are not testable, and the rest of the block is left out."""
        try:
            yield
        except TooFew as few:
            left = [id for id in ids.split(", ") if id not in self.found]
            print(f"Not testable on this data: {', '.join(left)}, {few}.")
            self.cannot(", ".join(left), str(few))
