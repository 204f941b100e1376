"""Which plates of a frame are followed. Pure.

Rules
-----
1. One vehicle shows one plate: what reads like a plate that is kept, on the same vehicle or in the same place, is that plate.
2. Where a vehicle's plate was read, other things on it that could not be read are no plates.
3. What could not be read is followed only on a vehicle, the surest of each, where the detector is sure enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.recognizer.results import PlateRead, VehicleRead
from services.recognizer.tracker import ALIKE, Seen, alike, centre

SURE_UNREAD = 0.5  # detection score from which a plate without text is followed


def chosen(
    frame: int, at: datetime, plates: Sequence[PlateRead], vehicles: Sequence[VehicleRead]
) -> list[Seen]:
    """Return the plates of a frame that are followed, each with its vehicle, surest first.

    Args:
        frame: number of the frame.
        at: its time.
        plates: everything found.
        vehicles: everything found.
    """
    kept: list[Seen] = []
    for plate in sorted(plates, key=lambda p: (not p.readable, -p.confidence * p.detection, p.box)):
        seen = Seen(frame, at, plate, around(plate, vehicles))
        if plate.readable:
            keep = not any(_same(seen, other) for other in kept)
        else:
            keep = seen.vehicle is not None and plate.detection >= SURE_UNREAD
            keep = keep and not any(other.vehicle is seen.vehicle for other in kept)
        if keep:
            kept.append(seen)
    return kept


def around(plate: PlateRead, vehicles: Sequence[VehicleRead]) -> VehicleRead | None:
    """Return the smallest vehicle whose box holds the plate's centre."""
    x, y = centre(plate.box)
    holding = [
        v for v in vehicles if v.box[0] <= x <= v.box[0] + v.box[2] and v.box[1] <= y <= v.box[1] + v.box[3]
    ]
    return min(holding, key=lambda v: v.box[2] * v.box[3], default=None)


def _same(one: Seen, other: Seen) -> bool:
    if _holds(one.plate, other.plate) or _holds(other.plate, one.plate):
        return True
    together = one.vehicle is not None and one.vehicle is other.vehicle
    return together and alike(one.plate.text, other.plate.text) >= ALIKE


def _holds(one: PlateRead, other: PlateRead) -> bool:
    """Say whether the middle of one plate lies on another."""
    x, y = centre(one.box)
    left, top, width, height = other.box
    return left <= x <= left + width and top <= y <= top + height
