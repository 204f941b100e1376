"""One pass, one sighting: whatever the frames, and again when they are sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recognizer.results import PlateRead
from services.recognizer.sightings import sighting_id
from services.recognizer.tracker import UNLIKE, Pass, Seen, Tracker, alike

START = datetime(2026, 11, 23, 18, tzinfo=UTC)
FPS = 8


def plate(
    x: float, y: float = 300, *, text: str = "8ABC123", confidence: float = 0.95, width: float = 80
) -> PlateRead:
    return PlateRead(
        text=text, confidence=confidence, characters=tuple((c, confidence) for c in text),
        candidates=((text, confidence),) if text else (), box=(x, y, width, width / 3),
        corners=np.zeros((4, 2), np.float32), detection=0.9, readable=bool(text),
    )  # fmt: skip


def at(frame: int) -> datetime:
    return START + timedelta(seconds=frame / FPS)


def play(
    frames: dict[int, list[PlateRead]], *, first: int = 1, last: int | None = None
) -> tuple[list[Pass], dict[int, int]]:
    """Track frames; return the passes and, for each frame, how far the stream was settled after it."""
    tracker, passes, settled = Tracker(), [], {}
    last = last or max(frames, default=first)
    for number in range(first, last + 1):
        seen = [Seen(number, at(number), p) for p in frames.get(number, [])]
        passes += tracker.update(number, at(number), seen)
        settled[number] = tracker.settled_through
    passes += tracker.flush(last)
    assert tracker.settled_through == last
    return passes, settled


def test_nothing_seen_is_settled_at_once() -> None:
    passes, settled = play({}, last=5)
    assert passes == []
    assert settled == {n: n for n in range(1, 6)}


@pytest.mark.req("R-REC-4")
def test_a_vehicle_that_drives_by_is_one_pass() -> None:
    passes, _ = play({n: [plate(100 + 40 * n, width=60 + 3 * n)] for n in range(1, 15)}, last=40)
    assert [len(p.seen) for p in passes] == [14]


@pytest.mark.req("R-REC-4")
def test_a_pass_survives_frames_without_its_plate() -> None:
    frames = {n: [plate(100 + 40 * n)] for n in (1, 2, 3, 4, 9, 10, 14, 15)}
    passes, _ = play(frames, last=60)
    assert [len(p.seen) for p in passes] == [8]


@pytest.mark.req("R-REC-4")
def test_the_next_vehicle_in_the_same_place_is_another_pass() -> None:
    frames = {n: [plate(300, text="8ABC123")] for n in range(1, 9)} | {
        n: [plate(300, text="5XYZ987")] for n in range(10, 18)
    }
    passes, _ = play(frames, last=60)
    assert [p.text for p in passes] == ["8ABC123", "5XYZ987"]


@pytest.mark.req("R-REC-4")
def test_two_lanes_are_two_passes() -> None:
    frames = {
        n: [plate(50 * n, 200, text="8ABC123"), plate(1000 - 50 * n, 420, text="5XYZ987")]
        for n in range(1, 15)
    }
    passes, _ = play(frames, last=60)
    assert sorted((p.text, len(p.seen)) for p in passes) == [("5XYZ987", 14), ("8ABC123", 14)]


@pytest.mark.req("R-REC-4")
def test_one_misread_in_the_middle_does_not_split_a_pass() -> None:
    frames = {
        n: [plate(100 + 30 * n, text="0O0I1I1" if n == 5 else "8ABC123", confidence=0.8)]
        for n in range(1, 11)
    }
    passes, _ = play(frames, last=60)
    assert [len(p.seen) for p in passes] == [10]


@pytest.mark.req("R-REC-4")
def test_a_parked_vehicle_is_reported_once_and_holds_nothing_up() -> None:
    frames = {n: [plate(300)] for n in range(1, 60 * FPS)}
    passes, settled = play(frames)
    assert len(passes) == 1
    assert settled[60 * FPS - 1] >= 60 * FPS - 2


def test_a_pass_is_not_settled_before_it_is_reported() -> None:
    frames = {n: [plate(100 + 30 * n)] for n in range(5, 15)}
    passes, settled = play(frames, last=60)
    assert all(settled[n] == 4 for n in range(5, 15))
    assert len(passes) == 1


def test_texts_that_share_most_characters_are_alike() -> None:
    assert alike("8ABC123", "8ABC123") == 1
    assert alike("8ABC123", "8ABC1Z3") > 0.8
    assert alike("8ABC123", "5XYZ987") < UNLIKE
    assert alike("", "") == 1


@st.composite
def traffic(draw: st.DrawFn) -> dict[int, list[PlateRead]]:
    """Vehicles that drive straight through, some frames missed, some misread, some unreadable."""
    frames: dict[int, list[PlateRead]] = {}
    for index in range(draw(st.integers(0, 5))):
        begin, length = draw(st.integers(1, 60)), draw(st.integers(1, 16))
        x, speed = draw(st.integers(0, 1200)), draw(st.integers(-60, 60))
        text = draw(st.sampled_from(["8ABC123", "5XYZ987", "7KXR482", "4AAA111", "9ZZZ999"]))
        for step in range(length):
            how = draw(st.sampled_from(["seen", "seen", "seen", "missed", "unreadable", "misread"]))
            if how != "missed":
                given_text = {"unreadable": "", "misread": text[:-1] + "X"}.get(how, text)
                confidence = draw(st.sampled_from([0.4, 0.75, 0.9, 0.99])) if given_text else 0.1
                box = plate(x + speed * step, 120 * (index + 1), text=given_text, confidence=confidence)
                frames.setdefault(begin + step, []).append(box)
    return frames


def told(passes: list[Pass]) -> list[tuple[str, tuple[int, ...]]]:
    return sorted((sighting_id("cam", p.first), tuple(s.frame for s in p.seen)) for p in passes)


@pytest.mark.req("R-REC-4")
@given(traffic(), st.integers(1, 100))
def test_frames_sent_again_from_the_settled_one_give_the_same_passes(
    frames: dict[int, list[PlateRead]], broken: int
) -> None:
    """A recognizer that dies after any frame, and a fresh one that gets what was not settled: same passes, same IDs."""
    whole, settled = play(frames, last=100)
    again, _ = play(frames, first=settled[broken] + 1, last=100) if settled[broken] < 100 else ([], {})
    later = [p for p in whole if p.last.frame > settled[broken]]
    assert told(again) == told(later)


@pytest.mark.req("R-REC-4")
@given(traffic())
def test_every_plate_is_in_exactly_one_pass(frames: dict[int, list[PlateRead]]) -> None:
    passes, settled = play(frames, last=100)
    assert sorted(s.frame for p in passes for s in p.seen) == sorted(
        n for n, plates in frames.items() for _ in plates
    )
    assert list(settled.values()) == sorted(settled.values())
    for each in passes:
        numbers = [s.frame for s in each.seen]
        assert numbers == sorted(set(numbers))
