"""Calibrate the state network on pictures kept for it, and measure it on others: how many are answered, and how many of those right."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import numpy.typing as npt

from services.recognizer.engine import Engine
from services.recognizer.state import NONE, StateReader
from training.calibrate import calibration_error
from training.data import Image
from training.state_pictures import CALIBRATE, VALID, cut_out, degraded, foreign, load, pictures

COPIES = 3  # degraded copies of each picture, besides the sharp one
PRECISION = 0.9  # least share right of the states that are given, on the pictures to calibrate on
TEMPERATURES = np.arange(0.5, 2.05, 0.1)
THRESHOLDS = np.arange(0.3, 0.995, 0.01)
Scores = npt.NDArray[np.float64]


def _samples(data: Path, part: str, copies: int, *, abroad: bool) -> tuple[list[Image], list[int]]:
    rng, images, labels = random.Random(11), list[Image](), list[int]()
    for path, label in pictures(data, part):
        whole = load(path)
        images += [whole, *(degraded(whole, rng) for _ in range(copies))]
        labels += [label] * (copies + 1)
    if abroad:
        # Those of the folder's valid part; half to calibrate on, half to measure on.
        found = foreign(data, "valid")[part == VALID :: 2]
        images += [cut_out(photo, i) for photo, i in found]
        labels += [NONE] * len(found)
    return images, labels


def _probabilities(model: Path, images: list[Image], temperature: float) -> Scores:
    reader = StateReader(Engine(model.read_bytes()), temperature=temperature, least=0)
    rows = [reader.probabilities(images[i : i + 8]) for i in range(0, len(images), 8)]
    return np.concatenate(rows).astype(np.float64)


def calibrated(model: Path, data: Path) -> tuple[float, float]:
    """Return temperature and least confidence of a state that is given."""
    images, labels = _samples(data, CALIBRATE, COPIES, abroad=True)
    logits = np.log(np.maximum(_probabilities(model, images, 1.0), 1e-12))
    want = np.array(labels)

    def at(temperature: float) -> Scores:
        raised = np.exp(logits / temperature - (logits / temperature).max(1, keepdims=True))
        return np.asarray(raised / raised.sum(1, keepdims=True))

    errors = []
    for temperature in TEMPERATURES:
        found = at(float(temperature))
        errors.append(calibration_error(found.max(1).tolist(), (found.argmax(1) == want).tolist()))
    best = float(TEMPERATURES[int(np.argmin(errors))])
    found = at(best)
    least = next((t for t in THRESHOLDS if _precision(found, want, float(t)) >= PRECISION), THRESHOLDS[-1])
    print(f"state: temperature {best:.1f}, calibration error {min(errors):.3f}, given from {least:.2f} on")
    return round(float(least), 2), round(best, 2)


def _precision(found: Scores, want: npt.NDArray[np.int64], least: float) -> float:
    given = (found.argmax(1) != NONE) & (found.max(1) >= least)
    return float((found.argmax(1) == want)[given].mean()) if given.any() else 1.0


def report(model: Path, data: Path, temperature: float, least: float) -> dict[str, float]:
    """Measures on the valid part (see `state_data.part_of`): sharp pictures, degraded ones, and plates of elsewhere."""
    result: dict[str, float] = {}
    for name, copies in (("sharp", 0), ("degraded", COPIES)):
        images, labels = _samples(data, VALID, copies, abroad=False)
        found, want = _probabilities(model, images, temperature), np.array(labels)
        if copies:
            kept = np.arange(len(want)) % (copies + 1) != 0
            found, want = found[kept], want[kept]
        given = (found.argmax(1) != NONE) & (found.max(1) >= least)
        result[f"{name}_pictures"] = len(want)
        result[f"{name}_answered"] = round(float(given.mean()), 4)
        result[f"{name}_right_of_answered"] = round(_precision(found, want, least), 4)
    abroad = [cut_out(photo, i) for photo, i in foreign(data, "valid")[1::2]]
    found = _probabilities(model, abroad, temperature)
    result["abroad_pictures"] = len(abroad)
    given = (found.argmax(1) != NONE) & (found.max(1) >= least)
    result["abroad_given_a_state"] = round(float(given.mean()), 4)
    return result
