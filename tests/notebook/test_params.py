"""Strict parameters: every mistake is one line that says what to write."""

import re

import pytest

from helpers.errors import BadInput
from helpers.notebook.params import RULES, check, read_yaml, refuse_unknown, scalar_or_list


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("lr", "float", 0.001), ("lr", "float", 1), ("epochs", "int", 3), ("device", "str", "cpu"),
        ("d_grid", "list[int]", [8, 16]), ("lam_grid", "list[float]", [0, 0.1]), ("lr", float, 0.1),
        ("d_grid", list[int], [8]), ("dataset", "str", "openmoji"),
    ],
)  # fmt: skip
def test_good_values_pass(name, kind, value):
    assert check(name, kind, value, "here") == value


def test_a_whole_number_becomes_a_float():
    assert isinstance(check("lr", "float", 1, "here"), float)


@pytest.mark.parametrize(
    ("name", "kind", "value", "message"),
    [
        ("lr", "float", "1e-3", "lr is '1e-3', expected a number (float); write 1.0e-3"),
        ("lr", "float", "1E5", "write 1.0e+5"),
        ("lr", "float", "0.1", "write 0.1"),
        ("lr", "float", True, "lr is True, expected a number"),
        ("lr", "float", None, "lr is None, expected a number"),
        ("lr", "float", "fast", "lr is 'fast', expected a number"),
        ("lr", "float", float("inf"), "expected a finite number"),
        ("lr", "float", float("nan"), "expected a finite number"),
        ("lr", "float", 0, "must be more than 0 (learning rate)"),
        ("epochs", "int", True, "epochs is True, expected a whole number"),
        ("epochs", "int", 3.0, "write 3"),
        ("epochs", "int", 3.5, "expected a whole number"),
        ("epochs", "int", "3", "write it without quotes"),
        ("epochs", "int", -5, "epochs is -5, must be at least 1"),
        ("dropout", "float", 1.5, "must be at most 1"),
        ("dataset", "str", "emojigran", "must be one of emojigram, openmoji, movielens"),
        ("dataset", "str", 3, 'write "3" in quotes'),
        ("d_grid", "list[int]", 8, "write [8]"),
        ("d_grid", "list[int]", [8, "16"], "expected a list, each a whole number (list[int])"),
        ("d_grid", "list[int]", [8, 0], "d_grid is 0, must be at least 1"),
        ("lam_grid", "list[float]", [0.1, "1e-3"], "write 1.0e-3"),
        ("lr", "dict", {}, "lr has the type dict; a parameter is one of"),
        ("nonsense", "int", 3, "nonsense has no rule; add a line for it to helpers/notebook/rules.yaml"),
    ],
)  # fmt: skip
def test_bad_values_are_refused_in_one_line(name, kind, value, message):
    with pytest.raises(BadInput, match=re.escape(message)) as error:
        check(name, kind, value, "params/demo/03.yaml, line 4")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("params/demo/03.yaml, line 4: ")


def test_unknown_names_come_with_the_nearest_known_one():
    with pytest.raises(BadInput, match=r"unknown parameter 'epoch'; did you mean epochs\?"):
        refuse_unknown(["epoch"], ["epochs", "lr"], "here")
    with pytest.raises(BadInput, match="known: epochs, lr"):
        refuse_unknown(["zzz"], ["epochs", "lr"], "here")


def test_every_rule_has_a_meaning():
    assert all(rule.description.strip() for rule in RULES.values())


def yaml(tmp_path, text):
    file = tmp_path / "params" / "demo" / "03.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return read_yaml(file)


def test_yaml_gives_values_with_their_lines(tmp_path):
    assert yaml(tmp_path, "# a comment\nprofile: demo\nd_grid: [8, 16]\nlr: 1.0e-3\n") == {
        "profile": ("demo", 2), "d_grid": ([8, 16], 3), "lr": (0.001, 4),
    }  # fmt: skip
    assert yaml(tmp_path, "lr: 1e-3\n") == {"lr": ("1e-3", 1)}  # the trap: YAML reads a text
    assert yaml(tmp_path, "# nothing\n") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: 0.1\nseed: 1\nlr: 0.2\n", "params/demo/03.yaml, line 3: lr is given twice (first in line 1)"),
        ("lr:\n  inner: 1\n", "line 1: lr is a mapping; parameters are scalars or lists"),
        ("- 1\n- 2\n", "expected lines of the form name: value"),
        ("lr: [1, 2\nseed: 1\n", "not valid YAML"),
        ("lr: !!python/object:os.system x\n", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
    ],
)
def test_bad_yaml_names_file_and_line(tmp_path, text, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        yaml(tmp_path, text)


def test_values_of_the_command_line_are_yaml_too():
    assert scalar_or_list("[8, 16]", "-p d") == [8, 16]
    assert scalar_or_list("1.0e-3", "-p lr") == 0.001
    assert scalar_or_list("1e-3", "-p lr") == "1e-3"
    with pytest.raises(BadInput, match="-p lr: "):
        scalar_or_list("[1", "-p lr")
