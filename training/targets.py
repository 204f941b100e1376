"""What the detector is to predict: maps of targets, and synthetic plates put into photographs. Needs no PyTorch."""

from __future__ import annotations

import math
import random

import cv2
import numpy as np
import numpy.typing as npt

from scenes.compose import put
from scenes.plate import RenderedPlate
from training.data import Box, Image
from training.views import Float, View

SIZE = 320  # pixels; every sample is square
PLATE_STRIDE = 8
VEHICLE_STRIDES = (16, 8)
# Side of a vehicle (root of its area, pixels) from and up to which a map shows it; in between both do.
VEHICLE_SIZES = {16: (28.0, math.inf), 8: (0.0, 52.0)}
LEAST_VEHICLE = {16: 12.0, 8: 7.0}
LEAST_VISIBLE = 0.55  # objects cut off further are neither right nor wrong


def put_plate(image: Image, plate: RenderedPlate, corners: Float, rng: random.Random) -> bool:
    """Draw a plate into a photograph so that its sheet lies on `corners`, lit as its surroundings; False if off-picture."""
    x, y, w, h = cv2.boundingRect(corners)
    surroundings = image[max(0, y) : max(0, y + h), max(0, x) : max(0, x + w)]
    if not surroundings.size:
        return False
    light = min(1.2, max(0.12, (float(surroundings.mean()) + 60) / 170)) * rng.uniform(0.7, 1.25)
    soften = rng.uniform(0.3, 0.9) if rng.random() < 0.6 else 0.0
    texture = plate.colour().astype(np.float32)
    return put(image, texture, plate.corners, corners, light=light, soften=soften)


def quad(cx: float, cy: float, width: float, height: float, angle: float, rng: random.Random) -> Float:
    """Corners of a plate turned by `angle` (radians), slightly sheared and out of true."""
    c, s, shear = math.cos(angle), math.sin(angle), rng.gauss(0, 0.08)
    unit = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]) * [width, height]
    unit[:, 0] += shear * unit[:, 1]
    unit += [[rng.gauss(0, 0.01) * width, rng.gauss(0, 0.02) * height] for _ in range(4)]
    return (unit @ np.array([[c, s], [-s, c]]) + [cx, cy]).astype(np.float32)


class _Grid:
    """Cell centres in pixels and the two shared maps: `heat` to predict and `open` where its absence is unknown."""

    def __init__(self, stride: int) -> None:
        self.stride, self.n = stride, SIZE // stride
        centres = (np.arange(self.n, dtype=np.float32) + 0.5) * stride
        self.x, self.y = np.meshgrid(centres, centres)
        self.heat = np.zeros((self.n, self.n), np.float32)
        self.open = np.zeros((self.n, self.n), np.float32)

    def ignore(self, box: Box, margin: float) -> None:
        x1, y1, x2, y2 = box
        inside = (
            (self.x > x1 - margin) & (self.x < x2 + margin) & (self.y > y1 - margin) & (self.y < y2 + margin)
        )
        self.open[inside] = 1

    def peak(self, box: Box, slack: float) -> tuple[Float, npt.NDArray[np.bool_]]:
        """A bell over the box's centre, and the cells that predict the box."""
        x1, y1, x2, y2 = box
        cx, cy, w, h = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
        least = self.stride * 0.6
        bell = np.exp(
            -0.5 * (((self.x - cx) / max(least, w * 0.16)) ** 2 + ((self.y - cy) / max(least, h * 0.2)) ** 2)
        )
        row, column = min(self.n - 1, int(cy / self.stride)), min(self.n - 1, int(cx / self.stride))
        bell[row, column] = 1
        self.heat = np.maximum(self.heat, bell)
        near = (self.x > x1) & (self.x < x2) & (self.y > y1 - slack) & (self.y < y2 + slack)
        cells = (bell > 0.55) & near
        cells[row, column] = True
        return bell, cells

    def distances(self, box: Box, cells: npt.NDArray[np.bool_]) -> Float:
        x, y = self.x[cells], self.y[cells]
        return np.stack([x - box[0], y - box[1], box[2] - x, box[3] - y])


def plate_map(view: View) -> Float:
    """Channels: heat, open, weight, left, top, right, bottom (pixels), corner weight, 8 corner offsets (box sizes)."""
    grid = _Grid(PLATE_STRIDE)
    fields = np.zeros((14, grid.n, grid.n), np.float32)
    for box in view.plates_unknown:
        grid.ignore(box, 0)
    for target in view.plates:
        x1, y1, x2, y2 = target.box
        if target.visible < LEAST_VISIBLE or x2 - x1 < 9:
            grid.ignore(target.box, PLATE_STRIDE)
            continue
        bell, cells = grid.peak(target.box, 4)
        fields[0, cells] = bell[cells]
        fields[1:5, cells] = grid.distances(target.box, cells)
        fields[5, cells] = 0
        if target.corners is not None and target.visible > 0.99:
            size = np.array([x2 - x1, y2 - y1], np.float32)
            hull = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)
            fields[5, cells] = 1
            fields[6:14, cells] = ((target.corners - hull) / size).reshape(8, 1)
    return np.concatenate([grid.heat[None], grid.open[None], fields])


def vehicle_map(view: View, stride: int) -> Float:
    """Channels: heat, open, weight, left, top, right, bottom (pixels), class (-1 unknown).

    Vehicles too small for the coarse map are left open there; those too large for the fine one are nothing there, since a
    window or a wheel must not pass for a vehicle far away.
    """
    grid = _Grid(stride)
    low, high = VEHICLE_SIZES[stride]
    fields = np.zeros((6, grid.n, grid.n), np.float32)
    fields[5] = -1
    for box in view.vehicles_unknown:
        grid.ignore(box, 0)
    # Large ones first: where boxes overlap, the smaller (usually nearer to being hidden) keeps its cells.
    for target in sorted(view.vehicles, key=lambda t: -(t.box[2] - t.box[0]) * (t.box[3] - t.box[1])):
        x1, y1, x2, y2 = target.box
        side = math.sqrt((x2 - x1) * (y2 - y1))
        if side > high:
            continue
        if (
            not target.sure
            or target.visible < 0.4
            or side < low
            or min(x2 - x1, y2 - y1) < LEAST_VEHICLE[stride]
        ):
            grid.ignore(target.box, 0)
            continue
        bell, cells = grid.peak(target.box, 0)
        fields[0, cells] = bell[cells]
        fields[1:5, cells] = grid.distances(target.box, cells)
        fields[5, cells] = target.kind
    return np.concatenate([grid.heat[None], grid.open[None], fields])
