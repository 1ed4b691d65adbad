"""Strict parameters: every mistake is one line that says what to write."""

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


def test_values_of_the_command_line_are_yaml_too():
    assert scalar_or_list("[8, 16]", "-p d") == [8, 16]
    assert scalar_or_list("1.0e-3", "-p lr") == 0.001
    assert scalar_or_list("1e-3", "-p lr") == "1e-3"
    with pytest.raises(BadInput, match="-p lr: "):
        scalar_or_list("[1", "-p lr")
