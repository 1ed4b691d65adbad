"""Train the network of a notebook again, data-parallel, from what the notebook saved as `training`.

torchrun --nproc-per-node 4 -m helpers.runner.distributed paper 05
"""

import argparse
import json
import os

import torch
import torch.distributed as dist
from torch import nn

from helpers import paths
from helpers.data.collection import Collection
from helpers.errors import BadInput
from helpers.learn.examples import Pictures
from helpers.learn.networks import AlexNet
from helpers.learn.train import Recipe, fit, processes
from helpers.notebook import artefacts


def training(profile: str, number: str):
    """What a notebook saved as `training` (BadInput if it has not run in this profile): rows int (n,) of the
    collection's images, targets (n,) or (n, K), and a dict with "outputs", "side", "width", "dropout",
    "flips", "seed" and "recipe" (the fields of `Recipe`)."""
    folder = paths.notebook_outputs(profile, number)
    stored = artefacts.read_arrays(folder, "training", f"python -m helpers.run {profile} --only {number}")
    return stored["rows"], stored["targets"], json.loads(str(stored["about"]))


def main(argv: list[str] | None = None) -> None:
    """Alone or under torchrun, for a PROFILE and a NOTEBOOK: writes `alexnet_again`."""
    program = "torchrun --nproc-per-node N -m helpers.runner.distributed"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("profile")
    parser.add_argument("notebook", help="05, or another that saved `training`")
    given = parser.parse_args(argv)
    profile, number = given.profile, given.notebook
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if "RANK" in os.environ:  # torchrun sets it
        dist.init_process_group("nccl" if cuda else "gloo")
    try:
        rows, targets, about = training(profile, number)
        if not len(rows):
            raise BadInput(f"{number} of {profile} trained on nothing; use another profile")
        store = Collection.read(paths.notebook_outputs(profile, "00") / "collection").images
        torch.manual_seed(about["seed"])
        network = AlexNet(about["outputs"], about["side"], about["width"], about["dropout"])
        loss = nn.functional.cross_entropy if targets.ndim == 1 else nn.functional.mse_loss
        examples = Pictures(store, rows, torch.from_numpy(targets), about["side"], flips=about["flips"])
        fit(network, examples, loss, Recipe(**about["recipe"]), device=device, seed=about["seed"])
        rank, size = processes()
        if rank == 0:
            folder = paths.notebook_outputs(profile, number)
            artefacts.save_weights(folder, "alexnet_again", network.state_dict())
            print(f"{folder / 'alexnet_again.safetensors'}: written by {size} processes")
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
