"""Texts of a pass fused: the majority wins, nothing leaves its range, one frame stays itself."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recognizer.fuse import aligned, fuse, vote, weight
from services.recognizer.results import PlateRead, VehicleRead
from services.recognizer.tracker import Seen

AT = datetime(2026, 11, 23, tzinfo=UTC)


def seen(
    text: str,
    confidence: float = 0.9,
    *,
    width: float = 80,
    frame: int = 1,
    vehicle: VehicleRead | None = None,
    state: str = "unknown",
) -> Seen:
    read = PlateRead(
        text=text, confidence=confidence, characters=tuple((c, confidence) for c in text),
        candidates=((text, confidence),) if text else (), box=(0, 0, width, width / 3), corners=np.zeros((4, 2), np.float32),
        detection=0.9, readable=bool(text), state=state, state_confidence=0.0 if state == "unknown" else 0.8,
    )  # fmt: skip
    return Seen(frame, AT, read, vehicle)


def test_no_frame_is_no_pass() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fuse([])


def test_one_frame_keeps_its_own_reading() -> None:
    one = seen("8ABC123", 0.83)
    fused = fuse([one])
    assert (fused.plate.text, fused.plate.confidence) == ("8ABC123", 0.83)
    assert [c for _, c in fused.plate.characters] == pytest.approx([0.83] * 7)
    assert fused.best is one


@pytest.mark.req("R-REC-1")
def test_each_character_is_decided_by_vote() -> None:
    """No frame has the whole text right; together they have."""
    fused = fuse([seen("8ABC12B", frame=1), seen("8A8C123", frame=2), seen("8ABC1Z3", frame=3)])
    assert fused.plate.text == "8ABC123"
    assert "".join(c for c, _ in fused.plate.characters) == "8ABC123"
    assert fused.plate.candidates[0] == ("8ABC123", fused.plate.confidence)


def test_a_missing_character_does_not_shift_the_vote() -> None:
    assert fuse([seen("8ABC123"), seen("8ABC123"), seen("8BC123", 0.95)]).plate.text == "8ABC123"


def test_large_plates_count_more() -> None:
    assert fuse([seen("8ABC123", width=120), seen("8A8C123", width=20)]).plate.text == "8ABC123"


def test_agreement_raises_and_disagreement_lowers() -> None:
    alone = fuse([seen("8ABC123", 0.8)]).plate.confidence
    assert fuse([seen("8ABC123", 0.8)] * 3).plate.confidence > alone
    assert fuse([seen("8ABC123", 0.8), seen("5XYZ987", 0.79)]).plate.confidence < alone


def test_unreadable_frames_change_nothing() -> None:
    fused = fuse([seen("", 0.1), seen("8ABC123", 0.8), seen("", 0.2, width=300)])
    assert (fused.plate.text, fused.plate.confidence, fused.frames) == ("8ABC123", 0.8, 1)


def test_a_pass_that_nobody_could_read_stays_unreadable() -> None:
    fused = fuse([seen("", 0.1, width=40), seen("", 0.2, width=90)])
    assert not fused.plate.readable
    assert fused.plate.text == ""
    assert fused.best.plate.box[2] == 90


def test_type_and_colour_are_voted() -> None:
    def vehicle(kind: str, colour: str, sure: float) -> VehicleRead:
        return VehicleRead((0, 0, 10, 10), kind, sure, colour, sure)

    looks = [vehicle("car", "red", 0.9), vehicle("truck", "red", 0.6), vehicle("car", "brown", 0.5)]
    fused = fuse([seen("8ABC123", vehicle=v, frame=n) for n, v in enumerate(looks)]).vehicle
    assert fused is not None
    assert (fused.type, fused.colour) == ("car", "red")
    assert fused.type_confidence == pytest.approx(1.4 / 3)


def test_the_state_needs_frames_that_tell() -> None:
    fused = fuse([seen("8ABC123", state="US-CA"), seen("8ABC123", state="US-CA"), seen("8ABC123")]).plate
    assert (fused.state, fused.state_confidence) == ("US-CA", pytest.approx(1.6 / 3))
    assert fuse([seen("8ABC123")]).plate.state == "unknown"


TEXTS = st.text("ABC123", min_size=1, max_size=8)
FRAMES = st.lists(
    st.builds(seen, st.one_of(st.just(""), TEXTS), st.floats(0.01, 1), width=st.floats(5, 400), frame=st.integers(1, 99)),
    min_size=1, max_size=8,
)  # fmt: skip


@given(FRAMES)
def test_whatever_is_fused_is_a_reading(frames: list[Seen]) -> None:
    fused = fuse(frames)
    plate = fused.plate
    assert 0 <= plate.confidence <= 1
    assert all(0 <= c <= 1 for _, c in plate.characters)
    assert fused.best in frames
    if plate.readable:
        assert "".join(c for c, _ in plate.characters) == plate.text
        assert plate.candidates[0] == (plate.text, plate.confidence)
        assert len(plate.candidates) <= 10
        values = [c for _, c in plate.candidates]
        assert values == sorted(values, reverse=True)


@given(FRAMES, st.randoms())
def test_the_order_of_frames_does_not_matter(frames: list[Seen], rng: object) -> None:
    shuffled = list(frames)
    rng.shuffle(shuffled)
    assert fuse(shuffled).plate.text == fuse(frames).plate.text


@given(TEXTS, st.integers(1, 6), st.floats(0.1, 1))
def test_frames_that_agree_are_never_doubted(text: str, count: int, confidence: float) -> None:
    plate = fuse([seen(text, confidence)] * count).plate
    assert plate.text == text
    assert plate.confidence >= confidence - 1e-9


@given(TEXTS, st.text("ABC123", max_size=8))
def test_alignment_is_rising_and_within_both(anchor: str, text: str) -> None:
    places = aligned(anchor, text)
    assert len(places) == len(anchor)
    used = [p for p in places if p is not None]
    assert used == sorted(set(used))
    assert all(0 <= p < len(text) for p in used)
    assert aligned(anchor, anchor) == list(range(len(anchor)))


def test_a_place_that_nobody_voted_on_keeps_the_anchor() -> None:
    assert vote("AB", [((("A", 0.9),), 1.0)]) == ("AB", [("A", 0.9), ("B", 0.0)])


def test_unreadable_weighs_least() -> None:
    assert weight(seen("", 0.99).plate) < weight(seen("8ABC123", 0.05).plate)
