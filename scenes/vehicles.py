"""Vehicles seen from the front or the rear, as a roadside camera sees them. Nobody sits in them.

A `VehicleLook` holds every choice; `sprite` draws it at any size, so that the same vehicle can come nearer frame by
frame. Coordinates in the drawing code are fractions of the vehicle's width and height.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from scenes.compose import Float
from scenes.plate import PlateStyle, RenderedPlate, render_plate
from scenes.texts import Region

VehicleType = Literal["car", "truck", "bus", "motorcycle"]
Colour = tuple[float, float, float]  # B, G, R
Points = list[tuple[float, float]]
TYPE_SHARES: dict[VehicleType, float] = {"car": 0.76, "truck": 0.13, "bus": 0.08, "motorcycle": 0.03}
ASPECT: dict[VehicleType, float] = {
    "car": 0.80,
    "truck": 1.08,
    "bus": 1.15,
    "motorcycle": 1.55,
}  # height / width
WIDTH: dict[VehicleType, float] = {
    "car": 1.0,
    "truck": 1.25,
    "bus": 1.35,
    "motorcycle": 0.42,
}  # relative to a car
PLATE_WIDTH: dict[Region, float] = {"us": 0.205, "eu": 0.30, "br": 0.25}  # of a car's width
PAINTS: dict[str, Colour] = {
    "white": (232, 234, 234), "silver": (170, 168, 165), "gray": (98, 96, 94), "black": (34, 32, 31),
    "red": (32, 30, 168), "blue": (150, 82, 34), "green": (62, 92, 38), "yellow": (40, 196, 232), "brown": (40, 62, 92),
}  # fmt: skip
PAINT_WEIGHTS = (22, 14, 16, 18, 10, 10, 4, 3, 3)
RUBBER: Colour = (26, 26, 27)
TRIM: Colour = (48, 47, 46)


@dataclass(frozen=True)
class VehicleLook:
    """One vehicle: what it is, its paint, which end shows, its plate (None: it carries none) and its proportions."""

    kind: VehicleType
    paint: str
    front: bool
    plate: RenderedPlate | None
    roof: float
    plate_height: float
    shine: float

    @staticmethod
    def draw(rng: random.Random, *, text: str | None = None, kind: VehicleType | None = None) -> VehicleLook:
        """Draw a look with a clean plate, its text given or random."""
        kind = kind or rng.choices(list(TYPE_SHARES), list(TYPE_SHARES.values()))[0]
        paint = rng.choices(list(PAINTS), PAINT_WEIGHTS)[0]
        region = rng.choices(list(PLATE_WIDTH), [0.75, 0.15, 0.10])[0]
        plate = render_plate(rng, PlateStyle(region, clean=True), text)
        plate_height = {"car": rng.choice([0.64, 0.79]), "truck": 0.88, "bus": 0.87, "motorcycle": 0.52}[kind]
        return VehicleLook(
            kind, paint, rng.random() < 0.5, plate, rng.uniform(0, 0.05), plate_height, rng.uniform(0.8, 1.1)
        )


@dataclass(frozen=True)
class Sprite:
    """A drawn vehicle: (h, w, 3) BGR float32, (h, w) opacity, the plate's corners and the lamps' centres in pixels."""

    pixels: Float
    alpha: Float
    plate: npt.NDArray[np.float32]
    lamps: npt.NDArray[np.float32]


class _Brush:
    """Draws shapes given in fractions onto a canvas and its opacity."""

    def __init__(self, width: int, height: int) -> None:
        self.w, self.h = width, height
        self.pixels: Float = np.zeros((height, width, 3), np.float32)
        self.alpha: Float = np.zeros((height, width), np.float32)

    def _to_pixels(self, points: Points) -> npt.NDArray[np.int32]:
        return np.round(np.array(points) * [self.w * 8, self.h * 8]).astype(np.int32)

    def polygon(self, points: Points, colour: Colour, *, fade: float = 0.0) -> None:
        """Fill a polygon; `fade` darkens it by that share from its top to its bottom."""
        mask = np.zeros((self.h, self.w), np.uint8)
        cv2.fillPoly(mask, [self._to_pixels(points)], 255, cv2.LINE_AA, 3)
        share = mask.astype(np.float32) / 255
        top, bottom = min(y for _, y in points), max(y for _, y in points)
        rows = np.clip((np.linspace(0, 1, self.h) - top) / max(1e-3, bottom - top), 0, 1)
        light = (1.12 - fade * rows).astype(np.float32)[:, None, None] if fade else np.float32(1)
        self.pixels += share[..., None] * (np.array(colour, np.float32) * light - self.pixels)
        self.alpha = np.maximum(self.alpha, share)

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        colour: Colour,
        *,
        cut: float = 0.0,
        fade: float = 0.0,
    ) -> None:
        """Fill a rectangle whose corners are cut off by `cut` of the width."""
        c, d = cut, cut * self.w / self.h
        points = [
            (x0 + c, y0),
            (x1 - c, y0),
            (x1, y0 + d),
            (x1, y1 - d),
            (x1 - c, y1),
            (x0 + c, y1),
            (x0, y1 - d),
            (x0, y0 + d),
        ]
        self.polygon(points, colour, fade=fade)

    def glass(self, points: Points) -> None:
        """Dark glass with a reflection: no interior, hence no occupant, is ever drawn."""
        self.polygon(points, (62, 52, 44), fade=0.5)
        xs, ys = [x for x, _ in points], [y for _, y in points]
        x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
        left, width = x0 + 0.3 * (x1 - x0), 0.12 * (x1 - x0)
        lean = 0.1 * (x1 - x0)
        self.polygon(
            [(left + lean, y0), (left + lean + width, y0), (left + width, y1), (left, y1)],
            (104, 94, 84),
            fade=0.4,
        )


def _mixed(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def _car(brush: _Brush, look: VehicleLook, paint: Colour) -> Points:
    top = 0.04 + look.roof
    brush.box(0.07, 0.74, 0.23, 1.0, RUBBER, cut=0.02)
    brush.box(0.77, 0.74, 0.93, 1.0, RUBBER, cut=0.02)
    brush.polygon(
        [(0.27, top), (0.73, top), (0.81, top + 0.05), (0.95, 0.44), (0.05, 0.44), (0.19, top + 0.05)],
        _mixed(paint, 0.85),
    )
    brush.glass([(0.29, top + 0.05), (0.71, top + 0.05), (0.85, 0.40), (0.15, 0.40)])
    brush.box(0.02, 0.40, 0.98, 0.90, paint, cut=0.045, fade=0.35)
    brush.polygon([(0.06, 0.43), (0.94, 0.43), (0.90, 0.455), (0.10, 0.455)], _mixed(paint, 1.15))
    brush.box(0.03, 0.73, 0.97, 0.91, _mixed(paint, 0.72), cut=0.03, fade=0.2)
    brush.box(0.10, 0.87, 0.90, 0.93, TRIM, cut=0.01)
    if look.front:
        brush.box(0.30, 0.50, 0.70, 0.60, TRIM, cut=0.02)
        for y in (0.525, 0.55, 0.575):
            brush.box(0.31, y, 0.69, y + 0.008, (90, 90, 90))
    else:
        brush.box(0.06, 0.60, 0.94, 0.607, _mixed(paint, 0.6))
    lamp: Colour = (225, 238, 242) if look.front else (36, 30, 170)
    for x0, x1 in ((0.04, 0.22), (0.78, 0.96)):
        brush.box(x0, 0.47, x1, 0.58, _mixed(lamp, 0.7), cut=0.025)
        brush.box(x0 + 0.02, 0.485, x1 - 0.03, 0.555, lamp, cut=0.02, fade=0.2)
    return [(0.13, 0.52), (0.87, 0.52)]


def _truck(brush: _Brush, look: VehicleLook, paint: Colour) -> Points:
    for x in (0.06, 0.76):
        brush.box(x, 0.80, x + 0.18, 1.0, RUBBER, cut=0.02)
    if look.front:
        brush.box(0.06, 0.10, 0.94, 0.88, paint, cut=0.04, fade=0.3)
        brush.glass([(0.12, 0.18), (0.88, 0.18), (0.90, 0.48), (0.10, 0.48)])
        brush.box(0.24, 0.55, 0.76, 0.74, TRIM, cut=0.02)
    else:
        brush.box(0.03, 0.0, 0.97, 0.82, paint, cut=0.01, fade=0.2)
        brush.box(0.495, 0.02, 0.505, 0.80, _mixed(paint, 0.6))
        for x in (0.25, 0.73):
            brush.box(x, 0.06, x + 0.02, 0.78, _mixed(paint, 0.75))
    brush.box(0.05, 0.80, 0.95, 0.95, TRIM, cut=0.01)
    lamp: Colour = (225, 238, 242) if look.front else (36, 30, 170)
    for x in (0.08, 0.80):
        brush.box(x, 0.82, x + 0.12, 0.87, lamp, cut=0.01)
    return [(0.14, 0.845), (0.86, 0.845)]


def _bus(brush: _Brush, look: VehicleLook, paint: Colour) -> Points:
    for x in (0.07, 0.77):
        brush.box(x, 0.84, x + 0.16, 1.0, RUBBER, cut=0.02)
    brush.box(0.02, 0.0, 0.98, 0.94, paint, cut=0.05, fade=0.3)
    brush.glass(
        [
            (0.07, 0.13 if look.front else 0.16),
            (0.93, 0.13 if look.front else 0.16),
            (0.93, 0.52),
            (0.07, 0.52),
        ]
    )
    brush.box(0.25, 0.03, 0.75, 0.10, (20, 22, 22), cut=0.01)
    if look.front:
        brush.box(0.29, 0.05, 0.71, 0.08, (40, 160, 230))
    else:
        brush.box(0.20, 0.60, 0.80, 0.74, _mixed(paint, 0.7), cut=0.01)
    lamp: Colour = (225, 238, 242) if look.front else (36, 30, 170)
    for x in (0.06, 0.82):
        brush.box(x, 0.70, x + 0.12, 0.77, lamp, cut=0.02)
    return [(0.12, 0.735), (0.88, 0.735)]


def _motorcycle(brush: _Brush, look: VehicleLook, paint: Colour) -> Points:
    brush.box(0.36, 0.45, 0.64, 1.0, RUBBER, cut=0.12)
    brush.polygon([(0.02, 0.16), (0.98, 0.16), (0.98, 0.20), (0.60, 0.26), (0.40, 0.26), (0.02, 0.20)], TRIM)
    brush.box(0.22, 0.20, 0.78, 0.44, paint, cut=0.12, fade=0.3)
    brush.box(0.10, 0.44, 0.90, 0.62, TRIM, cut=0.04)
    lamp: Colour = (225, 238, 242) if look.front else (36, 30, 170)
    brush.box(0.38, 0.27, 0.62, 0.36, lamp, cut=0.05)
    return [(0.5, 0.315)]


_PAINTERS = {"car": _car, "truck": _truck, "bus": _bus, "motorcycle": _motorcycle}


def sprite(look: VehicleLook, width: int) -> Sprite:
    """Draw a vehicle `width` pixels wide (without its plate, which is put in separately at full sharpness)."""
    height = round(width * ASPECT[look.kind])
    brush = _Brush(width, height)
    lamps = _PAINTERS[look.kind](brush, look, _mixed(PAINTS[look.paint], look.shine))
    region: Region = look.plate.region if look.plate else "us"
    half_w = PLATE_WIDTH[region] / WIDTH[look.kind] / 2
    shape = np.ptp(look.plate.corners, axis=0) if look.plate else np.array([2.0, 1.0])
    half_h = half_w * width / height * shape[1] / shape[0]
    y = look.plate_height
    corners = np.array(
        [
            (0.5 - half_w, y - half_h),
            (0.5 + half_w, y - half_h),
            (0.5 + half_w, y + half_h),
            (0.5 - half_w, y + half_h),
        ]
    )
    size = np.array([width, height], np.float32)
    return Sprite(
        brush.pixels,
        brush.alpha,
        (corners * size).astype(np.float32),
        (np.array(lamps) * size).astype(np.float32),
    )
