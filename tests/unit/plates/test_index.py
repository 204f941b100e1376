"""The index of plates: what a read may stand for, against a scan of all plates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.index import Found, PlateIndex, weigh

PLATES = st.text("0OQ8B3527ZTY", min_size=3, max_size=5)
SURE = st.floats(0.0, 1.0)


@pytest.mark.req("R-HOT-1")
@given(st.sets(PLATES, max_size=30), PLATES, st.data())
def test_finds_all_that_a_scan_finds_with_one_weak_difference_at_most(plates, text, data) -> None:
    sure = data.draw(st.lists(SURE, min_size=len(text), max_size=len(text)))
    found = {f.plate: f for f in PlateIndex(plates).find(text, sure, 0.05)}
    for plate in plates:
        weight = weigh(text, plate, sure) if len(plate) == len(text) else 0.0
        if plate in found:
            assert found[plate].weight == weight >= 0.05
            assert (found[plate].kind == "exact") == (plate == text)
        elif weight >= 0.05:
            # Only what differs at two weak places may be left out.
            assert sum(one != other for one, other in zip(text, plate, strict=True)) >= 2


@pytest.mark.req("R-HOT-1")
def test_doubt_opens_what_a_sure_reader_closes() -> None:
    index = PlateIndex(["8ABC122"])
    assert index.find("8ABC127", [0.99] * 7) == []
    [found] = index.find("8ABC127", [0.99] * 6 + [0.5])
    assert (found.plate, found.kind, found.weight) == ("8ABC122", "lookalike", pytest.approx(0.15))
    assert index.find("8ABC12X", [0.1] * 7) == []


@pytest.mark.req("R-HOT-1")
@pytest.mark.parametrize(
    ("read", "listed"), [("B", "8"), ("0", "O"), ("1", "I"), ("Z", "2"), ("S", "5"), ("D", "0")]
)
def test_a_sure_misread_of_twins_is_found_at_the_default_weight_and_two_are_not(read, listed) -> None:
    for sure in (0.99, 1.0):
        [found] = PlateIndex([f"{listed}ABC123"]).find(f"{read}ABC123", [sure] * 7, 0.03)
        assert (found.kind, found.plate) == ("lookalike", f"{listed}ABC123")
        assert PlateIndex([f"{listed}ABC12{listed}"]).find(f"{read}ABC12{read}", [sure] * 7, 0.03) == []
    # What is less alike needs the reader's doubt as before.
    assert PlateIndex(["GABC123"]).find("6ABC123", [0.99] * 7, 0.03) == []


def test_partial_plates_match_their_own_length_only() -> None:
    index = PlateIndex(["8AB??23"])
    assert index.find("8ABC123") == [Found("8AB??23", "partial", 1.0)]
    assert index.find("8ABC1234") == index.find("BABC123", [0.9] * 7) == []


def test_adding_again_changes_nothing_and_twins_of_one_key_are_both_held() -> None:
    index = PlateIndex(["OAB123", "0AB123", "0AB123", "QAB123"])
    index.add(["QAB123"])
    assert index.size == 3
    assert all(plate in index for plate in ("OAB123", "0AB123", "QAB123"))
    assert "DAB123" not in index
    assert {f.kind for f in index.find("OAB123", [0.9] * 6)} == {"exact", "lookalike"}
