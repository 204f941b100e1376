"""A read as a row of the table, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from plateward.common.v1 import recognition_pb2, types_pb2
from plateward.reads.v1 import read_pb2
from services.reads.predicates import Arm

COLUMNS = (
    "agency_id", "read_id", "seen_at", "camera_id", "latitude", "longitude", "plate", "plate_key", "candidates",
    "state", "vehicle_type", "colour", "plate_reading", "vehicle_reading", "plate_crop", "vehicle_crop",
    "model_version", "frames",
)  # fmt: skip
"""The columns that ingest writes, in the order of COPY; ``seq`` and ``txid`` are the database's to give."""


_CROPS = ("plate_crop", "vehicle_crop")
_SHOWN = ", ".join(
    f"CASE WHEN seen_at > %s THEN {name} ELSE '' END AS {name}" if name in _CROPS else name
    for name in COLUMNS
)


def shown(arm: Arm) -> tuple[str, list[Any]]:
    """Return the columns that ``read_of`` takes, and their parameters: keys of crops that have expired are left out.

    What a hold keeps has no time of expiry.
    """
    return f"{_SHOWN}, seen_at + %s::interval AS expires_at", [*[arm.crops_after] * len(_CROPS), arm.keep]


@dataclass(frozen=True, slots=True)
class Row:
    """One row, its fields named as the columns are."""

    agency_id: str
    read_id: UUID
    seen_at: datetime
    camera_id: str
    latitude: float
    longitude: float
    plate: str
    plate_key: str
    candidates: list[str]
    state: str
    vehicle_type: int
    colour: str
    plate_reading: bytes
    vehicle_reading: bytes
    plate_crop: str
    vehicle_crop: str
    model_version: str
    frames: int

    def values(self) -> tuple[Any, ...]:
        """Return the values in the order of ``COLUMNS``."""
        return tuple(getattr(self, column) for column in COLUMNS)


def read_of(row: Mapping[str, Any]) -> read_pb2.Read:
    """Return the read that a row (of ``COLUMNS`` and ``expires_at``) holds."""
    read = read_pb2.Read(
        read_id=str(row["read_id"]),
        agency_id=row["agency_id"],
        camera_id=row["camera_id"],
        place=types_pb2.Place(latitude=row["latitude"], longitude=row["longitude"]),
        plate=recognition_pb2.PlateReading.FromString(row["plate_reading"]),
        vehicle=recognition_pb2.VehicleReading.FromString(row["vehicle_reading"]),
        model_version=row["model_version"],
        frames=row["frames"],
    )
    read.seen_at.FromDatetime(row["seen_at"])
    if row["expires_at"] is not None:
        read.expires_at.FromDatetime(row["expires_at"])
    for kind, column in (
        (types_pb2.CROP_KIND_PLATE, "plate_crop"),
        (types_pb2.CROP_KIND_VEHICLE, "vehicle_crop"),
    ):
        if row[column]:
            read.crops.add(kind=kind, key=row[column])
    return read
