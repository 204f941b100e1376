from itertools import combinations, pairwise, product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plates.lookalike import WEIGHTS
from plates.neighbours import MIN_DOUBT, neighbours
from plates.normal import PlateError

plates = st.text("ABDO018S5", min_size=1, max_size=5)


def naive(plate, confidences, substitutions):
    found = {}
    for count in range(substitutions + 1):
        for places in combinations(range(len(plate)), count):
            for others in product(*(WEIGHTS.get(plate[at], {}) for at in places)):
                text = list(plate)
                for at, other in zip(places, others, strict=True):
                    text[at] = other
                found["".join(text)] = prod(
                    WEIGHTS[plate[at]][other] * max(MIN_DOUBT, 1 - confidences[at])
                    for at, other in zip(places, others, strict=True)
                )
    return found


def test_empty_is_refused():
    with pytest.raises(PlateError):
        neighbours("")


def test_a_plate_without_look_alikes_has_only_itself_with_no_substitution():
    assert [near.text for near in neighbours("ABC", substitutions=0)] == ["ABC"]


@pytest.mark.req("R-HOT-1", "R-SRC-1")
@settings(deadline=None, max_examples=40)
@given(st.data(), plates, st.integers(0, 3))
def test_equals_the_naive_neighbourhood(data, plate, substitutions):
    confidences = data.draw(st.lists(st.floats(0, 1), min_size=len(plate), max_size=len(plate)))
    found = neighbours(plate, confidences, substitutions=substitutions, limit=10_000)
    expected = naive(plate, confidences, substitutions)
    assert found[0].text == plate
    assert len({near.text for near in found}) == len(found)
    if len(found) < 10_000:
        assert {near.text: near.weight for near in found} == pytest.approx(expected)
    assert all(a.weight >= b.weight * (1 - 1e-9) for a, b in pairwise(found))
    assert all(
        sum(x != y for x, y in zip(near.text, plate, strict=True)) == len(near.positions) for near in found
    )


@settings(deadline=None, max_examples=30)
@given(plates, st.integers(1, 30))
def test_the_limit_keeps_the_heaviest(plate, limit):
    every = neighbours(plate, limit=10_000)
    assert neighbours(plate, limit=limit) == every[:limit]


def test_doubtful_characters_come_first():
    first = neighbours("B8", [0.99, 0.3], limit=2)[1]
    assert first.text == "BB"
    assert first.positions == (1,)


def test_light_neighbours_are_left_out():
    assert [near.text for near in neighbours("7ABC123", [0.99] * 7, min_weight=0.5)] == ["7ABC123"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"confidences": [0.5]}, "confidences were given"),
        ({"confidences": [0.5, 1.5]}, "from 0 to 1"),
        ({"confidences": [0.5, float("nan")]}, "from 0 to 1"),
        ({"substitutions": 5}, "substitutions"),
        ({"limit": 0}, "limit"),
    ],
)
def test_bad_numbers_are_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        neighbours("AB", **options)
