"""Two processes that share every batch train the network that one process trains."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helpers import paths
from helpers.data import load
from helpers.errors import BadInput
from helpers.learn.train import processes, share
from helpers.notebook import artefacts
from helpers.runner.distributed import training


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_weighted_means_of_the_shares_average_to_the_mean_of_the_batch(rng):
    for n in (1, 2, 3, 7, 8):
        losses = rng.random(n)
        for size in (1, 2, 3, 4):
            parts = [share(np.arange(n), rank, size) for rank in range(size)]
            assert sum(len(rows) for rows, weight in parts if weight) == n
            assert np.isclose(
                np.mean([losses[rows].mean() * weight for rows, weight in parts]), losses.mean()
            )


def test_alone_there_is_one_process():
    assert processes() == (0, 1)
    rows, weight = share(np.arange(5), 0, 1)
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert weight == 1


@pytest.fixture
def outputs(tmp_path, monkeypatch, rng):
    """A profile whose notebook 05 has saved what it trained on: 45 striped pictures, without augmentation."""
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    images = rng.integers(0, 60, (50, 24, 24, 3)).astype(np.uint8)
    images[::2, :, ::4] = 255
    np.save(tmp_path / "pictures.npy", images)
    collection = load("emojigram", posts=50, users=20, views_per_user=5.0, image_size=24, contents=2, seed=0)
    collection.save(tmp_path / "tiny" / "00" / "collection")
    about_file = tmp_path / "tiny" / "00" / "collection" / "collection.json"
    about = json.loads(about_file.read_text())
    about["images"] = {"kind": "array", "file": str(tmp_path / "pictures.npy")}
    about_file.write_text(json.dumps(about))
    about = {"outputs": 2, "side": 24, "width": 0.05, "dropout": 0.0, "flips": False, "seed": 3}
    about["recipe"] = {"epochs": 3, "batch": 16, "lr": 0.01}
    folder = paths.notebook_outputs("tiny", "05")
    rows = np.arange(45)
    training_set = {"rows": rows, "targets": rows % 2, "about": np.array(json.dumps(about))}
    artefacts.save_arrays(folder, "training", training_set)
    return folder


def run(outputs, *launcher):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(paths.ROOT)}
    command = [sys.executable, *launcher, "-m", "helpers.runner.distributed", "tiny", "05"]
    done = subprocess.run(
        command, env=environment, cwd=paths.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, load_file(outputs / "alexnet_again.safetensors")


@pytest.mark.slow
def test_two_processes_train_the_network_of_one(outputs):
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    torchrun += ["--rdzv-endpoint", "localhost:0"]
    said, together = run(outputs, *torchrun)
    assert "written by 2 processes" in said
    assert said.count("epoch   3/3") == 1, "one process logs"
    said_alone, alone = run(outputs)
    assert "written by 1 processes" in said_alone
    # the loss of each epoch, too, is that of the whole batch
    losses = [re.findall(r"loss (\S+)", text) for text in (said, said_alone)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3
    for name, weights in alone.items():
        assert torch.allclose(weights, together[name], rtol=1e-3, atol=1e-5), name
    moved = [(w - w.mean()).abs().max() for w in alone.values()]
    assert max(moved) > 0.01


def test_without_the_notebook_the_command_that_makes_its_inputs_is_named(outputs):
    with pytest.raises(BadInput, match="tiny --only 06"):
        training("tiny", "06")
