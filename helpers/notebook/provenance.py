"""Which code, packages and machine made a result."""

import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from threadpoolctl import threadpool_info

from helpers.paths import ROOT

PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "numba",
    "torch",
    "torchvision",
    "implicit",
)


def versions() -> dict[str, str]:
    """Python and the packages that decide the numbers; one that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit(root: Path = ROOT) -> str:
    """The project's git commit, with "-dirty" when tracked files differ from it; "unknown" outside git."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        # a copy of the project inside another repository must not report that repository's commit
        if Path(git("rev-parse", "--show-toplevel")).resolve() != Path(root).resolve():
            return "unknown"
        dirty = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("-dirty" if dirty else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def threads() -> dict[str, int]:
    """Cores of the machine and the thread counts of the libraries that are loaded; nothing is changed."""
    found = {"cores": os.cpu_count() or 1}
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_num_threads()
    if "numba" in sys.modules:
        found["numba"] = sys.modules["numba"].get_num_threads()
    return found


def processor() -> str:
    """The model of the processor, "AMD EPYC 7B13"; what Python knows where the system does not tell."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()


def device(used) -> dict:
    """What was computed on: card, driver and CUDA, or the processor. `used` is a torch device, or "cpu"."""
    from helpers.learn import devices

    return {"kind": "cpu"} if str(used) == "cpu" else devices.describe(used)


def linear_algebra() -> list[dict]:
    """The BLAS and OpenMP libraries that are loaded: name, version, architecture, threads; without paths."""
    kept = ("internal_api", "version", "architecture", "num_threads")
    return [{key: found[key] for key in kept if key in found} for found in threadpool_info()]


def machine() -> str:
    """Operating system and processor, without the host's name."""
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def peak_mb() -> float:
    """The largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():
        # not ru_maxrss: on Linux that starts from the peak of the process that forked this one
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
