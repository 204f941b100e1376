"""What is asked of each read before it is stored. Pure: no database, no clock of its own.

Rules
-----
1. The camera is registered to the calling agency and active.
2. The time is at most five minutes ahead (a clock that runs fast) and not older than retention: what retention
   would hide at once is not stored at all.
3. Text is in normal form with one confidence a character. Of an unreadable plate no text is stored, neither as read nor as held
   possible: what was not trusted enough to be given is not kept by a side door. It is compared with the address-confidentiality
   list before it is left out.
4. Pictures are JPEG; those that their own schedule would hide at once are not kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from plates.lookalike import canonical
from plates.normal import PlateError, normalize
from plateward.common.v1 import errors_pb2, recognition_pb2, types_pb2
from plateward.reads.v1 import read_pb2, reads_pb2
from services.reads.crops import crop_key
from services.reads.rows import Row
from services.reads.schedules import Schedules, told

MAX_AHEAD = timedelta(minutes=5)
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class Camera:
    """Where a camera stands and whether its reads are taken."""

    place: types_pb2.Place
    active: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """A read that may be stored, with its pictures."""

    row: Row
    texts: frozenset[str]
    """All that the plate may be, in normal form, also what is not stored: compared with the address-confidentiality list."""
    plate_jpeg: bytes
    vehicle_jpeg: bytes


class RejectedError(Exception):
    """A read may not be stored; the message says what to do."""

    def __init__(self, reason: errors_pb2.ErrorReason.ValueType, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check(
    new: reads_pb2.NewRead,
    *,
    agency_id: str,
    cameras: Mapping[str, Camera],
    schedules: Schedules,
    now: datetime,
) -> Accepted:
    """Return what is stored of a read.

    Raises:
        RejectedError: a rule above is broken.
    """
    read = new.read
    camera = _camera(read, cameras)
    alive = schedules.alive(now)
    seen_at = _seen_at(read, schedules.read.keep, alive.reads_after, now)
    pictured = seen_at > alive.crops_after
    for picture in (new.plate_jpeg, new.vehicle_jpeg):
        if picture and not picture.startswith(_JPEG):
            raise RejectedError(errors_pb2.ERROR_REASON_IMAGE_INVALID, "a crop is no JPEG: send JPEG or none")
    if "\0" in read.model_version:
        raise RejectedError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT, "model_version holds a NUL character: leave it out"
        )
    plate = _plate(read)
    read_id = UUID(read.read_id)
    return Accepted(
        Row(
            agency_id=agency_id,
            read_id=read_id,
            seen_at=seen_at,
            camera_id=read.camera_id,
            latitude=camera.place.latitude,
            longitude=camera.place.longitude,
            plate=plate,
            plate_key=canonical(plate) if plate else "",
            candidates=sorted({c.text for c in read.plate.candidates} - {plate}) if plate else [],
            state=read.plate.state,
            vehicle_type=read.vehicle.type,
            colour=read.vehicle.colour,
            plate_reading=_reading(read.plate, plate).SerializeToString(deterministic=True),
            vehicle_reading=read.vehicle.SerializeToString(deterministic=True),
            plate_crop=crop_key(agency_id, seen_at, str(read_id), "plate")
            if new.plate_jpeg and pictured
            else "",
            vehicle_crop=crop_key(agency_id, seen_at, str(read_id), "vehicle")
            if new.vehicle_jpeg and pictured
            else "",
            model_version=read.model_version,
            frames=read.frames,
        ),
        _texts(read.plate),
        new.plate_jpeg,
        new.vehicle_jpeg,
    )


def _camera(read: read_pb2.Read, cameras: Mapping[str, Camera]) -> Camera:
    camera = cameras.get(read.camera_id)
    if camera is None:
        raise RejectedError(
            errors_pb2.ERROR_REASON_CAMERA_UNKNOWN,
            "the camera is not registered to this agency: register it with PutCamera",
        )
    if not camera.active:
        raise RejectedError(
            errors_pb2.ERROR_REASON_CAMERA_UNKNOWN, "the camera is inactive: activate it with PutCamera"
        )
    return camera


def _seen_at(read: read_pb2.Read, keep: timedelta, after: datetime, now: datetime) -> datetime:
    try:
        seen_at = read.seen_at.ToDatetime(UTC)
    except ValueError as error:
        raise RejectedError(
            errors_pb2.ERROR_REASON_TIME_OUT_OF_RANGE, "seen_at is no time: set the gateway's clock"
        ) from error
    if seen_at > now + MAX_AHEAD:
        raise RejectedError(
            errors_pb2.ERROR_REASON_TIME_OUT_OF_RANGE,
            f"seen_at is {_told(seen_at - now)} ahead: set the gateway's clock",
        )
    if seen_at <= after:
        raise RejectedError(
            errors_pb2.ERROR_REASON_TIME_OUT_OF_RANGE,
            f"seen_at is {_told(now - seen_at)} back, longer than reads are kept ({told(keep)}): drop the read",
        )
    return seen_at


def _plate(read: read_pb2.Read) -> str:
    if not read.plate.readable or not read.plate.text:
        return ""
    try:
        plate = normalize(read.plate.text)
    except PlateError as error:
        raise RejectedError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, str(error)) from error
    if read.plate.characters and len(read.plate.characters) != len(plate):
        raise RejectedError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            "characters must hold one item for each character of the text, or none",
        )
    return plate


def _reading(given: recognition_pb2.PlateReading, plate: str) -> recognition_pb2.PlateReading:
    """Return what is kept of a reading (rule 3)."""
    if plate:
        return given
    kept = recognition_pb2.PlateReading()
    kept.CopyFrom(given)
    for name in ("text", "characters", "candidates"):
        kept.ClearField(name)
    return kept


def _texts(given: recognition_pb2.PlateReading) -> frozenset[str]:
    found = set()
    for text in (given.text, "".join(c.value for c in given.characters), *(c.text for c in given.candidates)):
        # What has no normal form is on no list.
        with contextlib.suppress(PlateError):
            found.add(normalize(text))
    return frozenset(found)


def _told(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
