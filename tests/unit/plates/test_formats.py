"""Serial formats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.formats import KNOWN, is_known_format, serial_format


@pytest.mark.parametrize(
    "plate",
    [
        "7ABC123",
        "ABC1234",
        "8ABC12",
        "1AB2345",
        "D368BN",
        "B-MW123".replace("-", ""),
        "AB12CDE",
        "1234BCD",
        "AA123BB",
    ],
)
def test_plates_of_the_road_are_known(plate):
    assert is_known_format(plate)


@pytest.mark.parametrize("plate", ["", "7ABC1234", "LFCW53331", "P602B49", "A", "SOFTIE1"])
def test_slips_of_a_reader_are_not(plate):
    assert not is_known_format(plate)


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", max_size=10))
def test_a_format_is_as_long_as_its_plate(plate):
    assert len(serial_format(plate)) == len(plate)
    assert set(serial_format(plate)) <= {"L", "D"}


def test_the_list_is_of_formats():
    assert all(set(f) <= {"L", "D"} and 3 <= len(f) <= 9 for f in KNOWN)
