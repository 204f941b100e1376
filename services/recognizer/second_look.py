"""Looking again at a plate that was not read surely: cut a little differently, five times, and the readings vote.

A reading's errors hang on where the character edges fall on the pixel grid; slightly other crops make other errors, and the right text
is the one that keeps coming. How usual a text's format is where the plate is from counts too: 5LTA600 is what California issues, 51TA600
nobody. A format is a hint, so an unusual text still wins where it is much surer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from plates.formats import format_prior
from services.recognizer.read import MOST_CANDIDATES, Reading
from services.recognizer.rectify import CROP_HEIGHT, CROP_WIDTH

Crop = npt.NDArray[np.uint8]
# Shift in pixels, scale across and down, turn in radians. Chosen on degraded copies of held-back plate pictures.
_CUTS = ((0.0, 0.95, 0.95, 0.0), (0.0, 1.05, 1.0, 0.0), (3.0, 1.0, 1.0, 0.02), (-3.0, 1.0, 1.0, -0.02))
_PRIOR_POWER = 0.5  # 0: formats say nothing; 1: as much as if the tables were the truth


def other_cuts(crop: Crop) -> list[Crop]:
    """The crop (64, 160) moved, scaled and turned a little, four times."""
    return [_cut(crop, *cut) for cut in _CUTS]


def _cut(crop: Crop, shift: float, across: float, down: float, turn: float) -> Crop:
    x, y = CROP_WIDTH / 2, CROP_HEIGHT / 2
    matrix = np.array(
        [[across, turn, (1 - across) * x + shift - turn * y], [-turn, down, (1 - down) * y + turn * x]],
        np.float32,
    )
    return np.asarray(
        cv2.warpAffine(crop, matrix, (CROP_WIDTH, CROP_HEIGHT), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def agreed(readings: Sequence[Reading], states: Mapping[str, float]) -> Reading:
    """The reading that several looks at one plate come to.

    A candidate's probability is its mean over the looks, weighed by how usual its format is; their sum stays.

    Args:
        readings: of the looks, at least one.
        states: what is known of where the plate is from, as `plates.formats.format_prior` takes it.
    """
    votes: dict[str, float] = defaultdict(float)
    for reading in readings:
        for text, probability in reading.candidates:
            votes[text] += probability / len(readings)
    if not votes:
        return max(readings, key=lambda reading: reading.confidence)
    weighed = {t: p * format_prior(t, states) ** _PRIOR_POWER for t, p in votes.items()}
    scale = sum(votes.values()) / sum(weighed.values())
    ranked = sorted(((t, min(1.0, p * scale)) for t, p in weighed.items()), key=lambda item: -item[1])
    text, confidence = ranked[0]
    spelled = [reading for reading in readings if reading.text == text]
    best = max(spelled, key=lambda reading: reading.confidence, default=None)
    characters = best.characters if best else tuple((c, confidence) for c in text)
    return Reading(text, confidence, characters, tuple(ranked[:MOST_CANDIDATES]))
