"""All benchmarks, one after the other: `python -m benchmarks`, or some: `python -m benchmarks bpr filtering`.

Each measures a kernel of `helpers` beside its peers in the same run, and writes seconds, ratios and whether
the target is met to `benchmarks/results/<machine>.json`; at the end the figure beside it is drawn. On a busy
machine ratios under 1.2 are ties.
"""

import pkgutil
import subprocess
import sys
from pathlib import Path

from benchmarks.common import RESULTS, machine
from benchmarks.figure import draw

NOT_RUN = ("__main__", "common", "crowds", "figure")
NAMES = [m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if m.name not in NOT_RUN]


def main(chosen: list[str]) -> int:
    """Run benchmarks, each in an own process so that one library's threads do not disturb another's."""
    unknown = sorted(set(chosen) - set(NAMES))
    if unknown:
        print(f"no benchmark named {', '.join(unknown)}; choose from {', '.join(NAMES)}", file=sys.stderr)
        return 2
    failed = []
    for name in chosen or NAMES:
        print(f"\n=== {name} ===", flush=True)
        if subprocess.run([sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}"]).returncode:
            failed.append(name)
    file = RESULTS / f"{machine()}.json"
    if file.is_file():
        print(f"\n{file}\n{draw(file)}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
