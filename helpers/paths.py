"""Where things lie, found from this file and never from the current folder.

papermill runs a notebook in the caller's folder and nbval in the notebook's, so a relative path would
mean two different places.
"""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
PARAMS = ROOT / "params"
NUMBER = r"\d\d[a-z]?"  # 06, and 06b for a notebook that belongs after it


def outputs() -> Path:
    """The folder for everything that is computed: `outputs/`, or the folder named by `CROWD_OUTPUTS`."""
    return Path(os.environ.get("CROWD_OUTPUTS") or ROOT / "outputs").expanduser().resolve()


def notebook_outputs(profile: str, number: str) -> Path:
    """The folder of one notebook's results, for example `outputs/demo/03`."""
    return outputs() / profile / number


def of_notebooks(folder: Path, name: str) -> list[Path]:
    """The file of this name of each notebook that ran, in order, in a profile's folder."""
    return sorted(file for file in folder.glob(f"*/{name}") if re.fullmatch(NUMBER, file.parent.name))


def data() -> Path:
    """Downloaded datasets: `CROWD_DATA`, else `data/` here, else `shared/data` beside the project."""
    if os.environ.get("CROWD_DATA"):
        return Path(os.environ["CROWD_DATA"]).expanduser().resolve()
    inside = ROOT / "data"
    return inside if inside.is_dir() else ROOT.parent / "shared" / "data"


def cache() -> Path:
    """What can be made again at any time: rasterised drawings, generated images."""
    return outputs() / "cache"


def number_of(name: str) -> str | None:
    """The number of a notebook's name: "03" of 03_matrix_factorization, "06b" of 06b_x; else None."""
    match = re.fullmatch(rf"({NUMBER})_\w+", name)
    return match and match[1]
