"""What surrounds the characters on a plate: icons, stickers, small lettering, bolts, frames.

A reader that has never seen them reads them as characters, so they are drawn often and in many shapes.
All functions draw in place on a float32 grey canvas (values 0 to 255).
"""

from __future__ import annotations

import math
import random

import cv2
import numpy as np
import numpy.typing as npt

from scenes.glyphs import ALPHABET, Mask
from scenes.typefaces import Typeface

Canvas = npt.NDArray[np.float32]


def paste_mask(
    canvas: Canvas, mask: Mask, x: float, y: float, width: float, height: float, grey: float
) -> None:
    """Blend a grey value into `canvas` through `mask`, resized to width x height with its corner at (x, y)."""
    w, h, left, top = max(1, int(width)), max(1, int(height)), int(x), int(y)
    rows, columns = canvas.shape
    shrink = w < mask.shape[1]
    scaled = cv2.resize(mask, (w, h), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    x0, y0, x1, y1 = max(0, left), max(0, top), min(columns, left + w), min(rows, top + h)
    if x1 <= x0 or y1 <= y0:
        return
    share = scaled[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32) / 255
    region = canvas[y0:y1, x0:x1]
    region += share * (grey - region)


def _ellipse(canvas: Canvas, x: float, y: float, size: float, grey: float, rng: random.Random) -> None:
    axes = (max(1, int(size * rng.uniform(0.4, 1))), max(1, int(size * rng.uniform(0.4, 1))))
    thickness = -1 if rng.random() < 0.7 else 2
    cv2.ellipse(canvas, (int(x), int(y)), axes, rng.uniform(0, 180), 0, 360, grey, thickness, cv2.LINE_AA)


def _polygon(canvas: Canvas, x: float, y: float, size: float, grey: float, rng: random.Random) -> None:
    angles = sorted(rng.uniform(0, 2 * math.pi) for _ in range(rng.randint(4, 9)))
    points = []
    for angle in angles:
        radius = size * rng.uniform(0.3, 1)
        points.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
    cv2.fillPoly(canvas, [np.array(points, np.int32)], grey, cv2.LINE_AA)


def _cluster(canvas: Canvas, x: float, y: float, size: float, grey: float, rng: random.Random) -> None:
    for _ in range(rng.randint(3, 8)):
        centre = (int(x + rng.gauss(0, size * 0.4)), int(y + rng.gauss(0, size * 0.4)))
        shade = min(255.0, max(0.0, grey + rng.uniform(-40, 40)))
        cv2.circle(canvas, centre, max(1, int(size * rng.uniform(0.15, 0.45))), shade, -1, cv2.LINE_AA)


def _star(canvas: Canvas, x: float, y: float, size: float, grey: float, rng: random.Random) -> None:
    n = rng.choice([5, 6, 8])
    radii = [size if i % 2 == 0 else size * 0.45 for i in range(2 * n)]
    points = [
        (x + r * math.cos(math.pi * i / n), y + r * math.sin(math.pi * i / n)) for i, r in enumerate(radii)
    ]
    cv2.fillPoly(canvas, [np.array(points, np.int32)], grey, cv2.LINE_AA)


def _sticker(
    canvas: Canvas, x: float, y: float, size: float, grey: float, rng: random.Random, face: Typeface
) -> None:
    half = size * rng.uniform(0.3, 0.6)
    cv2.rectangle(
        canvas, (int(x - half), int(y - size * 0.8)), (int(x + half), int(y + size * 0.8)), grey, -1
    )
    if rng.random() < 0.6:
        ink = 0.0 if grey > 120 else 255.0
        for row in (0, 1):
            for column in (0, 1):
                mask = face.masks[rng.choice(ALPHABET)]
                left, top = x - half * 0.9 + column * half * 0.9, y - size * 0.7 + row * size * 0.75
                paste_mask(canvas, mask, left, top, half * 0.8, size * 0.6, ink)


def icon(
    canvas: Canvas, x: float, y: float, size: float, grey: float, rng: random.Random, face: Typeface
) -> None:
    """Draw one random figure of about `size` pixels radius: ellipse, polygon, cluster, star or lettered sticker."""
    kind = rng.randrange(5)
    if kind == 3:
        _sticker(canvas, x, y, size, grey, rng, face)
    else:
        (_ellipse, _polygon, _cluster, _star, _star)[kind](canvas, x, y, size, grey, rng)


def emblem(
    canvas: Canvas, x: float, y: float, size: float, ink: float, rng: random.Random, face: Typeface
) -> None:
    """Draw a composed figure (seal, fruit, animal) as it stands beside or between the characters."""
    icon(canvas, x, y, size, ink if rng.random() < 0.4 else rng.uniform(0, 255), rng, face)
    for _ in range(rng.choice([0, 0, 1, 3, 5])):
        dx, dy = rng.gauss(0, size * 0.35), rng.gauss(0, size * 0.5)
        icon(canvas, x + dx, y + dy, size * rng.uniform(0.15, 0.55), rng.uniform(0, 255), rng, face)
    if rng.random() < 0.2:
        cv2.circle(canvas, (int(x), int(y)), int(size * 0.8), ink, 2, cv2.LINE_AA)


def word(
    canvas: Canvas, mask: Mask, centre: float, top: float, height: float, limit: float, grey: float
) -> None:
    """Write a small word, centred at x = `centre`, at most `limit` pixels wide."""
    width = min(limit, mask.shape[1] * height / mask.shape[0])
    paste_mask(canvas, mask, centre - width / 2, top, width, height, grey)
