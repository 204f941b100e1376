"""The detector's training samples: mosaics of views, synthetic plates put into photographs, and the target maps."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from scenes.plate import RenderedPlate, render_plate
from scenes.typefaces import FontPool
from training import data
from training.data import Image, Photo
from training.views import Float, Target, View, clipped, take

SIZE = 320  # pixels; every sample is square
PLATE_STRIDE, VEHICLE_STRIDE = 8, 16
MOSAIC_SHARE, SWAP_SHARE, ERASE_SHARE, PASTE_SHARE = 0.4, 0.25, 0.04, 0.15
# Sets with tight boxes and street views count more; those with loose boxes or one kind of picture less.
SET_WEIGHTS = {
    "rl": 1.5, "open-lpr": 1.3, "rf-us-florida-lhqow": 1.2, "rf-openimages-f8vsn": 1.6, "rf-thai": 0.5,
    "rf-indonesia-ta-alvin": 0.5, "rf-vietnam-biensoxe": 0.5, "rf-vehicles-openimages": 1.3, "generated": 0.6,
}  # fmt: skip
LEAST_VISIBLE = 0.55  # objects cut off further are neither right nor wrong
Sample = tuple[Tensor, Tensor, Tensor]


def put_plate(image: Image, plate: RenderedPlate, corners: Float, rng: random.Random) -> bool:
    """Draw a plate into a photograph so that its sheet lies on `corners`, lit as its surroundings; False if off-picture."""
    x, y, w, h = cv2.boundingRect(corners)
    rows, columns = image.shape[:2]
    x0, y0, x1, y1 = max(0, x - 3), max(0, y - 3), min(columns, x + w + 3), min(rows, y + h + 3)
    if x1 - x0 < 6 or y1 - y0 < 4:
        return False
    picture = plate.colour().astype(np.float32)
    scale = float(
        np.linalg.norm(corners[1] - corners[0]) / np.linalg.norm(plate.corners[1] - plate.corners[0])
    )
    if scale < 0.8:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.42 * (1 / max(scale, 0.05) - 0.6))
    region = image[y0:y1, x0:x1].astype(np.float32)
    light = min(1.2, max(0.12, (float(region.mean()) + 60) / 170)) * rng.uniform(0.7, 1.25)
    matrix = cv2.getPerspectiveTransform(plate.corners, corners - np.array([x0, y0], np.float32))
    size = (x1 - x0, y1 - y0)
    share = cv2.warpPerspective(np.ones(picture.shape[:2], np.float32), matrix, size)[..., None]
    mixed = region * (1 - share) + cv2.warpPerspective(picture * light, matrix, size) * share
    if rng.random() < 0.6:
        mixed = cv2.GaussianBlur(mixed, (0, 0), rng.uniform(0.3, 0.9))
    image[y0:y1, x0:x1] = np.clip(mixed, 0, 255).astype(np.uint8)
    return True


def quad(cx: float, cy: float, width: float, height: float, angle: float, rng: random.Random) -> Float:
    """Corners of a plate turned by `angle` (radians), slightly sheared and out of true."""
    c, s, shear = math.cos(angle), math.sin(angle), rng.gauss(0, 0.08)
    unit = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]) * [width, height]
    unit[:, 0] += shear * unit[:, 1]
    unit += [[rng.gauss(0, 0.01) * width, rng.gauss(0, 0.02) * height] for _ in range(4)]
    return (unit @ np.array([[c, s], [-s, c]]) + [cx, cy]).astype(np.float32)


def _target(corners: Float) -> Target | None:
    low, high = corners.min(0), corners.max(0)
    return clipped(Target((low[0], low[1], high[0], high[1]), corners=corners), SIZE, SIZE)


class DetectorSamples(IterableDataset[Sample]):
    """Endless samples: image (320, 320, 3) uint8, plate map (16, 40, 40), vehicle map (8, 20, 20); see `*_map`."""

    def __init__(self, photos: list[Photo], fonts: list[Path], seed: int) -> None:
        self.photos, self.fonts, self.seed = photos, fonts, seed

    def __iter__(self) -> Iterator[Sample]:
        worker = get_worker_info()
        seed = self.seed + 1000 * (worker.id if worker else 0)
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        self.rng, self.noise = random.Random(seed), np.random.default_rng(seed)
        self.pool = FontPool(seed, styles=25, words=200, extra_fonts=self.fonts)
        weights = [SET_WEIGHTS.get(p.source, 1.0) for p in self.photos]
        while True:
            for photo in self.rng.choices(self.photos, weights, k=500):
                yield self._sample(photo)
            self.pool.renew(self.rng, 0.1)

    def _sample(self, photo: Photo) -> Sample:
        view = (
            self._mosaic(photo) if self.rng.random() < MOSAIC_SHARE else take(photo, (SIZE, SIZE), self.rng)
        )
        self._change_plates(view)
        if self.rng.random() < PASTE_SHARE:
            self._paste(view)
        image = self._expose(view.image)
        maps = plate_map(view), vehicle_map(view)
        return torch.from_numpy(image), torch.from_numpy(maps[0]), torch.from_numpy(maps[1])

    def _mosaic(self, photo: Photo) -> View:
        x, y = (int(self.rng.uniform(0.35, 0.65) * SIZE) for _ in range(2))
        whole = View(np.empty((SIZE, SIZE, 3), np.uint8))
        for left, top, w, h in (
            (0, 0, x, y),
            (x, 0, SIZE - x, y),
            (0, y, x, SIZE - y),
            (x, y, SIZE - x, SIZE - y),
        ):
            tile = take(photo, (w, h), self.rng)
            whole.image[top : top + h, left : left + w] = tile.image
            moved = tile.shifted(left, top)
            for name in ("plates", "vehicles", "plates_unknown", "vehicles_unknown"):
                getattr(whole, name).extend(getattr(moved, name))
            photo = self.rng.choice(self.photos)
        return whole

    def _change_plates(self, view: View) -> None:
        """Cover true plates by synthetic ones, whose corners are known, or erase them."""
        fate, kept = self.rng.random(), []
        for old in view.plates:
            target, (x1, y1, x2, y2) = old, old.box
            if fate < SWAP_SHARE and x2 - x1 > 14 and target.visible > 0.95:
                plate = render_plate(self.rng, pool=self.pool)
                size = np.ptp(plate.corners, axis=0)
                width = max(x2 - x1, (y2 - y1) * size[0] / size[1]) * 1.04
                height = max(width * size[1] / size[0], (y2 - y1) * 1.04)
                corners = quad((x1 + x2) / 2, (y1 + y2) / 2, width, height, self.rng.gauss(0, 0.07), self.rng)
                if put_plate(view.image, plate, corners, self.rng) and (new := _target(corners)) is not None:
                    target = new
            elif SWAP_SHARE <= fate < SWAP_SHARE + ERASE_SHARE:
                rows = slice(max(0, int(y1) - 2), min(SIZE, int(y2) + 2))
                columns = slice(max(0, int(x1) - 2), min(SIZE, int(x2) + 2))
                above = view.image[max(0, rows.start - 1), columns].astype(np.float32).mean(0)
                noise = (
                    self.noise.standard_normal((rows.stop - rows.start, columns.stop - columns.start, 1)) * 2
                )
                view.image[rows, columns] = np.clip(above + noise, 0, 255).astype(np.uint8)
                continue
            kept.append(target)
        view.plates = kept

    def _paste(self, view: View) -> None:
        """Put one or two plates anywhere: what a plate is must not hang on a vehicle around it."""
        for _ in range(self.rng.randint(1, 2)):
            plate = render_plate(self.rng, pool=self.pool)
            size = np.ptp(plate.corners, axis=0)
            width = math.exp(self.rng.uniform(math.log(24), math.log(260)))
            height = width * size[1] / size[0] * self.rng.uniform(0.9, 1.1)
            centre = self.rng.uniform(0, SIZE), self.rng.uniform(0, SIZE)
            corners = quad(*centre, width, height, self.rng.gauss(0, 0.12), self.rng)
            new = _target(corners)
            if new is None or any(_touch(new, other) for other in view.plates):
                continue
            if put_plate(view.image, plate, corners, self.rng):
                view.plates.append(new)

    def _expose(self, image: Image) -> Image:
        rng, uniform = self.rng, self.rng.uniform
        pixels = image.astype(np.float32)
        if rng.random() < 0.7:
            cast = np.array([uniform(0.88, 1.12) for _ in range(3)], np.float32)
            pixels = pixels * (uniform(0.75, 1.25) * cast) + uniform(-25, 25)
        if rng.random() < 0.15:
            pixels = pixels * uniform(0.15, 0.6)
        if rng.random() < 0.15:
            pixels[:] = pixels.mean(2, keepdims=True)
        if rng.random() < 0.15:
            pixels = cv2.GaussianBlur(pixels, (0, 0), uniform(0.4, 1.1))
        if rng.random() < 0.25:
            pixels = pixels + self.noise.standard_normal(pixels.shape, np.float32) * uniform(2, 10)
        image = np.clip(pixels, 0, 255).astype(np.uint8)
        if rng.random() < 0.3:
            _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(30, 90)])
            image = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        return image


def _touch(a: Target, b: Target) -> bool:
    return (
        a.box[0] < b.box[2] + 8
        and b.box[0] < a.box[2] + 8
        and a.box[1] < b.box[3] + 8
        and b.box[1] < a.box[3] + 8
    )


class _Grid:
    """Cell centres in pixels and the two shared maps: `heat` to predict and `open` where its absence is unknown."""

    def __init__(self, stride: int) -> None:
        self.stride, self.n = stride, SIZE // stride
        centres = (np.arange(self.n, dtype=np.float32) + 0.5) * stride
        self.x, self.y = np.meshgrid(centres, centres)
        self.heat = np.zeros((self.n, self.n), np.float32)
        self.open = np.zeros((self.n, self.n), np.float32)

    def ignore(self, box: data.Box, margin: float) -> None:
        x1, y1, x2, y2 = box
        inside = (
            (self.x > x1 - margin) & (self.x < x2 + margin) & (self.y > y1 - margin) & (self.y < y2 + margin)
        )
        self.open[inside] = 1

    def peak(self, box: data.Box, slack: float) -> tuple[Float, np.ndarray]:
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

    def distances(self, box: data.Box, cells: np.ndarray) -> Float:
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


def vehicle_map(view: View) -> Float:
    """Channels: heat, open, weight, left, top, right, bottom (pixels), class (-1 unknown)."""
    grid = _Grid(VEHICLE_STRIDE)
    fields = np.zeros((6, grid.n, grid.n), np.float32)
    fields[5] = -1
    for box in view.vehicles_unknown:
        grid.ignore(box, 0)
    # Large ones first: where boxes overlap, the smaller (usually nearer to being hidden) keeps its cells.
    for target in sorted(view.vehicles, key=lambda t: -(t.box[2] - t.box[0]) * (t.box[3] - t.box[1])):
        x1, y1, x2, y2 = target.box
        if not target.sure or target.visible < 0.4 or min(x2 - x1, y2 - y1) < 12:
            grid.ignore(target.box, 0)
            continue
        bell, cells = grid.peak(target.box, 0)
        fields[0, cells] = bell[cells]
        fields[1:5, cells] = grid.distances(target.box, cells)
        fields[5, cells] = target.kind
    return np.concatenate([grid.heat[None], grid.open[None], fields])
