"""Reads to store in tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc

from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.common.v1 import decision_pb2, recognition_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from services.reads.checks import Accepted, Camera, check
from services.reads.schedules import BEGINNING, Schedule, Schedules

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
AGENCY = "elk-grove-pd"
PLACE = types_pb2.Place(latitude=38.4088, longitude=-121.3716)
CAMERAS = {
    "cam-1": Camera(PLACE, active=True),
    "cam-2": Camera(types_pb2.Place(latitude=38.5, longitude=-121.5), active=True),
    "cam-off": Camera(PLACE, active=False),
}
KEEP = timedelta(days=30)
JPEG = b"\xff\xd8\xff\xe0 a picture"


def new_read(
    plate: str = "8ABC123",
    *,
    at: datetime,
    camera: str = "cam-1",
    confidences: list[float] | None = None,
    candidates: dict[str, float] | None = None,
    jpeg: bytes = b"",
    read_id: str = "",
    state: str = "US-CA",
    colour: str = "silver",
    readable: bool = True,
) -> reads_pb2.NewRead:
    new = reads_pb2.NewRead(plate_jpeg=jpeg)
    read = new.read
    read.read_id = read_id or str(uuid4())
    read.camera_id = camera
    read.seen_at.FromDatetime(at)
    read.plate.text, read.plate.confidence, read.plate.readable = plate, 0.9, readable
    read.plate.state, read.plate.state_confidence = state, 0.9
    for character, sure in zip(plate, confidences or [0.95] * len(plate), strict=True):
        read.plate.characters.add(value=character, confidence=sure)
    for text, sure in {plate: 0.9, **(candidates or {})}.items():
        read.plate.candidates.add(text=text, confidence=sure)
    read.vehicle.type, read.vehicle.colour = recognition_pb2.VEHICLE_TYPE_CAR, colour
    return new


class Access(access_pb2_grpc.AccessServiceServicer):
    """Publishes what a test wants published."""

    channel: grpc.aio.Channel

    def __init__(self) -> None:
        self.keep: dict[str, dict[str, timedelta]] = {
            AGENCY: {"read": KEEP},
            "galt-pd": {"read": KEEP},
            "va-pd": {"read": timedelta(days=21)},
            "nh-pd": {"read": timedelta(minutes=3)},
        }
        self.version = "1"
        self.away = False
        self.asked = 0

    def publish(self, agency_id: str, **keep: timedelta) -> None:
        self.keep[agency_id] = keep
        self.version = str(int(self.version) + 1)

    async def GetPolicy(self, request, context):
        self.asked += 1
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        policy = access_pb2.Policy(agency_id=request.agency_id, version=self.version)
        for kind, keep in self.keep.get(request.agency_id, {}).items():
            policy.retention.add(kind=kind, keep_s=int(keep.total_seconds()), basis="462.4")
        return access_pb2.GetPolicyResponse(policy=policy)


def schedules(keep: timedelta = KEEP, crop: timedelta | None = None, agency: str = AGENCY) -> Schedules:
    return Schedules(
        agency, Schedule(keep, BEGINNING, "462.4", "1"), Schedule(crop or keep, BEGINNING, "462.4", "1")
    )


def accepted(
    new: reads_pb2.NewRead, now: datetime, *, agency: str = AGENCY, keep: timedelta = KEEP
) -> Accepted:
    return check(new, agency_id=agency, cameras=CAMERAS, schedules=schedules(keep, agency=agency), now=now)


def decision(*agencies: str, **obligations: object) -> decision_pb2.Decision:
    return decision_pb2.Decision(
        effect=decision_pb2.EFFECT_ALLOW,
        obligations=decision_pb2.Obligations(agency_ids=agencies, **obligations),  # type: ignore[arg-type]
    )


def query(start: datetime, end: datetime, plate: str = "", **fields: object) -> reads_pb2.SearchReadsRequest:
    request = reads_pb2.SearchReadsRequest(plate=plate, **fields)  # type: ignore[arg-type]
    request.window.start.FromDatetime(start)
    request.window.end.FromDatetime(end)
    return request
