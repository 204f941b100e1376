"""Which plates of successive frames are one pass of one vehicle (R-REC-4). Pure: times and boxes in, passes out.

Rules
-----
1. A plate joins the pass that it fits best: near the place where motion predicts it, of similar size, with a text that
   does not contradict. One plate a pass and frame, best pairs first.
2. Out of sight for longer than the gap ends a pass. Without an agreeing text the gap is half as long.
3. A pass that lasts too long is reported; it stays known while it lasts, and is not reported again (a parked vehicle).
4. A frame is *settled* when no pass reaches across it: frames sent again from the next one on give the same passes, since
   removing candidates that never won changes no pairing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from difflib import SequenceMatcher

from services.recognizer.results import BoxXYWH, PlateRead, VehicleRead

SURE = 0.7  # confidence from which a text speaks for a pairing
CERTAIN = 0.85  # confidence of both texts from which they can speak against one
ALIKE, UNLIKE = (
    0.6,
    0.35,
)  # share of common characters from which two texts agree, up to which they contradict
MOST_RATIO = 2.5  # of widths, within a pass from one frame to the next
NEAR, NEAR_A_SECOND = (
    1.5,
    4.0,
)  # plate widths between prediction and plate, at once and for each second in between
NEAR_ALIKE, NEAR_ALIKE_A_SECOND = 4.0, 24.0  # the same for an agreeing text
STEADY = 0.5  # seconds over which the motion is measured


@dataclass(frozen=True, slots=True)
class Seen:
    """A plate in one frame, with the vehicle around it when one was found."""

    frame: int
    at: datetime
    plate: PlateRead
    vehicle: VehicleRead | None = None


@dataclass(slots=True)
class Pass:
    """One pass of a vehicle: the frames in which its plate was seen, oldest first, and the surest text of them."""

    seen: list[Seen]
    reported: bool = False
    text: str = ""
    text_confidence: float = 0.0

    def __post_init__(self) -> None:
        for each in self.seen:
            self._note(each)

    @property
    def first(self) -> Seen:
        """The first frame; its time and place make the sighting's ID."""
        return self.seen[0]

    @property
    def last(self) -> Seen:
        """The last frame so far."""
        return self.seen[-1]

    def add(self, seen: Seen, *, keep: bool = True) -> None:
        """Append a frame; without ``keep`` it replaces the last one (a pass that is reported and goes on)."""
        if not keep:
            self.seen.pop()
        self.seen.append(seen)
        self._note(seen)

    def _note(self, seen: Seen) -> None:
        if seen.plate.readable and seen.plate.confidence >= max(SURE, self.text_confidence):
            self.text, self.text_confidence = seen.plate.text, seen.plate.confidence

    def predicted(self, at: datetime) -> tuple[float, float]:
        """Return where steady motion puts the plate's centre."""
        x, y = centre(self.last.plate.box)
        before = next(
            (s for s in reversed(self.seen[:-1]) if (self.last.at - s.at).total_seconds() >= STEADY),
            self.first,
        )
        span = (self.last.at - before.at).total_seconds()
        if span <= 0:
            return x, y
        x0, y0 = centre(before.plate.box)
        ahead = min((at - self.last.at).total_seconds(), STEADY) / span
        return x + (x - x0) * ahead, y + (y - y0) * ahead


@dataclass(slots=True)
class Tracker:
    """Follows the plates of one camera."""

    gap: timedelta = timedelta(seconds=1.5)
    longest: timedelta = timedelta(seconds=20)
    settled_through: int = 0
    _open: list[Pass] = field(default_factory=list)
    _ended: list[tuple[int, int]] = field(default_factory=list)

    def update(self, frame: int, at: datetime, seen: Sequence[Seen]) -> list[Pass]:
        """Take the plates of the next frame.

        Args:
            frame: its number, greater than the last one's.
            at: its time, not before the last one's.
            seen: its plates.

        Returns:
            Passes to report now, in the order in which they began.
        """
        done = [p for p in self._open if at - p.last.at > self.gap]
        self._open = [p for p in self._open if at - p.last.at <= self.gap]
        self._pair(at, seen)
        over = [p for p in self._open if not p.reported and at - p.first.at >= self.longest]
        return self._report(frame, [*done, *over])

    @property
    def open_passes(self) -> Sequence[Pass]:
        """Passes that go on."""
        return tuple(self._open)

    def flush(self, frame: int) -> list[Pass]:
        """Report everything that is open: the source has ended with a frame."""
        done, self._open = self._open, []
        return self._report(frame, done)

    def _pair(self, at: datetime, seen: Sequence[Seen]) -> None:
        pairs = sorted(
            (-fit, i, j)
            for i, each in enumerate(self._open)
            for j, plate in enumerate(seen)
            if (fit := fitness(each, plate, at, self.gap)) > 0
        )
        taken: set[int] = set()
        served: set[int] = set()
        for _, i, j in pairs:
            if i not in served and j not in taken:
                self._open[i].add(seen[j], keep=not self._open[i].reported)
                served.add(i)
                taken.add(j)
        self._open += [Pass([plate]) for j, plate in enumerate(seen) if j not in taken]

    def _report(self, frame: int, passes: Sequence[Pass]) -> list[Pass]:
        fresh = sorted((p for p in passes if not p.reported), key=lambda p: p.first.frame)
        for each in fresh:
            each.reported = True
            self._ended.append((each.first.frame, each.last.frame))
        self._settle(frame)
        return fresh

    def _settle(self, frame: int) -> None:
        """Move the settled frame to the last one that no pass reaches across."""
        cut = min((p.first.frame - 1 for p in self._open if not p.reported), default=frame)
        moved = True
        while moved:
            moved = False
            for first, last in self._ended:
                if first <= cut < last:
                    cut, moved = first - 1, True
        self.settled_through = max(self.settled_through, cut)
        self._ended = [(first, last) for first, last in self._ended if last > self.settled_through]


def fitness(each: Pass, seen: Seen, at: datetime, gap: timedelta) -> float:
    """Return how well a plate fits a pass, above 0 to 2; 0 where it cannot belong to it."""
    plate, last = seen.plate, each.last.plate
    widest, narrowest = max(plate.box[2], last.box[2]), min(plate.box[2], last.box[2])
    if narrowest <= 0 or widest / narrowest > MOST_RATIO:
        return 0.0
    (x, y), (px, py) = centre(plate.box), each.predicted(at)
    apart = math.hypot(x - px, y - py) / widest
    seconds = (at - each.last.at).total_seconds()
    if plate.readable and plate.confidence >= SURE and each.text:
        agreement = alike(each.text, plate.text)
        if agreement >= ALIKE:
            return 1 + 1 / (1 + apart) if apart <= NEAR_ALIKE + NEAR_ALIKE_A_SECOND * seconds else 0.0
        if agreement <= UNLIKE and min(plate.confidence, each.text_confidence) >= CERTAIN:
            return 0.0
    if seconds > gap.total_seconds() / 2 or apart > NEAR + NEAR_A_SECOND * seconds:
        return 0.0
    return 1 / (1 + apart)


def alike(a: str, b: str) -> float:
    """Return the share of characters that two texts have in common, in order, 0 to 1."""
    return SequenceMatcher(None, a, b, autojunk=False).ratio()


def centre(box: BoxXYWH) -> tuple[float, float]:
    """Return the middle of a box."""
    return box[0] + box[2] / 2, box[1] + box[3] / 2
