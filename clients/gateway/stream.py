"""Frames to the recognizer, sightings to the spool, over streams that may break at any moment (docs/adr/0003).

Rules
-----
1. A frame stays in memory until the recognizer has settled it; a new stream begins with the first unsettled frame.
   Sightings have derived IDs: a pass that is reported twice is stored once.
2. A sighting is on disk before any later answer of the stream counts.
3. Only so many frames are under way; a recording waits, a camera skips at its end (``feed.py``). So the recognizer's
   queue never has to drop.
4. A stream's first frame, and frames sent again, go one at a time: a write that fails under a refusal hides its reason.
5. Memory is bounded: beyond it the oldest unsettled frames cannot be sent again, and that is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc

from clients.gateway.counters import Counters
from clients.gateway.feed import Feed, Frame
from clients.gateway.sender import pause, told
from clients.gateway.sources import SourceError
from clients.gateway.spool import Spool
from plateward.recognizer.v1 import recognizer_pb2, recognizer_pb2_grpc

UNDER_WAY = 8
MOST_FRAMES = 1200
MOST_BYTES = 192 * 1024 * 1024
_SILENCE_S = 45.0
_FATAL = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)

Told = Callable[[recognizer_pb2.Sighting], None]


class StreamError(Exception):
    """The recognizer refuses this camera's stream; the message says what to do."""


class Stream:
    """Follows one camera through the recognizer."""

    def __init__(
        self,
        camera_id: str,
        feed: Feed,
        spool: Spool,
        channel: grpc.aio.Channel,
        counters: Counters,
        tell: Told = lambda _: None,
    ) -> None:
        self._camera_id, self._feed, self._spool = camera_id, feed, spool
        self._counters, self._tell = counters, tell
        self._stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._next = 0  # index in _frames of the next one to send
        self._sent_through = self._settled = self._last = 0
        self._source_over = self._answered = False
        self._under_way = self._dropped = 0
        self._progress = asyncio.Event()
        self._seen: set[str] = set()

    @property
    def finished(self) -> bool:
        """The source has ended and everything of it is settled."""
        return self._source_over and self._settled >= self._last

    async def run(self) -> None:
        """Go on until the source has ended and is settled.

        Raises:
            StreamError: the recognizer refuses the stream for a reason that another try does not mend.
            SourceError: the source cannot be read.
        """
        failures = 0
        while not self.finished:
            settled, fault = self._settled, None
            trouble = "closed the stream; opening it again"
            try:
                await self._once()
            except grpc.aio.AioRpcError as error:
                if error.code() in _FATAL:
                    raise StreamError(f"the recognizer refuses the stream: {told(error)}") from error
                fault, trouble = error, told(error)
            except TimeoutError:
                trouble = f"silent for {_SILENCE_S:.0f} s; opening the stream again"
            if self.finished:
                break
            failures = 0 if self._settled > settled else failures + 1
            self._counters.reconnects += 1
            self._counters.recognizer_trouble = f"recognizer: {trouble}"
            await asyncio.sleep(pause(failures, fault))
        self._counters.recognizer_trouble = ""

    async def _once(self) -> None:
        """Follow one stream to its end."""
        self._next = self._under_way = self._dropped = 0
        self._answered = False
        call = self._stub.RecognizeStream()
        sending = asyncio.create_task(self._send(call))
        try:
            while True:
                async with asyncio.timeout(_SILENCE_S if self._under_way else None):
                    answer = await self._answer(call, sending)
                if answer is None:
                    return
                await self._take(answer)
        finally:
            call.cancel()
            sending.cancel()
            with suppress(asyncio.CancelledError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await sending

    @staticmethod
    async def _answer(
        call: Any, sending: asyncio.Task[None]
    ) -> recognizer_pb2.RecognizeStreamResponse | None:
        """Wait for the next answer; None when the stream ends. A source that fails ends the wait."""
        reading = asyncio.ensure_future(call.read())
        try:
            await asyncio.wait({reading, sending}, return_when=asyncio.FIRST_COMPLETED)
            failed = sending.exception() if sending.done() and not sending.cancelled() else None
            if isinstance(failed, SourceError):
                raise failed
            answer = await reading
        finally:
            reading.cancel()
        return None if answer is grpc.aio.EOF else answer

    async def _send(self, call: Any) -> None:
        while self._next < len(self._frames) or await self._more():
            while self._under_way >= self._window():
                self._progress.clear()
                await self._progress.wait()
            frame = self._frames[self._next]
            message = recognizer_pb2.RecognizeStreamRequest(
                camera_id=self._camera_id, frame=frame.number, image=frame.jpeg
            )
            message.captured_at.FromDatetime(frame.captured_at)
            self._next += 1
            self._under_way += 1
            self._counters.resent += frame.number <= self._sent_through
            self._sent_through = max(self._sent_through, frame.number)
            await call.write(message)
        if not self.finished:
            end = recognizer_pb2.RecognizeStreamRequest(
                camera_id=self._camera_id, frame=self._last, end_of_stream=True
            )
            end.captured_at.GetCurrentTime()
            await call.write(end)
        await call.done_writing()

    def _window(self) -> int:
        """Return how many frames may be under way with the next one."""
        again = self._frames[self._next].number <= self._sent_through
        return UNDER_WAY if self._answered and not again else 1

    async def _more(self) -> bool:
        """Take the next frame of the source into memory; False when it has ended."""
        frame = None if self._source_over else await self._feed.next()
        if frame is None:
            self._source_over = True
            return False
        self._frames.append(frame)
        self._bytes += len(frame.jpeg)
        self._last = frame.number
        while self._next > 0 and (len(self._frames) > MOST_FRAMES or self._bytes > MOST_BYTES):
            self._forget()
            self._counters.forgotten += 1
        return True

    async def _take(self, answer: recognizer_pb2.RecognizeStreamResponse) -> None:
        self._answered = True
        newly_dropped = answer.dropped - self._dropped
        self._dropped = answer.dropped
        self._counters.dropped += newly_dropped
        self._counters.recognizer_trouble = ""
        if answer.HasField("sighting"):
            await self._spooled(answer.sighting)
        else:
            newly_dropped += 1
            self._counters.unreadable += bool(answer.warning)
        self._under_way = max(0, self._under_way - newly_dropped)
        self._settled = max(self._settled, answer.settled_through)
        while self._frames and self._frames[0].number <= self._settled:
            self._forget()
        self._progress.set()

    async def _spooled(self, sighting: recognizer_pb2.Sighting) -> None:
        await self._spool.add(sighting.sighting_id, sighting.SerializeToString())
        self._counters.spooled = self._spool.depth
        if sighting.sighting_id not in self._seen:
            self._seen.add(sighting.sighting_id)
            self._counters.sightings += 1
            self._tell(sighting)

    def _forget(self) -> None:
        self._bytes -= len(self._frames.popleft().jpeg)
        self._next = max(0, self._next - 1)
