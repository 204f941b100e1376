"""Generated street scenes with labels: road, verge, buildings, sky, vehicles with plates. Equal seeds, equal pictures."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from scenes import weather
from scenes.compose import Float, Image, put
from scenes.vehicles import ASPECT, WIDTH, VehicleLook, sprite
from scenes.weather import Condition

SIZE = (1280, 720)
FAR, NEAR = 0.10, 0.36  # a car's width, relative to the picture's
LEAST_PLATE_PIXELS = 20  # plates that come out narrower are not labelled: nobody could read them
BoxXYWH = tuple[float, float, float, float]


@dataclass(frozen=True)
class SceneVehicle:
    """A vehicle: box (x, y, width, height in pixels), type and colour."""

    box: BoxXYWH
    type: str
    colour: str


@dataclass(frozen=True)
class ScenePlate:
    """A plate: text without separators, box, (4, 2) corners clockwise from the upper left; `state` where it has one."""

    text: str
    box: BoxXYWH
    corners: Float
    state: str | None = None


@dataclass(frozen=True)
class Scene:
    """A picture (height, width, 3 BGR) and everything in it."""

    image: Image
    vehicles: tuple[SceneVehicle, ...]
    plates: tuple[ScenePlate, ...]


@dataclass(frozen=True)
class Placed:
    """A vehicle at a place: x of its middle and y of the ground under it (pixels), its width, and its turn."""

    look: VehicleLook
    x: float
    ground: float
    width: float
    yaw: float  # -1 to 1: how much the right side is nearer than the left
    roll: float  # radians


@dataclass(frozen=True)
class Backdrop:
    """An empty street and the y of its horizon."""

    image: Image
    horizon: float


Drawn = tuple[SceneVehicle, ScenePlate | None, Float]  # labels, and the (n, 2) centres of the lamps


def draw_backdrop(rng: random.Random, size: tuple[int, int] = SIZE) -> Backdrop:
    """Draw a street without vehicles."""
    width, height = size
    noise = np.random.default_rng(rng.getrandbits(32))
    horizon = height * rng.uniform(0.24, 0.36)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    zenith, haze = (
        np.array([rng.uniform(170, 235), rng.uniform(140, 190), rng.uniform(110, 165)], np.float32),
        np.array([228, 224, 218], np.float32),
    )
    sky = zenith + (haze - zenith) * np.clip(rows * height / horizon, 0, 1)
    image = np.repeat(sky[:, None, :], width, axis=1)
    _buildings(image, horizon, rng)
    ground = np.array(rng.choice([(58, 104, 82), (96, 118, 126), (128, 134, 138)]), np.float32)
    image[int(horizon) :] = ground * (0.75 + 0.35 * rows[int(horizon) :, None])
    _road(image, horizon, rng)
    grain = cv2.GaussianBlur(noise.standard_normal((height, width), np.float32), (0, 0), 1.2) * 9
    image[int(horizon) :] += grain[int(horizon) :, :, None]
    return Backdrop(np.clip(image, 0, 255).astype(np.uint8), horizon)


def _buildings(image: Float, horizon: float, rng: random.Random) -> None:
    width, x = image.shape[1], -20.0
    while x < width:
        w, top = rng.uniform(60, 190), horizon * rng.uniform(0.15, 0.8)
        if rng.random() < 0.35:
            tree = (rng.uniform(40, 70), rng.uniform(80, 120), rng.uniform(50, 85))
            for _ in range(9):
                centre = (int(x + rng.uniform(0.2, 0.8) * w), int(rng.uniform(top, horizon)))
                cv2.circle(image, centre, int(w * rng.uniform(0.12, 0.28)), tree, -1, cv2.LINE_AA)
        else:
            shade = rng.uniform(100, 190)
            wall = (shade * rng.uniform(0.8, 1), shade * rng.uniform(0.85, 1), shade)
            cv2.rectangle(image, (int(x), int(top)), (int(x + w), int(horizon) + 4), wall, -1)
            step = rng.randint(18, 30)
            for wy in range(int(top) + 10, int(horizon) - 14, step):
                for wx in range(int(x) + 8, int(x + w) - 14, step):
                    cv2.rectangle(image, (wx, wy), (wx + step // 2, wy + step // 2), (90, 84, 78), -1)
        x += w * rng.uniform(0.8, 1.1)


def _road(image: Float, horizon: float, rng: random.Random) -> None:
    height, width = image.shape[:2]
    vanish, shade = width * rng.uniform(0.4, 0.6), rng.uniform(84, 124)
    left, right = -width * 0.35, width * 1.35
    asphalt = [(vanish - 14, horizon), (vanish + 14, horizon), (right, height), (left, height)]
    cv2.fillPoly(image, [np.array(asphalt, np.int32)], (shade, shade * 0.98, shade * 0.97), cv2.LINE_AA)
    for lane in (0.02, 0.345, 0.655, 0.98):
        foot, solid = left + (right - left) * lane, lane in {0.02, 0.98}
        for i in range(1 if solid else 9):
            a, b = (0.02, 1.0) if solid else ((i / 9) ** 2, ((i + 0.5) / 9) ** 2)
            half_a, half_b = 1 + 7 * a, 1 + 7 * b
            xa, xb = vanish + (foot - vanish) * a, vanish + (foot - vanish) * b
            ya, yb = horizon + (height - horizon) * a, horizon + (height - horizon) * b
            stripe = [(xa - half_a, ya), (xa + half_a, ya), (xb + half_b, yb), (xb - half_b, yb)]
            cv2.fillPoly(image, [np.array(stripe, np.int32)], (206, 212, 214), cv2.LINE_AA)


def _outline(placed: Placed) -> Float:
    """Corners of the vehicle's picture in the scene, turned and rolled."""
    w = placed.width
    h = w * ASPECT[placed.look.kind]
    near, far = 1 + 0.06 * placed.yaw, 1 - 0.06 * placed.yaw
    squeeze = 1 - 0.05 * abs(placed.yaw)
    points = np.array(
        [
            (-w / 2, -h * far),
            (w / 2, -h * near),
            (w / 2, 0.02 * h * placed.yaw),
            (-w / 2, -0.02 * h * placed.yaw),
        ]
    )
    points[:, 0] *= squeeze
    c, s = np.cos(placed.roll), np.sin(placed.roll)
    outline: Float = (points @ np.array([[c, s], [-s, c]]) + [placed.x, placed.ground]).astype(np.float32)
    return outline


def draw_vehicle(image: Image, placed: Placed) -> Drawn:
    """Draw a vehicle in place, with its shadow; returns its labels and its lamps' centres (n, 2)."""
    drawn = sprite(placed.look, max(64, round(placed.width * 1.5)))
    h, w = drawn.alpha.shape
    source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    outline = _outline(placed)
    _shadow(image, placed)
    put(image, drawn.pixels, source, outline, alpha=drawn.alpha)
    matrix = cv2.getPerspectiveTransform(source, outline)
    corners = cv2.perspectiveTransform(drawn.plate[None], matrix)[0]
    lamps = cv2.perspectiveTransform(drawn.lamps[None], matrix)[0]
    vehicle = SceneVehicle(_box(outline, image), placed.look.kind, placed.look.paint)
    plate = placed.look.plate
    if plate is None:
        return vehicle, None, lamps
    put(image, plate.colour().astype(np.float32), plate.corners, corners, soften=0.4)
    box = _box(corners, image)
    whole = bool((corners >= 0).all() and (corners <= [image.shape[1], image.shape[0]]).all())
    label = ScenePlate(plate.text, box, corners) if whole and box[2] >= LEAST_PLATE_PIXELS else None
    return vehicle, label, lamps


def _shadow(image: Image, placed: Placed) -> None:
    shade = np.zeros(image.shape[:2], np.float32)
    axes = (int(placed.width * 0.53), max(2, int(placed.width * 0.07)))
    cv2.ellipse(
        shade, (int(placed.x), int(placed.ground - axes[1] * 0.3)), axes, 0, 0, 360, 0.6, -1, cv2.LINE_AA
    )
    y0, y1 = max(0, int(placed.ground) - 3 * axes[1]), min(image.shape[0], int(placed.ground) + 3 * axes[1])
    if y1 > y0:
        soft = cv2.GaussianBlur(shade[y0:y1], (0, 0), max(1.0, axes[1] * 0.35))
        image[y0:y1] = (image[y0:y1] * (1 - soft[..., None])).astype(np.uint8)


def _box(points: Float, image: Image) -> BoxXYWH:
    """Box of points, clipped to the picture."""
    limits = np.array([image.shape[1], image.shape[0]], np.float32)
    low, high = np.clip(points.min(0), 0, limits), np.clip(points.max(0), 0, limits)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def ground_for(width: float, horizon: float, size: tuple[int, int]) -> float:
    """Where a car of that width (pixels) stands: nearer is wider and lower in the picture."""
    share = min(1.0, width / (NEAR * size[0]))
    return horizon + (0.97 * size[1] - horizon) * share


def _places(
    rng: random.Random, backdrop: Backdrop, size: tuple[int, int], looks: Sequence[VehicleLook]
) -> list[Placed]:
    """Spread vehicles over lanes, far ones first, so that nearer ones are drawn over them but never over their plates."""
    lanes = rng.sample([0.17, 0.5, 0.83], k=min(3, len(looks)))
    placed = []
    for i, look in enumerate(looks):
        width = rng.uniform(FAR if i else 0.18, NEAR * 0.9) * size[0]
        ground = ground_for(width, backdrop.horizon, size)
        depth = (ground - backdrop.horizon) / (size[1] - backdrop.horizon)
        x = size[0] * (0.5 + (lanes[i % 3] - 0.5) * (0.55 + 0.45 * depth) * 1.05)
        yaw, roll = rng.uniform(-1, 1), rng.gauss(0, 0.012)
        placed.append(Placed(look, x, ground, width * WIDTH[look.kind], yaw, roll))
    return sorted(placed, key=lambda p: p.ground)


def _hidden(plate: ScenePlate, vehicles: Sequence[SceneVehicle]) -> bool:
    """Whether a vehicle drawn later covers any of the plate."""
    x, y, w, h = plate.box
    return any(
        x < v.box[0] + v.box[2] and v.box[0] < x + w and y < v.box[1] + v.box[3] and v.box[1] < y + h
        for v in vehicles
    )


def render_scene(
    seed: int,
    *,
    size: tuple[int, int] = SIZE,
    condition: Condition = "day",
    plates: Sequence[str] | None = None,
) -> Scene:
    """Render a street scene.

    Args:
        seed: decides everything.
        size: width and height in pixels.
        condition: day, night, rain or blur.
        plates: one text for each vehicle, three at most; by default one to three vehicles with random plates.

    Raises:
        ValueError: more than three plates, or a text that plates do not carry.
    """
    rng = random.Random(f"scene {seed}")
    if plates is not None and len(plates) > 3:
        raise ValueError(f"{len(plates)} plates do not fit side by side; give at most three for each scene")
    texts: Sequence[str | None] = plates if plates is not None else [None] * rng.choice([1, 1, 2, 2, 3])
    backdrop = draw_backdrop(rng, size)
    image = backdrop.image
    looks = [VehicleLook.draw(rng, text=text) for text in texts]
    places = _places(rng, backdrop, size, looks)
    drawn = [draw_vehicle(image, placed) for placed in places]
    vehicles = [vehicle for vehicle, _, _ in drawn]
    labels = [p for i, (_, p, _) in enumerate(drawn) if p is not None and not _hidden(p, vehicles[i + 1 :])]
    return Scene(finish(image, condition, rng, places, drawn), tuple(vehicles), tuple(labels))


def finish(
    image: Image, condition: Condition, rng: random.Random, places: Sequence[Placed], drawn: Sequence[Drawn]
) -> Image:
    """Apply the condition to a drawn scene."""
    front = [placed.look.front for placed, (*_, group) in zip(places, drawn, strict=True) for _ in group]
    lamps = np.concatenate([*(group for *_, group in drawn), np.zeros((0, 2), np.float32)])
    plates = [plate.corners for _, plate, _ in drawn if plate is not None]
    reach = max([p.width for p in places], default=0.0) * 0.045
    noise = np.random.default_rng(rng.getrandbits(32))
    return weather.apply(image, condition, noise, lamps=lamps, front=front, reach=reach, plates=plates)
