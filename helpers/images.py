"""Pictures on their way into a network: batches, normalisation, crops and flips on the device."""

import numpy as np
import torch
from torch import Tensor

# mean and standard deviation of ImageNet's pixels per channel, the customary units for any picture
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in channels-last memory, zero mean and unit variance."""
    mean = torch.tensor(MEAN, device=images.device) * 255
    scale = 1 / (torch.tensor(STD, device=images.device) * 255)
    # the permuted view of H, W, 3 memory is channels-last already: nothing is copied twice
    return ((images.float() - mean) * scale).permute(0, 3, 1, 2)


def random_crops(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A random square of each picture, as Fang et al. 2015, section 4.1 (224 of 256 pixels).

    Args:
        images: (B, 3, H, H).
        side: side of the crops, at most H.
        generator: of the CPU; equal seeds give equal crops on any device.

    Returns:
        (B, 3, side, side).
    """
    batch, _, height, _ = images.shape
    if side == height:
        return images
    corner = torch.randint(0, height - side + 1, (2, batch), generator=generator).to(images.device)
    reach = torch.arange(side, device=images.device)
    rows, columns = corner[0, :, None] + reach, corner[1, :, None] + reach
    which = torch.arange(batch, device=images.device)[:, None, None]
    last = images.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]]
    return last.permute(0, 3, 1, 2)


def centre_crop(images: Tensor, side: int) -> Tensor:
    """The middle square of each picture: (B, 3, H, H) to (B, 3, side, side)."""
    edge = (images.shape[-1] - side) // 2
    return images[..., edge : edge + side, edge : edge + side]


def random_flips(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each picture left to right with probability one half."""
    flipped = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    return torch.where(flipped[:, None, None, None], images.flip(-1), images)


@torch.inference_mode()
def extract(
    features, store, rows: np.ndarray, side: int, device: torch.device, batch: int = 256
) -> np.ndarray:
    """Features of pictures, batch by batch.

    Args:
        features: a function from float images (B, 3, side, side) to (B, n), for example `network.features`.
        store: an image store; `store[rows]` is uint8 (B, H, H, 3).
        rows: int (n,), which pictures.
        side: pictures are cropped to this square in the middle.

    Returns:
        float32 (len(rows), n) on the CPU.
    """
    out = []
    for start in range(0, len(rows), batch):
        images = torch.from_numpy(store[rows[start : start + batch]]).to(device)
        out.append(features(centre_crop(normalise(images), side)).float().cpu().numpy())
    return np.concatenate(out)
