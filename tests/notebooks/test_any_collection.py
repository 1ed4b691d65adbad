"""Every collection runs to a report, whatever it lacks: nothing raises, and what cannot be shown says why."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from any_collection import collections

from helpers.paths import NOTEBOOKS, ROOT

PROGRAM = Path(__file__).with_name("any_collection.py")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork; kernels would take an hour"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all collections have been run, by two processes, or by one beside another worker's tests."""
    place = tmp_path_factory.mktemp("any")
    processes = 1 if "PYTEST_XDIST_WORKER" in os.environ else 2
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    started = []
    for part in range(processes):
        with open(place / f"{part}.log", "w", encoding="utf-8") as log:
            command = [sys.executable, str(PROGRAM), str(place), *NAMES[part::processes]]
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    ended = [process.wait() for process in started]
    assert not any(ended), "".join(log.read_text()[-2000:] for log in sorted(place.glob("*.log")))
    return place


NAMES = list(collections())


@pytest.mark.parametrize("name", NAMES)
def test_it_ends_with_a_report(folder, name):
    status, became = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    failed = {number: state for number, state in became.items() if re.match(r"\d\d\w*, cell", state)}
    assert not failed
    assert status == 0
    assert len(became) == len(list(NOTEBOOKS.glob("*.ipynb")))


def became(folder, name) -> dict[str, str]:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))[1]


def test_a_complete_collection_leaves_nothing_out(folder):
    assert set(became(folder, "complete").values()) == {"done"}


def test_what_is_left_out_says_why(folder):
    states = became(folder, "no views")
    for number in ("03", "04", "05", "08"):
        assert "emojigram was loaded without its views" in states[number]
    assert {states[number] for number in ("00", "01", "02", "06", "06b", "07", "09")} == {"done"}
    states = became(folder, "ratings and no tags")
    assert "movielens records no tags in this release" in states["07"]
    assert {states[number] for number in ("00", "01", "02", "03", "04", "05", "08", "09")} == {"done"}
    assert "labels" in became(folder, "no genres")["08"] or "genre" in became(folder, "no genres")["08"]


def test_features_take_the_place_of_pictures(folder):
    states = became(folder, "features and no pictures")
    assert {states[number] for number in ("00", "01", "02", "03", "04")} == {"done"}
    assert {states[number] for number in ("05", "09")} == {"behance has no pictures"}
    states = became(folder, "features, titles and labels, no pictures")
    assert {states[number] for number in ("00", "01", "02", "03", "04", "06", "06b", "08")} == {"done"}
    states = became(folder, "no images")
    assert {states[number] for number in ("05", "06", "08")} == {"emojigram was loaded without its images"}


def test_every_row_that_is_not_shown_is_not_testable(folder):
    """No claim of a notebook that was not run is lost: the board names the same rows as on complete data."""

    def rows(profile: str) -> set[str]:
        board = json.loads((folder / "outputs" / profile / "scoreboard.json").read_text(encoding="utf-8"))
        return {re.sub("[a-z]$", "", claim["id"]) for claim in board["claims"]}

    complete = rows("complete")
    for name in NAMES[1:8]:
        assert rows(re.sub(r"\W+", "-", name)) == complete, name
