import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.normal import PlateError, PlateReason, display, is_normal, normalize

plates = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=12)


@pytest.mark.parametrize("text", ["", " ", "--", " · "])
def test_empty_is_refused_with_what_to_do(text):
    with pytest.raises(PlateError, match="at least one letter or digit") as refusal:
        normalize(text)
    assert refusal.value.reason is PlateReason.EMPTY


@pytest.mark.req("R-SRC-1")
@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("7abc123", "7ABC123"),
        (" 7ABC-123 ", "7ABC123"),
        ("AB·12 34", "AB1234"),
        ("\uff17\uff21\uff22\uff23\uff11\uff12\uff13", "7ABC123"),
        ("É1", "E1"),
        ("a\u2014b", "AB"),
        ("D’1", "D1"),
    ],
)
def test_spellings_of_one_plate_are_one_plate(text, normal):
    assert normalize(text) == normal


@pytest.mark.parametrize("text", ["7A*1", "7A?1", "ß12", "A%1", "A_\x00", "車12", "A;1", "ıAB"])
def test_an_unknown_character_is_never_dropped(text):
    with pytest.raises(PlateError, match="use the letters A to Z") as refusal:
        normalize(text)
    assert refusal.value.reason is PlateReason.BAD_CHARACTER


@pytest.mark.parametrize("text", ["A" * 13, "-" * 65, "é" * 1000])
def test_too_long_is_refused(text):
    with pytest.raises(PlateError) as refusal:
        normalize(text)
    assert refusal.value.reason is PlateReason.TOO_LONG


@given(st.text(max_size=20))
def test_normal_form_is_idempotent_or_refused(text):
    try:
        plate = normalize(text)
    except PlateError:
        return
    assert is_normal(plate)
    assert normalize(plate) == plate


@given(plates)
def test_display_keeps_the_plate(plate):
    assert is_normal(plate)
    assert normalize(display(plate)) == plate


@pytest.mark.parametrize(
    ("plate", "shown"), [("7ABC123", "7ABC 123"), ("AB1234", "AB 1234"), ("A1B2C3", "A1B2C3"), ("X", "X")]
)
def test_display_groups_as_plates_do(plate, shown):
    assert display(plate) == shown
