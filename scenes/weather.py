"""Conditions of a scene: night, rain, motion blur, and the noise that every camera adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from scenes.compose import Float, Image

Condition = Literal["day", "night", "rain", "blur"]
CONDITIONS: tuple[Condition, ...] = ("day", "night", "rain", "blur")
RETROREFLECTION = 1.8
SENSOR_NOISE: dict[Condition, float] = {"day": 1.5, "night": 4.0, "rain": 2.5, "blur": 2.0}


def _night(image: Image, lamps: Float, front: list[bool], reach: float, plates: Sequence[Float]) -> Float:
    dark: Float = image.astype(np.float32) * np.array([0.30, 0.25, 0.23], np.float32)
    # A plate throws the camera's own light back, which is why plates are read at night at all.
    lit = np.zeros(image.shape[:2], np.float32)
    for corners in plates:
        cv2.fillPoly(lit, [np.round(corners).astype(np.int32)], 1.0, cv2.LINE_AA)
    dark *= 1 + RETROREFLECTION * cv2.GaussianBlur(lit, (0, 0), 1.0)[..., None]
    glow = np.zeros_like(dark)
    for (x, y), is_front in zip(lamps, front, strict=True):
        colour = (150.0, 190.0, 210.0) if is_front else (20.0, 20.0, 190.0)
        cv2.circle(glow, (round(float(x)), round(float(y))), max(2, round(reach)), colour, -1, cv2.LINE_AA)
    dark += np.asarray(cv2.GaussianBlur(glow, (0, 0), max(1.0, reach * 1.2)), np.float32) * 0.8
    return dark


def _rain(image: Image, rng: np.random.Generator) -> Float:
    rows, columns = image.shape[:2]
    washed: Float = cv2.GaussianBlur(image, (0, 0), 0.8).astype(np.float32) * 0.72
    washed += np.array([42, 40, 38], np.float32)
    streaks = np.zeros((rows, columns), np.float32)
    for _ in range(columns // 4):
        x, y, length = int(rng.integers(columns)), int(rng.integers(rows)), int(rng.integers(8, 26))
        cv2.line(streaks, (x, y), (x - length // 6, y + length), float(rng.uniform(12, 40)), 1, cv2.LINE_AA)
    washed += streaks[..., None]
    return washed


def _motion(image: Image, rng: np.random.Generator) -> Float:
    length = int(rng.integers(3, 7))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    return cv2.filter2D(image, -1, kernel).astype(np.float32)


def apply(
    image: Image,
    condition: Condition,
    rng: np.random.Generator,
    *,
    lamps: Float,
    front: list[bool],
    reach: float,
    plates: Sequence[Float],
) -> Image:
    """Give a daylight scene its condition and the sensor's noise.

    Args:
        image: (height, width, 3) BGR.
        condition: day leaves the light as it is.
        rng: source of noise and streaks.
        lamps: (n, 2) pixels; they glow at night.
        front: for each lamp whether it is a head lamp (white) or a tail lamp (red).
        reach: radius of a lamp in pixels.
        plates: (4, 2) corners of each plate; they shine at night.
    """
    if condition == "night":
        pixels = _night(image, lamps, front, reach, plates)
    elif condition == "rain":
        pixels = _rain(image, rng)
    elif condition == "blur":
        pixels = _motion(image, rng)
    else:
        pixels = image.astype(np.float32)
    noise: npt.NDArray[np.float32] = rng.standard_normal(pixels.shape, np.float32)
    return np.clip(pixels + noise * SENSOR_NOISE[condition], 0, 255).astype(np.uint8)
