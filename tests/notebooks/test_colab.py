"""The notebooks for Colab: what they begin with, and that its commands do what they are for."""

import os
import shutil
import subprocess
import sys
import sysconfig

import pytest

from helpers.errors import BadInput
from helpers.notebook import sources
from helpers.paths import NOTEBOOKS, ROOT
from helpers.runner.colab import COLAB, badged, first_cell, make


def test_every_notebook_gets_a_first_cell_and_a_badge(tmp_path):
    shutil.copy(ROOT / "README.md", tmp_path)
    found = sources.find(NOTEBOOKS)
    assert make("ann/crowd", tmp_path) == len(found)
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    for number, file in found.items():
        made = sources.read(tmp_path / "colab" / file.name)
        first, *rest = made.cells
        assert [cell.source for cell in rest] == [cell.source for cell in sources.read(file).cells]
        assert not any(cell.get("outputs") for cell in made.cells)
        assert "https://github.com/ann/crowd" in first.source
        assert ("helpers.run smoke --only 00" in first.source) == (number != "00")
        assert f"{COLAB}/github/ann/crowd/blob/main/colab/{file.name})" in readme
    assert readme.count("[![Open in Colab]") == len(found)
    assert badged(readme, "bob/copy") == readme.replace("ann/crowd", "bob/copy")


@pytest.mark.parametrize(
    "wrong", ["", "OWNER/NAME", "ann", "ann/crowd/main", "https://github.com/ann/crowd", "a b/c"]
)
def test_only_a_copy_on_github_has_an_address(wrong, tmp_path):
    with pytest.raises(BadInput, match="OWNER/NAME"):
        make(wrong, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(
    not (ROOT / ".git").exists() or os.name == "nt", reason="clones this folder; Colab is Linux"
)
def test_the_first_cell_in_a_fresh_environment(tmp_path):
    """As on Colab: an environment that has packages, pip among them, but not this project."""
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    [packages] = (tmp_path / "env").glob("lib/*/site-packages")
    (packages / "there.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    cell = first_cell(ROOT.as_uri(), []) + "from helpers.paths import ROOT\nprint('from', ROOT)\n"
    (tmp_path / "cell.ipy").write_text(cell, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HOME": str(tmp_path), "PIP_NO_BUILD_ISOLATION": "0"}  # 0 is how pip spells it
    ran = subprocess.run(
        [python, "-m", "IPython", "--colors=nocolor", "cell.ipy"],
        cwd=tmp_path, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert f"from {tmp_path / 'crowd'}" in ran.stdout, ran.stdout + ran.stderr
    assert "rror" not in ran.stdout + ran.stderr, ran.stdout + ran.stderr
