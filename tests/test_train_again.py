"""`helpers.train`: two processes train the networks of one; a killed worker costs nothing but time."""

import contextlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file

from helpers import paths
from helpers.data import load
from helpers.learn.examples import Pictures, Vectors
from helpers.learn.learners import Learner
from helpers.learn.losses import one_drawn
from helpers.learn.networks import AlexNet
from helpers.learn.train import Recipe, fit, processes, share
from helpers.multitask.heads import Targets, TwoHeads, objective
from helpers.notebook.run import Run
from helpers.people import conditional, user_models
from helpers.people.posts import Posts
from helpers.train import main
from helpers.words.bags import Bags
from helpers.words.prediction import Dictionary, train_words

CPU = torch.device("cpu")
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
TORCHRUN += ["--rdzv-endpoint", "localhost:0"]


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
def store(tmp_path, monkeypatch, rng):
    """50 pictures, every second one striped, as the collection of a profile `tiny`."""
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
    return type(collection).read(tmp_path / "tiny" / "00" / "collection").images


def save(trainings):
    run = Run("05_tiny", {"profile": "tiny", "seed": 0})
    run.save_trainings(trainings)
    return run.folder


def command(*arguments, launcher=()):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(paths.ROOT)}
    command = [sys.executable, *launcher, "-m", "helpers.train", "tiny", "05", "--device", "cpu", *arguments]
    how = {"env": environment, "cwd": paths.ROOT, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, stdout=subprocess.PIPE, **how)


def train(*arguments, launcher=()):
    process = command(*arguments, launcher=launcher)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def means_over_examples(store, rng):
    """Trainings in which the loss of each example depends on no other and on no draw."""
    rows, x = np.arange(45), torch.from_numpy(rng.normal(size=(45, 6)).astype(np.float32))
    recipe = Recipe(epochs=3, batch=16, lr=0.01)
    how = {"device": CPU, "seed": 3, "log": None}

    def pictures():
        torch.manual_seed(0)
        examples = Pictures(store, rows, torch.from_numpy(rows % 2), 24, flips=False)
        network = AlexNet(2, 24, 0.05, 0.0)
        fit(network, examples, torch.nn.functional.cross_entropy, recipe, **how)
        return network

    def words():
        bags = Bags.of(rows, (rows % 12).astype(np.int32), 45)
        learner = Learner(store, x, 8, 0.0, 24, 0.05, 0, CPU)
        book = Dictionary(12, bags, np.arange(12).astype(str), rows, rows[:9], rows)
        train_words(learner, book, "one-versus-all", [recipe])

    def ranked():  # each post lacks one tag of five: the only negative, whatever is drawn
        torch.manual_seed(0)
        model = conditional.UserBiased(x.numpy(), np.eye(4), 5, 3, radius=0.3)
        tags = Bags.of(*np.divmod(np.flatnonzero(np.arange(45 * 5) % 5 != np.repeat(rows % 5, 5)), 5), 45)
        conditional.learn([model], rows, [rows % 4], tags, [recipe], [1], CPU, margin=9.0)

    def users():
        torch.manual_seed(0)
        model = user_models.UserTensor(x.numpy(), 5, 4, 3, 3, 3, constants=True)
        posts = Posts(rows, rows % 4, Bags.of(rows, (rows % 5).astype(np.int32), 45))
        model.begin(posts)
        user_models.learn([model], [posts], [recipe], [2], CPU, "softmax")

    def heads():
        torch.manual_seed(0)
        network = TwoHeads(6, 2, 3, 8, dropout=0.0)
        targets = Targets.of(np.eye(2)[rows % 2], x.numpy()[:, :3])
        fit(network, Vectors(x, targets.packed()), objective(targets), recipe, **how)
        return network

    return {f.__name__: f for f in (pictures, words, ranked, users, heads)}


@pytest.mark.slow
def test_two_processes_train_the_networks_of_one(store, rng):
    folder = save(means_over_examples(store, rng))
    said, found = {}, {}
    for name, launcher in {"alone": [], "together": TORCHRUN}.items():
        said[name] = train(launcher=launcher)
        found[name] = {f.stem: load_file(f) for f in sorted(folder.glob("*_again.safetensors"))}
    assert said["together"].count("epoch   3/3") == len(found["alone"]) == 5, "one process logs"
    # the loss of each epoch, too, is that of the whole batch
    losses = [np.array(re.findall(r"loss (\S+)", text), float) for text in said.values()]
    assert np.allclose(*losses, atol=2e-4)
    assert len(losses[0]) == 15
    for name, alone in found["alone"].items():
        for key, weights in alone.items():
            assert torch.allclose(weights, found["together"][name][key], rtol=1e-3, atol=1e-5), (name, key)
    assert found["alone"]["ranked_again"]["V"].norm(dim=1).max() < 0.3001, "put back into the ball"
    runs = json.loads((folder / "pictures_again.json").read_text())
    rate = {number: np.median([row["per_second"] for row in run["history"]]) for number, run in runs.items()}
    assert f"efficiency {rate['2'] / 2 / rate['1']:.2f} (alone {rate['1']:,.0f})" in said["together"]
    assert not list(folder.glob("*.pt"))


def test_alone_the_networks_are_those_of_the_notebook(store, rng, capsys):
    trainings = means_over_examples(store, rng)
    folder = save(trainings)
    for name in ("pictures", "heads"):
        network = trainings[name]()
        assert main(["tiny", "05", name, "--device", "cpu"]) == 0
        again = load_file(folder / f"{name}_again.safetensors")
        assert all(torch.equal(again[key], value) for key, value in network.state_dict().items()), name
    assert "examples a second" in capsys.readouterr().out


@pytest.fixture
def long(store, rng):
    """A training of some seconds, with crops, mirrors and dropout; its folder."""
    rows = np.arange(45)

    def network():
        torch.manual_seed(0)
        examples = Pictures(store, rows, torch.from_numpy(rows % 2), 24)
        recipe = Recipe(epochs=60, batch=16, lr=0.01)
        fit(AlexNet(2, 24, 0.05, 0.3), examples, one_drawn, recipe, device=CPU, seed=3)

    return save({"network": network})


def kill_twice(process):
    """Kill a worker of torchrun after some epochs, and the one that takes its place; the exit code."""
    killed = []
    for line in process.stdout:
        epoch = re.match(r"epoch +(\d+)/", line)
        if epoch and int(epoch[1]) >= 5 + 10 * len(killed):
            for worker in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):  # of one that is dying
                    if worker.environ().get("RANK") == "1" and worker.pid not in killed:
                        worker.kill()
                        killed.append(worker.pid)
    assert len(killed) == 2
    return process.wait()


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_but_time(long):
    train(launcher=TORCHRUN)
    whole = load_file(long / "network_again.safetensors")
    (long / "network_again.safetensors").unlink()

    # torchrun starts the workers again, once
    assert kill_twice(command("--resume", launcher=[*TORCHRUN, "--max-restarts", "1"])) != 0
    assert not (long / "network_again.safetensors").exists()
    (checkpoint,) = long.glob("*.pt")
    said = train("--resume", launcher=TORCHRUN)
    first = int(re.search(r"epoch +(\d+)/60", said)[1])
    assert first > 15, "it went on where the others had been, each where the one before had"
    resumed = load_file(long / "network_again.safetensors")
    assert all(torch.equal(resumed[name], weights) for name, weights in whole.items())
    assert not checkpoint.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tiny", "06"], "tiny --only 06"),
        (["tiny", "05", "nobody"], "nobody is no network of notebook 05; there are network"),
        (["tiny", "05", "--device", "tpu7"], "device is 'tpu7'"),
    ],
)
def test_mistakes_are_answered_in_a_line(long, arguments, expected, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
