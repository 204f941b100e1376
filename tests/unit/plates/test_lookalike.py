import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.lookalike import CLASS_WEIGHT, CLASSES, PAIRS, alike, canonical, similarity
from plates.normal import PlateError, normalize

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
plates = st.text(ALPHABET, min_size=1, max_size=8)


def test_empty_has_no_key():
    with pytest.raises(PlateError):
        canonical("")


def test_classes_are_the_ones_readers_confuse():
    assert set(CLASSES) == {"0DOQ", "1IL", "8B", "5S", "2Z", "6G"}


def test_each_pair_is_listed_once_with_a_weight_below_one():
    assert len({frozenset((a, b)) for a, b, _ in PAIRS}) == len(PAIRS)
    assert all(a != b and a in ALPHABET and b in ALPHABET and 0 < w < 1 for a, b, w in PAIRS)


@given(st.sampled_from(ALPHABET), st.sampled_from(ALPHABET))
def test_likeness_is_symmetric(a, b):
    assert alike(a, b) == alike(b, a)
    assert (alike(a, b) == 1.0) == (a == b)
    if alike(a, b) >= CLASS_WEIGHT:
        assert canonical(a) == canonical(b)


@pytest.mark.req("R-HOT-1", "R-SRC-1")
@given(plates)
def test_folding_is_idempotent_and_keeps_the_length(plate):
    key = canonical(plate)
    assert canonical(key) == key
    assert len(key) == len(normalize(plate))


@given(plates, plates)
def test_similarity_is_symmetric_and_bounded(a, b):
    assert similarity(a, b) == pytest.approx(similarity(b, a))
    assert 0 <= similarity(a, b) <= 1
    assert similarity(a, a) == 1
