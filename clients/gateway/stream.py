"""Frames to the recognizer, sightings into the spool; a broken stream goes on where it is not settled (docs/adr/0003).

Rules
-----
1. A frame is kept until the recognizer says that every pass that touches it has been reported.
2. A sighting is on disk before the frames it came from are let go.
3. After a break the kept frames are sent again with their numbers and times: the same passes get the same IDs.
4. No more frames are under way than the recognizer's queue holds, so that a file is never thinned out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import grpc

from clients.gateway.sources import Frame
from clients.gateway.spool import Spool
from plateward.recognizer.v1 import recognizer_pb2, recognizer_pb2_grpc

WINDOW = 8
MOST_KEPT = 4000
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0)
_FATAL = frozenset({
    grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED,
})  # fmt: skip


@dataclass(slots=True)
class Progress:
    """What happened so far."""

    frames: int = 0
    sightings: int = 0
    warnings: int = 0
    dropped: int = 0
    reconnects: int = 0
    last_warning: str = ""


class Streamer:
    """Plays one source through the recognizer to its end."""

    def __init__(self, channel: grpc.aio.Channel, camera_id: str, frames: Iterator[Frame], spool: Spool, progress: Progress,
                 tell: Callable[[recognizer_pb2.Sighting], None]) -> None:  # fmt: skip
        self._stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
        self._camera_id = camera_id
        self._frames = frames
        self._spool = spool
        self._progress = progress
        self._tell = tell
        self._kept: deque[Frame] = deque()
        self._exhausted = False
        self._settled = 0
        self._finished = False
        self._seen: set[str] = set()

    async def run(self) -> None:
        """Play the source; return when every sighting of it is in the spool.

        Raises:
            grpc.aio.AioRpcError: the recognizer refuses this gateway; trying again would not help.
            SourceError: the source failed.
            SpoolFullError: the spool is full.
        """
        attempt = 0
        while not self._finished:
            settled = self._settled
            try:
                await self._one_stream()
            except grpc.aio.AioRpcError as error:
                if error.code() in _FATAL:
                    raise
            if self._finished:
                return
            attempt = 0 if self._settled > settled else attempt + 1
            self._progress.reconnects += 1
            await asyncio.sleep(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])

    async def _one_stream(self) -> None:
        under_way = _UnderWay()
        call = self._stub.RecognizeStream(self._requests(under_way), wait_for_ready=True)
        try:
            async for answer in call:
                await self._take(answer, under_way)
            self._finished = under_way.ended
        finally:
            call.cancel()

    async def _requests(self, under_way: _UnderWay) -> AsyncIterator[recognizer_pb2.RecognizeStreamRequest]:
        for frame in tuple(self._kept):
            await under_way.room()
            yield self._request(frame)
        last = self._kept[-1].number if self._kept else self._settled
        while (frame := await self._next_frame()) is not None:
            last = frame.number
            await under_way.room()
            yield self._request(frame)
        under_way.ended = True
        end = recognizer_pb2.RecognizeStreamRequest(camera_id=self._camera_id, frame=last, end_of_stream=True)
        end.captured_at.GetCurrentTime()
        yield end

    async def _next_frame(self) -> Frame | None:
        while len(self._kept) >= MOST_KEPT:
            await asyncio.sleep(0.05)
        if self._exhausted:
            return None
        frame = await asyncio.to_thread(next, self._frames, None)
        if frame is None:
            self._exhausted = True
            return None
        self._kept.append(frame)
        self._progress.frames += 1
        return frame

    def _request(self, frame: Frame) -> recognizer_pb2.RecognizeStreamRequest:
        request = recognizer_pb2.RecognizeStreamRequest(
            camera_id=self._camera_id, frame=frame.number, image=frame.jpeg
        )
        request.captured_at.FromDatetime(frame.at)
        return request

    async def _take(self, answer: recognizer_pb2.RecognizeStreamResponse, under_way: _UnderWay) -> None:
        if answer.HasField("sighting"):
            sighting = answer.sighting
            await asyncio.to_thread(self._spool.put, sighting.sighting_id, sighting.SerializeToString())
            if sighting.sighting_id not in self._seen:
                self._seen.add(sighting.sighting_id)
                self._progress.sightings += 1
                self._tell(sighting)
        else:
            under_way.answered(answer.dropped)
        if answer.warning:
            self._progress.warnings += 1
            self._progress.last_warning = answer.warning
        self._progress.dropped = max(self._progress.dropped, answer.dropped)
        self._settled = max(self._settled, answer.settled_through)
        while self._kept and self._kept[0].number <= self._settled:
            self._kept.popleft()


class _UnderWay:
    """How many frames of a stream are sent and not answered for."""

    def __init__(self) -> None:
        self.ended = False
        self._sent = 0
        self._answered = 0
        self._dropped = 0
        self._changed = asyncio.Event()

    async def room(self) -> None:
        """Wait until one more may be sent, and count it."""
        while self._sent - self._answered - self._dropped >= WINDOW:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._changed.wait()
        self._sent += 1

    def answered(self, dropped: int) -> None:
        """Count an answer."""
        self._answered += 1
        self._dropped = max(self._dropped, dropped)
        self._changed.set()
