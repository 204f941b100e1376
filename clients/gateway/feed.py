"""A source read in a thread of its own: a recording waits for the reader, a camera overwrites what nobody took."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from clients.gateway.counters import Counters
from clients.gateway.sources import Source, SourceError, Still

_RETRY_S = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Frame:
    """A numbered frame on its way to the recognizer."""

    number: int
    captured_at: datetime
    jpeg: bytes


class Feed:
    """Frames of a source, one after the other."""

    def __init__(
        self,
        source: Source,
        counters: Counters,
        *,
        start: datetime,
        pace: float = 0.0,
        most_frames: int = 0,
        waiting: int = 8,
    ) -> None:
        """Prepare to read.

        Args:
            source: where frames come from.
            counters: what is shown.
            start: time of a recording's first frame.
            pace: frames a second, at most; 0 gives them as fast as they are taken.
            most_frames: end after so many; 0 is no limit.
            waiting: how many frames wait to be taken.
        """
        self._source, self._counters, self._start = source, counters, start
        self._pace, self._most_frames, self._waiting = pace, most_frames, waiting
        self._frames: deque[Frame] = deque()
        self._room = threading.Condition()
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._stopped = False
        self._ended = False
        self._fault: Exception | None = None
        self._number = 0
        self._latest: datetime | None = None
        self._thread = threading.Thread(target=self._run, name="source", daemon=True)
        self._thread.start()

    async def next(self) -> Frame | None:
        """Return the next frame, or None when the source has ended.

        Raises:
            SourceError: a recording cannot be read.
        """
        while True:
            with self._room:
                if self._frames:
                    frame = self._frames.popleft()
                    self._room.notify()
                    return frame
                if self._fault is not None:
                    raise self._fault
                if self._ended:
                    return None
                self._arrived.clear()
            await self._arrived.wait()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop before the source's end."""
        return self._stopped

    def stop(self) -> None:
        """Read no further."""
        with self._room:
            self._stopped = True
            self._room.notify_all()

    def _run(self) -> None:
        try:
            for still in self._stills():
                if not self._put(still):
                    break
        except Exception as fault:  # noqa: BLE001 - raised in the reader's task
            self._fault = fault
        self._ended = True
        self._wake()

    def _stills(self) -> Iterator[Still]:
        """Yield the frames of the source; a camera that breaks off is opened again."""
        failures = 0
        while not self._stopped:
            try:
                for still in self._source.frames():
                    failures = 0
                    yield still
                if not self._source.live:
                    return
            except SourceError:
                if not self._source.live:
                    raise
            wait = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
            failures += 1
            self._counters.reopened += 1
            with self._room:
                self._room.wait_for(lambda: self._stopped, wait)

    def _put(self, still: Still) -> bool:
        begun = time.monotonic()
        with self._room:
            if self._source.live:
                while len(self._frames) >= self._waiting:
                    self._frames.popleft()
                    self._counters.skipped += 1
            else:
                self._room.wait_for(lambda: self._stopped or len(self._frames) < self._waiting)
            if self._stopped:
                return False
            self._number += 1
            at = datetime.now(UTC) if self._source.live else self._start + timedelta(seconds=still.at)
            # A clock that is set back must not make time run backwards within a stream.
            self._latest = max(at, self._latest or at)
            self._frames.append(Frame(self._number, self._latest, still.jpeg))
        self._counters.frames += 1
        self._wake()
        if self._most_frames and self._number >= self._most_frames:
            return False
        if self._pace and not self._source.live:
            with self._room:
                self._room.wait_for(
                    lambda: self._stopped, max(0.0, 1 / self._pace - (time.monotonic() - begun))
                )
        return True

    def _wake(self) -> None:
        # The loop may be gone when the process ends while a camera is being read.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived.set)
