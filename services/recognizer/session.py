"""One camera's stream: frames in order, sightings out. All work on a frame is one call, off the event loop.

A frame lives for that call: what stays of it are its readings and, where it is the best so far of a pass that goes on,
two crops (R-REC-3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from plateward.recognizer.v1 import recognizer_pb2
from services.recognizer.choose import chosen
from services.recognizer.decode import ImageError, decode
from services.recognizer.fuse import weight
from services.recognizer.gpu_decode import Decode
from services.recognizer.pictures import Picture, pictures_of
from services.recognizer.pipeline import Pipeline
from services.recognizer.results import Image, VehicleRead
from services.recognizer.sightings import reported, sighting, sighting_id
from services.recognizer.tracker import Pass, Tracker


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it came: its number, its time and the bytes of its picture."""

    number: int
    at: datetime
    image: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """What a frame led to: passes that are over, how far the stream is settled, and why the frame could not be read."""

    sightings: tuple[recognizer_pb2.Sighting, ...]
    settled_through: int
    warning: str = ""


class Session:
    """Follows one camera. Calls come one after the other, from any thread."""

    def __init__(
        self,
        camera_id: str,
        pipeline: Pipeline,
        *,
        gap: timedelta,
        longest: timedelta,
        decode: Decode = decode,
    ) -> None:
        self._camera_id, self._pipeline, self._decode = camera_id, pipeline, decode
        self._tracker = Tracker(gap=gap, longest=longest)
        self._pictures: dict[str, tuple[float, tuple[Picture, ...]]] = {}

    def step(self, frame: Frame) -> Step:
        """Take the next frame. One that cannot be read counts as a frame without plates, and warns."""
        try:
            image = self._decode(frame.image)
        except ImageError as error:
            over = self._tracker.update(frame.number, frame.at, ())
            return self._step(over, f"frame {frame.number}: {error}")
        found = self._pipeline.recognize(image)
        seen = chosen(frame.number, frame.at, found.plates, found.vehicles)
        over = self._tracker.update(frame.number, frame.at, seen)
        self._keep(image, frame.number, found.vehicles)
        return self._step(over)

    def end(self, frame: int) -> Step:
        """Report what is open: the source ended with a frame."""
        return self._step(self._tracker.flush(frame))

    def _keep(self, image: Image, frame: int, vehicles: Sequence[VehicleRead]) -> None:
        """Keep the crops of passes whose best frame is this one."""
        for each in self._tracker.open_passes:
            seen = each.last
            if seen.frame != frame or each.reported:
                continue
            key, worth = sighting_id(self._camera_id, each.first), weight(seen.plate)
            if key not in self._pictures or worth > self._pictures[key][0]:
                self._pictures[key] = worth, pictures_of(image, seen, vehicles)

    def _step(self, over: Sequence[Pass], warning: str = "") -> Step:
        made = []
        for each in over:
            _, pictures = self._pictures.pop(sighting_id(self._camera_id, each.first), (0.0, ()))
            if (fused := reported(each)) is not None:
                made.append(sighting(self._camera_id, each, fused, pictures, self._pipeline.model_version))
        return Step(tuple(made), self._tracker.settled_through, warning)
