"""The networks of the papers, at any resolution. Each has `features(images)` and an output layer `head`."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from helpers.data.errors import BadInput


class AlexNet(nn.Module):
    """Five convolutional and two fully connected layers.

    Krizhevsky et al. 2012; Fang et al. 2015, section 2.2. At 224 pixels the first convolution has the
    original 11 x 11 kernel with stride 4, and three poolings with overlapping windows (3 x 3, stride 2)
    leave 6 x 6 cells. Smaller pictures get a smaller first kernel, fewer strides and no third pooling, which
    leaves 5 to 15 cells a side; `width` scales the number of channels.

    Args:
        outputs: K, the number of classes (or of the values to regress).
        side: side of the square input in pixels, at least 24.
        width: 1.0 is the original: 96, 256, 384, 384, 256 channels and 4096 units in FC6 and FC7.
        dropout: share of units dropped before FC6 and FC7 while training.

    Raises:
        BadInput: `side` is too small for the poolings.
    """

    def __init__(self, outputs: int, side: int, width: float = 1.0, dropout: float = 0.5):
        super().__init__()
        if side < 24:
            raise BadInput(f"AlexNet: side = {side} pixels; at least 24 are needed for the poolings")
        c1, c2, c3, c5, units = (max(8, round(n * width)) for n in (96, 256, 384, 256, 4096))
        if side >= 128:
            first = nn.Conv2d(3, c1, 11, stride=4, padding=2)
        elif side >= 56:
            first = nn.Conv2d(3, c1, 7, stride=2, padding=3)
        else:
            first = nn.Conv2d(3, c1, 5, stride=1, padding=2)
        self.convolutions = nn.Sequential(
            first, nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(c1, c2, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(c3, c3, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(c3, c5, 3, padding=1), nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2) if side >= 128 else nn.Identity(),
        )  # fmt: skip
        with torch.no_grad():
            cells = self.convolutions(torch.zeros(1, 3, side, side)).numel()
        self.fc6 = nn.Linear(cells, units)
        self.fc7 = nn.Linear(units, units)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(units, outputs)
        self.apply(_he_initialised)
        nn.init.normal_(self.head.weight, std=0.01)  # the first loss is then log K, not a multiple of it

    def layers(self, images: Tensor) -> dict[str, Tensor]:
        """FC6 and FC7 after their ReLU, each (B, units), for float images (B, 3, side, side)."""
        flat = self.convolutions(images).flatten(1)
        fc6 = torch.relu(self.fc6(self.drop(flat)))
        return {"fc6": fc6, "fc7": torch.relu(self.fc7(self.drop(fc6)))}

    def features(self, images: Tensor) -> Tensor:
        """FC7: float (B, units)."""
        return self.layers(images)["fc7"]

    def forward(self, images: Tensor) -> Tensor:
        """The output layer: float (B, outputs)."""
        return self.head(self.features(images))


def _he_initialised(module: nn.Module) -> None:
    """He et al. 2015: the original's fixed standard deviation of 0.01 does not train at other widths."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)


def parameters(network: nn.Module) -> int:
    """The number of weights that training changes."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights into a network.

    Raises:
        BadInput: names or shapes differ; the first difference is named.
    """
    own = network.state_dict()
    for name in [*own, *weights]:
        if name not in weights or name not in own:
            raise BadInput(f"weights: {name} is {'absent' if name in own else 'not part of this network'}")
        if own[name].shape != weights[name].shape:
            raise BadInput(
                f"weights: {name} is {tuple(weights[name].shape)}, expected {tuple(own[name].shape)}"
            )
    network.load_state_dict(weights)
