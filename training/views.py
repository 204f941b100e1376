"""Views of photographs for the detector: crop, zoom, turn and mirror so that objects of all sizes occur.

A `View` carries its labels along, and where labels are missing: areas in which "nothing here" must not be learnt.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from training.data import Box, Image, Photo

Float = npt.NDArray[np.float32]
SMALLEST_PLATE, LARGEST_PLATE = 20.0, 330.0  # pixels of width in a view
SMALLEST_VEHICLE, LARGEST_VEHICLE = 18.0, 320.0
MOST_ZOOM = 2.2  # beyond it there is nothing but blur to learn from
MIRRORED = [1, 0, 3, 2]  # order of corners after mirroring


@dataclass
class Target:
    """An object in a view. `visible` is the share of its box that is in the picture, `kind` a vehicle class or -1."""

    box: Box
    visible: float = 1.0
    corners: Float | None = None
    kind: int = -1
    sure: bool = True


@dataclass
class View:
    """A picture with its targets; `*_unknown` are boxes in which objects may be that nobody labelled."""

    image: Image
    plates: list[Target] = field(default_factory=list)
    vehicles: list[Target] = field(default_factory=list)
    plates_unknown: list[Box] = field(default_factory=list)
    vehicles_unknown: list[Box] = field(default_factory=list)

    def shifted(self, dx: float, dy: float) -> View:
        """The same labels, moved: the view has become a tile of a mosaic."""

        def move(box: Box) -> Box:
            return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy

        def moved(targets: list[Target]) -> list[Target]:
            offset = np.array([dx, dy], np.float32)
            return [
                replace(t, box=move(t.box), corners=None if t.corners is None else t.corners + offset)
                for t in targets
            ]

        unknown = [move(b) for b in self.plates_unknown], [move(b) for b in self.vehicles_unknown]
        return View(self.image, moved(self.plates), moved(self.vehicles), *unknown)


def _scale(photo: Photo, box: Box, is_plate: bool, width: int, height: int, rng: random.Random) -> float:
    low, high = (SMALLEST_PLATE, LARGEST_PLATE) if is_plate else (SMALLEST_VEHICLE, LARGEST_VEHICLE)
    # Most plates are small; half of the range on a logarithmic scale would be lost on close-ups.
    usual = 170.0 if is_plate else high
    wanted = (
        math.exp(rng.uniform(math.log(low), math.log(usual)))
        if rng.random() < 0.88
        else rng.uniform(150, high)
    )
    scale = wanted / max(4.0, box[2] - box[0])
    rows, columns = photo_size(photo)
    return max(min(scale, MOST_ZOOM), 0.7 * max(width, height) / max(rows, columns))


_sizes: dict[str, tuple[int, int]] = {}


def photo_size(photo: Photo) -> tuple[int, int]:
    """Height and width of a photograph, remembered from its first decoding."""
    key = str(photo.path)
    if key not in _sizes:
        _sizes[key] = photo.load().shape[:2]
    return _sizes[key]


def _affine(
    image: Image, focus: Box, scale: float, size: tuple[int, int], rng: random.Random
) -> tuple[Float, bool]:
    """A similarity that puts the focus somewhere into the view, mirrored half of the time."""
    rows, columns = image.shape[:2]
    angle, mirror = math.radians(rng.gauss(0, 4)), rng.random() < 0.5
    stretch = scale * rng.uniform(0.85, 1.18) * (-1 if mirror else 1)
    x, y = (focus[0] + focus[2]) / 2, (focus[1] + focus[3]) / 2
    if rng.random() < 0.12:
        x, y = rng.uniform(0, columns), rng.uniform(0, rows)
    c, s = math.cos(angle), math.sin(angle)
    linear = np.array([[stretch * c, -scale * s], [stretch * s, scale * c]])
    place = np.array([rng.uniform(0.08, 0.92) * size[0], rng.uniform(0.08, 0.92) * size[1]])
    offset = place - linear @ [x, y]
    if rng.random() < 0.85:
        # Slide the photograph so that it fills the view, or lies wholly inside: borders teach nothing.
        frame = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]]) @ linear.T + offset
        low, high = frame.min(0), frame.max(0)
        for axis, limit in enumerate(size):
            if high[axis] - low[axis] >= limit:
                offset[axis] += min(0.0, -low[axis]) + max(0.0, limit - high[axis])
            else:
                offset[axis] += max(0.0, -low[axis]) + min(0.0, limit - high[axis])
    return np.hstack([linear, offset[:, None]]).astype(np.float32), mirror


def _transform(box: Box, matrix: Float) -> Box:
    """Box of a turned box, through the middles of its sides: the corners' hull would grow with every turn."""
    x1, y1, x2, y2 = box
    middles = np.array([[(x1 + x2) / 2, y1], [x2, (y1 + y2) / 2], [(x1 + x2) / 2, y2], [x1, (y1 + y2) / 2]])
    points = middles @ matrix[:, :2].T + matrix[:, 2]
    centre = points.mean(0)
    half_w, half_h = abs(points[1, 0] - points[3, 0]) / 2, abs(points[2, 1] - points[0, 1]) / 2
    return centre[0] - half_w, centre[1] - half_h, centre[0] + half_w, centre[1] + half_h


def clipped(target: Target, width: float, height: float) -> Target | None:
    """The part of a target inside the view, None where there is none."""
    x1, y1, x2, y2 = target.box
    inside = max(0.0, x1), max(0.0, y1), min(width, x2), min(height, y2)
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        return None
    share = (inside[2] - inside[0]) * (inside[3] - inside[1]) / max(1e-6, (x2 - x1) * (y2 - y1))
    return replace(target, box=inside, visible=target.visible * share)


def take(photo: Photo, size: tuple[int, int], rng: random.Random) -> View:
    """Take a view of `size` (width, height) of a photograph, around one of its objects."""
    width, height = size
    image = photo.load()
    _sizes[str(photo.path)] = image.shape[:2]
    rows, columns = image.shape[:2]
    focuses = [(p.box, True) for p in photo.plates] + [
        (v.box, False) for v in photo.vehicles if photo.vehicles_complete
    ]
    box, is_plate = rng.choice(focuses) if focuses else ((0.0, 0.0, float(columns), float(rows)), False)
    scale = _scale(photo, box, is_plate, width, height, rng)
    matrix, mirror = _affine(image, box, scale, size, rng)
    method = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
    border = [rng.choice([114, 0, rng.uniform(0, 255)])] * 3
    picture = cv2.warpAffine(
        image, matrix, size, flags=method, borderMode=cv2.BORDER_CONSTANT, borderValue=border
    )
    view = View(picture)
    for plate in photo.plates:
        corners = None
        if plate.corners is not None:
            corners = np.array(plate.corners, np.float32).reshape(4, 2) @ matrix[:, :2].T + matrix[:, 2]
            corners = corners[MIRRORED] if mirror else corners
            low, high = corners.min(0), corners.max(0)
            target = Target((low[0], low[1], high[0], high[1]), corners=corners)
        else:
            target = Target(_transform(plate.box, matrix))
        if (kept := clipped(target, width, height)) is not None:
            view.plates.append(kept)
    for vehicle in photo.vehicles:
        target = Target(_transform(vehicle.box, matrix), kind=vehicle.kind, sure=vehicle.sure)
        if (kept := clipped(target, width, height)) is not None:
            view.vehicles.append(kept)
    whole = (0.0, 0.0, float(width), float(height))
    if not photo.plates_complete:
        # Plates are on vehicles: away from all of them, "no plate here" is safe to learn.
        view.plates_unknown = [v.box for v in view.vehicles] if photo.vehicles_complete else [whole]
    if not photo.vehicles_complete:
        view.vehicles_unknown = [whole]
    return view
