"""The networks of the papers, at any resolution: `features(images)`, then an output layer, `head`."""

import math
from collections.abc import Mapping

import numba
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.errors import BadInput
from helpers.learn.again import remembered
from helpers.randomness import hash_seed

# channels of GoogLeNet's inception modules: 1 x 1; 3 x 3 reduced, 3 x 3; 5 x 5 reduced, 5 x 5; pooled
INCEPTIONS = (
    (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128), (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
)  # fmt: skip
POOLED = (2, 7)  # the modules before which the cells are pooled
AUXILIARY = (2, 5)  # the modules that an auxiliary classifier reads


@remembered
class AlexNet(nn.Module):
    """Five convolutional and two fully connected layers (Krizhevsky et al. 2012; Fang et al. 2015, 2.2).

    At 224 pixels the first convolution has the original 11 x 11 kernel with stride 4, and three poolings with
    overlapping windows (3 x 3, stride 2) leave 6 x 6 cells. Smaller pictures get a smaller first kernel and
    stride and no third pooling, which leaves 5 to 15 cells a side.
    Outputs are classes or values to regress; `side` is that of the square input in pixels, at least 24
    (BadInput otherwise: the poolings need them). `width` scales the original's 96, 256, 384, 384 and 256
    channels and 4096 units in FC6 and FC7; `dropout` is the share dropped before these two while training."""

    def __init__(self, outputs: int, side: int, width: float = 1.0, dropout: float = 0.5):
        super().__init__()
        _check_side("AlexNet", side)
        c1, c2, c3, c5, units = (max(8, round(n * width)) for n in (96, 256, 384, 256, 4096))
        kernel, stride, padding = (11, 4, 2) if side >= 128 else (7, 2, 3) if side >= 56 else (5, 1, 2)
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, c1, kernel, stride, padding), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(c1, c2, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(c3, c3, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(c3, c5, 3, padding=1), nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2) if side >= 128 else nn.Identity(),
        )  # fmt: skip
        with torch.no_grad():
            cells = self.convolutions(torch.zeros(1, 3, side, side)).numel()
        self.fc6, self.fc7 = nn.Linear(cells, units), nn.Linear(units, units)
        self.drop, self.head = nn.Dropout(dropout), nn.Linear(units, outputs)
        _initialise(self, nn.Conv2d, nn.Linear)

    def layers(self, images: Tensor) -> dict[str, Tensor]:
        """FC6 and FC7 after their ReLU, each (B, units), for float images (B, 3, side, side)."""
        fc6 = torch.relu(self.fc6(self.drop(self.convolutions(images).flatten(1))))
        return {"fc6": fc6, "fc7": torch.relu(self.fc7(self.drop(fc6)))}

    def features(self, images: Tensor) -> Tensor:
        """FC7: float (B, units)."""
        return self.layers(images)["fc7"]

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


@remembered
class GoogLeNet(nn.Module):
    """Nine inception modules, two auxiliary classifiers while training, average pooling, one output layer.

    Szegedy et al. 2015; used by Joulin et al. 2016, section 3. Strides are the original's; below 48 pixels
    the first pooling is skipped, or the last modules would see a single cell. Batch normalisation after each
    convolution is ours: without it so deep a network does not start to learn from a few thousand pictures.
    Arguments as for `AlexNet`; width 1.0 is the original, with 1024 features before the output layer, and
    dropout comes before that layer (the original: 0.4)."""

    def __init__(self, outputs: int, side: int, width: float = 1.0, dropout: float = 0.4):
        super().__init__()
        _check_side("GoogLeNet", side)

        def scaled(channels: int) -> int:
            return max(4, round(channels * width))

        self.stem = nn.Sequential(
            _convolution(3, scaled(64), 7, stride=2),
            nn.MaxPool2d(3, 2, 1) if side >= 48 else nn.Identity(),
            _convolution(scaled(64), scaled(64), 1),
            _convolution(scaled(64), scaled(192), 3),
            nn.MaxPool2d(3, 2, 1),
        )
        channels, self.inceptions, self.auxiliary = scaled(192), nn.ModuleList(), nn.ModuleDict()
        for number, sizes in enumerate(INCEPTIONS):
            one, three_in, three, five_in, five, pool = map(scaled, sizes)
            self.inceptions.append(Inception(channels, one, three_in, three, five_in, five, pool))
            channels = one + three + five + pool
            if number in AUXILIARY:
                self.auxiliary[str(number)] = nn.Sequential(
                    nn.AdaptiveAvgPool2d(4), _convolution(channels, scaled(128), 1), nn.Flatten(),
                    nn.Linear(16 * scaled(128), scaled(1024)), nn.ReLU(inplace=True), nn.Dropout(0.7),
                    nn.Linear(scaled(1024), outputs),
                )  # fmt: skip
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.drop, self.head = nn.Dropout(dropout), nn.Linear(channels, outputs)
        _initialise(self, nn.Conv2d)

    def _run(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, others = self.stem(images), []
        for number, module in enumerate(self.inceptions):
            x = module(self.pool(x) if number in POOLED else x)
            if self.training and number in AUXILIARY:
                others.append(self.auxiliary[str(number)](x))
        return x.mean((2, 3)), others

    def features(self, images: Tensor) -> Tensor:
        """What the output layer reads: float (B, 1024 x width) for float images (B, 3, side, side)."""
        return self._run(images)[0]

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Outputs (B, K); while training, them and two auxiliary ones, as `losses.with_auxiliary` takes."""
        pooled, others = self._run(images)
        outputs = self.head(self.drop(pooled))
        return (outputs, *others) if self.training else outputs


class Inception(nn.Module):
    """Four branches side by side; their channels are concatenated."""

    def __init__(self, inputs: int, one: int, three_in: int, three: int, five_in: int, five: int, pool: int):
        super().__init__()
        self.branches = nn.ModuleList([
            _convolution(inputs, one, 1),
            nn.Sequential(_convolution(inputs, three_in, 1), _convolution(three_in, three, 3)),
            nn.Sequential(_convolution(inputs, five_in, 1), _convolution(five_in, five, 5)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), _convolution(inputs, pool, 1)),
        ])  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def hashed(place: Tensor, key: Tensor) -> Tensor:
    """Random numbers int32 from 0 to 2³¹ − 1 that follow from int32 tensors, place and key, on any device.
    Source: lowbias32 (C. Wellons, "Prospecting for hash functions", 2018), on int32 that wraps around."""
    z = place * -1640531527 + key
    z = (z ^ (z >> 16 & 0xFFFF)) * 0x7FEB352D
    z = (z ^ (z >> 15 & 0x1FFFF)) * -2073254261
    return (z ^ (z >> 16 & 0xFFFF)) & 0x7FFFFFFF


@numba.njit(nogil=True, cache=True)
def _masks(key, p, out):
    """`hashed` of the places 0 to n − 1, and what follows from it, in one pass: twenty times as fast."""
    one, top = np.float32(1), np.float32(2**31)
    for c in range(len(key)):
        start, least, kept = np.uint32(key[c]), p[c] * top, one / (one - p[c])
        for place in range(out.shape[1]):
            z = np.uint32(np.uint32(place) * np.uint32(0x9E3779B9) + start)
            z = np.uint32((z ^ z >> np.uint32(16)) * np.uint32(0x7FEB352D))
            z = np.uint32((z ^ z >> np.uint32(15)) * np.uint32(0x846CA68B))
            z = (z ^ z >> np.uint32(16)) & np.uint32(0x7FFFFFFF)
            out[c, place] = kept if np.float32(z) >= least else np.float32(0)


@torch.library.custom_op("crowd::masks", mutates_args=())
def masks(key: Tensor, p: Tensor, n: int) -> Tensor:
    """Of keys int32 (…) and rates float32 (…) of dropout: masks float32 (…, n), 0 or 1 / (1 − p)."""
    out = np.empty((key.numel(), n), np.float32)
    _masks(key.numpy().reshape(-1), p.numpy().reshape(-1), out)
    return torch.from_numpy(out).view(*key.shape, n)


@masks.register_vmap
def _masks_of_copies(info, in_dims, key, p, n):
    each = zip((key, p), in_dims, strict=False)  # n has no axis
    size = info.batch_size
    key, p = (x.expand(size, *x.shape) if at is None else x.movedim(at, 0) for x, at in each)
    return masks(key.contiguous(), p.contiguous(), n), 0


class Dropout(nn.Module):
    """Dropout whose mask is a hash of `key` and of the place in the batch, and of nothing else.

    So a network drops the same units alone and among many (`helpers.learn.many`), on a CPU and on a GPU, on
    any number of threads. While training, `rekey` sets a new key before each step."""

    def __init__(self, p: float = 0.5):
        super().__init__()
        if not 0 <= p < 1:
            raise BadInput(f"dropout is {p:g}, expected 0 or more and less than 1")
        # tensors, because each of many networks has its own
        self.register_buffer("p", torch.tensor(float(p)), persistent=False)
        self.register_buffer("key", torch.zeros((), dtype=torch.int32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        key = self.key + 668265263 * x.shape[-1]  # two layers of a network differ
        if x.is_cpu:
            return x * masks(key, self.p, x.numel()).view(x.shape).to(x.dtype)
        z = hashed(torch.arange(x.numel(), dtype=torch.int32, device=x.device).view(x.shape), key)
        return x * ((z >= self.p * 2.0**31).to(x.dtype) / (1 - self.p))


def step_key(seed: int, epoch: int, step: int, place: int) -> int:
    """The key, 31 bits, of the `Dropout` that is the place-th of its network."""
    return hash_seed(seed, epoch, "dropout", step, place) & 0x7FFFFFFF


def rekey(network: nn.Module, seed: int, epoch: int, step: int) -> None:
    """Give each `Dropout` of a network its key of a step."""
    for place, part in enumerate(m for m in network.modules() if isinstance(m, Dropout)):
        part.key.fill_(step_key(seed, epoch, step, place))


@remembered
class Adapter(nn.Module):
    """A learned layer on frozen, standardised features: what a laptop trains instead of a deep network."""

    def __init__(self, inputs: int, units: int, outputs: int, dropout: float = 0.5):
        super().__init__()
        self.learned = nn.Linear(inputs, units)
        self.drop, self.head = Dropout(dropout), nn.Linear(units, outputs)
        _initialise(self, nn.Linear)

    def features(self, x: Tensor) -> Tensor:
        """The learned layer after its ReLU: float (B, units) for float (B, inputs)."""
        return torch.relu(self.learned(self.drop(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.features(x)))


@remembered
class PairAdapter(Adapter):
    """An adapter that scores a picture and a tag by t · cosine + b_k, where the factor t is learnt.

    Source: Zhai et al. 2023 (SigLIP), section 3.2, t = 10 at first. b_k is one number a tag (theirs is one
    for all), and starts at the log odds of one tag in K: theirs, −10, is far from the end of a short training
    in which a weight moves by `lr` a step."""

    def __init__(self, inputs: int, units: int, outputs: int, dropout: float = 0.5):
        super().__init__(inputs, units, outputs, dropout)
        self.log_t = nn.Parameter(torch.tensor(10.0).log())
        nn.init.constant_(self.head.bias, -math.log(max(outputs - 1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        picture = F.normalize(self.drop(self.features(x)), dim=-1)
        return self.log_t.exp() * (picture @ F.normalize(self.head.weight, dim=-1).mT) + self.head.bias


@remembered
class Bottleneck(nn.Module):
    """A network with d numbers between it and its K outputs: f ∈ R^d and a vector for each tag, both learnt
    (Veit et al. 2018, section 3.2, d = 300). `kind` is one of `FROM_SCRATCH`; other arguments as there."""

    def __init__(self, kind: str, outputs: int, d: int, side: int, width: float = 1.0, dropout: float = 0.0):
        super().__init__()
        self.trunk, self.head = FROM_SCRATCH[kind](d, side, width, dropout), nn.Linear(d, outputs)
        nn.init.kaiming_normal_(self.trunk.head.weight, nonlinearity="linear")
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def features(self, images: Tensor) -> Tensor:
        """f: float (B, d) for float images (B, 3, side, side), in evaluation mode."""
        return self.trunk(images)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Outputs (B, K), or several of them while training where the network has auxiliary classifiers."""
        f = self.trunk(images)
        return self.head(f) if isinstance(f, Tensor) else tuple(map(self.head, f))


@remembered
class ResNet(nn.Module):
    """torchvision's ResNet-50 without its weights: the image model of Veit et al. 2018, section 4.2.

    Below 64 pixels the first convolution keeps the resolution and the first pooling is left out. The width is
    always 1.0 (BadInput otherwise); other arguments as for `AlexNet`."""

    def __init__(self, outputs: int, side: int, width: float = 1.0, dropout: float = 0.0):
        super().__init__()
        if width != 1.0:
            raise BadInput(f"ResNet: width = {width:g}; give 1.0, it exists at its full width only")
        import torchvision  # here, because its import takes a second and few networks need it

        self.trunk = torchvision.models.resnet50(weights=None)
        if side < 64:
            self.trunk.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            self.trunk.maxpool = nn.Identity()
        self.drop, self.head = nn.Dropout(dropout), nn.Linear(self.trunk.fc.in_features, outputs)
        self.trunk.fc = nn.Identity()

    def features(self, images: Tensor) -> Tensor:
        """The averaged last cells: float (B, 2048)."""
        return self.trunk(images)

    forward = Adapter.forward  # the output layer, after dropout


FROM_SCRATCH = {"alexnet": AlexNet, "googlenet": GoogLeNet, "resnet": ResNet}


def _check_side(name: str, side: int) -> None:
    if side < 24:
        raise BadInput(f"{name}: side = {side} pixels; at least 24 are needed for the poolings")


def _initialise(network: nn.Module, *kinds: type[nn.Module]) -> None:
    """He et al. 2015: the original's fixed standard deviation of 0.01 does not train at other widths."""
    for module in network.modules():
        if isinstance(module, kinds):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.normal_(network.head.weight, std=0.01)  # the first loss is then log K, not a multiple of it
    nn.init.zeros_(network.head.bias)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution that keeps the size (up to its stride), batch normalisation, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def parameters(network: nn.Module) -> int:
    """The number of weights that training changes."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights into a network; BadInput where names or shapes differ, with the first difference."""
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise BadInput(f"weights: {str(error).splitlines()[1].strip()}") from None
