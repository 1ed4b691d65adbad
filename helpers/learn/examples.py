"""What networks read, batch by batch: pictures of a store, cropped and normalised, or rows of a tensor.

On a GPU nothing of a step comes from the host: examples lie on the device, or are copied while it computes.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
import torch
from torch import Tensor, nn

from helpers.errors import BadInput
from helpers.learn.again import known
from helpers.learn.devices import free_memory, has_fp16, on_each_core

# mean and standard deviation of ImageNet's pixels per channel, the customary units for any picture
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
ON_GPU = 256  # pictures in a batch of inference, at least: fewer do not keep a GPU busy
AHEAD = 8  # batches that are read before a GPU asks for them


def units(device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Mean and 1 / standard deviation of the bytes of each channel, for `normalise`: float32 (3,) twice."""
    mean, std = (torch.tensor(values, device=device) * 255 for values in (MEAN, STD))
    return mean, 1 / std


def normalise(images: Tensor, usual: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in channels-last memory, zero mean and unit variance.

    A loop gives what `units` returned once: a GPU would wait for each copy of it."""
    mean, scale = (each.repeat(images.shape[2]) for each in usual or units(images.device))
    # whole rows of pixels at once: a loop over the three channels alone takes ten times as long
    rows = images.flatten(2).float().sub_(mean).mul_(scale)
    # the permuted view of H, W, 3 memory is channels-last already: nothing is copied twice
    return rows.view(images.shape).permute(0, 3, 1, 2)


def draw_augmentations(
    sizes: Sequence[int], room: int, flips: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """For the n pictures of batches of these sizes: row and column where a random square begins, int64 (2, n)
    from 0 to `room`, and whether to mirror, bool (n,), half of them if `flips`.

    Drawn on the CPU, batch after batch: equal seeds give equal crops on any device. Source: Fang et al. 2015,
    4.1 (224 of 256 pixels)."""
    corners, mirrored = (
        torch.zeros(2, sum(sizes), dtype=torch.int64),
        torch.zeros(sum(sizes), dtype=torch.bool),
    )
    for corner, mirror in zip(corners.split(sizes, 1), mirrored.split(sizes), strict=True):
        if room:
            corner.copy_(torch.randint(0, room + 1, corner.shape, generator=generator))
        if flips:
            mirror.copy_(torch.rand(mirror.shape, generator=generator) < 0.5)
    return corners, mirrored


def augmented(images: Tensor, rows: Tensor, corners: Tensor, mirrored: Tensor, side: int) -> Tensor:
    """A square of each of `images[rows]`, some mirrored left to right: (·, H, H, 3) to (B, side, side, 3).

    Bytes are cut and mirrored, a quarter of what the network's numbers take."""
    # a view of all squares of all pictures, (·, rows, columns, side, side, 3), of which one each is copied
    squares = images.unfold(1, side, 1).unfold(2, side, 1).permute(0, 1, 2, 4, 5, 3)
    cut = squares[rows, corners[0], corners[1]]
    return torch.where(mirrored[:, None, None, None], cut.flip(2), cut)


def centre_crop(images: Tensor, side: int) -> Tensor:
    """The middle square of each picture: (B, 3, H, H) to (B, 3, side, side)."""
    edge = (images.shape[-1] - side) // 2
    return images[..., edge : edge + side, edge : edge + side]


def read_ahead(read: Callable, parts: Sequence[np.ndarray], device: torch.device) -> Iterator[Tensor]:
    """The array `read(part)` of each part, on the device. The next one is read while one is computed; for a
    GPU some are, and copied from pinned memory beside what it computes."""
    device = torch.device(device)
    beside = torch.cuda.Stream(device) if device.type == "cuda" else None
    ahead = 1 if beside is None else min(AHEAD, os.cpu_count() or 1)

    def fetch(part: np.ndarray):
        found = torch.from_numpy(read(part))
        if beside is None:
            return found.to(device), None
        with torch.cuda.stream(beside):
            return found.pin_memory().to(device, non_blocking=True), beside.record_event()

    def arrived(promise) -> Tensor:
        found, copied = promise.result()
        if copied is not None:
            now = torch.cuda.current_stream(device)
            now.wait_event(copied)
            found.record_stream(now)  # or the other stream would write into it too early
        return found

    with ThreadPoolExecutor(ahead) as pool:
        waiting = deque()
        for part in parts:
            waiting.append(pool.submit(fetch, part))
            if len(waiting) > ahead:
                yield arrived(waiting.popleft())
        yield from map(arrived, waiting)


def each_batch(
    compute: Callable[[Tensor], Tensor], store, rows: np.ndarray, device: torch.device, batch: int
) -> list[np.ndarray]:
    """What `compute` returns for each batch of pictures, uint8 (B, H, H, 3) on the device, as float32 arrays.

    On a CPU each core has a batch of its own. Threads that share a batch wait for each other at every layer,
    up to ten times as long when another program is busy; and the result would depend on their number. On a
    GPU batches are larger and what was computed stays there to the end. Where it has units for float16 these
    are used, which changes a vector of features by 2 % of its length at most (bf16 would by 8 %), unless a
    number is too large for them."""
    device = torch.device(device)
    batch = batch if device.type == "cpu" else max(batch, ON_GPU)
    parts = [rows[k : k + batch] for k in range(0, len(rows), batch)]

    @torch.inference_mode()
    def one(images: Tensor, half: bool) -> Tensor:
        with torch.autocast(device.type, torch.float16, enabled=half):
            return compute(images)

    def all_in(half: bool) -> list[Tensor]:
        if device.type != "cpu":
            return [one(images, half) for images in read_ahead(store.__getitem__, parts, device)]
        return on_each_core(lambda part: one(torch.from_numpy(store[part]), half), parts)

    half = has_fp16(device)
    found = all_in(half)
    if half and not all(torch.isfinite(values).all() for values in found):
        found = all_in(False)
    return [values.float().cpu().numpy() for values in found]


def extract(
    features, store, rows: np.ndarray, side: int, device: torch.device, batch: int = 64
) -> np.ndarray:
    """Features of pictures, cropped to a square in the middle: float32 (len(rows), n) on the CPU.

    A function such as `network.features` turns float images (B, 3, side, side) into (B, n); `store[rows]` is
    uint8 (B, H, H, 3). On a GPU in float16, see `each_batch`. BadInput if the network is in training mode: it
    would drop units at random."""
    network = getattr(features, "__self__", features)
    if isinstance(network, nn.Module) and network.training:
        raise BadInput(f"{type(network).__name__} is in training mode; call its eval() before features")
    usual = units(device)

    def compute(images: Tensor) -> Tensor:
        square = centre_crop(images.permute(0, 3, 1, 2), side).permute(0, 2, 3, 1)
        return features(normalise(square, usual))

    return np.concatenate(each_batch(compute, store, rows, device, batch))


@known
@dataclass(frozen=True)
class Pictures:
    """Training examples that are pictures of a store."""

    store: object  # `store[rows]` is uint8 (B, size, size, 3); an array on disk or files that are decoded
    rows: np.ndarray  # int (n,), which pictures of the store
    targets: Tensor  # of length n: classes, vectors, rows of weights
    side: int  # random crops of this size while training
    flips: bool = True  # mirror half of the pictures
    held: Tensor | None = None  # uint8 (n, size, size, 3), the pictures on a device; `on` fills it

    def __post_init__(self):
        if len(self.rows) != len(self.targets):
            sizes = f"{len(self.rows)} pictures but {len(self.targets)} targets"
            raise BadInput(f"{sizes}; there must be one each")
        if self.side > self.store.size:
            raise BadInput(f"crops of {self.side} pixels from pictures of {self.store.size}; give fewer")

    def __len__(self) -> int:
        return len(self.rows)

    def on(self, device: torch.device) -> "Pictures":
        """The same with targets on a device; on a GPU the pictures too, if half its free memory is enough."""
        there, size = replace(self, targets=self.targets.to(device)), self.store.size
        if device.type != "cuda" or len(self) * size**2 * 3 > free_memory(device) / 2:
            return there
        held = torch.empty(len(self), size, size, 3, dtype=torch.uint8, device=device)
        parts = np.array_split(np.arange(len(self)), -(-len(self) // ON_GPU))
        for part, images in zip(parts, read_ahead(self._read, parts, device), strict=True):
            held[part[0] : part[-1] + 1] = images
        return replace(there, held=held)

    def batches(self, order: Sequence[np.ndarray], generator, device) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented float images (B, 3, side, side) and their targets, on the device."""
        sizes = [len(rows) for rows in order]
        drawn = draw_augmentations(sizes, self.store.size - self.side, self.flips, generator)
        # an epoch's draws at once: a copy in each step would make a GPU wait
        rows, corners, mirrored = (
            x.to(device).split(sizes, -1) for x in (torch.from_numpy(np.concatenate(order)), *drawn)
        )
        targets, usual = self.targets.to(device), units(device)
        pictures = read_ahead(self._read, order, device) if self.held is None else repeat(self.held)
        for images, chosen, *how in zip(pictures, rows, corners, mirrored, strict=False):
            place = torch.arange(len(images), device=device) if self.held is None else chosen
            yield normalise(augmented(images, place, *how, self.side), usual), targets[chosen]

    def _read(self, chosen: np.ndarray) -> np.ndarray:
        # in order of the rows, so that a memory map is read forwards
        order = np.argsort(self.rows[chosen], kind="stable")
        return self.store[self.rows[chosen][order]][np.argsort(order)]


@known
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
        there, rows = self.on(device), self.plan(np.concatenate(order), generator).to(device)
        for some in rows.split([len(part) for part in order]):
            yield there.inputs[some], there.targets[some]

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
        return replace(self, inputs=self.inputs.to(device), targets=self.targets.to(device))


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
