"""Mistakes are found before anything runs: exit code 2, one line, no notebook started."""

import pytest


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
        (["demi"], "profile 'demi' is unknown; did you mean demo?"),
        ([], "name a profile: smoke, demo"),
        (["demo", "-p", "lr=1e-3"], "-p lr: lr is '1e-3', expected a number (float); write 1.0e-3"),
        (["demo", "-p", "lr=-1"], "lr is -1.0, must be more than 0"),
        (["demo", "-p", "epoch=3"], "unknown parameter 'epoch'; did you mean epochs?"),
        (["demo", "-p", "lr"], "-p lr: expected name=value"),
        (["demo", "-p", "lr=1", "-p", "lr=2"], "-p lr: given twice"),
        (["demo", "-p", "profile=x"], "name the profile as the first argument"),
        (["demo", "--only", "7"], "--only 7: there is no such notebook; there are 00, 01, 02"),
        (["demo", "--from", "02", "--to", "01"], "nothing lies between them"),
        (["demo", "--data-dir", "nowhere"], "there is no such folder"),
        (["demo", "--refresh"], "are for the profile smoke"),
        (["smoke", "--refresh", "-p", "lr=1"], "without -p"),
    ],
)
def test_command_line(tiny, capsys, arguments, message):
    assert tiny.run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not tiny.outputs.exists()


def test_an_unknown_option_is_refused(tiny):
    with pytest.raises(SystemExit) as stop:
        tiny.run("demo", "--forc")
    assert stop.value.code == 2


def test_a_bad_default_is_refused(tiny, capsys):
    tiny.write("01_second", "pass", parameters="profile: str = 'smoke'\nseed: int = 0\nlr: float = -1.0")
    assert tiny.run("demo") == 2
    assert "01_second.ipynb: lr is -1.0, must be more than 0" in capsys.readouterr().err
    assert tiny.run("demo", "--list", "--only", "00") == 0, "a notebook that is not selected does not matter"


def test_the_list_shows_what_is_to_do(tiny, capsys):
    assert tiny.run("demo", "--list", "--from", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["01_second", "to", "do"], ["02_third", "to", "do"]]
