"""The rooms of `helpers/`: a room imports only rooms above it in the list, and every module is in a room."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from helpers.paths import ROOT

CONTRACT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]


PROGRAM = """
import sys
sys.path.insert(0, ".")
from importlinter.cli import lint_imports_command
lint_imports_command()
"""


def lint(folder: Path) -> subprocess.CompletedProcess:
    """import-linter over the `helpers` of a folder, by its pyproject.toml."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-c", PROGRAM, "--no-cache"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(
        ROOT / "helpers", tmp_path / "helpers", ignore=shutil.ignore_patterns("__pycache__", "*.csv")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_rooms_import_only_rooms_above_them(copy):
    found = lint(copy)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("measures/stats.py", "from helpers.crowd import bpr"),
        ("data/images.py", "import helpers.notebook.run"),
        ("claims/board.py", "def late():\n    from helpers.runner import plan"),
    ],
)
def test_a_planted_violation_is_found(copy, module, line):
    file = copy / "helpers" / module
    file.write_text(f"{file.read_text(encoding='utf-8')}\n\n{line}\n", encoding="utf-8")
    found = lint(copy)
    assert found.returncode == 1
    assert "helpers." + module.removesuffix(".py").replace("/", ".") in found.stdout


def test_every_room_is_in_the_list_and_few_modules_lie_outside():
    (contract,) = CONTRACT["contracts"]
    listed = {name for layer in contract["layers"] for name in layer.split(" | ")}
    package = ROOT / "helpers"
    rooms = {f"helpers.{f.parent.name}" for f in package.glob("*/__init__.py")}
    modules = {f"helpers.{f.stem}" for f in package.glob("*.py") if f.stem != "__init__"}
    assert listed == rooms | modules
    assert len(modules) <= 12
    for room in rooms:
        purpose = (package / room.removeprefix("helpers.") / "__init__.py").read_text(encoding="utf-8")
        assert purpose.startswith('"""'), f"{room}: one line in __init__.py says what it is for"
