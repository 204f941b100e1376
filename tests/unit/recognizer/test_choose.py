"""One vehicle shows one plate."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from services.recognizer.choose import around, chosen
from services.recognizer.results import PlateRead, VehicleRead

AT = datetime(2026, 11, 23, tzinfo=UTC)
CAR = VehicleRead((100, 100, 300, 300), "car", 0.9, "red", 0.8)
BUS = VehicleRead((0, 0, 1000, 700), "bus", 0.9, "white", 0.8)


def plate(
    text: str, x: float = 200, y: float = 300, *, confidence: float = 0.9, detection: float = 0.9
) -> PlateRead:
    return PlateRead(
        text, confidence, (), (), (x, y, 80, 30), np.zeros((4, 2), np.float32), detection, readable=bool(text)
    )


def texts(plates: list[PlateRead], vehicles: list[VehicleRead]) -> list[str]:
    return [s.plate.text for s in chosen(1, AT, plates, vehicles)]


def test_nothing_is_nothing() -> None:
    assert chosen(1, AT, [], []) == []


def test_a_plate_belongs_to_the_smallest_vehicle_around_it() -> None:
    assert around(plate("8ABC123"), [BUS, CAR]) is CAR
    assert around(plate("8ABC123", 900, 10), [CAR]) is None


@pytest.mark.req("R-REC-4")
def test_two_looks_at_one_plate_are_one() -> None:
    assert texts([plate("8ABC123", confidence=0.8), plate("8ABC12B", 205, confidence=0.7)], [CAR]) == [
        "8ABC123"
    ]
    assert texts([plate("8ABC123"), plate("8ABC128", 110, 120, confidence=0.5)], [CAR]) == ["8ABC123"]


def test_two_plates_in_one_box_are_kept_when_they_differ() -> None:
    """A box around two vehicles must not cost one of them its read."""
    assert sorted(texts([plate("8ABC123", 110), plate("5XYZ987", 310)], [CAR])) == ["5XYZ987", "8ABC123"]


def test_unread_things_are_followed_only_on_vehicles_without_a_read_plate() -> None:
    assert texts([plate("8ABC123"), plate("", 110, 110)], [CAR]) == ["8ABC123"]
    assert texts([plate(""), plate("", 110, 110)], [CAR]) == [""]
    assert texts([plate("", detection=0.4)], [CAR]) == []
    assert texts([plate("")], []) == []


def test_a_plate_without_a_vehicle_is_kept_when_it_was_read() -> None:
    assert texts([plate("8ABC123")], []) == ["8ABC123"]
