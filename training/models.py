"""The two networks, of layers that INT8 kernels run fast."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.recognizer.state import NONE
from services.recognizer.vehicle import COLOURS
from training.backbone import CHANNELS, Lite0

READER_CLASSES = 37  # blank and 36 characters
CORNER_SCALE = 4.0  # the network's corner outputs are this many times the offset, to keep them near unit size
Kernel = int | tuple[int, int]


def _padding(kernel: Kernel) -> Kernel:
    return kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)


def conv(inputs: int, outputs: int, kernel: Kernel = 3, stride: Kernel = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, _padding(kernel), bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, channels: int, kernel: Kernel = 3) -> None:
        super().__init__()
        self.first = conv(channels, channels, kernel)
        second = nn.Conv2d(channels, channels, kernel, 1, _padding(kernel), bias=False)
        self.second = nn.Sequential(second, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape out as in."""
        return functional.relu(x + self.second(self.first(x)))


class Reader(nn.Module):
    """(n, 1, 64, 160) normalised grey crops to (n, 40, 37) logits for CTC, class 0 the blank."""

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 64, 96), depth: int = 160) -> None:
        super().__init__()
        a, b, c, d = widths
        self.body = nn.Sequential(
            conv(1, a, 3, 2), conv(a, b, 3, 2), Residual(b),
            conv(b, c, 3, (2, 1)), Residual(c), conv(c, d, 3, (2, 1)), Residual(d),
        )  # fmt: skip
        # Four rows are left; folding them into channels lets a column see the character's full height.
        self.column = nn.Sequential(
            nn.Conv2d(d, depth, (4, 1), bias=False), nn.BatchNorm2d(depth), nn.ReLU(True)
        )
        self.context = nn.Sequential(Residual(depth, (1, 5)), nn.Dropout(0.1))
        self.head = nn.Conv2d(depth, READER_CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Crops to logits."""
        y: Tensor = self.head(self.context(self.column(self.body(x))))
        return y[:, :, 0].transpose(1, 2)


def _start(*heads: tuple[nn.Module, tuple[float, ...]]) -> None:
    """Start at "nothing here, boxes of typical size"; otherwise the first steps drown in false positives."""
    for head, biases in heads:
        assert isinstance(head, nn.Conv2d)
        assert head.bias is not None
        nn.init.normal_(head.weight, std=0.01)
        nn.init.zeros_(head.bias)
        head.bias.data[: len(biases)] = torch.tensor(biases)


class Detector(nn.Module):
    """(n, 3, h, w) BGR in 0..1, h and w multiples of 32, to three maps of logits.

    plates (n, 13, h/8, w/8): objectness; log distances to left, top, right, bottom in units of 8 px;
    x, y of the four corners as offsets from the box's corners in box widths and heights, times `CORNER_SCALE`.
    vehicles (n, 9, h/16, w/16): objectness; log distances in units of 16 px; four class logits.
    small_vehicles (n, 9, h/8, w/8): the same in units of 8 px, for vehicles too far away for the coarser map.
    """

    def __init__(
        self, widths: tuple[int, int, int, int, int] = (16, 24, 40, 96, 128), neck: int = 40
    ) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.to8 = nn.Sequential(conv(3, a, 3, 2), conv(a, b, 3, 2), conv(b, c, 3, 2), Residual(c))
        self.to16 = nn.Sequential(conv(c, d, 3, 2), Residual(d))
        self.to32 = nn.Sequential(conv(d, e, 3, 2), Residual(e), Residual(e), Residual(e))
        self.side8, self.side16, self.side32 = conv(c, neck, 1), conv(d, neck, 1), conv(e, neck, 1)
        self.fuse16, self.fuse8 = conv(neck, neck), conv(neck, neck)
        self.plates = nn.Sequential(conv(neck, neck), nn.Conv2d(neck, 13, 1))
        self.vehicles = nn.Sequential(conv(neck, neck), conv(neck, neck), nn.Conv2d(neck, 9, 1))
        self.small_vehicles = nn.Sequential(conv(neck, neck), nn.Conv2d(neck, 9, 1))
        _start(
            (self.plates[-1], (-4.0, 0.7, 0.2, 0.7, 0.2)), (self.vehicles[-1], (-4.0, 1.0, 0.8, 1.0, 0.8)),
            (self.small_vehicles[-1], (-4.0, 0.7, 0.5, 0.7, 0.5)),
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures to the three maps."""
        at8 = self.to8(x)
        at16 = self.to16(at8)
        y16 = self.fuse16(
            self.side16(at16) + functional.interpolate(self.side32(self.to32(at16)), scale_factor=2.0)
        )
        y8 = self.fuse8(self.side8(at8) + functional.interpolate(y16, scale_factor=2.0))
        return self.plates(y8), self.vehicles(y16), self.small_vehicles(y8)


class VehicleNet(nn.Module):
    """(n, 3, h, w) BGR in 0..1, h and w multiples of 32, to two maps of logits.

    vehicles (n, 9, h/8, w/8): objectness; log distances to left, top, right, bottom in units of 8 px; four class logits.
    small_vehicles (n, 9, h/4, w/4): the same in units of 4 px, for vehicles too far away for the coarser map.

    What a vehicle is takes depth, learnt on ImageNet, but half of the pixels that plates need.
    """

    def __init__(self, neck: int = 40, wide: int = 64) -> None:
        super().__init__()
        self.backbone = Lite0()
        deep8, deep16, deep32, deep64 = CHANNELS
        self.side64, self.side32, self.side16 = (
            conv(deep64, wide, 1),
            conv(deep32, wide, 1),
            conv(deep16, wide, 1),
        )
        self.fuse32, self.fuse16, self.fuse8 = conv(wide, wide), conv(wide, wide), conv(neck, neck)
        self.down16, self.down8 = conv(wide, neck, 1), conv(deep8, neck, 1)
        self.vehicles = nn.Sequential(conv(wide, wide), conv(wide, wide), nn.Conv2d(wide, 9, 1))
        self.small_vehicles = nn.Sequential(conv(neck, neck), nn.Conv2d(neck, 9, 1))
        _start(
            (self.vehicles[-1], (-4.0, 1.0, 0.8, 1.0, 0.8)), (self.small_vehicles[-1], (-4.0, 0.7, 0.5, 0.7, 0.5))
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures to the two maps."""
        deep8, deep16, deep32, deep64 = self.backbone(x)
        y32 = self.fuse32(self.side32(deep32) + functional.interpolate(self.side64(deep64), scale_factor=2.0))
        y16 = self.fuse16(self.side16(deep16) + functional.interpolate(y32, scale_factor=2.0))
        y8 = self.fuse8(self.down8(deep8) + functional.interpolate(self.down16(y16), scale_factor=2.0))
        return self.vehicles(y16), self.small_vehicles(y8)


class StateNet(nn.Module):
    """(n, 3, 128, 224) BGR in 0..1 to (n, states + 1) logits, the last of "no state"."""

    def __init__(self, features: int = 384) -> None:
        super().__init__()
        self.backbone = Lite0()
        self.mix = conv(CHANNELS[-1], features, 1)
        self.drop = nn.Dropout(0.25)
        self.head = nn.Linear(features, NONE + 1)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures to logits."""
        pooled = self.mix(self.backbone(x)[-1]).mean((2, 3))
        result: Tensor = self.head(self.drop(pooled))
        return result


class ColourNet(nn.Module):
    """(n, 3, 64, 64) BGR in 0..1 to (n, 11) logits of `services.recognizer.vehicle.COLOURS`."""

    def __init__(self, widths: tuple[int, int, int] = (24, 32, 64)) -> None:
        super().__init__()
        a, b, c = widths
        self.body = nn.Sequential(
            conv(3, a, 3, 2), conv(a, b, 3, 2), Residual(b), conv(b, c, 3, 2), Residual(c)
        )
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(2 * c, len(COLOURS))

    def forward(self, x: Tensor) -> Tensor:
        """Pictures to logits."""
        y = self.body(x - 0.5)
        result: Tensor = self.head(self.drop(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1)))
        return result
