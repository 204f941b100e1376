"""Colour of a vehicle: a small network on the vehicle's picture.

What paint is depends on where it is: a grille, a shadow and glass are dark on a white car too. A rule on pixels agreed with a person for 0.61
of the vehicles (`training/colour_agreement.py`); a network that has seen vehicles learns where to look.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from services.recognizer.engine import Engine
from services.recognizer.results import Float, Image

UNKNOWN = "unknown"
COLOURS = (
    "black", "white", "gray", "silver", "red", "blue", "green", "yellow", "orange", "brown", "purple"
)  # fmt: skip
SIDE = 64  # pixels of the network's square input
LEAST_SIDE = 16  # pixels of a vehicle's shorter side; below, nobody could tell
MARGIN = 0.03  # of the box, shown around it: what light the vehicle stands in


def cut(image: Image, box: Float) -> Image | None:
    """The vehicle in `box` (x1, y1, x2, y2 pixels) as (64, 64, 3) BGR, stretched; None where it is too small to tell."""
    x1, y1, x2, y2 = (float(v) for v in box)
    if min(x2 - x1, y2 - y1) < LEAST_SIDE:
        return None
    across, down = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
    part = image[max(0, int(y1 - down)) : int(y2 + down) + 1, max(0, int(x1 - across)) : int(x2 + across) + 1]
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


class ColourReader:
    """The network with its calibration."""

    def __init__(self, engine: Engine, *, temperature: float) -> None:
        self._engine, self._temperature = engine, temperature

    def warm_up(self) -> None:
        """Run once."""
        self._engine.warm_up((1, 3, SIDE, SIDE))

    def read(self, image: Image, boxes: Sequence[Float]) -> list[tuple[str, float]]:
        """Colour and confidence, 0 to 1, of the vehicles in boxes (x1, y1, x2, y2 pixels); ("unknown", 0.0) where too small."""
        crops = [cut(image, box) for box in boxes]
        shown = [crop for crop in crops if crop is not None]
        if not shown:
            return [(UNKNOWN, 0.0)] * len(boxes)
        pixels = np.stack(shown).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        (logits,) = self._engine.run(np.ascontiguousarray(pixels))
        raised = np.exp((logits - logits.max(1, keepdims=True)) / self._temperature)
        rows = iter(raised / raised.sum(1, keepdims=True))
        return [(UNKNOWN, 0.0) if crop is None else _named(next(rows)) for crop in crops]


def _named(probabilities: Float) -> tuple[str, float]:
    best = int(probabilities.argmax())
    return COLOURS[best], float(probabilities[best])
