"""The board: every claim on every profile, from runs and from references, and what is written beside it."""

import csv
import json
import re
import shutil
from datetime import datetime
from urllib.parse import unquote

import pytest

from helpers.claims.board import counts
from helpers.claims.papers import CLAIMS
from helpers.notebook.artefacts import read_json, record, write_json
from helpers.runner import board_page, exports
from helpers.runner.evidence import gather, lines
from helpers.runner.maintain import write_reference
from helpers.runner.plan import Job

FROM_AFAR = re.compile(r"""(?:src|href)\s*=\s*["'](?:https?:)?//|@import|url\(|<script|<link""")
LEAD = {"mean": 0.113, "low": 0.07, "high": 0.15, "a": 0.689, "b": 0.576, "units": 90}
FOUND = {
    "ours": "68.9 and 57.6: <b>",
    "note": "",
    "p": 0.04,
    "effects": {"content": LEAD},
    "open": [],
    "data": "emojigram",
}


def claim(id, verdict, **more):
    return FOUND | {"id": id, "verdict": verdict, "simulated": True, "notebook": CLAIMS[id].notebook} | more


@pytest.fixture
def places(tmp_path):
    """outputs with a run of 09 in smoke, and references: smoke's of 05 and 09, demo's of an earlier form."""
    outputs, reference = tmp_path / "outputs", tmp_path / "reference"
    home = outputs / "smoke" / "09"
    claims = [claim("F11b", "supported (planted)"), claim("F11a", "undecided", p=0.9)]
    write_json(home / "claims.json", claims)
    about = {
        "notebook": "09_benchmarks", "seconds": 90.0, "processor_seconds": 80.0, "peak_mb": 2000.0,
        "parameters": {"seeds": 8},
        "inputs": {"00/gone.npz": "0"}, "started_at": "2026-01-02T03:04:05+00:00",
        "processor": "a processor", "threads": {"cores": 2}, "device": {"kind": "cpu"},
        "commit": "abc-dirty",
    }  # fmt: skip
    write_json(home / "run.json", about)
    (home / "picture of 1.npz").write_bytes(b"12345")
    record(home, "picture of 1.npz")
    cells = [
        {"cell_type": "code", "id": "judged", "source": ['run.measured("F11b", lead)']},
        {"cell_type": "code", "id": "shown", "source": "run.verdicts()"},
    ]
    (home / "09_benchmarks.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    (home / "09_benchmarks.html").touch()
    write_json(outputs / "smoke" / "scoreboard.json", {"claims": claims})
    latest = {"profile": "smoke", "started_at": "2026-01-02T03:04:05+00:00", "platform": "Linux"}
    latest |= {
        "commit": "abc-dirty",
        "versions": {"python": "3.11", "torch": "2"},
        "seconds": 1,
        "notebooks": [],
    }
    write_json(outputs / "smoke" / "run.json", latest)
    young = {"seeds": 5, "seconds": 60.0, "metrics": {}, "verdicts": {"F8a": "undecided or contradicted"}}
    young["claims"] = {
        "F8a": {name: v for name, v in claim("F8a", "").items() if name not in ("id", "verdict")}
    }
    write_json(reference / "smoke" / "05.json", young)
    write_json(reference / "smoke" / "09.json", {"metrics": {}, "verdicts": {"F11b": "contradicted"}})
    write_json(reference / "demo" / "09.json", {"metrics": {}, "verdicts": {"F11b": "supported (planted)"}})
    return outputs / "smoke"


def profiles(folder):
    return gather(folder.parent, folder.parent.parent / "reference")


def test_a_run_counts_and_a_reference_where_there_is_none(places):
    smoke, demo = profiles(places)
    assert smoke.claims["F11b"]["verdict"] == "supported (planted)", "not the reference's"
    assert smoke.claims["F8a"]["others"] == ["contradicted"]
    assert smoke.seconds == {"05": 60.0, "09": 90.0}
    assert smoke.until("09") is None, "seconds of 01 are not known"
    assert smoke.claims["F11b"]["corrected"] == "undecided", "three looks: .04 becomes .12"
    assert demo.claims["F11b"]["effects"] == {}
    assert demo.simulated, "a planted verdict says so"
    assert counts(smoke.claims.values())["undecided"] == (2, 3)


def test_effects_in_margins_beside_the_papers(places):
    smoke, _ = profiles(places)
    [line] = lines(CLAIMS["F11b"], smoke.claims["F11b"])
    margin = CLAIMS["F11b"].measure.margin
    assert (line.mean, line.low) == pytest.approx((11.3 / margin, 7 / margin))
    assert line.paper == pytest.approx([11.3 / margin])
    relative = next(c for c in CLAIMS.values() if c.relative and c.says == "above")
    [line] = lines(relative, FOUND | {"effects": {"": LEAD}, "data": ""})
    level = LEAD["b"] * relative.measure.scale / relative.measure.margin
    assert line.paper == pytest.approx([e * level for e in relative.effects("")])


def test_the_axis_is_straight_near_zero_and_keeps_the_order():
    places = [board_page.place(x) for x in (-1e9, -100, -1, 0, 1, 10, 100, 1e9)]
    assert places == sorted(places)
    assert places[3] == board_page.WIDTH / 2
    assert 0 < places[0] < places[-1] < board_page.WIDTH
    assert board_page.place(0.5) - places[3] == pytest.approx((places[4] - places[3]) / 2, rel=0.1)


def test_the_page_needs_no_network_and_shows_every_claim(places):
    board_page.write(places, places.parent.parent / "reference")
    page = (places / "board.html").read_text(encoding="utf-8")
    assert not FROM_AFAR.search(page.replace('xmlns="http', ""))
    assert re.findall(r'<article class="claim" id="(\w+)">', page) == list(CLAIMS)
    assert 'href="09/09_benchmarks.html#cell-id=judged"' in page
    assert 'href="09/09_benchmarks.html#cell-id=shown"' in page, "where nothing names the claim, the table"
    assert "notebooks/09_benchmarks.ipynb" in page, "demo has no page here"
    assert "68.9 and 57.6: &lt;b&gt;" in page
    assert "effect not recorded in this reference" in page
    assert "undecided after Holm" in page
    assert "or contradicted with other seeds" in page
    assert page.count('class="theirs"') > 2, "the paper's effect is beside ours"
    inside, there = re.findall(r'href="#([^"]+)"', page), re.findall(r'\bid="([^"]+)"', page)
    assert set(inside) <= set(there)
    assert len(there) == len(set(there))


def test_the_table_has_a_line_for_each_difference(places):
    exports.write_csv(places / "board.csv", profiles(places))
    with (places / "board.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["claim"], row["profile"]) for row in table] == [
        ("F8a", "smoke"), ("F11a", "smoke"), ("F11b", "smoke"), ("F11b", "demo"),
    ]  # fmt: skip
    assert table[2]["mean"] == table[2]["paper_low"] == "11.3"
    assert table[3]["mean"] == ""


def test_the_forms_are_filled_in(places):
    exports.write(places, profiles(places))
    appendix = (places / "artifact_appendix.md").read_text(encoding="utf-8")
    checklist = (places / "reproducibility_checklist.md").read_text(encoding="utf-8")
    for text in (appendix, checklist):
        assert "a processor, 2 cores" in text
        assert "1.5 minutes" in text
        assert "abc-dirty" in text
        assert "&" not in text, "nothing is escaped as in HTML"
    assert "1 supported (planted) (0 after Holm's correction)" in appendix
    assert "Nothing was compared" in appendix
    assert "09: 8 seeds" in checklist
    assert "2 of 2 claims with a 95 % interval" in checklist
    widths = {line.count("|") for line in checklist.splitlines() if line.startswith("|")}
    assert widths == {4}, "a table whose rows all have three cells"


def test_the_forms_tell_what_the_last_run_left(places):
    shutil.copytree(places / "09", places / "08")
    about = read_json(places / "09" / "run.json")
    write_json(places / "08" / "run.json", about | {"commit": "0123456789-dirty"})
    row = {"notebook": "09", "kind": "metrics", "name": "x", "same": True}
    write_json(places / "comparison.json", [row])
    exports.write(places, profiles(places))
    appendix = (places / "artifact_appendix.md").read_text(encoding="utf-8")
    assert "08 at `0123456-dirty`;" in appendix
    assert re.search(r"1 of 1 metrics the same within\s+tolerance, of the notebooks 09 alone", appendix)
    checklist = (places / "reproducibility_checklist.md").read_text(encoding="utf-8")
    assert "1 of 1 metrics (notebooks 09 alone)" in checklist


def test_the_crate_keeps_the_rules_of_ro_crate(places):
    """RO-Crate 1.1: descriptor, root, parts that exist, references that lead somewhere, dates, licences."""
    exports.write(places, profiles(places))
    content = json.loads((places / exports.CRATE).read_text(encoding="utf-8"))
    assert content["@context"] == exports.CONTEXT
    entities = {entity["@id"]: entity for entity in content["@graph"]}
    assert len(entities) == len(content["@graph"]), "no entity twice"
    assert all({"@id", "@type"} <= entity.keys() for entity in entities.values())
    descriptor, root = entities["ro-crate-metadata.json"], entities["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["about"] == {"@id": "./"}
    assert descriptor["conformsTo"]["@id"].startswith("https://w3id.org/ro/crate/1.1")
    assert root["@type"] == "Dataset"
    assert {"name", "description"} <= root.keys()
    assert root["license"]["@id"] in entities
    assert datetime.fromisoformat(root["datePublished"])

    def references(value):
        if isinstance(value, dict) and value.keys() == {"@id"}:
            yield value["@id"]
        elif isinstance(value, list):
            for one in value:
                yield from references(one)

    for entity in entities.values():
        led = {id for name, value in entity.items() if name != "conformsTo" for id in references(value)}
        assert led <= entities.keys(), entity["@id"]
    data = {id for id, entity in entities.items() if entity["@type"] in ("File", "Dataset")} - {"./"}
    assert data == set(references(root["hasPart"])), "every file is a part of the root"
    for id in data:
        path = places / unquote(id)
        assert path.is_dir() if id.endswith("/") else path.is_file(), id
        assert " " not in id
        if path.is_file():
            assert int(entities[id]["contentSize"]) == path.stat().st_size
    assert (
        entities["09/picture%20of%201.npz"]["sha256"]
        == exports.manifest(places / "09")["picture of 1.npz"]["sha256"]
    )
    [action] = [entity for entity in entities.values() if entity["@type"] == "CreateAction"]
    assert entities[action["instrument"]["@id"]]["@type"] == "SoftwareApplication"
    assert action["startTime"] < action["endTime"]
    assert "09/claims.json" in set(references(action["result"]))


def test_a_reference_shows_what_its_run_showed(places, monkeypatch):
    """Renewing a reference keeps effects, p values and reasons, so the board is the same without the run."""
    monkeypatch.setenv("CROWD_OUTPUTS", str(places.parent))
    write_json(places / "09" / "metrics.json", {})
    reference = places.parent.parent / "reference"
    write_reference([Job("09", places / "09_benchmarks.ipynb", "smoke", {}, {}, [], "")], reference)
    before = profiles(places)[0]
    (places / "09" / "claims.json").unlink()
    after = profiles(places)[0]
    for id in ("F11a", "F11b"):
        assert lines(CLAIMS[id], after.claims[id]) == lines(CLAIMS[id], before.claims[id])
        same = ("verdict", "corrected", "p", "note", "ours", "simulated")
        assert all(after.claims[id][name] == before.claims[id][name] for name in same)
    assert after.seconds["09"] == 80.0  # of a processor
    assert after.claims["F11b"]["source"] == "reference"
