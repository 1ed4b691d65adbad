"""The networks of the papers, at any resolution. Each has `features(images)` and an output layer `head`."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from helpers.errors import BadInput


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


class Adapter(nn.Module):
    """A learned layer on frozen features: what a laptop trains instead of a deep network.

    Args:
        inputs: size of the frozen features, which are standardised.
        units: F, the size of the learned layer.
        outputs: K classes, or the D numbers of a tag's vector.
        dropout: share of inputs and of units dropped while training.
    """

    def __init__(self, inputs: int, units: int, outputs: int, dropout: float = 0.5):
        super().__init__()
        self.learned = nn.Linear(inputs, units)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(units, outputs)
        self.apply(_he_initialised)
        nn.init.normal_(self.head.weight, std=0.01)  # as in AlexNet

    def features(self, x: Tensor) -> Tensor:
        """The learned layer after its ReLU: float (B, units) for float (B, inputs)."""
        return torch.relu(self.learned(self.drop(x)))

    def forward(self, x: Tensor) -> Tensor:
        """The output layer: float (B, outputs)."""
        return self.head(self.drop(self.features(x)))


class ResNet(nn.Module):
    """torchvision's residual network without its weights: the image model of Veit et al. 2018, section 4.2.

    Args:
        outputs, side, dropout: as for `AlexNet`. Below 64 pixels the first convolution keeps the resolution
            and the first pooling is left out.
        width: only 1.0; a narrower residual network is `depth` 18.
        depth: 18, 34, 50 (the paper's), 101 or 152.

    Raises:
        BadInput: another width.
    """

    def __init__(self, outputs: int, side: int, width: float = 1.0, dropout: float = 0.0, depth: int = 50):
        super().__init__()
        if width != 1.0:
            raise BadInput(f"ResNet: width = {width:g}; give 1.0, it exists at its full width only")
        import torchvision  # here, because its import takes a second and few networks need it

        trunk = torchvision.models.get_model(f"resnet{depth}", weights=None)
        if side < 64:
            trunk.conv1, trunk.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
        size = trunk.fc.in_features
        trunk.fc = nn.Identity()
        self.trunk, self.drop, self.head = trunk, nn.Dropout(dropout), nn.Linear(size, outputs)

    def features(self, images: Tensor) -> Tensor:
        """The averaged last cells: float (B, 2048), or (B, 512) for depths 18 and 34."""
        return self.trunk(images)

    def forward(self, images: Tensor) -> Tensor:
        """The output layer: float (B, outputs)."""
        return self.head(self.drop(self.features(images)))


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
