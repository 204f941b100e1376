"""The pictures of hits: taken over from `reads` as soon as a hit is raised, kept sealed, destroyed with the hit.

Rules
-----
1. A hit keeps its own copies, since its schedule is not that of reads: where reads go after three minutes, a person could not
   compare otherwise. Nothing but hits has copies, and taking one over is on record at `reads`.
2. What `reads` has not is not asked for again; while it is away, the hits wait and are asked for later.
3. A picture is seen by who may see the hit (``bounds.py``).
4. Without the key of this service no copies are kept.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import structlog

from plateward.common.v1 import decision_pb2, errors_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.clock import Clock
from servicekit.crypto import UnsealError, open_sealed, seal
from servicekit.database import UNAVAILABLE, Pool
from servicekit.errors import PlatewardError
from services.hotlist.bounds import bounds

_KINDS = (types_pb2.CROP_KIND_PLATE, types_pb2.CROP_KIND_VEHICLE)
_AT_ONCE = 50
_TIMEOUT_S = 5.0
_NEXT = "SELECT hit_id::text AS hit_id, raised FROM hits WHERE pictures_at IS NULL AND expires_at > %s ORDER BY seq LIMIT %s"
_log = structlog.get_logger(__name__)


class Pictures:
    """Copies of crops, one of each kind a hit."""

    def __init__(self, pool: Pool, reads: grpc.aio.Channel, clock: Clock, key: bytes | None) -> None:
        self._pool = pool
        self._stub: Any = reads_pb2_grpc.ReadsServiceStub(reads)
        self._clock = clock
        self._key = key

    async def take(self) -> int:
        """Take over the pictures of some hits that have none yet; return how many hits.

        Raises:
            grpc.aio.AioRpcError: `reads` is away; the hits wait.
            psycopg.OperationalError: the database is away.
        """
        if self._key is None:
            return 0
        async with self._pool.connection() as connection:
            found = await connection.execute(_NEXT, (self._clock.now(), _AT_ONCE))
            waiting = [
                (row["hit_id"], hit_pb2.Hit.FromString(row["raised"])) for row in await found.fetchall()
            ]
        for hit_id, hit in waiting:
            pictures = [(kind, jpeg) for kind in _KINDS if (jpeg := await self._fetch(hit, kind))]
            async with self._pool.connection() as connection:
                for kind, jpeg in pictures:
                    await connection.execute(
                        "INSERT INTO hit_pictures (hit_id, kind, sealed) SELECT hit_id, %s, %s FROM hits WHERE hit_id = %s "
                        "ON CONFLICT DO NOTHING",
                        (kind, seal(self._key, jpeg, _name(hit_id, kind)), hit_id),
                    )
                await connection.execute(
                    "UPDATE hits SET pictures_at = %s WHERE hit_id = %s", (self._clock.now(), hit_id)
                )
        return len(waiting)

    async def get(
        self, hit_id: str, kind: types_pb2.CropKind.ValueType, decision: decision_pb2.Decision | None
    ) -> tuple[bytes, str]:
        """Return a picture of a hit that the decision shows, and the ID of its read.

        Raises:
            PlatewardError: NOT_FOUND; STORAGE_UNAVAILABLE: it does not open with this service's key.
        """
        clause, parameters = bounds(decision, self._clock.now())
        async with self._pool.connection() as connection:
            found = await connection.execute(
                f"SELECT sealed, read_id::text AS read_id FROM hits JOIN hit_pictures USING (hit_id) "  # noqa: S608
                f"WHERE {clause} AND hit_id = %s AND kind = %s",
                [*parameters, hit_id, kind],
            )
            row = await found.fetchone()
        if row is None or self._key is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND,
                "There is no such picture of a hit that you may see: it was not taken, or it had expired before it was taken over.",
            )
        try:
            return open_sealed(self._key, bytes(row["sealed"]), _name(hit_id, kind)), row["read_id"]
        except UnsealError as error:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_STORAGE_UNAVAILABLE,
                "The picture does not open with the service's key: tell the operator, it was altered or the key changed.",
            ) from error

    async def run(self, interval_s: float) -> None:
        """Take over what there is, again and again, until cancelled."""
        while True:
            try:
                while await self.take() == _AT_ONCE:
                    pass
            except grpc.aio.AioRpcError as error:
                _log.warning("pictures_wait", code=error.code().name)
            except UNAVAILABLE:
                _log.warning("database_away")
            await asyncio.sleep(interval_s)

    async def _fetch(self, hit: hit_pb2.Hit, kind: types_pb2.CropKind.ValueType) -> bytes:
        request = reads_pb2.FetchCropRequest(
            read_id=hit.read.read_id, agency_id=hit.read.agency_id, seen_at=hit.read.seen_at, kind=kind
        )
        try:
            return bytes((await self._stub.FetchCrop(request, timeout=_TIMEOUT_S)).jpeg)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return b""
            raise


def _name(hit_id: str, kind: int) -> bytes:
    return f"{hit_id}/{kind}".encode()
