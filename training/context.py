"""How much the vehicle network's word counts for a plate: a logistic regression over what the plate network suspects on training photographs.

The plate network sees pixels and takes lamps, grilles and vents for plates; the vehicle network sees where on a vehicle that is.
"""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np

from services.recognizer.detect import (
    HALF_HEIGHT,
    HALF_WIDTH,
    INPUT_HEIGHT,
    INPUT_WIDTH,
    PLATE_OVERLAP,
    PLATE_STRIDE,
    VEHICLE_STRIDES,
    as_input,
    decode_plates,
    letterbox,
    overlaps,
    suppress,
)
from services.recognizer.engine import Engine
from services.recognizer.results import Float
from training.data import Photo

SUSPECTED = 0.03  # score of the plate network from which a box is looked at
SAME, OTHER = 0.5, 0.1  # overlap with a label from which a box is a plate, and up to which it is none
PHOTOS, ROUNDS = 900, 60


def suspects(photo: Photo, plates: Engine, vehicles: Engine) -> tuple[Float, Float]:
    """What the plate network suspects in a photograph: logits (n, 2) of both networks, and whether each is a plate (n,)."""
    fitted, scale = letterbox(photo.load(), INPUT_WIDTH, INPUT_HEIGHT)
    half = as_input(
        np.asarray(cv2.resize(fitted, (HALF_WIDTH, HALF_HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    )
    around = vehicles.run(half)[len(VEHICLE_STRIDES)][0, 0]
    boxes, _, scores = decode_plates(plates.run(as_input(fitted))[0][0], SUSPECTED)
    kept = suppress(boxes, scores, PLATE_OVERLAP)
    labels = np.array([p.box for p in photo.plates], np.float32).reshape(-1, 4) * scale
    rows, truth = [], []
    for i in kept:
        share = float(overlaps(boxes[i], labels).max()) if len(labels) else 0.0
        if OTHER < share < SAME:
            continue
        x, y = (boxes[i, :2] + boxes[i, 2:]) / 2 / PLATE_STRIDE
        row, column = min(int(y), around.shape[0] - 1), min(int(x), around.shape[1] - 1)
        rows.append([np.log(scores[i] / (1 - scores[i])), around[row, column]])
        truth.append(share >= SAME)
    return np.array(rows, np.float32).reshape(-1, 2), np.array(truth, np.float32)


def fit(plates: Path, vehicles: Path, photos: list[Photo], seed: int) -> tuple[float, float, float]:
    """Own, around and bias of `services.recognizer.detect.Context`, by Newton's method on completely labelled photographs."""
    engines = Engine(plates.read_bytes()), Engine(vehicles.read_bytes())
    known = [p for p in photos if p.plates_complete and p.plates]
    found = [suspects(p, *engines) for p in random.Random(seed).sample(known, min(PHOTOS, len(known)))]
    logits = np.concatenate([f[0] for f in found]).astype(np.float64)
    truth = np.concatenate([f[1] for f in found]).astype(np.float64)
    inputs = np.hstack([logits, np.ones((len(logits), 1))])
    weights = np.array([1.0, 0.0, 0.0])
    for _ in range(ROUNDS):
        p = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (truth - p) - 1e-3 * weights
        curve = (inputs * (p * (1 - p))[:, None]).T @ inputs + 1e-3 * np.eye(3)
        weights += np.linalg.solve(curve, slope)
    own, around, bias = (round(float(w), 4) for w in weights)
    return own, around, bias
