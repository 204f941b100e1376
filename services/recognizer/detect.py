"""Find plates (box and four corners) and vehicles (box and class) in a picture.

Plates are small and need pixels, what a vehicle is takes depth: so there is a network for each. The plates' looks twice, at the picture
fitted to 640 x 384 and at half of that, where plates that fill the frame have the size that it knows. The vehicles' looks once, at the half.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from services.recognizer.engine import Engine
from services.recognizer.results import Float, Image

INPUT_WIDTH, INPUT_HEIGHT = 640, 384
PLATE_STRIDE = 8
VEHICLE_STRIDES = (8, 4)  # of the vehicle network's maps, in the order of its outputs
VEHICLE_CLASSES = ("car", "truck", "bus", "motorcycle")
CORNER_SCALE = 4.0  # of the network's corner outputs; equals `training.models.CORNER_SCALE`
LOG_LIMITS = (-4.0, 5.0)
MOST_CELLS = 300
PLATE_OVERLAP, VEHICLE_OVERLAP, VEHICLE_PART = 0.3, 0.45, 0.9
PADDING_GREY = 114
HALF_WIDTH, HALF_HEIGHT = INPUT_WIDTH // 2, INPUT_HEIGHT // 2


@dataclass(frozen=True)
class PlateBox:
    """A plate: x1, y1, x2, y2 and (4, 2) corners in pixels of the picture, and a score from 0 to 1."""

    box: Float
    corners: Float
    score: float


@dataclass(frozen=True)
class VehicleBox:
    """A vehicle: x1, y1, x2, y2 in pixels of the picture, its class with probability, and a score from 0 to 1."""

    box: Float
    kind: str
    kind_confidence: float
    score: float


def letterbox(image: Image, width: int, height: int) -> tuple[Image, float]:
    """Fit a picture into width x height, padded at right and bottom.

    Returns:
        (height, width, 3) BGR, and the scale from picture to its pixels.
    """
    rows, columns = image.shape[:2]
    scale = min(width / columns, height / rows)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fitted = cv2.resize(image, size, interpolation=method)
    grey = (PADDING_GREY,) * 3
    padded = cv2.copyMakeBorder(
        fitted, 0, height - size[1], 0, width - size[0], cv2.BORDER_CONSTANT, value=grey
    )
    return np.asarray(padded, np.uint8), scale


def as_input(picture: Image) -> Float:
    """A picture as the network takes it: (1, 3, height, width) in 0..1."""
    pixels = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32)
    pixels *= np.float32(1 / 255)
    return pixels


def overlaps(box: Float, others: Float) -> Float:
    """Intersection over union of one box (4,) with others (n, 4), all x1, y1, x2, y2."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    inner = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    union = np.prod(box[2:] - box[:2]) + areas - inner
    result: Float = (inner / np.maximum(union, 1e-6)).astype(np.float32)
    return result


def suppress(boxes: Float, scores: Float, limit: float, *, part: float = 1.0) -> list[int]:
    """Non-maximum suppression; returns the indices kept, best first.

    Args:
        boxes: (n, 4) x1, y1, x2, y2.
        scores: (n,).
        limit: greatest intersection over union with a better box.
        part: greatest share of a box inside a better one, or of a better one inside it: a door is no second car.
    """
    order = list(np.argsort(-scores))
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept: list[int] = []
    while order:
        best = int(order.pop(0))
        kept.append(best)
        if order:
            shared = overlaps(boxes[best], boxes[order])
            # From intersection over union back to the intersection, relative to the smaller box.
            inside = (
                shared / (1 + shared) * (areas[best] + areas[order]) / np.minimum(areas[best], areas[order])
            )
            order = [i for i, s, p in zip(order, shared, inside, strict=True) if s <= limit and p <= part]
    return kept


def _cells(output: Float, threshold: float, stride: int) -> tuple[Float, Float, Float]:
    """Cells whose objectness passes: their features (m, channels), boxes (m, 4) in input pixels, scores (m,)."""
    logits = output[0]
    rows, columns = np.nonzero(logits > np.log(threshold / (1 - threshold)))
    if len(rows) > MOST_CELLS:
        best = np.argsort(-logits[rows, columns])[:MOST_CELLS]
        rows, columns = rows[best], columns[best]
    features = output[:, rows, columns].T
    scores = 1 / (1 + np.exp(-features[:, 0]))
    sides = np.exp(np.clip(features[:, 1:5], *LOG_LIMITS)) * stride
    x, y = (columns + 0.5) * stride, (rows + 0.5) * stride
    boxes = np.stack([x - sides[:, 0], y - sides[:, 1], x + sides[:, 2], y + sides[:, 3]], 1)
    return features, boxes.astype(np.float32), scores.astype(np.float32)


def decode_plates(output: Float, threshold: float) -> tuple[Float, Float, Float]:
    """Plate map (13, h, w) to boxes (m, 4), corners (m, 4, 2), both in input pixels, and scores (m,)."""
    features, boxes, scores = _cells(output, threshold, PLATE_STRIDE)
    size = (boxes[:, 2:] - boxes[:, :2])[:, None, :]
    hull = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    corners = hull + features[:, 5:13].reshape(-1, 4, 2) / CORNER_SCALE * size
    return boxes, corners.astype(np.float32), scores


def decode_vehicles(output: Float, threshold: float, stride: int) -> tuple[Float, Float, Float]:
    """Vehicle map (9, h, w) to boxes (m, 4) in input pixels, class probabilities (m, 4), scores (m,)."""
    features, boxes, scores = _cells(output, threshold, stride)
    raised = np.exp(features[:, 5:9] - features[:, 5:9].max(1, keepdims=True))
    return boxes, (raised / raised.sum(1, keepdims=True)).astype(np.float32), scores


class Detector:
    """The networks of plates and of vehicles with their thresholds; without the second one there are no vehicles."""

    def __init__(
        self,
        plates: Engine,
        vehicles: Engine | None = None,
        *,
        plate_threshold: float,
        vehicle_threshold: float,
    ) -> None:
        self._plate_engine, self._vehicle_engine = plates, vehicles
        self._plate_threshold, self._vehicle_threshold = plate_threshold, vehicle_threshold

    def warm_up(self) -> None:
        """Run every input size once."""
        self._plate_engine.warm_up((1, 3, INPUT_HEIGHT, INPUT_WIDTH), (1, 3, HALF_HEIGHT, HALF_WIDTH))
        if self._vehicle_engine is not None:
            self._vehicle_engine.warm_up((1, 3, HALF_HEIGHT, HALF_WIDTH))

    def detect(self, image: Image) -> tuple[list[PlateBox], list[VehicleBox]]:
        """Find plates and vehicles, best first, in pixels of the picture."""
        fitted, scale = letterbox(image, INPUT_WIDTH, INPUT_HEIGHT)
        # Half of what was fitted costs a tenth of fitting the whole picture again.
        half = cv2.resize(fitted, (HALF_WIDTH, HALF_HEIGHT), interpolation=cv2.INTER_AREA)
        half_pixels = as_input(np.asarray(half, np.uint8))
        height, width = image.shape[:2]
        limits = np.array([width, height, width, height], np.float32)
        looks = [self._plates_of(as_input(fitted), scale), self._plates_of(half_pixels, scale / 2)]
        plates = _plates(*_joined(looks), limits)
        if self._vehicle_engine is None:
            return plates, []
        vehicles = []
        for vehicle_map, stride in zip(self._vehicle_engine.run(half_pixels), VEHICLE_STRIDES, strict=True):
            boxes, kinds, scores = decode_vehicles(vehicle_map[0], self._vehicle_threshold, stride)
            vehicles.append((boxes / (scale / 2), kinds, scores))
        return plates, _vehicles(*_joined(vehicles), limits)

    def _plates_of(self, pixels: Float, scale: float) -> tuple[Float, Float, Float]:
        (plate_map,) = self._plate_engine.run(pixels)
        boxes, corners, scores = decode_plates(plate_map[0], self._plate_threshold)
        return boxes / scale, corners / scale, scores


def _joined(parts: list[tuple[Float, Float, Float]]) -> tuple[Float, Float, Float]:
    boxes, extras, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    return boxes, extras, scores


def _plates(boxes: Float, corners: Float, scores: Float, limits: Float) -> list[PlateBox]:
    kept = suppress(boxes, scores, PLATE_OVERLAP)
    return [PlateBox(np.clip(boxes[i], 0, limits), corners[i], float(scores[i])) for i in kept]


def _vehicles(boxes: Float, kinds: Float, scores: Float, limits: Float) -> list[VehicleBox]:
    found = []
    for i in suppress(boxes, scores, VEHICLE_OVERLAP, part=VEHICLE_PART):
        kind = int(kinds[i].argmax())
        box = np.clip(boxes[i], 0, limits)
        found.append(VehicleBox(box, VEHICLE_CLASSES[kind], float(kinds[i, kind]), float(scores[i])))
    return found
