"""Colour of a vehicle from its pixels: a vote of the painted part over named colours.

A rule, not a network: it can be explained, and its weakness (coloured light) is known. What the vote's share is not
clear about is reported with low confidence.
"""

from __future__ import annotations

import cv2
import numpy as np

from services.recognizer.results import Float, Image

UNKNOWN = "unknown"
# Share of the box, from the left, top, right and bottom, that shows paint on most vehicles: below the glass, above
# the bumper and the shadow.
PAINT = (0.15, 0.42, 0.85, 0.78)
SAMPLE = 48  # pixels a side are voted on
LEAST_SIDE = 12  # pixels of the painted part
DARK, GREY_LIGHT, WHITE_LIGHT = 62, 120, 178  # limits of V
COLOURED = 70  # least saturation of a colour with V above DARK
# Upper limits of OpenCV's hue (0 to 179).
HUES = (
    (8, "red"),
    (20, "orange"),
    (34, "yellow"),
    (85, "green"),
    (130, "blue"),
    (165, "purple"),
    (180, "red"),
)


def _votes(pixels: Image) -> dict[str, float]:
    hsv = cv2.cvtColor(pixels, cv2.COLOR_BGR2HSV).reshape(-1, 3).astype(int)
    hue, saturation, value = hsv.T
    coloured = (saturation > COLOURED) & (value > DARK)
    counts = {
        "black": int((~coloured & (value <= DARK)).sum()),
        "gray": int((~coloured & (value > DARK) & (value <= GREY_LIGHT)).sum()),
        "silver": int((~coloured & (value > GREY_LIGHT) & (value <= WHITE_LIGHT)).sum()),
        "white": int((~coloured & (value > WHITE_LIGHT)).sum()),
    }
    low = 0
    for high, name in HUES:
        here = coloured & (hue >= low) & (hue < high)
        # Brown is dark orange: no hue of its own.
        brown = here & (value < GREY_LIGHT) if name == "orange" else np.zeros_like(here)
        counts["brown"] = counts.get("brown", 0) + int(brown.sum())
        counts[name] = counts.get(name, 0) + int((here & ~brown).sum())
        low = high
    return {name: count / len(hsv) for name, count in counts.items()}


def colour(image: Image, box: Float) -> tuple[str, float]:
    """Colour of the vehicle in `box` (x1, y1, x2, y2 pixels) and the share of the paint that agrees, 0 to 1.

    Returns ("unknown", 0.0) where the box is too small to tell.
    """
    x1, y1, x2, y2 = (float(v) for v in box)
    w, h = x2 - x1, y2 - y1
    left, top, right, bottom = PAINT
    part = image[int(y1 + top * h) : int(y1 + bottom * h), int(x1 + left * w) : int(x1 + right * w)]
    if min(part.shape[:2]) < LEAST_SIDE:
        return UNKNOWN, 0.0
    sample = cv2.resize(part, (SAMPLE, SAMPLE), interpolation=cv2.INTER_AREA)
    votes = _votes(np.asarray(sample, np.uint8))
    best = max(votes, key=lambda name: votes[name])
    return best, votes[best]
