"""From the spool to ``reads``: batches, sent until they are answered for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC

import grpc

from clients.gateway.counters import Counters
from clients.gateway.spool import Rejected, Spool
from plateward.common.v1 import errors_pb2, types_pb2
from plateward.reads.v1 import read_pb2, reads_pb2, reads_pb2_grpc
from plateward.recognizer.v1 import recognizer_pb2
from servicekit.errors import parse_rpc_error

BATCH = 100
BATCH_BYTES = 8 * 1024 * 1024
_TIMEOUT_S = 15.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 5.0
_MOST_DOUBLINGS = 8


def new_read(body: bytes) -> reads_pb2.NewRead:
    """Return the read of a spooled sighting; its ID is the sighting's."""
    sighting = recognizer_pb2.Sighting.FromString(body)
    read = read_pb2.Read(
        read_id=sighting.sighting_id,
        camera_id=sighting.camera_id,
        seen_at=sighting.seen_at,
        plate=sighting.plate,
        model_version=sighting.model_version,
        frames=sighting.frames,
    )
    if sighting.HasField("vehicle"):
        read.vehicle.CopyFrom(sighting.vehicle)
    pictures = {crop.kind: crop.jpeg for crop in sighting.crops}
    return reads_pb2.NewRead(
        read=read,
        plate_jpeg=pictures.get(types_pb2.CROP_KIND_PLATE, b""),
        vehicle_jpeg=pictures.get(types_pb2.CROP_KIND_VEHICLE, b""),
    )


class Sender:
    """Empties a spool into ``reads``, for as long as it runs."""

    def __init__(self, spool: Spool, channel: grpc.aio.Channel, counters: Counters) -> None:
        self._spool, self._counters = spool, counters
        self._stub = reads_pb2_grpc.ReadsServiceStub(channel)
        self._most = BATCH

    async def run(self) -> None:
        """Send until cancelled."""
        failures = 0
        while True:
            batch = await self._spool.batch(self._most, BATCH_BYTES)
            self._counters.spooled = self._spool.depth
            if not batch:
                await self._spool.filled.wait()
                continue
            try:
                await self._send(batch)
                failures, self._counters.reads_trouble = 0, ""
            except grpc.aio.AioRpcError as error:
                if await self._isolated(error, batch):
                    continue
                self._counters.retries += 1
                self._counters.reads_trouble = f"reads: {told(error)}"
                await asyncio.sleep(pause(failures, error))
                failures += 1

    async def _send(self, batch: Sequence[tuple[str, bytes]]) -> None:
        request = reads_pb2.IngestReadsRequest(reads=[new_read(body) for _, body in batch])
        answer: reads_pb2.IngestReadsResponse = await self._stub.IngestReads(request, timeout=_TIMEOUT_S)
        of = {i: new.read for (i, _), new in zip(batch, request.reads, strict=True)}
        rejected = [
            _rejected(r.read_id, of[r.read_id], r.reason, r.message)
            for r in answer.rejected
            if r.read_id in of
        ]
        refused = {r.id for r in rejected}
        await self._spool.settle([i for i, _ in batch if i not in refused], rejected)
        self._counters.stored += answer.stored
        self._counters.duplicates += answer.duplicates
        self._counters.rejected += len(rejected)
        self._counters.spooled = self._spool.depth
        self._most = BATCH

    async def _isolated(self, error: grpc.aio.AioRpcError, batch: Sequence[tuple[str, bytes]]) -> bool:
        """When a batch as a whole is not valid, find by halves which sighting it is, and set that one apart."""
        if error.code() not in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE}:
            return False
        if len(batch) > 1:
            self._most = len(batch) // 2
            return True
        fault = parse_rpc_error(error)
        reason = errors_pb2.ErrorReason.Name(fault.reason) if fault else error.code().name
        await self._spool.settle(
            (), [_rejected(batch[0][0], new_read(batch[0][1]).read, reason, told(error))]
        )
        self._counters.rejected += 1
        return True


def _rejected(sighting_id: str, read: read_pb2.Read, reason: str, message: str) -> Rejected:
    try:
        seen_at = read.seen_at.ToDatetime(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        seen_at = "no time"
    return Rejected(sighting_id, reason, message, read.camera_id, seen_at)


def pause(failures: int, error: grpc.aio.AioRpcError | None = None) -> float:
    """Return how long to wait before trying again, in seconds: doubling, spread, or what the service asks for."""
    fault = parse_rpc_error(error) if error is not None else None
    if fault is not None and fault.retry_after is not None:
        return float(fault.retry_after)
    doubled: float = _FIRST_WAIT_S * 2 ** min(failures, _MOST_DOUBLINGS)
    # Spread, so that ninety gateways do not come back in the same instant.
    return min(_LONGEST_WAIT_S, doubled) * random.uniform(0.7, 1.3)  # noqa: S311 - no secret


def told(error: grpc.aio.AioRpcError) -> str:
    """Return what a failed call says, for a person."""
    fault = parse_rpc_error(error)
    if fault is not None:
        return str(fault)
    if error.code() == grpc.StatusCode.UNAVAILABLE:
        return "does not answer; trying again"
    return f"{error.code().name}: {error.details()}"
