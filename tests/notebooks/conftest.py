"""A throw-away project of three tiny notebooks, so that the machinery is tested in seconds."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.notebook import sources as notebooks
from helpers.runner.commands import main
from helpers.runner.plan import Project

PARAMETERS = "profile: str = 'smoke'\nseed: int = 0\nepochs: int = 2\nlr: float = 0.1"
START = (
    "from helpers.notebook import results\n"
    "from helpers.notebook.run import start\n\nrun = start('{}', globals())"
)
CELLS = {
    "00_first": ["x = run.rng('x').random(4)\nprint(x.round(3))", "run.save_arrays('x', x=x)",
                 "results.save(run, {'mean': x.mean(), 'epochs': epochs})"],
    "01_second": ["x = run.read_arrays('00', 'x')['x']", "run.save_arrays('y', y=x * lr)",
                  "results.save(run, {'sum': (x * lr).sum()})"],
    "02_third": ["import random\nimport numpy as np", "drawn = [random.random(), np.random.rand()]",
                 "results.save(run, {'python': drawn[0], 'numpy': drawn[1]})"],
}  # fmt: skip


class Tiny:
    """The project, the outputs of its runs, and ways to change a notebook."""

    def __init__(self, folder: Path):
        self.folder, self.outputs = folder, folder / "outputs"
        self.project = Project(folder / "notebooks", folder / "params", folder / "code" / "helpers")
        for place in (self.project.notebooks, self.project.params / "demo", self.project.package):
            place.mkdir(parents=True)
        (self.project.package / "__init__.py").touch()
        for module in ("__init__", "results", "run"):
            (self.project.package / "notebook").mkdir(exist_ok=True)
            (self.project.package / "notebook" / f"{module}.py").write_text("x = 1")
        for name, cells in CELLS.items():
            self.write(name, *cells)
        self.params("01", "profile: demo\nlr: 0.5\n")

    def write(self, name: str, *cells: str, parameters: str = PARAMETERS) -> Path:
        tagged = new_code_cell(parameters, metadata={"tags": ["parameters"]})
        code = [new_code_cell(START.format(name)), *map(new_code_cell, cells)]
        made = new_notebook(cells=[new_markdown_cell(f"# {name}\n\nWith $x^2$."), tagged, *code])
        made.metadata = nbformat.from_dict(notebooks.METADATA)
        file = self.project.notebooks / f"{name}.ipynb"
        nbformat.write(made, file)
        return file

    def params(self, number: str, text: str) -> None:
        (self.project.params / "demo" / f"{number}.yaml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> int:
        return main(arguments, self.project)

    def metrics(self, profile: str, number: str) -> dict:
        return json.loads((self.outputs / profile / number / "metrics.json").read_text())


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path / "outputs"))
    return Tiny(tmp_path)
