"""The lines that README gives to copy do what it says."""

import json
import os
import re
import shlex
import subprocess
import sys

from PIL import Image

from helpers.paths import ROOT


def test_your_own_pictures(tmp_path):
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Your own pictures\n")[2]
    section = section.partition("\n## ")[0]
    [(_, code), (_, command)] = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    images = tmp_path / "my-folder" / "images"
    for n, name in enumerate(["cat.jpg", "sea.jpg", "summer/dog.png", *(f"{k}.png" for k in range(27))]):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (8 * n, 255 - 8 * n, 90)).save(images / name)
    environment = os.environ | {"CROWD_OUTPUTS": str(tmp_path / "outputs"), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    python, *arguments = shlex.split(command)
    assert python == "python"
    ran = subprocess.run(
        [sys.executable, *arguments, "--to", "01"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    done = tmp_path / "outputs" / "own"
    metrics = json.loads((done / "00" / "metrics.json").read_text(encoding="utf-8"))
    assert {k: metrics[k] for k in ("items", "views", "tags")} == {"items": 30, "views": 3, "tags": 3}
    package = json.loads((done / "00" / "collection" / "datapackage.json").read_text(encoding="utf-8"))
    assert [r["name"] for r in package["resources"]] == ["views", "tags", "labels", "images"]
    assert (done / "index.html").is_file()
    assert not list((tmp_path / "my-folder").glob("*.json")), "nothing is written into the folder"
