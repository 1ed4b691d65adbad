"""README's "What was found": every number comes from a reference and is what stands there."""

import re

import pytest

from helpers.errors import BadInput
from helpers.notebook.artefacts import write_json
from helpers.runner.found import MARKED, README, card, current, renewed, section

NO_NUMBERS = re.compile(r"`[^`]*`|\bml-1m\b|^\d+\. ", re.MULTILINE)  # names, and the numbers of the list


def test_the_section_says_what_the_references_say():
    found = section(README.read_text(encoding="utf-8"))
    wrong = [
        f"{mark[0]} should be {now} ({mark[2]} {mark[3]})"
        for mark in MARKED.finditer(found)
        if (now := current(*mark.groups())) != mark[1]
    ]
    assert not wrong, "\n".join(["run python -m helpers.runner.found", *wrong])
    whole = README.read_text(encoding="utf-8")
    assert renewed(whole) == whole, "seconds and minutes of notebooks: run python -m helpers.runner.found"
    assert len(MARKED.findall(found)) > 30
    assert len(re.findall(r"^\d+\. ", found, re.MULTILINE)) == 10, "ten sentences"


def test_no_number_or_verdict_stands_there_without_a_source():
    rest = NO_NUMBERS.sub("", MARKED.sub("", section(README.read_text(encoding="utf-8"))))
    assert not re.findall(r"\d", rest)
    assert not re.findall(r"\*[^*]+\*", rest)


def test_renewing(tmp_path):
    verdicts = {"F8a": "undecided or contradicted", "F8b": "supported"}
    reference = {"metrics": {"rise": {"value": 0.12345}}, "verdicts": verdicts}
    write_json(tmp_path / "demo" / "05.json", reference)
    old = "7<!-- demo supported --> of 9, 0.0<!-- demo 05 rise % --> %, *supported*<!-- demo F8a -->"
    new = "1<!-- demo supported --> of 9, 12.3<!-- demo 05 rise % --> %, *undecided or contradicted*"
    assert renewed(old, tmp_path) == new + "<!-- demo F8a -->"
    assert renewed("7.00<!-- demo 05 rise -->", tmp_path) == "0.12<!-- demo 05 rise -->"
    write_json(tmp_path / "smoke" / "05.json", {"seconds": 89.6})
    write_json(tmp_path / "demo" / "05.json", reference | {"seconds": 240})
    row = "| [05](../notebooks/05_x.ipynb) | a | {} | 2.4 GB |"
    assert renewed(row.format("1 s | 2 s"), tmp_path) == row.format("90 s | 240 s")
    assert renewed("3<!-- demo minutes -->", tmp_path) == "4<!-- demo minutes -->"
    assert "| 90 processor seconds on smoke, 240 on demo; at most " in card("05", tmp_path)
    for gone in ("<!-- demo 05 fall -->", "<!-- gone F8a -->", "<!-- demo F8c -->"):
        with pytest.raises(BadInput, match=r"the reference of (demo|gone) has no"):
            renewed(f"0.1{gone}", tmp_path)
