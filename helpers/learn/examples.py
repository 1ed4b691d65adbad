"""What networks read, batch by batch: pictures of a store, cropped and normalised, or rows of a tensor."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor, nn

from helpers.errors import BadInput

# mean and standard deviation of ImageNet's pixels per channel, the customary units for any picture
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in channels-last memory, zero mean and unit variance."""
    width = images.shape[2]
    mean = torch.tensor(MEAN, device=images.device) * 255
    scale = 1 / (torch.tensor(STD, device=images.device) * 255)
    # whole rows of pixels at once: a loop over the three channels alone takes ten times as long
    rows = images.flatten(2).float().sub_(mean.repeat(width)).mul_(scale.repeat(width))
    # the permuted view of H, W, 3 memory is channels-last already: nothing is copied twice
    return rows.view(images.shape).permute(0, 3, 1, 2)


def random_crops(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A random square of each picture: (B, 3, H, H) of any dtype to (B, 3, side, side). The generator is the
    CPU's: equal seeds give equal crops on any device. Source: Fang et al. 2015, 4.1 (224 of 256 pixels)."""
    batch, _, height, _ = images.shape
    if side == height:
        return images
    row, column = torch.randint(0, height - side + 1, (2, batch), generator=generator).to(images.device)
    # a view of all squares of all pictures, (B, rows, columns, side, side, 3), of which one each is copied
    squares = images.permute(0, 2, 3, 1).unfold(1, side, 1).unfold(2, side, 1).permute(0, 1, 2, 4, 5, 3)
    return squares[torch.arange(batch, device=images.device), row, column].permute(0, 3, 1, 2)


def centre_crop(images: Tensor, side: int) -> Tensor:
    """The middle square of each picture: (B, 3, H, H) to (B, 3, side, side)."""
    edge = (images.shape[-1] - side) // 2
    return images[..., edge : edge + side, edge : edge + side]


def random_flips(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each picture left to right with probability one half."""
    flipped = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    return torch.where(flipped[:, None, None, None], images.flip(-1), images)


def each_batch(
    compute: Callable[[Tensor], Tensor], store, rows: np.ndarray, device: torch.device, batch: int
) -> list[np.ndarray]:
    """What `compute` returns for each batch of pictures, uint8 (B, H, H, 3) on the device, as float32 arrays.

    On a CPU each core has a batch of its own. Threads that share a batch wait for each other at every layer,
    up to ten times as long when another program is busy; and the result would depend on their number."""

    @torch.inference_mode()
    def one(start: int) -> np.ndarray:
        images = torch.from_numpy(store[rows[start : start + batch]]).to(device)
        return compute(images).float().cpu().numpy()

    starts = range(0, len(rows), batch)
    if torch.device(device).type != "cpu":
        return [one(start) for start in starts]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(one, starts))
    finally:
        torch.set_num_threads(threads)


def extract(
    features, store, rows: np.ndarray, side: int, device: torch.device, batch: int = 64
) -> np.ndarray:
    """Features of pictures, cropped to a square in the middle: float32 (len(rows), n) on the CPU.

    A function such as `network.features` turns float images (B, 3, side, side) into (B, n); `store[rows]` is
    uint8 (B, H, H, 3). BadInput if the network is in training mode: it would drop units at random."""
    network = getattr(features, "__self__", features)
    if isinstance(network, nn.Module) and network.training:
        raise BadInput(f"{type(network).__name__} is in training mode; call its eval() before features")

    def compute(images: Tensor) -> Tensor:
        return features(centre_crop(normalise(images), side))

    return np.concatenate(each_batch(compute, store, rows, device, batch))


@dataclass(frozen=True)
class Pictures:
    """Training examples that are pictures of a store; the next batch is read while one is computed."""

    store: object  # `store[rows]` is uint8 (B, H, H, 3); an array on disk or files that are decoded
    rows: np.ndarray  # int (n,), which pictures of the store
    targets: Tensor  # of length n: classes, vectors, rows of weights
    side: int  # random crops of this size while training
    flips: bool = True  # mirror half of the pictures

    def __post_init__(self):
        if len(self.rows) != len(self.targets):
            sizes = f"{len(self.rows)} pictures but {len(self.targets)} targets"
            raise BadInput(f"{sizes}; there must be one each")

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, order: Sequence[np.ndarray], generator, device) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented float images (B, 3, side, side) and their targets, on the device."""
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(self._read, order[0])
            for chosen, ahead in zip_longest(order, order[1:]):
                images = reading.result().to(device, non_blocking=True)
                if ahead is not None:
                    reading = pool.submit(self._read, ahead)
                # cut and mirrored as bytes, a quarter of what the network's numbers take
                images = random_crops(images.permute(0, 3, 1, 2), self.side, generator)
                if self.flips:
                    images = random_flips(images, generator)
                yield normalise(images.permute(0, 2, 3, 1)), self.targets[chosen].to(device)

    def _read(self, chosen: np.ndarray) -> Tensor:
        # in order of the rows, so that a memory map is read forwards
        order = np.argsort(self.rows[chosen], kind="stable")
        return torch.from_numpy(self.store[self.rows[chosen][order]][np.argsort(order)])


@dataclass(frozen=True)
class Vectors:
    """Training examples whose inputs are rows of a tensor, for networks on frozen features."""

    inputs: Tensor
    targets: Tensor  # one an input; of C copies side by side, (C, n, …)
    rows: np.ndarray | None = None  # int (m,): the examples, where not all inputs are

    def __len__(self) -> int:
        return len(self.inputs if self.rows is None else self.rows)

    def batches(self, order: Sequence[np.ndarray], generator, device) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of each batch, on the device."""
        for rows in order:
            rows = rows if self.rows is None else self.rows[rows]
            yield self.inputs[rows].to(device), self.targets[rows].to(device)

    def plan(self, order: np.ndarray, generator) -> Tensor:
        """The rows that an epoch visits, int64 (n,)."""
        return torch.from_numpy(order if self.rows is None else self.rows[order])

    def look_up(self, rows: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets of rows int (C, B) of C copies, int (C,): (C, B, …) each."""
        if rows.stride(0) == 0:  # all copies visit the same: read once
            inputs = self.inputs[rows[0]].expand(len(rows), *[-1] * (rows.ndim - 2 + self.inputs.ndim))
        else:
            inputs = self.inputs[rows]
        return inputs, self.targets[copies.view(-1, *[1] * (rows.ndim - 1)), rows]

    @classmethod
    def together(cls, many: Sequence["Vectors"]) -> "Vectors":
        """The examples of C copies side by side; BadInput where they do not share the tensor of inputs."""
        if any(one.inputs is not many[0].inputs for one in many):
            raise BadInput("copies must share the tensor of their inputs; choose examples by `rows`")
        targets = [one.targets for one in many]
        same = all(target is targets[0] for target in targets)
        return cls(
            many[0].inputs, targets[0].expand(len(many), *targets[0].shape) if same else torch.stack(targets)
        )

    def on(self, device: torch.device) -> "Vectors":
        """The same on a device."""
        return Vectors(self.inputs.to(device), self.targets.to(device))


class Planned:
    """Examples of which the plan of an epoch, `plan(order, generator)` int64 (n, …), holds all that a step
    needs; `look_up(rows)` makes inputs and targets of its rows."""

    def batches(self, order: Sequence[np.ndarray], generator, device) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of each batch, on the device."""
        plan = self.plan(np.concatenate(order), generator).to(device)
        return (self.look_up(rows) for rows in plan.split([len(rows) for rows in order]))

    @classmethod
    def together(cls, many: Sequence["Planned"]) -> "Planned":
        """The examples of C copies side by side: their plans say it all."""
        return many[0]

    def on(self, device: torch.device) -> "Planned":
        """The same on a device."""
        return self
