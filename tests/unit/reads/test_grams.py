"""The index of grams never loses a match: what a pattern asks for, every row that matches has."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.lookalike import CLASSES, canonical
from plates.pattern import PatternError, parse_pattern
from services.reads.grams import MAX_GAP, gram, pattern_grams, whole_gram

PLATES = st.text("018ABCDOZ279", min_size=1, max_size=12)
PATTERNS = st.text("018ABDO?*", min_size=2, max_size=9)


def of_row(*texts: str) -> set[int]:
    """What ``text_grams`` of the database gives, by the definition in ``grams.py``."""
    return {
        number
        for folded in map(canonical, filter(None, texts))
        for number in (
            whole_gram(folded),
            *(
                gram(place, gap, folded[place], folded[place + gap])
                for place in range(len(folded))
                for gap in range(1, min(MAX_GAP, len(folded) - 1 - place) + 1)
            ),
        )
    }


@pytest.mark.req("R-SRC-1")
@given(plate=PLATES, text=PATTERNS)
def test_a_plate_that_matches_has_the_grams_of_an_alternative(plate: str, text: str) -> None:
    try:
        pattern = parse_pattern(text)
    except PatternError:
        return
    alternatives = pattern_grams(pattern)
    if alternatives and (pattern.matches(plate) or pattern.matches(canonical(plate))):
        assert any(of_row(plate) >= set(grams) for grams in alternatives), (plate, text)


def test_which_patterns_the_index_helps() -> None:
    def shape(text: str) -> list[int]:
        return [len(grams) for grams in pattern_grams(parse_pattern(text))]

    assert shape("?B?12*") == [2]
    assert shape("8ABC123") == [1]
    assert shape("8*BC12") == [2] * 8
    assert shape("*12") == [1] * 11
    assert shape("A????2*") == []


async def test_the_database_makes_the_same_grams(pool) -> None:
    texts = [
        "8ABC123",
        "B",
        "",
        "0DOQ1IL8B5S2Z6G"[:12],
        "6GZ2",
        *("".join(p) for p in itertools.product("AZ09", repeat=3)),
    ]
    async with pool.connection() as connection:
        for one, other in itertools.pairwise(texts):
            found = await connection.execute("SELECT text_grams(%s, %s) AS grams", (one, [other]))
            row = await found.fetchone()
            assert len(row["grams"]) == len(set(row["grams"]))
            assert set(row["grams"]) == of_row(one, other)


def test_the_fold_of_the_migration_is_that_of_the_look_alikes() -> None:
    told = {c: g[0] for g in CLASSES for c in g[1:]}
    assert dict(zip("BDGILOQSZ", "806110052", strict=True)) == told


def test_a_gram_fits_its_column() -> None:
    assert gram(0, 1, "0", "0") == -32_768
    assert gram(11, 3, "Z", "Z") == 13_887
    assert all(65_536 <= whole_gram(str(n)) < 2**31 for n in range(1000))
