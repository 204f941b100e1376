"""From the spool into reads: batches, again and again until they are answered for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from clients.gateway.spool import Spool
from plateward.common.v1 import types_pb2
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from plateward.recognizer.v1 import recognizer_pb2
from servicekit.errors import parse_rpc_error

BATCH = 50
_DEADLINE_S = 15.0
_PAUSE_S = 0.2
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_FATAL = frozenset(
    {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED}
)


@dataclass(slots=True)
class Sent:
    """What reads answered so far."""

    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    failures: int = 0


def new_read(sighting: recognizer_pb2.Sighting) -> reads_pb2.NewRead:
    """Return the read of a sighting; its ID is the sighting's."""
    new = reads_pb2.NewRead()
    new.read.read_id = sighting.sighting_id
    new.read.camera_id = sighting.camera_id
    new.read.seen_at.CopyFrom(sighting.seen_at)
    new.read.plate.CopyFrom(sighting.plate)
    if sighting.HasField("vehicle"):
        new.read.vehicle.CopyFrom(sighting.vehicle)
    new.read.model_version = sighting.model_version
    new.read.frames = sighting.frames
    for crop in sighting.crops:
        if crop.kind == types_pb2.CROP_KIND_PLATE:
            new.plate_jpeg = crop.jpeg
        elif crop.kind == types_pb2.CROP_KIND_VEHICLE:
            new.vehicle_jpeg = crop.jpeg
    return new


class Sender:
    """Empties a spool into reads."""

    def __init__(self, channel: grpc.aio.Channel, spool: Spool, sent: Sent) -> None:
        self._stub = reads_pb2_grpc.ReadsServiceStub(channel)
        self._spool = spool
        self._sent = sent

    async def run(self, source_done: asyncio.Event) -> None:
        """Send until the source is done and the spool is empty.

        Raises:
            grpc.aio.AioRpcError: reads refuses this gateway; trying again would not help.
        """
        attempt = 0
        while True:
            batch = await asyncio.to_thread(self._spool.batch, BATCH)
            if not batch:
                if source_done.is_set():
                    return
                await asyncio.sleep(_PAUSE_S)
                continue
            try:
                await self._send(batch)
                attempt = 0
            except grpc.aio.AioRpcError as error:
                if error.code() in _FATAL:
                    raise
                self._sent.failures += 1
                await asyncio.sleep(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
                attempt += 1

    async def _send(self, batch: Sequence[tuple[str, bytes]]) -> None:
        request = reads_pb2.IngestReadsRequest(
            reads=[new_read(recognizer_pb2.Sighting.FromString(data)) for _, data in batch]
        )
        try:
            answer = await self._stub.IngestReads(request, timeout=_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.INVALID_ARGUMENT:
                raise
            await self._send_apart(batch, error)
            return
        rejected = {r.read_id: f"{r.reason}: {r.message}" for r in answer.rejected}
        await asyncio.to_thread(self._spool.settle, [i for i, _ in batch if i not in rejected], rejected)
        self._sent.stored += answer.stored
        self._sent.duplicates += answer.duplicates
        self._sent.rejected += len(rejected)

    async def _send_apart(self, batch: Sequence[tuple[str, bytes]], error: grpc.aio.AioRpcError) -> None:
        """One read of a batch breaks a rule: send each alone, so that only that one is kept apart."""
        if len(batch) > 1:
            for item in batch:
                await self._send([item])
            return
        fault = parse_rpc_error(error)
        await asyncio.to_thread(self._spool.settle, [], {batch[0][0]: str(fault or error.details())})
        self._sent.rejected += 1
