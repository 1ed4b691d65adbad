"""A pretrained network as the trainable beginning of another one."""

import torch
from torch import Tensor, nn

from helpers.images import MEAN, STD
from helpers.pretrained import load, resized


class Backbone(nn.Module):
    """A pretrained network with all weights trainable; pictures as `helpers.images.normalise` gives them.

    Args:
        name: see `helpers.pretrained.load`.
        layer: which of its layers to give.
        resolution: pictures are scaled to this side.

    Raises:
        BadInput: an unknown network or layer, or a download that failed.
    """

    def __init__(self, name: str, layer: str, resolution: int):
        super().__init__()
        made = load(name)
        first = int(made.layer(torch.arange(sum(made.widths.values()))[None], layer)[0, 0])
        self.columns = slice(first, first + made.widths[layer])
        self.network, self.resolution = made.network.requires_grad_(True), resolution
        units = {"mean": made.mean, "std": made.std}
        units |= {
            f"usual_{name}": [255 * v for v in values] for name, values in (("mean", MEAN), ("std", STD))
        }
        for key, values in units.items():
            self.register_buffer(key, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features of a layer: float images (B, 3, H, H) to float (B, width of the layer)."""
        images = resized(images * self.usual_std + self.usual_mean, self.resolution)  # pixels of 0..255
        return self.network((images - self.mean) / self.std)[:, self.columns]
