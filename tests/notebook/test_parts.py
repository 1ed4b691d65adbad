"""What the data lack: told once, known later, and cells that are left out."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

from helpers.errors import BadInput, NotTestable
from helpers.notebook import parts, results
from helpers.notebook.run import Run, start

WHY = "toy has no owners: nobody uploads"


@pytest.fixture(autouse=True)
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))


def a_run(name="05_toy", **missing) -> Run:
    run = Run(name, {"profile": "demo", "seed": 0})
    run.missing = dict(missing)
    return run


def namespace(**values):
    return {"__annotations__": {"profile": str, "seed": int}, "profile": "demo", "seed": 0, **values}


def test_a_need_and_its_alternatives():
    missing = {"hashtags": "no tags", "words": "no titles", "03": "03 was not run"}
    assert parts.reason("views", missing) is None
    assert parts.reason("hashtags or views", missing) is None
    assert parts.reason("hashtags or words", missing) == "no tags; no titles"
    assert parts.first_reason(["views", "03", "words"], missing) == "03 was not run"
    for name in ("veiws", "3", ""):
        with pytest.raises(BadInput, match="is no part of the data"):
            parts.reason(name, missing)


def test_later_notebooks_know_and_earlier_ones_do_not():
    one, two = a_run("01_first"), a_run("02_second")
    one.lacks("owners", WHY)
    for run in (one, two):
        results.save(run, {})
    missing, read = parts.known("demo", before="03")
    assert missing == {"owners": WHY}
    assert list(read) == ["01/missing.json", "02/missing.json"]
    assert parts.known("demo", before="01") == ({}, {})
    assert parts.known("demo", before="03", after=["01"]) == (missing, {k: read[k] for k in list(read)[:1]})
    assert parts.known("demo", before="03", after=[]) == ({}, {})
    assert parts.known("smoke", before="03") == ({}, {}), "another profile has other data"
    with pytest.raises(BadInput, match="is no part"):
        one.lacks("onwers", WHY)


def test_a_notebook_that_cannot_do_without_stops_with_one_line_and_tells_later_ones():
    parts.record("demo", "01", {"owners": WHY})
    assert start("02_x", namespace(), requires=["views"]).has("views")
    with pytest.raises(NotTestable, match=f"^02_x is not testable on this data: {WHY}$") as error:
        start("02_x", namespace(), requires=["views", "owners"])
    assert error.value._render_traceback_() == [f"NotTestable: 02_x is not testable on this data: {WHY}"]
    with pytest.raises(NotTestable, match="notebook 02 needs more: toy has no owners"):
        start("03_y", namespace(), requires=["02"])
    assert start("03_y", namespace(), after=["02"]).missing.keys() == {"02", "owners"}, "what it was told"
    assert start("03_y", namespace(), after=[]).missing == {}


@pytest.fixture
def shell():
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_a_cell_is_left_out_where_the_data_lack_a_part(shell, capsys):
    run = a_run(owners=WHY)
    parts.install(run)
    parts.install(run)  # once more, as a cell that is run again
    assert shell.run_cell("%%needs views\nx = 1\nx + 1").result == 2, "an ordinary cell shows its last value"
    shell.run_cell("\n%%needs views\nz = 3")
    assert shell.run_cell("%%needs views, owners\nx = 5").success
    assert (shell.user_ns["x"], shell.user_ns["z"]) == (1, 3)
    assert "IPython.core.display.Markdown" in capsys.readouterr().out
    assert isinstance(shell.run_cell("%%needs veiws\nx = 9").error_in_exec, BadInput)
    assert isinstance(shell.run_cell("%%needs views\n1 / 0").error_in_exec, ZeroDivisionError)
    assert shell.user_ns["x"] == 1


def test_a_cell_that_reads_what_was_left_out_is_left_out_too(shell, capsys):
    parts.install(a_run(owners=WHY))
    shell.run_cell("kept, total = 1, 0")
    shell.run_cell("%%needs owners\nowned = kept + 1\ntotal += owned\ndef of(x):\n    return x + owned")
    shell.run_cell("many = [of(one) for one in range(owned)]")
    shell.run_cell("%%needs views\nmore = many + [kept]")
    capsys.readouterr()
    assert shell.run_cell("more").success, "left out, although no line says so"
    assert "Markdown" in capsys.readouterr().out
    assert shell.run_cell("total + kept").result == 1, "set before, so it is there"
    assert shell.run_cell("owned if total else kept").result == 1, "not read here"
    assert isinstance(shell.run_cell("unheard_of").error_in_exec, NameError)
    shell.run_cell("owned = 5")
    assert shell.run_cell("owned").result == 5, "set after all"
    assert isinstance(shell.run_cell("many = [x for x in range(2)]\nmany[9]").error_in_exec, IndexError)
    assert shell.run_cell("%time 1").success
