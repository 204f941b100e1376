"""What the pipeline says about a picture. No type here can carry a person, and none may be added that does (R-REC-2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]  # (height, width, 3), BGR
Float = npt.NDArray[np.float32]
BoxXYWH = tuple[float, float, float, float]  # pixels of the picture

UNKNOWN_STATE = "unknown"


@dataclass(frozen=True)
class PlateRead:
    """One plate.

    Attributes:
        text: A-Z and 0-9; empty when not readable.
        confidence: of the whole string, 0 to 1.
        characters: each character of `text` with its own confidence.
        candidates: up to ten texts with their confidences, best first, `text` the first of them.
        box: x, y, width, height in pixels.
        corners: (4, 2) float32 pixels, clockwise from the upper left of the text.
        detection: how sure the detector is that this is a plate, 0 to 1.
        readable: False where a plate is seen whose text is not trusted enough to be given.
        state, state_confidence: issuer of the plate, "unknown" and 0 where not recognised.
    """

    text: str
    confidence: float
    characters: tuple[tuple[str, float], ...]
    candidates: tuple[tuple[str, float], ...]
    box: BoxXYWH
    corners: Float
    detection: float
    readable: bool
    state: str = UNKNOWN_STATE
    state_confidence: float = 0.0


@dataclass(frozen=True)
class VehicleRead:
    """One vehicle: box (x, y, width, height in pixels), type and colour with confidences, detection score."""

    box: BoxXYWH
    type: str
    type_confidence: float
    colour: str
    colour_confidence: float
    detection: float = 1.0


@dataclass(frozen=True)
class Recognition:
    """Everything read from one picture; `model_version` names the models that did."""

    plates: tuple[PlateRead, ...]
    vehicles: tuple[VehicleRead, ...]
    model_version: str
