"""Entries and reads for the tests of this folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from plateward.common.v1 import decision_pb2, recognition_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2
from plateward.reads.v1 import read_pb2
from servicekit.database import Pool

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
AGENCY = "elk-grove-pd"
HEADER = "LIC,LIS,LIT,LIY,VIN,VYR,VMA,VMO,VST,VCO,DOT,ORI,OCA,NIC,MKE,MIS,OAN"
OFFICER = types_pb2.Subject(agency_id=AGENCY, member_id="m-1042", member_name="Ofc. Dana Reyes")
SUPERVISOR = types_pb2.Subject(agency_id=AGENCY, member_id="m-1077", member_name="Sgt. Priya Nair")


def decision(*agencies: str, **obligations: object) -> decision_pb2.Decision:
    return decision_pb2.Decision(
        effect=decision_pb2.EFFECT_ALLOW,
        obligations=decision_pb2.Obligations(agency_ids=agencies or (AGENCY,), **obligations),  # type: ignore[arg-type]
    )


def entry(
    plate: str = "8ABC123", *, state: str = "US-CA", days: float = 14, **fields: object
) -> hit_pb2.HotlistEntry:
    made = hit_pb2.HotlistEntry(
        entry_id=str(uuid4()), agency_id=AGENCY, list_id="local", plate=plate, state=state, category="stolen-vehicle",
        reason="reported stolen", max_action=hit_pb2.MAX_ACTION_STOP, created_by="m-1042", approved_by="m-1077",
    )  # fmt: skip
    made.expires_at.FromDatetime(NOW + timedelta(days=days))
    made.MergeFrom(hit_pb2.HotlistEntry(**fields))  # type: ignore[arg-type]
    return made


async def keep_picture(pool: Pool, hit_id: str) -> None:
    """Keep a picture with a hit, as ``pictures.py`` would."""
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO hit_pictures (hit_id, kind, sealed) VALUES (%s, %s, 'sealed')",
            (hit_id, types_pb2.CROP_KIND_PLATE),
        )


def read(
    plate: str = "8ABC123",
    *,
    confidences: list[float] | None = None,
    candidates: dict[str, float] | None = None,
    state: str = "US-CA",
    state_confidence: float = 0.9,
    agency: str = AGENCY,
) -> read_pb2.Read:
    made = read_pb2.Read(read_id=str(uuid4()), agency_id=agency, camera_id="cam-1")
    made.seen_at.FromDatetime(NOW)
    made.expires_at.FromDatetime(NOW + timedelta(days=30))
    made.plate.text, made.plate.readable, made.plate.confidence = plate, True, 0.9
    made.plate.state, made.plate.state_confidence = state, state_confidence
    for character, sure in zip(plate, confidences or [0.95] * len(plate), strict=True):
        made.plate.characters.add(value=character, confidence=sure)
    for text, sure in {plate: 0.9, **(candidates or {})}.items():
        made.plate.candidates.add(text=text, confidence=sure)
    made.vehicle.type, made.vehicle.type_confidence = recognition_pb2.VEHICLE_TYPE_CAR, 0.9
    return made


def ncic(
    plate: str, code: str = "EV", nic: str = "", *, state: str = "CA", note: str = "", kind: str = "4D", colour: str = "SIL",
) -> str:  # fmt: skip
    """A row of an extract under ``HEADER``."""
    return f"{plate},{state},PC,2027,,2019,HOND,CIV,{kind},{colour},20261101,CA0341000,26-1,{nic or 'V' + plate},{code},{note},"
