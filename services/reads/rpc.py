"""The RPCs of ``reads``: each says what it does in a few lines; identity, policy and audit are the kit's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, LiteralString

import grpc

from plateward.common.v1 import action_pb2, errors_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.clock import Clock
from servicekit.context import current
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from services.reads.cameras import Cameras
from services.reads.canvass import Canvass
from services.reads.checks import Accepted, RejectedError, check
from services.reads.crops import Crops
from services.reads.follow import Follow
from services.reads.held import find_held
from services.reads.ingest import Ingest
from services.reads.retention import Retention
from services.reads.rpc_keep import KeepParts, KeepServicer
from services.reads.search import Search

Context = grpc.aio.ServicerContext[Any, Any]
_CROP_COLUMNS: dict[types_pb2.CropKind.ValueType, LiteralString] = {
    types_pb2.CROP_KIND_PLATE: "plate_crop",
    types_pb2.CROP_KIND_VEHICLE: "vehicle_crop",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What the RPCs are made of."""

    pool: Pool
    clock: Clock
    cameras: Cameras
    canvass: Canvass
    crops: Crops
    follow: Follow
    ingest: Ingest
    retention: Retention
    search: Search


class ReadsServicer(KeepServicer):
    """Ingest, following, search, canvass, crops, cameras, counts; what keeps and destroys is in ``rpc_keep.py``."""

    def __init__(self, parts: Parts, keep: KeepParts) -> None:
        self._parts = parts
        self._keep = keep

    async def IngestReads(
        self, request: reads_pb2.IngestReadsRequest, context: Context
    ) -> reads_pb2.IngestReadsResponse:
        """Store a batch; see ``ingest.py``."""
        parts, agency_id = self._parts, current().subject.agency_id
        schedules = await parts.retention.schedules(agency_id)
        cameras = await parts.cameras.known(agency_id, (new.read.camera_id for new in request.reads))
        now = parts.clock.now()
        accepted: list[Accepted] = []
        response = reads_pb2.IngestReadsResponse()
        for new in request.reads:
            try:
                accepted.append(
                    check(new, agency_id=agency_id, cameras=cameras, schedules=schedules, now=now)
                )
            except RejectedError as error:
                response.rejected.add(
                    read_id=new.read.read_id,
                    reason=errors_pb2.ErrorReason.Name(error.reason),
                    message=str(error),
                )
        kept = await self._keep.confidential.withhold(agency_id, accepted)
        response.withheld = len(accepted) - len(kept)
        stored = await parts.ingest.store(agency_id, kept)
        response.stored, response.duplicates = stored.stored, stored.duplicates
        return response

    async def FollowReads(
        self, request: reads_pb2.FollowReadsRequest, context: Context
    ) -> AsyncIterator[reads_pb2.FollowReadsResponse]:
        """Stream reads in commit order; see ``follow.py``."""
        async for response in self._parts.follow.stream(request.follower, request.cursor):
            yield response

    async def SearchReads(
        self, request: reads_pb2.SearchReadsRequest, context: Context
    ) -> reads_pb2.SearchReadsResponse:
        """Answer a search; see ``search.py``."""
        call = current()
        found = await self._parts.search.find(request, call.decision, call.subject)
        call.returned(ranked.read.read_id for ranked in found.reads)
        return reads_pb2.SearchReadsResponse(reads=found.reads, next_page_token=found.next_page_token)

    async def GetCrop(self, request: reads_pb2.GetCropRequest, context: Context) -> reads_pb2.GetCropResponse:
        """Return one crop of a read that the decision lets the caller see."""
        call = current()
        row = await self._parts.search.one(
            request.read_id,
            call.decision,
            call.subject,
            request.owner_agency_ids,
            request.purpose.case_number,
        )
        masked = call.decision is not None and "crops" in call.decision.obligations.masked_fields
        key = "" if row is None or masked else row[_CROP_COLUMNS[request.kind]]
        jpeg = await self._parts.crops.get(key) if key else None
        if row is None or jpeg is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND,
                "There is no such picture that you may see: check the read's ID and its crops, or search again.",
            )
        call.returned([str(row["read_id"])])
        return reads_pb2.GetCropResponse(jpeg=jpeg)

    async def FetchCrop(
        self, request: reads_pb2.FetchCropRequest, context: Context
    ) -> reads_pb2.FetchCropResponse:
        """Return one crop of a live read to a follower."""
        key = await self._parts.follow.crop_key(
            request.agency_id, request.read_id, request.seen_at.ToDatetime(UTC), _CROP_COLUMNS[request.kind],
            await self._parts.retention.alive([request.agency_id]),
        )  # fmt: skip
        jpeg = await self._parts.crops.get(key) if key else None
        if jpeg is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND,
                "There is no such picture: it was never taken, or it has expired. Do not ask again.",
            )
        current().returned([request.read_id])
        return reads_pb2.FetchCropResponse(jpeg=jpeg)

    async def FindHeld(
        self, request: reads_pb2.FindHeldRequest, context: Context
    ) -> reads_pb2.FindHeldResponse:
        """Tell a follower which reads and cases a hold in force keeps."""
        return await find_held(self._parts.pool, request)

    async def Canvass(
        self, request: reads_pb2.CanvassRequest, context: Context
    ) -> AsyncIterator[reads_pb2.CanvassResponse]:
        """Stream a canvass step by step; see ``canvass.py``."""
        async for part in self._parts.canvass.stream(request, current()):
            yield part

    async def CompareScenes(
        self, request: reads_pb2.CompareScenesRequest, context: Context
    ) -> reads_pb2.CompareScenesResponse:
        """Return plates seen at several scenes."""
        return reads_pb2.CompareScenesResponse(plates=await self._parts.canvass.compare(request, current()))

    async def FindCompanions(
        self, request: reads_pb2.FindCompanionsRequest, context: Context
    ) -> reads_pb2.FindCompanionsResponse:
        """Return plates that travelled with a plate."""
        return reads_pb2.FindCompanionsResponse(
            plates=await self._parts.canvass.companions(request, current())
        )

    async def PutCamera(
        self, request: reads_pb2.PutCameraRequest, context: Context
    ) -> reads_pb2.PutCameraResponse:
        """Register a camera of the caller's agency, or change it."""
        call = current()
        camera = reads_pb2.Camera()
        camera.CopyFrom(request.camera)
        camera.agency_id = call.subject.agency_id
        before = await self._parts.cameras.put(camera)
        call.changed(
            "camera",
            camera.camera_id,
            "camera changed" if before is not None else "camera registered",
            before=before.SerializeToString(deterministic=True) if before is not None else b"",
            after=camera.SerializeToString(deterministic=True),
        )
        return reads_pb2.PutCameraResponse(camera=camera)

    async def ListCameras(
        self, request: reads_pb2.ListCamerasRequest, context: Context
    ) -> reads_pb2.ListCamerasResponse:
        """Return the cameras of the caller's agency."""
        call = current()
        cameras = await self._parts.cameras.listed(call.subject.agency_id, call.decision)
        return reads_pb2.ListCamerasResponse(cameras=cameras)

    async def CountReads(
        self, request: reads_pb2.CountReadsRequest, context: Context
    ) -> reads_pb2.CountReadsResponse:
        """Count live reads and active cameras: of the caller's agency, or of all for a service."""
        subject = current().subject
        everyone = subject.kind == action_pb2.CALLER_KIND_SERVICE
        now = self._parts.clock.now()
        async with self._parts.pool.connection() as connection:
            found = await connection.execute(
                "SELECT (SELECT count(*) FROM reads JOIN schedules AS s ON s.agency_id = reads.agency_id AND s.kind = 'read' "
                "WHERE (%(all)s OR reads.agency_id = %(agency)s) AND seen_at >= %(since)s "
                "AND seen_at > greatest(s.floor, %(now)s - make_interval(secs => s.keep_s))) AS reads, "
                "(SELECT count(*) FROM cameras WHERE (%(all)s OR agency_id = %(agency)s) AND active) AS cameras",
                {
                    "all": everyone,
                    "agency": subject.agency_id,
                    "now": now,
                    "since": now - timedelta(days=request.days),
                },
            )
            row = await found.fetchone()
        return reads_pb2.CountReadsResponse(**(row or {}))
