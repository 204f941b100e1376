"""Synthetic training samples for the reader: a plate as a detector's crop of a photograph shows it.

One sample is a 64 x 160 grey crop, its text and the horizontal centre of each character (0 to 1). The augmentations
follow what photographs of plates suffer from, roughly in the order in which a camera applies them: perspective, a
loose box, light, optics, sensor noise, compression.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from scenes.plate import PlateStyle, render_plate
from scenes.typefaces import FontPool

HEIGHT, WIDTH = 64, 160
COLUMNS = 40  # output steps of the reader, one for each 4 pixels
TYPICAL_PLATE_HEIGHT = 46.0  # pixels; the reader's crops are normalised around it
GreyImage = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """A crop (64, 160) uint8, its text, and the character centres as fractions of the width (-1 where unknown)."""

    crop: GreyImage
    text: str
    centres: npt.NDArray[np.float32]


class CropMaker:
    """Draws samples, synthetic or from labelled photographs of plates, all from one seed."""

    def __init__(self, seed: int, fonts: Sequence[Path], backgrounds: Sequence[GreyImage]) -> None:
        """Prepare lettering.

        Args:
            seed: makes the whole sequence repeatable.
            fonts: font files beside the vendored ones.
            backgrounds: grey photographs, at least 200 x 300, shown around the plate.
        """
        self.rng = random.Random(seed)
        self.noise = np.random.default_rng(seed)
        self.pool = FontPool(seed, styles=40, words=400, extra_fonts=fonts)
        self.backgrounds = backgrounds

    def synthetic(self) -> Sample:
        """Render a new plate and photograph it."""
        plate = render_plate(self.rng, PlateStyle(clean=self.rng.random() < 0.08), pool=self.pool)
        return self._photograph(plate.grey, plate.corners, plate.text, plate.centres, plate.region == "eu")

    def from_photo(self, grey: GreyImage, text: str) -> Sample:
        """Photograph a photograph of a plate again, smaller and worse; character centres stay unknown."""
        h, w = grey.shape
        inset_x, inset_y = self.rng.uniform(0, 0.05) * w, self.rng.uniform(0, 0.05) * h
        x1, y1 = w - inset_x, h - inset_y
        corners = np.array([[inset_x, inset_y], [x1, inset_y], [x1, y1], [inset_x, y1]], np.float32)
        return self._photograph(grey.astype(np.float32), corners, text, np.zeros((0, 2)), False)

    def _photograph(
        self, plate: Float, corners: Float, text: str, centres: npt.NDArray[np.float64], flat: bool
    ) -> Sample:
        rng = self.rng
        height = math.exp(rng.gauss(math.log(TYPICAL_PLATE_HEIGHT), 0.42))
        height = min(130.0, max(17.0, height)) * (0.62 if flat else 1.0)
        scale = max(12.0, height) / float(corners[2, 1] - corners[0, 1])
        target, size = self._place(corners, scale)
        matrix = cv2.getPerspectiveTransform(corners, target)
        if scale < 0.8:
            plate = cv2.GaussianBlur(plate, (0, 0), 0.42 * (1 / scale - 0.6))
        image = self._surroundings(self._background(size))
        share = cv2.warpPerspective(np.ones(plate.shape, np.float32), matrix, size)
        image = image * (1 - share) + cv2.warpPerspective(plate, matrix, size) * share
        where = np.full(len(text), -1, np.float32)
        if len(centres):
            where = cv2.perspectiveTransform(centres[None].astype(np.float32), matrix)[0, :, 0] / size[0]
        image = self._sensor(self._optics(self._light(image)))
        return Sample(self._finish(image), text, where)

    def _place(self, corners: Float, scale: float) -> tuple[Float, tuple[int, int]]:
        """Turn the plate in space and draw a detector's imperfect box around it; returns corners and crop size."""
        rng, uniform = self.rng, self.rng.uniform
        angle = math.radians(rng.gauss(0, 5) if rng.random() < 0.7 else uniform(-15, 15))
        shear, stretch = rng.gauss(0, 0.08), uniform(0.82, 1.08)
        c, s = math.cos(angle), math.sin(angle)
        affine = np.array([[c * stretch, -s + shear * c], [s * stretch, c + shear * s]])
        w, h = (corners[2] - corners[0]) * scale
        target = (corners - corners.mean(0)) @ affine.T * scale
        target += np.array([[rng.gauss(0, 0.025) * w, rng.gauss(0, 0.03) * h] for _ in range(4)])
        low, high = target.min(0), target.max(0)
        margins = np.array([max(-0.035, min(0.28, rng.gauss(0.085, 0.075))) for _ in range(4)])
        if rng.random() < 0.5:
            margins[[0, 2] if rng.random() < 0.5 else [1, 3]] += uniform(0, 0.12)
        box = high - low
        low, high = low - margins[:2] * box, high + margins[2:] * box
        size = (max(8, round(high[0] - low[0])), max(6, round(high[1] - low[1])))
        return (target - low).astype(np.float32), size

    def _background(self, size: tuple[int, int]) -> Float:
        rng, (w, h) = self.rng, size
        photo = rng.choice(self.backgrounds)
        y, x = rng.randrange(max(1, photo.shape[0] - h)), rng.randrange(max(1, photo.shape[1] - w))
        image = photo[y : y + h, x : x + w].astype(np.float32)
        if image.shape != (h, w):
            image = cv2.resize(image, size)
        kind = rng.random()
        if kind < 0.5:
            return image * 0.3 + rng.uniform(0, 255) * 0.7
        return np.full_like(image, image.mean()) if kind < 0.7 else image

    def _surroundings(self, image: Float) -> Float:
        """Edges of bodywork beside the plate, which a reader otherwise takes for a 1 or an I."""
        rng, uniform, (h, w) = self.rng, self.rng.uniform, image.shape
        if rng.random() < 0.35:
            for _ in range(rng.randint(1, 4)):
                thickness = max(1, int(uniform(0.01, 0.06) * w))
                if rng.random() < 0.7:
                    x = int(rng.choice([uniform(0, 0.15), uniform(0.85, 1)]) * w)
                    lean = int(rng.gauss(0, 0.03) * w)
                    cv2.line(image, (x, 0), (x + lean, h), uniform(0, 255), thickness, cv2.LINE_AA)
                else:
                    y = int(rng.choice([uniform(0, 0.15), uniform(0.85, 1)]) * h)
                    cv2.line(
                        image,
                        (0, y),
                        (w, y + int(rng.gauss(0, 0.03) * h)),
                        uniform(0, 255),
                        thickness,
                        cv2.LINE_AA,
                    )
        return image

    def _light(self, image: Float) -> Float:
        rng, uniform, (h, w) = self.rng, self.rng.uniform, image.shape
        if rng.random() < 0.35:
            coarse = np.array([[uniform(0.45, 1.25) for _ in range(3)] for _ in range(2)], np.float32)
            image = image * cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
        if rng.random() < 0.12:
            side = w * rng.choice([-0.2, 1.2])
            edge = [(uniform(-0.2, 1.2) * w, -1), (uniform(-0.2, 1.2) * w, h + 1), (side, h + 1), (side, -1)]
            shade = np.ones((h, w), np.float32)
            cv2.fillPoly(shade, [np.array(edge, np.int32)], uniform(0.3, 0.7), cv2.LINE_AA)
            image = image * shade
        if rng.random() < 0.06:
            glare = np.zeros((h, w), np.float32)
            axes = (max(1, int(w * uniform(0.05, 0.25))), max(1, int(h * uniform(0.1, 0.4))))
            cv2.ellipse(glare, (int(uniform(0, w)), int(uniform(0, h))), axes, 0, 0, 360, 1, -1)
            image = image + cv2.GaussianBlur(glare, (0, 0), max(1, h * 0.1)) * uniform(60, 200)
        gain = uniform(0.75, 1.2) if rng.random() < 0.75 else uniform(0.1, 1.6)
        image = image * gain + uniform(-15, 20)
        if rng.random() < 0.25:
            image = 255 * np.clip(image / 255, 0, 1) ** uniform(0.5, 1.8)
        return image

    def _optics(self, image: Float) -> Float:
        rng, uniform = self.rng, self.rng.uniform
        scale, kind = image.shape[0] / TYPICAL_PLATE_HEIGHT, rng.random()
        if kind < 0.4:
            return cv2.GaussianBlur(image, (0, 0), max(0.25, uniform(0.3, 1.2) * max(0.8, scale)))
        if kind < 0.53:
            length = max(2, int(uniform(2, 4.6) * max(0.7, scale)))
            kernel = np.zeros((length, length), np.float32)
            direction = rng.random()
            if direction < 0.6:
                kernel[length // 2] = 1
            elif direction < 0.8:
                kernel[:, length // 2] = 1
            else:
                np.fill_diagonal(kernel, 1)
            return cv2.filter2D(image, -1, kernel / kernel.sum())
        if kind < 0.62:
            return image + uniform(0.4, 1.6) * (image - cv2.GaussianBlur(image, (0, 0), 1.2))
        return image

    def _sensor(self, image: Float) -> GreyImage:
        rng = self.rng
        if rng.random() < 0.45:
            noise = self.noise.standard_normal(image.shape, np.float32)
            if rng.random() < 0.4:
                noise = cv2.GaussianBlur(noise, (0, 0), 0.8) * 1.8
            image = image + noise * abs(rng.gauss(0, 9))
        pixels = np.clip(image, 0, 255).astype(np.uint8)
        if rng.random() < 0.55:
            _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(25, 92)])
            pixels = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        return pixels

    def _finish(self, pixels: GreyImage) -> GreyImage:
        large = pixels.shape[0] > HEIGHT and pixels.shape[1] > WIDTH
        method = (
            cv2.INTER_AREA
            if large
            else self.rng.choice([cv2.INTER_LINEAR, cv2.INTER_LINEAR, cv2.INTER_CUBIC])
        )
        crop = cv2.resize(pixels, (WIDTH, HEIGHT), interpolation=method)
        return 255 - crop if self.rng.random() < 0.02 else crop
