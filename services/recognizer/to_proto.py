"""Results of the pipeline as messages of the API. Values are held to what the protos allow; nothing is added."""

from __future__ import annotations

import math

from plateward.common.v1 import recognition_pb2 as r
from services.recognizer.results import BoxXYWH, PlateRead, VehicleRead

LONGEST_TEXT = 12
_TYPES = {
    "car": r.VEHICLE_TYPE_CAR,
    "truck": r.VEHICLE_TYPE_TRUCK,
    "bus": r.VEHICLE_TYPE_BUS,
    "motorcycle": r.VEHICLE_TYPE_MOTORCYCLE,
}


def box(value: BoxXYWH) -> r.Box:
    """Return a box: x, y, width, height in pixels."""
    x, y, width, height = (v if math.isfinite(v) else 0.0 for v in value)
    return r.Box(x=x, y=y, width=max(0.0, width), height=max(0.0, height))


def plate(read: PlateRead) -> r.PlateReading:
    """Return a plate; a text longer than plates carry makes it unreadable."""
    readable = read.readable and 0 < len(read.text) <= LONGEST_TEXT
    message = r.PlateReading(
        text=read.text if readable else "",
        confidence=share(read.confidence),
        state=read.state,
        state_confidence=share(read.state_confidence),
        box=box(read.box),
        corners=[r.Point(x=float(x), y=float(y)) for x, y in read.corners],
        readable=readable,
    )
    if readable:
        message.characters.extend(r.Character(value=c, confidence=share(p)) for c, p in read.characters)
        message.candidates.extend(
            r.Candidate(text=t, confidence=share(p)) for t, p in read.candidates if 0 < len(t) <= LONGEST_TEXT
        )
    return message


def vehicle(read: VehicleRead) -> r.VehicleReading:
    """Return a vehicle."""
    return r.VehicleReading(
        box=box(read.box),
        type=_TYPES.get(read.type, r.VEHICLE_TYPE_UNSPECIFIED),
        type_confidence=share(read.type_confidence),
        colour=read.colour,
        colour_confidence=share(read.colour_confidence),
    )


def share(value: float) -> float:
    """Return a confidence within 0 to 1."""
    return min(1.0, max(0.0, float(value)))
