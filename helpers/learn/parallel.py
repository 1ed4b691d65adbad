"""Data-parallel training: each process computes a share of every batch, and their gradients are averaged.

Joulin et al. 2016, section 4, train on several GPUs by elastic averaging SGD, which lets the networks of the
processes drift apart and pulls them together. Here they stay one network: PyTorch's DistributedDataParallel
averages the gradients of each step, so many processes compute what one would, up to rounding (and up to
crops, flips and dropout, which each process draws for itself).
`helpers.runner.distributed` is the command.
"""

from dataclasses import dataclass

import numpy as np
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


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
