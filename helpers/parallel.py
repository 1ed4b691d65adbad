"""Data-parallel training: each process computes a share of every batch, and their gradients are averaged.

Joulin et al. 2016, section 4, train on several GPUs by elastic averaging SGD, which lets the networks of the
processes drift apart and pulls them together. Here they stay one network: PyTorch's DistributedDataParallel
averages the gradients of each step, so many processes compute what one would, up to rounding (and up to
crops, flips and dropout, which each process draws for itself).

    torchrun --nproc-per-node 4 -m helpers.train paper 05

trains the network of a notebook again from what the notebook saved as `training`.
"""

import argparse
import json
import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from helpers import artefacts, paths
from helpers.data.errors import BadInput


@dataclass(frozen=True)
class World:
    """The processes that train together: this one's rank, and how many there are."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> "World":
        """The process group that is initialised, or this process alone."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    @property
    def first(self) -> bool:
        """Whether this process logs and writes."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over the processes; all start from the first one's weights."""
        return network if self.size == 1 else DistributedDataParallel(network)

    def share(self, batch: np.ndarray) -> tuple[np.ndarray, float]:
        """This process' rows of a batch, and the weight of their mean loss.

        Averaged over the processes, weight · mean loss is the mean loss of the whole batch. A process for
        which the last batch has no row left computes one that weighs nothing, because all must take part.
        """
        mine = batch[self.rank :: self.size]
        return (mine, len(mine) * self.size / len(batch)) if len(mine) else (batch[:1], 0.0)

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""
        if self.size > 1:
            dist.all_reduce(value)
        return value


def training(profile: str, number: str):
    """What a notebook saved as `training`: the examples, and how it trained.

    Returns:
        rows int (n,) of the collection's images, targets (n,) or (n, K), and a dict with "outputs", "side",
        "width", "dropout", "flips", "seed" and "recipe" (the fields of `helpers.train.Recipe`).

    Raises:
        BadInput: the notebook has not run in this profile.
    """
    folder = paths.notebook_outputs(profile, number)
    stored = artefacts.read_arrays(folder, "training", f"python -m helpers.run {profile} --only {number}")
    return stored["rows"], stored["targets"], json.loads(str(stored["about"]))


def main(argv: list[str] | None = None) -> None:
    """`python -m helpers.train PROFILE NOTEBOOK`, alone or under torchrun: writes `alexnet_again`."""
    from helpers.data.collection import Collection
    from helpers.examples import Pictures
    from helpers.networks import AlexNet
    from helpers.train import Recipe, fit

    parser = argparse.ArgumentParser(prog="torchrun --nproc-per-node N -m helpers.train", description=__doc__)
    parser.add_argument("profile")
    parser.add_argument("notebook", help="05, or another that saved `training`")
    arguments = parser.parse_args(argv)
    local = int(os.environ.get("LOCAL_RANK", 0))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if "RANK" in os.environ:  # torchrun sets it
        dist.init_process_group("nccl" if cuda else "gloo")
    try:
        rows, targets, about = training(arguments.profile, arguments.notebook)
        if not len(rows):
            raise BadInput(
                f"{arguments.notebook} of {arguments.profile} trained on nothing; use another profile"
            )
        store = Collection.read(paths.notebook_outputs(arguments.profile, "00") / "collection").images
        torch.manual_seed(about["seed"])
        network = AlexNet(about["outputs"], about["side"], about["width"], about["dropout"])
        targets = torch.from_numpy(targets)
        loss = nn.functional.cross_entropy if targets.ndim == 1 else nn.functional.mse_loss
        examples = Pictures(store, rows, targets, about["side"], flips=about["flips"])
        recipe = Recipe(**about["recipe"])
        fit(network, examples, loss, recipe, device=device, seed=about["seed"])
        if World.current().first:
            folder = paths.notebook_outputs(arguments.profile, arguments.notebook)
            artefacts.save_weights(folder, "alexnet_again", network.state_dict())
            print(f"{folder / 'alexnet_again.safetensors'}: written by {World.current().size} processes")
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
