"""What a network is trained on: pictures of a store, or rows of a tensor, batch by batch."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.learn.images import normalise, random_crops, random_flips


@dataclass(frozen=True)
class Pictures:
    """Training examples whose inputs are pictures of a store; the next batch is read while one is computed.

    Attributes:
        store: `store[rows]` is uint8 (B, H, H, 3); an array on disk or files that are decoded.
        rows: int (n,), which pictures of the store.
        targets: tensor of length n: classes, vectors, rows of weights.
        side: random crops of this size while training.
        flips: mirror half of the pictures.
        workers: threads that decode.
    """

    store: object
    rows: np.ndarray
    targets: Tensor
    side: int
    flips: bool = True
    workers: int = 1

    def __post_init__(self):
        if len(self.rows) != len(self.targets):
            raise BadInput(
                f"{len(self.rows)} pictures but {len(self.targets)} targets; there must be one each"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, order: Sequence[np.ndarray], generator, device) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented float images (B, 3, side, side) and their targets, on the device."""
        with ThreadPoolExecutor(self.workers) as pool:
            waiting = []
            for position in range(len(order) + self.workers):
                if position < len(order):
                    waiting.append(pool.submit(self._read, order[position]))
                if position >= self.workers:
                    images = waiting.pop(0).result().to(device, non_blocking=True)
                    # cut and mirrored as bytes, a quarter of what the network's numbers take
                    images = random_crops(images.permute(0, 3, 1, 2), self.side, generator)
                    if self.flips:
                        images = random_flips(images, generator)
                    images = normalise(images.permute(0, 2, 3, 1))
                    yield images, self.targets[order[position - self.workers]].to(device)

    def _read(self, chosen: np.ndarray) -> Tensor:
        # in order of the rows, so that a memory map is read forwards
        order = np.argsort(self.rows[chosen], kind="stable")
        images = np.empty((len(chosen), self.store.size, self.store.size, 3), np.uint8)
        images[order] = self.store[self.rows[chosen][order]]
        return torch.from_numpy(images)


@dataclass(frozen=True)
class Vectors:
    """Training examples whose inputs are rows of a tensor, for networks on frozen features."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def batches(self, order: Sequence[np.ndarray], generator, device) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of each batch, on the device."""
        for rows in order:
            yield self.inputs[rows].to(device), self.targets[rows].to(device)
