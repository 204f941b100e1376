"""Serial formats and how usual they are."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.formats import ELSEWHERE, KNOWN, format_prior, serial_format

PLATES = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=10)


@pytest.mark.parametrize(
    "plate", ["7ABC123", "ABC1234", "8ABC12", "1AB2345", "D368BN", "AB12CDE", "1234BCD", "AA123BB", "BMW123"]
)
def test_plates_of_the_road_are_known_and_usual(plate):
    assert serial_format(plate) in KNOWN
    assert format_prior(plate, {}) > 1e-3


@pytest.mark.parametrize("plate", ["7ABC1234", "LFCW53331", "P602B49", "A", "S0FT1E"])
def test_slips_of_a_reader_are_unusual_but_never_impossible(plate):
    assert serial_format(plate) not in KNOWN
    assert 0 < format_prior(plate, {}) < 1e-3


@pytest.mark.parametrize(
    ("state", "usual", "rare"),
    [
        ("US-CA", "7ABC123", "ABC1234"),
        ("US-NY", "ABC1234", "7ABC123"),
        ("US-IL", "AB12345", "ABC1234"),
        ("US-NJ", "A12BCD", "ABC123"),
        (ELSEWHERE, "AB12CDE", "7ABC12"),
    ],
)
def test_a_state_makes_its_own_serials_usual(state, usual, rare):
    assert format_prior(usual, {state: 0.9}) > 5 * format_prior(rare, {state: 0.9})
    assert format_prior(usual, {state: 0.9}) > format_prior(usual, {})


def test_a_state_that_the_tables_lack_says_nothing():
    assert format_prior("7ABC123", {"US-GU": 1.0}) == format_prior("7ABC123", {})


@pytest.mark.parametrize("states", [{}, {"US-CA": 0.5, ELSEWHERE: 0.2}, {ELSEWHERE: 1.0}])
def test_the_formats_share_about_one(states):
    whole = sum(
        format_prior("".join(f).replace("L", "A").replace("D", "1"), states)
        for n in range(1, 10)
        for f in product("LD", repeat=n)
    )
    assert whole == pytest.approx(1.0, abs=0.03)


@given(PLATES)
def test_a_format_is_as_long_as_its_plate(plate):
    assert len(serial_format(plate)) == len(plate)
    assert set(serial_format(plate)) <= {"L", "D"}
    assert 0 < format_prior(plate, {}) < 1
