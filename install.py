"""Install what was tested into a virtual environment. `make run` and `make test` do it first; without make
(where there is no `python`, write `python3` or, on Windows, `py`):

    python install.py              into .venv; PyTorch with CUDA where there is an NVIDIA GPU, else without
    python install.py --cpu        PyTorch for the CPU
    python install.py --gpu        PyTorch with CUDA (Linux)
    python install.py --tests      also what grading, the book and their tests need: 36 packages, 150 MB
    python install.py FOLDER       another folder than .venv

Versions and hashes are those of requirements.lock and requirements-tests.lock. Only Linux has a choice: the
builds that PyPI has for macOS and Windows are without CUDA. Those for Linux bring CUDA, nearly five gigabytes
of it; builds for the CPU are in PyTorch's own index. uv installs where it is there and pip has no settings of
its own, such as another index: uv does not read them. Needs the standard library only.
"""

from __future__ import annotations  # so that an old Python gets as far as the sentence in main

import argparse
import platform
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements.lock"
TESTS = ROOT / "requirements-tests.lock"  # what the other lacks
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH = re.compile(r"(torch|torchvision)==([\w.]+)")
CUDA = re.compile(r"(nvidia-[\w-]+|cuda-[\w-]+|triton)==")  # only PyTorch with CUDA needs these


def blocks(lock: str) -> list[str]:
    """The lock file package by package: each with its hashes, in the lines below."""
    return re.split(r"^(?=\S)", lock, flags=re.MULTILINE)


def groups(lock: str) -> tuple[str, dict[str, str], list[str]]:
    """What every build of PyTorch needs, as a lock file; the versions of torch and torchvision; the names of
    what CUDA needs."""
    torch = {match[1]: match[2] for block in blocks(lock) if (match := TORCH.match(block))}
    cuda = [match[1] for block in blocks(lock) if (match := CUDA.match(block))]
    rest = "".join(b for b in blocks(lock) if not TORCH.match(b) and not CUDA.match(b))
    return rest, torch, cuda


def missing(torch: dict[str, str], index: str = CPU_INDEX, seconds: float = 5) -> str:
    """Why PyTorch's index does not give its builds for the CPU; empty where it does."""
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    for name, version in torch.items():
        try:
            with urllib.request.urlopen(f"{index}/{name}/", timeout=seconds) as answer:
                page = unquote(answer.read().decode())
        except (OSError, ValueError) as error:
            return f"{index} cannot be read ({getattr(error, 'reason', error)})"
        wheel = rf"{name}-{re.escape(version)}\+cpu-{python}-{python}-\w*{platform.machine()}\.whl"
        if not re.search(wheel, page):
            return f"{index} has no {name} {version} for {python} on {platform.machine()}"
    return ""


def installed(python: Path) -> str:
    """The version of torch in an environment, such as 2.14.1+cpu; empty if there is none."""
    code = "from importlib.metadata import distributions as d; print(*(x.version for x in d(name='torch')))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def installer(python: Path) -> list[str | Path]:
    """The command that installs into an environment."""
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    # a variable that pip reads is listed too
    settings = subprocess.run([*pip[:3], "config", "list"], check=True, capture_output=True, text=True).stdout
    if shutil.which("uv") and not settings.strip():
        return ["uv", "pip", "install", "--python", python]
    return [*pip, "install"]


def install(folder: Path, asked: str | None = None, tests: bool = False) -> None:
    """Make or renew an environment. `asked` is "cpu", "gpu" or None: what is there, else what fits."""
    lock = LOCK.read_text(encoding="utf-8")
    rest, torch, cuda = groups(lock)
    linux = sys.platform.startswith("linux")
    if asked == "gpu" and not linux:
        sys.exit(
            "--gpu is for Linux. On macOS the usual build uses the GPU; for Windows see https://pytorch.org"
        )

    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    before = installed(python)
    fits = before.endswith("+cpu") if before else not shutil.which("nvidia-smi")
    on_cpu = linux and (fits if asked is None else asked == "cpu")
    if on_cpu and before != torch["torch"] + "+cpu" and (why := missing(torch)):
        if asked == "cpu":
            sys.exit(
                f"{why}; without --cpu (make: without GPU=0) the build that pip finds is taken, with CUDA"
            )
        print(f"PyTorch for the CPU cannot be fetched: {why}; taking the build that pip finds, with CUDA")
        on_cpu = False

    size = "7 GB, CUDA included" if linux and not on_cpu else "about 2 GB"
    print(f"Installing the tested versions into {folder}: {size}, a few minutes, once", flush=True)
    if before and before.endswith("+cpu") != on_cpu:  # both builds satisfy the lock file
        gone = [*torch, *cuda]
        subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--quiet", "--yes", *gone], check=True)
    add = [*installer(python), "--quiet", "--no-deps"]
    if on_cpu:
        wanted = [f"{name}=={version}+cpu" for name, version in torch.items()]
        subprocess.run([*add, "--index-url", CPU_INDEX, *wanted], check=True)
        lock = rest
    chosen = folder / "requirements.txt"
    chosen.write_text(lock, encoding="utf-8")
    subprocess.run([*add, "--requirement", chosen], check=True)
    if tests:
        subprocess.run([*add, "--requirement", TESTS], check=True)
    subprocess.run([*add, "--no-build-isolation", "--editable", ROOT], check=True)
    for stamp in (".installed", ".tests")[: 1 + tests]:
        (folder / stamp).touch()


def main() -> None:
    if sys.version_info < (3, 11, 4) or sys.version_info >= (3, 14):
        this = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Python 3.11.4 to 3.13 is needed, this is {this}; try: make PYTHON=python3.12 run")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / ".venv")
    build = parser.add_mutually_exclusive_group()
    build.add_argument("--cpu", dest="asked", action="store_const", const="cpu")
    build.add_argument("--gpu", dest="asked", action="store_const", const="gpu")
    parser.add_argument("--tests", action="store_true")
    given = parser.parse_args()
    try:
        install(given.folder, given.asked, given.tests)
    except subprocess.CalledProcessError as error:
        sys.exit(f"stopped: {error.cmd[0]} ended with {error.returncode}; what it said is above")


if __name__ == "__main__":
    main()
