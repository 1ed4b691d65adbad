"""Pictures on their way into a network: batches, normalisation, crops and flips on the device."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn

from helpers.errors import BadInput

# mean and standard deviation of ImageNet's pixels per channel, the customary units for any picture
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in channels-last memory, zero mean and unit variance."""
    batch, height, width, _ = images.shape
    mean = torch.tensor(MEAN, device=images.device) * 255
    scale = 1 / (torch.tensor(STD, device=images.device) * 255)
    # whole rows of pixels at once: a loop over the three channels alone takes ten times as long
    rows = images.reshape(batch, height, width * 3).float().sub_(mean.repeat(width)).mul_(scale.repeat(width))
    # the permuted view of H, W, 3 memory is channels-last already: nothing is copied twice
    return rows.view(images.shape).permute(0, 3, 1, 2)


def random_crops(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A random square of each picture, as Fang et al. 2015, section 4.1 (224 of 256 pixels).

    Args:
        images: (B, 3, H, H) of any dtype.
        side: side of the crops, at most H.
        generator: of the CPU; equal seeds give equal crops on any device.

    Returns:
        (B, 3, side, side).
    """
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


def each_core(compute: Callable[[int], object], starts: Iterable[int], device: torch.device) -> list:
    """What `compute(start)` returns for each batch, in order; on a CPU each core has a batch of its own.

    Threads that share a batch wait for each other at every layer, up to ten times as long when another
    program is busy; and the result would depend on their number.
    """
    if torch.device(device).type != "cpu":
        return [compute(start) for start in starts]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(compute, starts))
    finally:
        torch.set_num_threads(before)


def extract(
    features, store, rows: np.ndarray, side: int, device: torch.device, batch: int = 64
) -> np.ndarray:
    """Features of pictures, batch by batch.

    Args:
        features: a function from float images (B, 3, side, side) to (B, n), for example `network.features`.
        store: an image store; `store[rows]` is uint8 (B, H, H, 3).
        rows: int (n,), which pictures.
        side: pictures are cropped to this square in the middle.

    Returns:
        float32 (len(rows), n) on the CPU.

    Raises:
        BadInput: the network is in training mode, so it would drop units at random.
    """
    network = getattr(features, "__self__", features)
    if isinstance(network, nn.Module) and network.training:
        raise BadInput(f"{type(network).__name__} is in training mode; call its eval() before features")

    @torch.inference_mode()
    def compute(start: int) -> np.ndarray:
        images = torch.from_numpy(store[rows[start : start + batch]]).to(device)
        return features(centre_crop(normalise(images), side)).float().cpu().numpy()

    return np.concatenate(each_core(compute, range(0, len(rows), batch), device))
