"""Notebooks for Google Colab, and their badges in README: `python -m helpers.runner.colab OWNER/NAME`.

Whoever has a public copy of this project on GitHub runs it once, and again when notebooks have changed. The
folder `colab/` then holds every notebook without outputs, after a first cell that gets the project, installs
what Colab lacks, and makes on `smoke` what the notebook reads.
"""

import re
import sys
from pathlib import Path

from nbformat.v4 import new_code_cell

from helpers import paths
from helpers.errors import BadInput
from helpers.files import write_text
from helpers.notebook import sources
from helpers.runner.plan import SMOKE, Project, plan

COLAB = "https://colab.research.google.com"
FIRST = """\
# If Colab asks to restart the session, do so and run this cell again.
import sys
from pathlib import Path

project = Path.home() / "crowd"
if not project.is_dir():
    !git clone --quiet --depth 1 {address} {{project}}
%cd {{project}}
sys.path.insert(0, str(project))
%pip install --quiet --editable .
"""
BEFORE = "!{{sys.executable}} -m helpers.run {profile} {only}\n"


def first_cell(address: str, before: list[str]) -> str:
    """The code of the first cell: gets the project from an address, runs the notebooks that come before."""
    only = " ".join(f"--only {number}" for number in before)
    return FIRST.format(address=address) + (BEFORE.format(profile=SMOKE, only=only) if before else "")


def badged(readme: str, repository: str) -> str:
    """README with a badge in each row of a table that begins with a notebook; an older badge is replaced."""
    badge = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/{repository}/blob/main/colab/"
    link = r"^(\| \[\w+\]\(notebooks/(\w+\.ipynb)\))(?: \[!\[Open in Colab\]\S+)?"
    return re.sub(link, rf"\1 {badge}\2)", readme, flags=re.MULTILINE)


def make(repository: str, root: Path = paths.ROOT) -> int:
    """Write `colab/` and the badges into a project's folder; returns the number of notebooks."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository) or repository == "OWNER/NAME":
        raise BadInput(f"{repository!r}: name a public copy on GitHub by its owner and name, OWNER/NAME")
    jobs = plan(Project(), SMOKE)
    folder = root / "colab"
    folder.mkdir(exist_ok=True)
    for job in jobs:
        notebook = sources.without_outputs(sources.read(job.file))
        first = first_cell(f"https://github.com/{repository}", sorted(job.follows))
        notebook.cells.insert(0, new_code_cell(first, id="colab"))
        sources.write(notebook, folder / job.file.name)
    readme = root / "README.md"
    write_text(readme, badged(readme.read_text(encoding="utf-8"), repository))
    return len(jobs)


if __name__ == "__main__":
    try:
        print(f"{make(' '.join(sys.argv[1:]))} notebooks written to colab/, badges to README.md; commit them")
    except BadInput as error:
        sys.exit(str(error))
