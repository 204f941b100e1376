"""The frames of a stream on their way: a bounded queue that drops the oldest, an idle limit, the end of the service.

Rules
-----
1. The first message names the camera. Another camera ends the stream; so does a frame number that begins again, or a time
   far before the last one: the gateway opens another stream.
2. Every frame taken is answered by one message without a sighting (acknowledgement, warning or both); frames dropped are
   counted in every message. Sent less acknowledged less dropped is what is under way.
3. A frame that comes late or twice (neither number nor time rise, or the time is a little before the last one) is dropped,
   with the count.
4. The end of the source reports what is open. The end of the service does not: those passes are not settled, and the
   gateway sends them to whoever answers next.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from plateward.common.v1 import errors_pb2
from plateward.recognizer.v1 import recognizer_pb2
from servicekit.errors import PlatewardError
from servicekit.waker import wait_for_either
from services.recognizer.session import Frame

LATE_MOST = timedelta(seconds=5)  # beyond it a camera's clock was set back
QUEUE_PICTURES = 2  # largest pictures that one camera's queue holds, in bytes
_Request = recognizer_pb2.RecognizeStreamRequest


@dataclass(frozen=True, slots=True)
class End:
    """The source has ended with a frame."""

    number: int


class Intake:
    """Takes messages off the network as they come and gives frames as fast as they are recognised."""

    def __init__(
        self, messages: AsyncIterator[_Request], *, most: int, image_most: int, idle_s: float
    ) -> None:
        self._messages, self._most, self._image_most, self._idle_s = messages, most, image_most, idle_s
        self._frames: deque[Frame | End] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._last: Frame | None = None
        self._camera_id = ""
        self._over = False
        self._failure: BaseException | None = None
        self.dropped = 0

    async def open(self) -> str:
        """Wait for the first message; return the camera.

        Raises:
            PlatewardError: INVALID_ARGUMENT when the stream ends before, or its first message is not valid.
        """
        first = await self._next()
        if first is None:
            raise _invalid("the stream ended before its first message: send a frame that names the camera")
        self._camera_id = first.camera_id
        self._take(first)
        return self._camera_id

    async def run(self) -> None:
        """Take messages until they end; a failure is raised to whoever asks for the next frame."""
        try:
            while (message := await self._next()) is not None:
                self._take(message)
        except Exception as failure:  # noqa: BLE001 - carried over to the task that answers
            self._failure = failure
        self._over = True
        self._changed.set()

    async def next(self, draining: asyncio.Event) -> Frame | End | None:
        """Return the next frame, the end of the source, or None when nothing more comes.

        Raises:
            PlatewardError: a message broke a rule, or none came for too long.
        """
        while True:
            if self._frames:
                return self._pop()
            if self._failure is not None:
                raise self._failure
            if self._over or draining.is_set():
                return None
            self._changed.clear()
            await wait_for_either(self._changed, draining)

    async def _next(self) -> _Request | None:
        try:
            async with asyncio.timeout(self._idle_s):
                return await anext(self._messages, None)
        except TimeoutError:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DEADLINE_EXCEEDED,
                f"no frame came for {self._idle_s:.0f} s: open the stream again when the camera sends",
            ) from None

    def _take(self, message: _Request) -> None:
        if message.camera_id != self._camera_id:
            raise _invalid("a stream follows one camera: open another stream for another camera")
        if message.end_of_stream:
            self._put(End(max(message.frame, self._last.number if self._last else 0)))
            return
        frame = Frame(message.frame, _captured_at(message), message.image)
        if self._late(frame):
            self.dropped += 1
            return
        if len(frame.image) > self._image_most:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_IMAGE_TOO_LARGE,
                f"a frame has more than {self._image_most:,} bytes: send smaller or more compressed frames",
            )
        self._last = Frame(frame.number, frame.at, b"")
        self._put(frame)

    def _late(self, frame: Frame) -> bool:
        """Say whether a frame comes after its time.

        Raises:
            PlatewardError: numbers or times begin again.
        """
        last = self._last
        if last is None or (frame.number > last.number and frame.at >= last.at):
            return False
        if last.at - frame.at > LATE_MOST or (frame.number <= last.number and frame.at > last.at):
            raise _invalid(
                "frame numbers or capture times begin again within the stream: open another stream for them"
            )
        return True

    def _put(self, item: Frame | End) -> None:
        if isinstance(item, Frame):
            self._bytes += len(item.image)
            # Twice the largest picture: a camera of huge frames must not hold the memory of a hundred others.
            while self._frames and (
                len(self._frames) >= self._most or self._bytes > QUEUE_PICTURES * self._image_most
            ):
                self._pop()
                self.dropped += 1
        self._frames.append(item)
        self._changed.set()

    def _pop(self) -> Frame | End:
        item = self._frames.popleft()
        if isinstance(item, Frame):
            self._bytes -= len(item.image)
        return item


def _captured_at(message: _Request) -> datetime:
    try:
        return message.captured_at.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise PlatewardError(
            errors_pb2.ERROR_REASON_TIME_OUT_OF_RANGE,
            "captured_at is no time that a clock shows: set the camera's clock",
        ) from None


def _invalid(message: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, message)
