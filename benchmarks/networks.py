"""Networks on the device at hand: `fit` and `extract` against plain loops, many at once, how busy a card is.

    python -m benchmarks.networks                        # what fits the machine, with or without CUDA
    python -m benchmarks.networks --seconds 540 --profile demo --notebooks 05 06 07 08    # a visit to a GPU

Peers: a loop as one writes it, with the pictures on the device from the start, neither cropped nor mirrored;
and the same networks one after the other. Each step is a process with a time limit of its own, the most
wanted first, and writes its result at once. With notebooks, the card is asked each half second how busy it is
while `python -m helpers.run PROFILE --only NN` runs; those whose results they read must have run before.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common import compare, parser, record, report, table
from helpers.learn import pretrained
from helpers.learn.devices import resolve
from helpers.learn.examples import Pictures, Vectors, extract, normalise
from helpers.learn.many import fit_many
from helpers.learn.networks import AlexNet, ResNet
from helpers.learn.train import Recipe, fit
from helpers.multitask.heads import Targets, TwoHeads, objective
from helpers.paths import ROOT

CLASSES = 100
NETWORKS = {
    "AlexNet": lambda side: AlexNet(CLASSES, side),
    "ResNet-50": lambda side: ResNet(CLASSES, side),
    "ResNet-18": lambda side: torchvision.models.resnet18(num_classes=CLASSES),
}


class Memory:
    """A store of random pictures in memory."""

    def __init__(self, n: int, side: int):
        self.images = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), np.uint8)
        self.size = side

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.images[rows]


def plain_fit(network: nn.Module, images: Tensor, classes: Tensor, batch: int, epochs: int) -> list[float]:
    """Seconds of each epoch of the loop that one writes."""
    seconds, cuda = [], images.is_cuda
    optimiser = torch.optim.SGD(network.parameters(), 0.01, 0.9, nesterov=True, fused=True)
    for _ in range(epochs):
        start = time.perf_counter()
        for rows in torch.randperm(len(images), device=images.device).split(batch):
            with torch.autocast(images.device.type, torch.bfloat16, enabled=cuda):
                loss = F.cross_entropy(network(normalise(images[rows])), classes[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        loss.item()  # waits for the device
        seconds.append(time.perf_counter() - start)
    return seconds


def training(options, device: torch.device, name: str, batch: int) -> None:
    """Epochs of `fit` and of the plain loop in turn; the first of each, which warms up, does not count."""
    store, classes = Memory(options.pictures, options.side), torch.arange(options.pictures) % CLASSES
    examples = Pictures(store, np.arange(len(store)), classes, options.side)
    recipe = Recipe(epochs=3, batch=batch, lr=0.001)
    seconds = {"ours": [], "plain loop": []}
    for _ in range(options.repeats):
        done = fit(
            NETWORKS[name](options.side), examples, F.cross_entropy, recipe, device=device, seed=0, log=None
        )
        seconds["ours"] += [row["seconds"] for row in done[1:]]
        network = NETWORKS[name](options.side).to(device, memory_format=torch.channels_last)
        resident = torch.from_numpy(store.images).to(device), classes.to(device)
        seconds["plain loop"] += plain_fit(network, *resident, batch, 3)[1:]
        del resident
    times = table(seconds)
    rates = {way: round(len(store) / median) for way, median in times["median"].items()}
    report(f"fit, {name}, batch {batch}, {device.type}", times, options, 0.9, images_per_second=rates)


def extraction(options, device: torch.device) -> None:
    """Features of all pictures as float32 on the CPU, by EfficientNet-lite0."""
    network = pretrained.load(pretrained.LITE).network.eval().to(device, memory_format=torch.channels_last)
    store, rows = Memory(options.pictures, options.side), np.arange(options.pictures)
    images = torch.from_numpy(store.images).to(device)

    @torch.inference_mode()
    def plain() -> np.ndarray:
        with torch.autocast(device.type, torch.bfloat16, enabled=images.is_cuda):
            return torch.cat([network(normalise(part)).float() for part in images.split(256)]).cpu().numpy()

    runs = {"ours": lambda: extract(network, store, rows, options.side, device), "plain loop": plain}
    times = compare(runs, options.repeats)
    rates = {way: round(len(store) / median) for way, median in times["median"].items()}
    report(f"extract, EfficientNet-lite0, {device.type}", times, options, 0.9, images_per_second=rates)


def search(options, device: torch.device) -> None:
    """08's search: networks with two heads on as many components of frozen features as its profile has, demo
    without and gpu with CUDA, each with its own rate, dropout and seed."""
    rng, n, C = np.random.default_rng(0), options.examples, options.networks
    few = min(C, 8)
    targets = Targets.of(rng.random((n, 20)) < 0.1, rng.normal(size=(n, 64)))
    examples = Vectors(torch.randn(n, options.components), targets.packed())
    recipes = [Recipe(epochs=8, batch=128, lr=(0.004, 0.01)[c % 2], optimiser="adamw") for c in range(C)]

    def networks() -> list[nn.Module]:
        torch.manual_seed(0)
        return [TwoHeads(options.components, 20, 64, 128, dropout=(0.2, 0.5)[c // 2 % 2]) for c in range(C)]

    loss, how = objective(targets), {"device": device}
    runs = {
        "ours": lambda: fit_many(networks(), [examples] * C, loss, recipes, range(C), **how),
        "one after the other": lambda: [
            fit(network, examples, loss, recipe, seed=c, log=None, **how)
            for c, (network, recipe) in enumerate(zip(networks()[:few], recipes[:few], strict=True))
        ],
    }
    times = compare(runs, options.repeats)
    times.loc["one after the other"] *= C / few
    times = times.rename(index={"one after the other": f"one after the other (scaled from {few})"})
    report(f"{C} networks at once, {device.type}", times, options, 20 if device.type == "cuda" else 3)


def busy(options, device: torch.device, notebook: str) -> None:
    """Mean share of half-second samples in which the card computed, while a notebook runs."""
    ask = "nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits --loop-ms=500".split()
    run = [sys.executable, "-m", "helpers.run", options.profile, "--only", notebook, "--force"]
    start = time.perf_counter()
    samples = subprocess.Popen(ask, stdout=subprocess.PIPE, text=True) if device.type == "cuda" else None
    found = {"finished": False}
    with suppress(subprocess.TimeoutExpired):  # how busy the card was is known all the same
        found["finished"] = not subprocess.run(run, cwd=ROOT, timeout=options.step_seconds * 0.9).returncode
    found["seconds"] = round(time.perf_counter() - start, 1)
    if samples is not None:
        samples.terminate()
        if percent := [int(line) for line in samples.communicate()[0].split() if line.isdigit()]:
            share = float(np.mean(percent))
            found |= {"busy_percent": round(share, 1), "target": 60, "met": share >= 60}
    record(f"card busy, {options.profile} {notebook}", options, **found)


def steps(options, device: torch.device) -> dict[str, Callable[[], None]]:
    """What is measured, the most wanted first."""
    cuda = device.type == "cuda"
    kinds = [("AlexNet", 512), ("ResNet-50", 128), ("AlexNet", 128), ("ResNet-50", 512)]
    kinds = kinds if cuda else [("ResNet-18", 64)]
    made = {f"fit {kind[0]} {kind[1]}": partial(training, options, device, *kind) for kind in kinds[:2]}
    made |= {"extract": partial(extraction, options, device), "search": partial(search, options, device)}
    made |= {f"fit {kind[0]} {kind[1]}": partial(training, options, device, *kind) for kind in kinds[2:]}
    return made | {f"busy {nn}": partial(busy, options, device, nn) for nn in options.notebooks}


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    device = resolve("auto")
    sizes = {"pictures": 8192, "side": 224, "examples": 12_000, "networks": 64, "components": 512}
    if device.type != "cuda":
        sizes = {"pictures": 512, "side": 64, "examples": 3_000, "networks": 24, "components": 256}
    made = parser(__doc__, repeats=2, seconds=3600, step_seconds=120, **sizes)
    made.add_argument("--profile", default="demo")
    made.add_argument("--notebooks", nargs="*", default=[], metavar="NN")
    made.add_argument("--step", help="used by the benchmark itself")
    options = made.parse_args(arguments)
    todo = steps(options, device)
    if options.step:
        todo[options.step]()
        return 0
    print("CUDA: " + (torch.cuda.get_device_name() if device.type == "cuda" else "none here, so on the CPU"))
    end, failed = time.monotonic() + options.seconds, []
    for name in todo:
        print(f"--- {name}", flush=True)
        limit = int(max(min(end - time.monotonic(), options.step_seconds), 0))
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.networks", *arguments]
        command += ["--step", name, "--step_seconds", str(limit)]
        try:
            subprocess.run(command, check=True, timeout=limit)
        except subprocess.SubprocessError as error:
            print(f"{name}: {error}", flush=True)
            failed.append(name)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
