"""Videos on the command line: their frames with times, and one result for each vehicle pass instead of one for each frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from clients.gateway.sources import SourceError
from services.recognizer.choose import chosen
from services.recognizer.fuse import Fused
from services.recognizer.results import Image, Recognition
from services.recognizer.sightings import reported
from services.recognizer.tracker import Pass, Tracker

_START = datetime(2000, 1, 1, tzinfo=UTC)  # a video's own clock: only differences count
_SHORT_S, _SHORT_SHARE = 1.0, 0.1  # what a whole video may end before its time


@dataclass(frozen=True, slots=True)
class Played:
    """A frame of a video: seconds since its start, and the share of the video that is over, 0 to 1."""

    at: float
    share: float
    image: Image


def play(file: Path) -> Iterator[Played]:
    """Yield the frames of a video.

    Raises:
        SourceError: it cannot be opened or played, or it ends long before the time in its header (after its frames).
    """
    import av

    at = seconds = 0.0
    try:
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            seconds = (container.duration or 0) / 1_000_000
            rate = float(stream.average_rate or 25)
            begun = None
            for number, frame in enumerate(container.decode(video=0)):
                time = number / rate if frame.time is None else frame.time
                begun = time if begun is None else begun
                at = max(at, time - begun)
                share = min(1.0, at / seconds) if seconds else 0.0
                yield Played(at, share, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
    except (av.FFmpegError, IndexError) as error:
        raise SourceError(f"the video cannot be played ({type(error).__name__}): check the file") from error
    if seconds - at > max(_SHORT_S, _SHORT_SHARE * seconds):
        raise SourceError(
            f"the video ends after {at:.0f} s of {seconds:.0f}: the file is incomplete, copy it again"
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """A vehicle's pass: seconds of its first and last frame, and its fused reading."""

    first: float
    last: float
    fused: Fused


class Passes:
    """Follows the plates of one video as the service does for a camera."""

    def __init__(self) -> None:
        self._tracker = Tracker(gap=timedelta(seconds=1.5), longest=timedelta(seconds=20))
        self._frame = 0

    def add(self, at: float, found: Recognition) -> list[Seen]:
        """Take the next frame; return the passes that are over."""
        self._frame += 1
        when = _START + timedelta(seconds=at)
        seen = chosen(self._frame, when, found.plates, found.vehicles)
        return _seen(self._tracker.update(self._frame, when, seen))

    def end(self) -> list[Seen]:
        """Return the passes that are open at the end."""
        return _seen(self._tracker.flush(self._frame))


def _seen(passes: Sequence[Pass]) -> list[Seen]:
    made = []
    for each in passes:
        if (fused := reported(each)) is not None:
            first, last = ((end.at - _START).total_seconds() for end in (each.first, each.last))
            made.append(Seen(first, last, fused))
    return made


def clock(seconds: float) -> str:
    """Return a place in a video as m:ss.d."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"
