"""Mistakes are found before anything runs: exit code 2, one line, no notebook started."""

import pytest

from helpers import paths
from helpers.runner.plan import plan


@pytest.mark.parametrize(
    ("number", "text", "message"),
    [
        ("01", "profile: demo\nlr: 1e-3\n",
         "params/demo/01.yaml, line 2: lr is '1e-3', expected a number (float); write 1.0e-3"),
        ("01", "profile: demo\nlrr: 0.1\n",
         "params/demo/01.yaml, line 2: unknown parameter 'lrr'; did you mean lr?"),
        ("01", "profile: demo\nepochs: -5\n", "01.yaml, line 2: epochs is -5, must be at least 1"),
        ("01", "profile: demo\nepochs: true\n", "epochs is True, expected a whole number"),
        ("01", "profile: demo\nlr: 1.0\nlr: 2.0\n", "line 3: lr is given twice (first in line 2)"),
        ("01", "lr: 1.0\n", "params/demo/01.yaml: must hold the line `profile: demo`"),
        ("01", "profile: smoke\n", "params/demo/01.yaml: must hold the line `profile: demo`"),
        ("1", "profile: demo\n", "params/demo/1.yaml: expected the name of a notebook's number"),
    ],
)  # fmt: skip
def test_files_of_parameters(tiny, capsys, number, text, message):
    tiny.params(number, text)
    assert tiny.run("demo") == 2
    assert message in capsys.readouterr().err
    assert not tiny.outputs.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "-p", "lr=1e-3"], "-p lr: lr is '1e-3', expected a number (float); write 1.0e-3"),
        (["demo", "-p", "lr=-1"], "lr is -1.0, must be more than 0"),
        (["demo", "-p", "epoch=3"], "unknown parameter 'epoch'; did you mean epochs?"),
        (["demo", "--only", "7"], "--only 7: there is no such notebook; there are 00, 01, 02"),
        (["demo", "--from", "02", "--to", "01"], "nothing lies between them"),
        (["demo", "--from", "02", "--only", "01"], "--only 01: not between --from 02 and --to 02"),
        (["demo", "--data-dir", "/", "-p", "data_dir=x"], "given twice"),
        (["smoke", "--refresh", "-p", "lr=1"], "without -p"),
    ],
)
def test_command_line(tiny, capsys, arguments, message):
    assert tiny.run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not tiny.outputs.exists()


WITH_DATA = "profile: str = 'demo'\nseed: int = 0\ndata_dir: str = ''"


def test_the_folder_of_the_data_is_for_those_that_read_it(tiny):
    """The option goes with any selection of notebooks; only 01 has the parameter."""
    tiny.write(
        "01_second",
        "results.save(run, {})",
        parameters="profile: str = 'demo'\nseed: int = 0\ndata_dir: str = ''",
    )
    tiny.params("01", "profile: demo\n")
    folder = str(tiny.folder)
    assert tiny.run("demo", "--only", "02", "--data-dir", folder, "--list") == 0
    jobs = plan(tiny.project, "demo", data_dir=folder)
    assert [job.overrides.get("data_dir") for job in jobs] == [None, folder, None]


def test_a_bad_default_is_refused(tiny, capsys):
    tiny.write("01_second", "pass", parameters="profile: str = 'smoke'\nseed: int = 0\nlr: float = -1.0")
    assert tiny.run("demo") == 2
    assert "01_second.ipynb: lr is -1.0, must be more than 0" in capsys.readouterr().err
    assert tiny.run("demo", "--list", "--only", "00") == 0, "a notebook that is not selected does not matter"


def test_the_list_shows_what_is_to_do(tiny, capsys):
    assert tiny.run("demo", "--list", "--from", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["01_second", "to", "do"], ["02_third", "to", "do"]]


def test_a_number_may_end_with_a_letter(tiny, capsys):
    """01b comes after 01 and before 02: in selections, parameters, the scoreboard and the report."""
    save = "results.save(run, {'epochs': epochs})"
    tiny.write("01b_between", "x = run.read_arrays('00', 'x')['x']\nrun.save_arrays('z', z=x)", save)
    tiny.write("02_third", "run.read_arrays('01b', 'z')", "results.save(run, {})")
    tiny.params("01b", "profile: demo\nepochs: 7\n")
    assert tiny.run("demo", "--list", "--from", "01", "--to", "1b") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["01_second", "01b_between"]
    assert tiny.run("demo", "--list", "--from", "1b") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["01b_between", "02_third"]
    assert tiny.run("demo", "--only", "00", "--only", "01b", "--only", "02") == 0
    assert tiny.metrics("demo", "01b") == {"epochs": 7}
    folder = tiny.outputs / "demo"
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert 'href="01b/01b_between.html">01b_between</a>' in page
    assert 'href="01b/metrics.json"' in page
    assert tiny.run("demo", "--only", "1c") == 2
    assert "--only 1c: there is no such notebook; there are 00, 01, 01b, 02" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("03_a", "03"), ("06b_word_embeddings", "06b"), ("06b_x_solutions", "06b"), ("3_a", None),
        ("06B_a", None), ("06bb_a", None), ("123_a", None), ("06b", None),
    ],
)  # fmt: skip
def test_the_number_of_a_name(name, number):
    assert paths.number_of(name) == number
