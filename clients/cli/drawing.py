"""Draws what was found on a picture: boxes, corners, and labels that can be read on any ground."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from services.recognizer.results import Image, PlateRead, VehicleRead

PLATE, UNREADABLE, VEHICLE = (70, 200, 70), (150, 150, 150), (40, 150, 245)  # BGR
_INK = (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_DUPLEX


def drawn(image: Image, plates: Sequence[PlateRead], vehicles: Sequence[VehicleRead]) -> Image:
    """Return a copy of a picture with plates and vehicles on it; lines and letters follow its size."""
    canvas = image.copy()
    scale = max(0.4, min(image.shape[:2]) / 900)
    width = max(1, round(2 * scale))
    labels: list[tuple[str, tuple[int, int, int, int], tuple[int, int, int]]] = []
    for vehicle in vehicles:
        x, y, w, h = (round(float(v)) for v in vehicle.box)
        cv2.rectangle(canvas, (x, y), (x + w, y + h), VEHICLE, width, cv2.LINE_AA)
        labels.append((f"{vehicle.colour} {vehicle.type}", (x, y, x + w, y + h), VEHICLE))
    for plate in plates:
        colour = PLATE if plate.readable else UNREADABLE
        corners = np.round(plate.corners).astype(np.int32)
        cv2.polylines(canvas, [corners.reshape(-1, 1, 2)], True, colour, width + 1, cv2.LINE_AA)
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        text = f"{plate.text} {plate.confidence:.0%}" if plate.readable else "unreadable"
        labels.append((text, (int(left), int(top), int(right), int(bottom)), colour))
    # Plates last: where labels meet, the text of the plate is the one that counts.
    for text, box, colour in labels:
        _label(canvas, text, box, colour, scale * (0.75 if colour == VEHICLE else 1.0))
    return canvas


def save(target: Path, picture: Image) -> None:
    """Write a picture; the ending of its name gives the format.

    Raises:
        OSError: it cannot be written there, or not in that format.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        written = cv2.imwrite(str(target), picture)
    except cv2.error:
        written = False
    if not written:
        raise OSError(f"{target} could not be written: give a name that ends with .png or .jpg")


def _label(
    canvas: Image,
    text: str,
    box: tuple[int, int, int, int],
    colour: tuple[int, int, int],
    scale: float,
) -> None:
    """Put a text above a box, on a ground of the box's colour; below it where there is no room, always inside."""
    rows, columns = canvas.shape[:2]
    thickness = max(1, round(scale))
    (wide, high), base = cv2.getTextSize(text, _FONT, scale, thickness)
    pad = max(2, round(4 * scale))
    tall = high + base + 2 * pad
    left, top, _, bottom = box
    x = max(0, min(left, columns - wide - 2 * pad))
    y = top - tall if top >= tall else bottom
    y = max(0, min(y, rows - tall))
    cv2.rectangle(canvas, (x, y), (x + wide + 2 * pad, y + tall), colour, cv2.FILLED)
    cv2.putText(canvas, text, (x + pad, y + pad + high), _FONT, scale, _INK, thickness, cv2.LINE_AA)
