"""The files that set the project up agree with each other."""

import importlib.metadata
import re
import tomllib

import yaml
from packaging.requirements import Requirement

from helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def locked() -> dict[str, list[Requirement]]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    found: dict[str, list[Requirement]] = {}
    for line in lines:
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(re.sub(r"[-_.]+", "-", requirement.name).lower(), []).append(requirement)
    return found


def test_the_lock_satisfies_every_requirement():
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]
    pins = locked()
    for text in wanted:
        requirement = Requirement(text)
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in pins, f"{name} is not in requirements.lock; run: make lock"
        for pin in pins[name]:
            version = str(pin.specifier).removeprefix("==")
            assert requirement.specifier.contains(version), f"{pin} does not satisfy {requirement}"


def test_every_pin_is_exact():
    assert all(re.fullmatch(r"==[\w.+!]+", str(pin.specifier)) for pins in locked().values() for pin in pins)


def test_what_runs_here_is_what_is_locked():
    for name, pins in locked().items():
        here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
        for pin in here:
            installed = importlib.metadata.version(name)
            assert pin.specifier.contains(installed), (
                f"{name} {installed} is installed, {pin} is locked; use make test"
            )


def test_conda_users_get_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == PROJECT["name"]
    python = next(d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python"))
    assert python == "python" + PROJECT["requires-python"]
    through_pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert "-r requirements.lock" in through_pip


def test_the_readme_names_the_commands_that_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.M))
    named = set(re.findall(r"make (\w+)", readme))
    assert {"run", "test", "lab"} <= named <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for notebook in re.findall(r"notebooks/(\d\d[a-z]?_\w+)\.ipynb", readme):
        assert (ROOT / "notebooks" / f"{notebook}.ipynb").is_file(), notebook
