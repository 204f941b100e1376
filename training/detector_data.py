"""The detector's training samples: mosaics of views, with synthetic plates put into the photographs."""

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

from scenes.plate import render_plate
from scenes.typefaces import FontPool
from training.data import Image, Photo
from training.targets import SIZE, VEHICLE_STRIDES, plate_map, put_plate, quad, vehicle_map
from training.views import Float, Target, View, clipped, take

MOSAIC_SHARE, SWAP_SHARE, ERASE_SHARE, PASTE_SHARE = 0.4, 0.25, 0.04, 0.15
# Sets with tight boxes and street views count more; those with loose boxes or one kind of picture less.
SET_WEIGHTS = {
    "rl": 1.5, "open-lpr": 1.3, "rf-us-florida-lhqow": 1.2, "rf-openimages-f8vsn": 2.0, "rf-thai": 0.5,
    "rf-indonesia-ta-alvin": 0.5, "rf-vietnam-biensoxe": 0.5, "rf-vehicles-openimages": 2.2, "rf-road-traffic-4": 2.0,
    "rf100-road-traffic": 1.7, "rf-highway": 1.5, "rf-parking-250": 1.2, "generated": 0.6,
}  # fmt: skip
Sample = tuple[Tensor, ...]


def _target(corners: Float) -> Target | None:
    low, high = corners.min(0), corners.max(0)
    return clipped(Target((low[0], low[1], high[0], high[1]), corners=corners), SIZE, SIZE)


class DetectorSamples(IterableDataset[Sample]):
    """Endless samples: image (320, 320, 3) uint8, plate map (16, 40, 40), vehicle maps (8, 20, 20) and (8, 40, 40); see `*_map`."""

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
        maps = plate_map(view), *(vehicle_map(view, stride) for stride in VEHICLE_STRIDES)
        return torch.from_numpy(image), *(torch.from_numpy(m) for m in maps)

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


class VehicleSamples(DetectorSamples):
    """Endless samples without changed plates: image (320, 320, 3) uint8, vehicle maps (8, 20, 20) and (8, 40, 40)."""

    def _sample(self, photo: Photo) -> Sample:
        view = (
            self._mosaic(photo) if self.rng.random() < MOSAIC_SHARE else take(photo, (SIZE, SIZE), self.rng)
        )
        image = self._expose(view.image)
        return torch.from_numpy(image), *(torch.from_numpy(vehicle_map(view, s)) for s in VEHICLE_STRIDES)


def _touch(a: Target, b: Target) -> bool:
    return (
        a.box[0] < b.box[2] + 8
        and b.box[0] < a.box[2] + 8
        and a.box[1] < b.box[3] + 8
        and b.box[1] < a.box[3] + 8
    )
