"""nbval over notebooks, in a process of its own because it is a pytest plugin."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path


def replay(files: Sequence[Path], outputs: Path, report: Path) -> dict[str, list[str]]:
    """Execute the notebooks in order and compare their text outputs with the saved ones.

    Args:
        outputs: where the notebooks write (CROWD_OUTPUTS).
        report: a file for the junit report.

    Returns:
        Stem of each notebook -> what differs, a text per cell.
    """
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=600"]
    command += ["-p", "no:cacheprovider", "--color=no", "--tb=short", f"--junitxml={report}"]
    environment = os.environ | {"CROWD_OUTPUTS": str(outputs)}
    done = subprocess.run(
        [*command, *map(str, files)], env=environment, capture_output=True, text=True, check=False
    )
    # 0: all passed, 1: some failed; anything else means that nothing was compared
    assert done.returncode in (0, 1), done.stdout + done.stderr
    cells = list(ElementTree.parse(report).iter("testcase"))
    found = {}
    for file in files:
        mine = [cell for cell in cells if cell.get("classname", "").endswith(f"{file.stem}.ipynb")]
        assert mine, f"nbval compared no cell of {file.name}:\n{done.stdout}"
        bad = [(cell, problem) for cell in mine for problem in [*cell.iter("failure"), *cell.iter("error")]]
        found[file.stem] = [f"{cell.get('name')}: {problem.text}" for cell, problem in bad]
    return found
