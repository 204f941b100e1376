"""From the pass of a vehicle to the one sighting that leaves (R-REC-4).

Rules
-----
1. The ID is derived from camera, time of the first frame and the plate's place in it: the same frames give the same ID.
2. A pass leaves when its text was read in two frames, or surely in one. A plate that stayed unreadable leaves when a
   vehicle was around it in enough frames, so that a person can look at the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from plateward.recognizer.v1 import recognizer_pb2
from servicekit.ids import derived_id
from services.recognizer import to_proto
from services.recognizer.fuse import Fused, fuse
from services.recognizer.pictures import Picture
from services.recognizer.tracker import Pass, Seen, centre

SURE_ALONE = 0.8  # confidence from which one frame is enough
LEAST_UNREADABLE = 4  # frames of a plate that nobody could read
PLACE_STEP = 8.0  # pixels: plates of one frame are farther apart than this


def sighting_id(camera_id: str, first: Seen) -> str:
    """Return the ID of the pass that begins with a plate."""
    x, y = centre(first.plate.box)
    return derived_id(first.at, camera_id, f"{round(x / PLACE_STEP)},{round(y / PLACE_STEP)}")


def reported(each: Pass) -> Fused | None:
    """Return the reading of a pass that is worth a sighting, or None."""
    fused = fuse(each.seen)
    if not fused.plate.readable:
        around = sum(s.vehicle is not None for s in each.seen)
        return fused if around >= LEAST_UNREADABLE else None
    return fused if fused.frames > 1 or fused.plate.confidence >= SURE_ALONE else None


def sighting(
    camera_id: str, each: Pass, fused: Fused, pictures: Sequence[Picture], model_version: str
) -> recognizer_pb2.Sighting:
    """Return the message of a pass; `pictures` show its best frame."""
    message = recognizer_pb2.Sighting(
        sighting_id=sighting_id(camera_id, each.first),
        camera_id=camera_id,
        plate=to_proto.plate(fused.plate),
        frames=fused.frames,
        model_version=model_version,
        crops=[recognizer_pb2.Crop(kind=kind, jpeg=jpeg) for kind, jpeg in pictures],
    )
    if fused.vehicle is not None:
        message.vehicle.CopyFrom(to_proto.vehicle(fused.vehicle))
    times: tuple[tuple[str, datetime], ...] = (
        ("seen_at", fused.best.at),
        ("first_seen_at", each.first.at),
        ("last_seen_at", each.last.at),
    )
    for name, at in times:
        getattr(message, name).FromDatetime(at)
    return message
