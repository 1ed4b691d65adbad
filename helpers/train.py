"""Train networks of a notebook again, alone or data-parallel, from what it saved as `training`.

python -m helpers.train demo 05
torchrun --nproc-per-node 2 --max-restarts 1 -m helpers.train demo 05 alexnet --resume
"""

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

# what their networks, examples and losses are made of: `helpers.learn.again.KINDS`
import helpers.learn.losses
import helpers.learn.networks
import helpers.multitask.cf2label
import helpers.multitask.heads
import helpers.people.conditional
import helpers.people.user_models
import helpers.words.bags  # noqa: F401
from helpers import paths
from helpers.data.collection import Collection
from helpers.errors import BadInput
from helpers.learn import again, devices
from helpers.learn.train import fit, processes
from helpers.notebook import artefacts

PRECISIONS = {name: getattr(torch, name) for name in ("float32", "bfloat16", "float16")}


def read(profile: str, number: str) -> tuple[dict[str, dict], dict[str, np.ndarray]]:
    """What `Run.save_trainings` wrote, as `again.made` takes it: what each network was trained with, and all
    arrays. BadInput: the notebook has not run in this profile, or trains no network."""

    def stored(number: str, name: str) -> dict[str, np.ndarray]:
        remedy = f"python -m helpers.run {profile} --only {number}"
        return artefacts.read_arrays(paths.notebook_outputs(profile, number), name, remedy)

    arrays = stored(number, "training")
    about = json.loads(str(arrays.pop("about")))
    places = about["elsewhere"].items()
    files = {(number, name): stored(number, name) for number, name in {tuple(at[:2]) for _, at in places}}
    arrays |= {digest: files[number, name][key] for digest, (number, name, key) in places}
    return about["trainings"], arrays


def report(file: Path, about: dict, history: list[dict]) -> str:
    """Add what a training took to a file, by the number of processes, and say it, with the efficiency:
    examples a second over those of as many processes that train alone. Trainings of which something else is
    said in `about` (data, device, threads of a process) are dropped from the file."""
    size, rate = processes()[1], float(np.median([row["per_second"] for row in history]))
    runs = artefacts.read_json(file) if file.is_file() else {}
    runs = {number: run for number, run in runs.items() if run.get("about") == about}
    runs[str(size)] = {"about": about, "per_second": rate, "history": history}
    artefacts.write_json(file, runs)
    artefacts.record(file.parent, file.name)
    said = f"{file.stem}: {size} x {about['threads']} threads, {rate:,.0f} examples a second"
    if size == 1:
        return said
    if "1" not in runs:
        return f"{said}; efficiency unknown: train alone, too, with OMP_NUM_THREADS={about['threads']}"
    alone = runs["1"]["per_second"]
    return f"{said}, efficiency {rate / size / alone:.2f} (alone {alone:,.0f})"


def train(profile: str, number: str, name: str | None, device, resume: bool, precision) -> None:
    """Train a network, or all, again. The first process writes the weights (of the last epoch, as there is no
    validation) as `<name>_again.safetensors`, and what `report` writes. Raises as `read` and `again.made`."""
    trainings, arrays = read(profile, number)
    if name not in (None, *trainings):
        raise BadInput(f"{name} is no network of notebook {number}; there are {', '.join(trainings)}")
    folder = paths.notebook_outputs(profile, number)
    images = Collection.read(paths.notebook_outputs(profile, "00") / "collection").images
    source, threads = artefacts.manifest(folder)["training.npz"]["sha256"], torch.get_num_threads()
    description = {"source": source, "device": device.type, "threads": threads}
    first = processes()[0] == 0
    # what was trained with other data is another checkpoint
    checkpoints = {key: folder / f"{key}_again-{source[:12]}.pt" for key in ([name] if name else trainings)}
    for key, file in checkpoints.items():
        training = again.made(trainings[key], arrays, images, device)
        how = {"seed": training.seed, "after_step": training.after_step, "log": partial(print, flush=True)}
        how |= {"checkpoint": file, "resume": resume and file.is_file(), "precision": precision}
        history = fit(*training[:4], device=device, **how)
        if first:
            artefacts.save_weights(folder, f"{key}_again", training.network.state_dict())
            print(report(folder / f"{key}_again.json", description, history), flush=True)
    for file in checkpoints.values() if first else []:
        file.unlink()


def join(backend: str) -> None:
    """Become one of the processes that torchrun has started."""
    store, rank, size = next(dist.rendezvous("env://"))
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        # on one machine torchrun starts workers again beside the addresses of the dead, which they would call
        store = dist.PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)


def main(argv: list[str] | None = None) -> int:
    """The command: 0, or 1 where it was given something wrong."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("helpers.train", description=__doc__, formatter_class=layout)
    parser.add_argument("profile")
    parser.add_argument("notebook", help="05 to 09")
    parser.add_argument("name", nargs="?", help="one of its networks; all if none is given")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, where there is one")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="the usual one of the device if none is given"
    )
    given = parser.parse_args(argv)
    together = "RANK" in os.environ  # torchrun sets it
    try:
        device = devices.resolve(given.device)
        if together and device.type == "cuda":
            device = devices.resolve(f"cuda:{os.environ['LOCAL_RANK']}")
            torch.cuda.set_device(device)
        if together:
            join("nccl" if device.type == "cuda" else "gloo")
        precision = PRECISIONS.get(given.precision)
        train(given.profile, given.notebook, given.name, device, given.resume, precision)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if "RANK" in os.environ:
        # gloo's threads outlive `destroy_process_group`, and may call into an interpreter that is ending,
        # which aborts it now and then: all is written, so leave without its end
        os._exit(code)
    sys.exit(code)
