"""A Hikvision ISAPI ``EventNotificationAlert`` of type ANPR, XML or JSON, as a sighting for the gateway's spool.

Rules
-----
1. Only the fields named here are read: nothing else of an event can come along. What a camera says about the people in a vehicle
   (R-REC-2) is left out and counted. Of its pictures only that of the plate is taken: the others show the whole scene (R-REC-3).
2. The camera and so the place are those of the registration, never those that the event claims.
3. A confidence of 0, overall or of a character, says that the camera gave none; text that has none at all, or no normal form, is an
   unreadable plate. Confidences of characters are taken when there is one for each.
4. ``plateRect`` is in pixels or in ten-thousandths of the frame, and the event does not say which. What the installer sets counts;
   without it, what does not fit the frame is in ten-thousandths, and what fits may be either: then no box is given.
5. A time without an offset is refused: nobody knows when it was. The same event gives the same ID, however often it is sent.
6. The maker's list of "correct" plates may change ``licensePlate``: what was read is ``originalLicensePlate``, where it is given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from xml.etree import ElementTree as ET

from plates.normal import PlateError, normalize
from plateward.common.v1 import recognition_pb2, types_pb2
from plateward.recognizer.v1 import recognizer_pb2
from servicekit.ids import derived_id

OCCUPANTS = frozenset(
    {
        "pilotsafebelt", "vicepilotsafebelt", "pilotstandardbelt", "vicepilotstandardbelt", "pilotsunvisor", "vicepilotsunvisor",
        "pilotmask", "vicepilotmask", "uphone", "playmobilephone", "smoking", "yawn", "frontchild", "helmet", "nonmotormanned",
        "gender", "agegroup", "glass", "hat",
    }
)  # fmt: skip
"""Fields about people, in lower case; nothing reads them, whatever they are called: this is what is counted."""
_MOST_BYTES = 1 << 18
_DEEPEST = 16
_PARTS = 10_000
_COLOUR = re.compile(r"[a-z]{1,16}")
_KINDS = {
    recognition_pb2.VEHICLE_TYPE_CAR: "vehicle suvmpv suv mpv car smallcar sedan pickuptruck van minibus buggy",
    recognition_pb2.VEHICLE_TYPE_TRUCK: "truck largetruck mediumtruck lighttruck heavytruck",
    recognition_pb2.VEHICLE_TYPE_BUS: "bus largebus mediumbus coach",
    recognition_pb2.VEHICLE_TYPE_MOTORCYCLE: "motorcycle motorbike twowheelvehicle",
}
_TYPES = {name: kind for kind, names in _KINDS.items() for name in names.split()}


class Units(Enum):
    """What ``plateRect`` is measured in (rule 4)."""

    UNKNOWN = "unknown"
    PIXELS = "pixels"
    PARTS = "ten-thousandths"


class EventError(ValueError):
    """An event cannot be taken; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A sighting, and how many fields about people were left out of it."""

    sighting: recognizer_pb2.Sighting
    occupant_fields: int


def take(
    event: bytes,
    *,
    camera_id: str,
    plate_jpeg: bytes = b"",
    frame: tuple[int, int] | None = None,
    units: Units = Units.UNKNOWN,
) -> Taken | None:
    """Return what an event tells; ``None`` for a heartbeat or an event of another type.

    Args:
        event: its body, XML or JSON in UTF-8.
        camera_id: the camera as it is registered.
        plate_jpeg: its ``licensePlatePicture.jpg``, or nothing.
        frame: width and height of the frame in pixels, where they are known.
        units: what the camera measures ``plateRect`` in, where that is known.

    Raises:
        EventError: it is no such event, or its time has no offset.
    """
    alert = _parsed(event)
    anpr = alert.get("anpr")
    if str(alert.get("eventtype", "")).upper() != "ANPR" or not isinstance(anpr, dict):
        return None
    at = _time(_text(alert, "datetime"))
    text, sure, characters = _plate(anpr)
    sighting = recognizer_pb2.Sighting(
        sighting_id=derived_id(at, "hikvision", camera_id, _text(alert, "uuid") or text),
        camera_id=camera_id,
        plate=recognition_pb2.PlateReading(text=text, confidence=sure, state="unknown", readable=bool(text)),
        vehicle=_vehicle(anpr),
        frames=1,
        model_version="hikvision",
    )
    for field in (sighting.seen_at, sighting.first_seen_at, sighting.last_seen_at):
        field.FromDatetime(at)
    if text:
        sighting.plate.candidates.add(text=text, confidence=sure)
        for value, confidence in zip(text, characters, strict=False):
            sighting.plate.characters.add(value=value, confidence=confidence)
    if (box := _box(anpr, frame, units)) is not None:
        sighting.plate.box.CopyFrom(box)
    if plate_jpeg:
        sighting.crops.add(kind=types_pb2.CROP_KIND_PLATE, jpeg=plate_jpeg)
    return Taken(sighting, sum(name in OCCUPANTS for name, _ in _fields(alert)))


def _parsed(event: bytes) -> dict[str, Any]:
    if len(event) > _MOST_BYTES:
        raise EventError(f"the event has {len(event)} bytes; send its pictures as parts of their own")
    try:
        shown = event.decode("utf-8-sig").strip()
        if shown.startswith("{"):
            found = _lowered(json.loads(shown))
        elif "<!" in shown:
            # A document type can hold entities that grow without end; no camera sends one.
            raise EventError("the event declares a document type: this is no event of a camera")
        else:
            found = _tree(ET.fromstring(re.sub(r"^<\?xml[^>]*\?>", "", shown)))  # noqa: S314 - no document type
    except (ValueError, ET.ParseError, RecursionError) as error:
        if isinstance(error, EventError):
            raise
        raise EventError(
            "the event is neither XML nor JSON in UTF-8: set the camera to one of them"
        ) from error
    inner = found.get("eventnotificationalert") if isinstance(found, dict) else None
    alert = inner if isinstance(inner, dict) else found
    if not isinstance(alert, dict):
        raise EventError("the event is no EventNotificationAlert: point the camera's ANPR notification here")
    return alert


def _lowered(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, dict):
        return {str(name).lower(): _lowered(inner, depth + 1) for name, inner in value.items()}
    return [_lowered(inner, depth + 1) for inner in value] if isinstance(value, list) else value


def _tree(element: ET.Element, depth: int = 0) -> Any:
    """Return an element as JSON would have it: names without namespace, repeated ones as a list."""
    if depth > _DEEPEST:
        raise RecursionError
    if not len(element):
        return (element.text or "").strip()
    found: dict[str, Any] = {}
    for inner in element:
        name, value = inner.tag.rpartition("}")[2].lower(), _tree(inner, depth + 1)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every field at any depth."""
    for inner in value if isinstance(value, list) else ():
        yield from _fields(inner)
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from _fields(inner)


def _text(of: dict[str, Any], name: str) -> str:
    value = of.get(name, "")
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise EventError(f"dateTime {text!r} is no time: set the camera's clock") from error
    if at.tzinfo is None:
        raise EventError(f"dateTime {text!r} has no offset from UTC: set the camera's time zone")
    return at.astimezone(UTC)


def _plate(anpr: dict[str, Any]) -> tuple[str, float, list[float]]:
    """Return text, confidence and those of the characters (none where they do not fit); all empty when it is unreadable."""
    sure = _percent(_text(anpr, "confidencelevel"))
    characters = [_percent(one) for one in _text(anpr, "platecharbelieve").split(",") if one.strip()]
    for name in ("originallicenseplate", "licenseplate"):
        try:
            text = normalize(_text(anpr, name))
        except PlateError:
            continue
        fits = len(characters) == len(text) and all(characters)
        if not sure and not fits:
            break
        # Where only the characters have confidences, the plate is as sure as the least of them.
        return text, sure or min(characters), characters if fits else [sure] * len(text)
    return "", 0.0, []


def _percent(text: str) -> float:
    try:
        return max(0.0, min(1.0, float(text) / 100))
    except ValueError:
        return 0.0


def _vehicle(anpr: dict[str, Any]) -> recognition_pb2.VehicleReading:
    info = anpr.get("vehicleinfo")
    colour = _text(info, "color").lower() if isinstance(info, dict) else ""
    known = _COLOUR.fullmatch(colour) and colour != "unknown"
    return recognition_pb2.VehicleReading(
        type=_TYPES.get(_text(anpr, "vehicletype").lower(), recognition_pb2.VEHICLE_TYPE_UNSPECIFIED),
        colour=colour if known else "",
    )


def _box(anpr: dict[str, Any], frame: tuple[int, int] | None, units: Units) -> recognition_pb2.Box | None:
    rect = next((v for name, v in _fields(anpr) if name == "platerect" and isinstance(v, dict)), None)
    if rect is None:
        return None
    try:
        x, y, width, height = (float(_text(rect, name)) for name in ("x", "y", "width", "height"))
    except ValueError:
        return None
    if not (min(x, y) >= 0 and min(width, height) > 0 and max(x + width, y + height) < float("inf")):
        return None
    if units is Units.UNKNOWN and frame is not None and (x + width > frame[0] or y + height > frame[1]):
        units = Units.PARTS
    if units is Units.PIXELS:
        return recognition_pb2.Box(x=x, y=y, width=width, height=height)
    if units is not Units.PARTS or frame is None or max(x + width, y + height) > _PARTS:
        return None
    across, down = frame[0] / _PARTS, frame[1] / _PARTS
    return recognition_pb2.Box(x=x * across, y=y * down, width=width * across, height=height * down)
