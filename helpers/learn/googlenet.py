"""GoogLeNet, at any resolution and width (Szegedy et al. 2015; used by Joulin et al. 2016, section 3)."""

import torch
from torch import Tensor, nn

from helpers.errors import BadInput

# per inception module, the channels of: 1 x 1; 3 x 3 reduced, 3 x 3; 5 x 5 reduced, 5 x 5; pooled
STAGES = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    ((192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
     (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128)),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)  # fmt: skip
AUXILIARY = (0, 3)  # the modules of the middle stage that an auxiliary classifier reads


class GoogLeNet(nn.Module):
    """Nine inception modules, two auxiliary classifiers while training, average pooling, one output layer.

    Strides are the original's; below 48 pixels the first pooling is skipped, or the last modules would see a
    single cell. Batch normalisation after each convolution is ours: without
    it so deep a network does not start to learn from a few thousand pictures.

    Args:
        outputs: K, the number of classes.
        side: side of the square input in pixels, at least 24.
        width: 1.0 is the original: 1024 features before the output layer.
        dropout: share of units dropped before the output layer while training (the original: 0.4).

    Raises:
        BadInput: `side` is too small for the poolings.
    """

    def __init__(self, outputs: int, side: int, width: float = 1.0, dropout: float = 0.4):
        super().__init__()
        if side < 24:
            raise BadInput(f"GoogLeNet: side = {side} pixels; at least 24 are needed for the poolings")

        def scaled(channels: int) -> int:
            return max(4, round(channels * width))

        self.stem = nn.Sequential(
            convolution(3, scaled(64), 7, stride=2),
            nn.MaxPool2d(3, 2, 1) if side >= 48 else nn.Identity(),
            convolution(scaled(64), scaled(64), 1),
            convolution(scaled(64), scaled(192), 3),
            nn.MaxPool2d(3, 2, 1),
        )
        channels, stages, auxiliary = scaled(192), [], []
        for position, stage in enumerate(STAGES):
            modules = []
            for number, sizes in enumerate(stage):
                modules.append(Inception(channels, *map(scaled, sizes)))
                channels = sum(map(scaled, (sizes[0], sizes[2], sizes[4], sizes[5])))
                if position == 1 and number in AUXILIARY:
                    auxiliary.append(_auxiliary(channels, scaled(128), scaled(1024), outputs))
            stages.append(nn.Sequential(*modules))
        self.stages, self.auxiliary = nn.ModuleList(stages), nn.ModuleList(auxiliary)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(channels, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.normal_(self.head.weight, std=0.01)  # the first loss is then log K
        nn.init.zeros_(self.head.bias)

    def _run(self, images: Tensor, auxiliary: bool) -> tuple[Tensor, list[Tensor]]:
        others = []
        x = self.stages[0](self.stem(images))
        x = self.pool(x)
        for number, module in enumerate(self.stages[1]):
            x = module(x)
            if auxiliary and number in AUXILIARY:
                others.append(self.auxiliary[AUXILIARY.index(number)](x))
        return self.stages[2](self.pool(x)).mean((2, 3)), others

    def features(self, images: Tensor) -> Tensor:
        """What the output layer reads: float (B, 1024 x width) for float images (B, 3, side, side)."""
        return self._run(images, auxiliary=False)[0]

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Outputs (B, K); while training, a tuple of them and the two auxiliary ones.

        `losses.with_auxiliary` takes both.
        """
        pooled, others = self._run(images, auxiliary=self.training)
        outputs = self.head(self.drop(pooled))
        return (outputs, *others) if self.training else outputs


class Inception(nn.Module):
    """Four branches side by side; their channels are concatenated."""

    def __init__(self, inputs: int, one: int, three_in: int, three: int, five_in: int, five: int, pool: int):
        super().__init__()
        self.branches = nn.ModuleList(
            [
                convolution(inputs, one, 1),
                nn.Sequential(convolution(inputs, three_in, 1), convolution(three_in, three, 3)),
                nn.Sequential(convolution(inputs, five_in, 1), convolution(five_in, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(inputs, pool, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution that keeps the size (up to its stride), batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _auxiliary(channels: int, reduced: int, units: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(4), convolution(channels, reduced, 1), nn.Flatten(),
        nn.Linear(16 * reduced, units), nn.ReLU(inplace=True), nn.Dropout(0.7), nn.Linear(units, outputs),
    )  # fmt: skip
