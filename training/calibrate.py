"""Fit the reader's temperature, so that a string of confidence 0.9 is right nine times in ten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from services.recognizer.engine import Engine
from services.recognizer.read import decode, normalise, softmax
from services.recognizer.results import Float
from training import data
from training.crops import CropMaker

COPIES = 8  # degraded copies of each held-back plate picture
CANDIDATES = np.arange(0.8, 2.55, 0.1)
BINS = 10


def calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Expected calibration error over ten equal bins: mean distance of confidence and accuracy."""
    sure, hit = np.array(confidences), np.array(right, float)
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    used = [places == b for b in range(BINS) if (places == b).any()]
    return float(sum(b.sum() * abs(sure[b].mean() - hit[b].mean()) for b in used) / max(1, len(sure)))


def held_back(model: bytes, folder: Path, seed: int) -> tuple[Float, list[str]]:
    """Logits of degraded copies of the plate pictures that training never saw, and their texts."""
    grey = np.full((540, 960), 110, np.uint8)
    maker = CropMaker(seed, data.font_files(folder)[:1], [grey])
    samples = [
        maker.from_photo(p, t) for p, t in data.plate_pictures(folder, held_back=True) for _ in range(COPIES)
    ]
    logits = Engine(model).run(normalise(np.stack([s.crop for s in samples])))[0]
    return logits, [s.text for s in samples]


def temperature(model: Path, folder: Path, seed: int) -> float:
    """The temperature with the least calibration error on held-back plate pictures."""
    logits, texts = held_back(model.read_bytes(), folder, seed)
    errors = []
    for candidate in CANDIDATES:
        readings = [decode(columns) for columns in softmax(logits, float(candidate))]
        right = [r.text == t for r, t in zip(readings, texts, strict=True)]
        errors.append(calibration_error([r.confidence for r in readings], right))
    best = int(np.argmin(errors))
    print(f"temperature {CANDIDATES[best]:.1f}: calibration error {errors[best]:.3f} on {len(texts)} crops")
    return round(float(CANDIDATES[best]), 2)
