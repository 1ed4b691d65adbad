"""What the benchmarks write down; and all of them, very small, where their peers are installed."""

import importlib
import json
import platform
import re

import pytest

from benchmarks import __main__ as everything
from benchmarks import common, networks
from benchmarks.figure import draw

TINY = {
    "average_precision": "--items 300 --classes 5",
    "bpr": "--users 400 --items 200",
    "emojigram": "--views 20000 --pictures 50",
    "filtering": "--rows 20000",
    "large_log": "--views 20000",
    "mf": "--users 300 --items 200",
    "multvae": "--users 300 --items 200 --views 10",
    "negatives": "--positives 20000 --users 500 --items 500 --sample 20",
    "networks": "--pictures 64 --side 32 --examples 300 --networks 3",
    "skip_gram": "--sets 500 --tags 100 --topics 10 --d 16",
    "softmax": "--classes 200 --steps 5 --samples 64",
    "warp": "--examples 100 --tags 500 --users 300",
    "yfcc100m": "--megabytes 10 --photos 50",
}


def options(folder):
    return common.parser("A test.", n=3).parse_args(["--results", str(folder), "--n", "4"])


def content(folder):
    return json.loads((folder / f"{common.machine()}.json").read_text(encoding="utf-8"))


def test_a_report_says_who_won_and_what_it_was_measured_on(tmp_path):
    times = common.table({"ours": [1.0, 3.0, 2.0], "slow": [9.0], "quick": [4.0]})
    assert times["median"].tolist() == [2.0, 9.0, 4.0]
    given = options(tmp_path)
    common.report("one", times, given, target=3, left=7)
    common.report("two", times, given, target=2)
    common.report("three", times, given, target=2, met=False)  # fast, and not as good
    results = content(tmp_path)["results"]
    assert list(results) == ["one", "three", "two"]
    assert [results[name]["met"] for name in ("one", "two", "three")] == [False, True, False]
    one = results["one"]
    assert (one["best_peer"], one["ratio"], one["target"], one["left"]) == ("quick", 2.0, 3, 7)
    assert one["seconds"]["ours"] == {"median": 2.0, "fastest": 1.0, "slowest": 3.0}
    assert one["sizes"] == {"n": 4, "repeats": 5}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", one["date"])
    assert {"commit", "load"} <= one.keys()
    common.report("one", times, given)  # another time: the last one stays, and the others
    assert "target" not in content(tmp_path)["results"]["one"]
    assert content(tmp_path)["results"]["two"] == results["two"]
    assert {"python", "numpy", "torch"} <= one["versions"].keys()
    common.report("alone", times[:1], given, target=3)  # no peer gets to the mark
    assert content(tmp_path)["results"]["alone"]["met"]
    assert [file.suffix for file in tmp_path.iterdir()] == [".json"]


def test_the_machines_name_is_short_and_names_no_host():
    name = common.machine()
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert len(name) < 80
    assert platform.node().lower() not in name


def test_time_to_the_mark_leaves_out_who_never_reaches_it():
    runs = {"ours": lambda epochs: epochs / 8, "peer": lambda epochs: epochs / 16, "weak": lambda epochs: 0.1}
    found = common.curves(runs, lambda name, model: {"AUC": model}, dict.fromkeys(runs, (1, 2, 4, 8)))
    assert found.columns.tolist() == ["method", "epochs", "seconds", "AUC"]
    times, more = common.to_mark(found, runs, "AUC", "peer", 0.01, repeats=2)
    assert (more["measure"], more["mark"]) == ("AUC", 0.49)
    assert more["epochs"] == {"ours": 4, "peer": 8}
    assert len(more["curves"]) == 12
    assert times.index.tolist() == ["ours", "peer"]


def test_the_figure_has_bars_targets_and_curves(tmp_path):
    times = common.table({"ours": [1.0], "a peer": [4.0]})
    both = {"ours": 1, "a peer": 4}.items()
    rows = [{"method": m, "epochs": e, "seconds": e * s, "AUC": e / 9} for m, s in both for e in (1, 2)]
    common.report("quick", times, options(tmp_path), target=5, measure="AUC", curves=rows)
    common.record(
        "a rate", options(tmp_path), per_second=3, target=2, met=True
    )  # no ratio: not in the figure
    made = draw(tmp_path / f"{common.machine()}.json")
    drawing = made.read_text(encoding="utf-8")
    assert "<svg" in drawing
    assert "a peer" in drawing
    assert "a rate" not in drawing
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: ([\d.]+)px", drawing)]
    assert sizes
    assert min(sizes) >= 8


def test_an_unknown_benchmark_is_named(capsys):
    assert everything.main(["filterin"]) == 2
    assert "filterin; choose from average_precision" in capsys.readouterr().err
    assert set(everything.NAMES) == TINY.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TINY if name != "networks"])
def test_each_benchmark_runs(name, tmp_path):
    try:
        module = importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        pytest.skip(f"needs {error.name}, of the extra bench")
    module.main([*TINY[name].split(), "--repeats", "1", "--results", str(tmp_path)])
    assert content(tmp_path)["results"]


@pytest.mark.slow
def test_networks_are_measured_on_any_device_and_a_late_step_fails_alone(tmp_path):
    arguments = [*TINY["networks"].split(), "--repeats", "1", "--results", str(tmp_path)]
    assert networks.main(arguments) == 0
    done = content(tmp_path)["results"]
    assert [name.split()[0] for name in done] == ["3", "extract,", "fit,"]
    assert all(found["ratio"] > 0 for found in done.values())
    assert networks.main([*arguments, "--seconds", "0"]) == 1
    assert content(tmp_path)["results"] == done
