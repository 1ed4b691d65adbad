"""A pretrained network as the trainable beginning of another one."""

import numpy as np
import torch
from torch import Tensor, nn

from helpers.errors import BadInput
from helpers.learn.images import MEAN, STD
from helpers.learn.pretrained import load, resized
from helpers.multitask.heads import TwoHeads


class Backbone(nn.Module):
    """A pretrained network with all weights trainable; pictures as `images.normalise` gives them.

    Args:
        name: see `helpers.learn.pretrained.load`.
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


def thawed(network: TwoHeads, backbone: Backbone, mean: np.ndarray, scale: np.ndarray) -> TwoHeads:
    """A network that was trained on frozen features, on top of a trainable backbone; both give the same.

    A head that knows nothing yet would shake the pretrained weights in its first steps.

    Args:
        network: its inputs were (features − mean) / scale; it is left as it is.
        backbone: gives those features.
        mean, scale: float (width,); they go into the weights of the first layer.

    Raises:
        BadInput: the widths differ.
    """
    inputs, hidden = network.layer.in_features, network.layer.out_features
    if not len(mean) == len(scale) == inputs:
        raise BadInput(
            f"thawed: the network reads {inputs} features, mean and scale have {len(mean)} and {len(scale)}"
        )
    labels, factors = network.to_labels.out_features, network.to_vector.out_features
    made = TwoHeads(inputs, labels, factors, hidden, network.drop.p, backbone)
    made.load_state_dict(network.state_dict(), strict=False)  # the backbone is not in it
    mean, scale = (
        torch.as_tensor(v, dtype=torch.float32, device=made.layer.weight.device) for v in (mean, scale)
    )
    with torch.no_grad():
        made.layer.weight /= scale
        made.layer.bias -= made.layer.weight @ mean
    return made.eval()
