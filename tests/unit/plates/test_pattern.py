import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.pattern import PatternError, PatternReason, parse_pattern

pytestmark = pytest.mark.req("R-SRC-1")
plates = st.text("AB12", min_size=1, max_size=8)
patterns = st.text("AB12?*", min_size=2, max_size=9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", PatternReason.EMPTY),
        ("  ", PatternReason.EMPTY),
        ("-", PatternReason.TOO_WIDE),
        ("*", PatternReason.TOO_WIDE),
        ("A*", PatternReason.TOO_WIDE),
        ("A?[BC]*", PatternReason.TOO_WIDE),
        ("A*B*C*D*E", PatternReason.TOO_MANY_RUNS),
        ("A" * 33, PatternReason.TOO_LONG),
        ("AB" + "?" * 11, PatternReason.TOO_LONG),
        ("A" * 13, PatternReason.TOO_LONG),
        ("AB[", PatternReason.BAD_CLASS),
        ("AB]", PatternReason.BAD_CLASS),
        ("AB[]", PatternReason.BAD_CLASS),
        ("AB[C-A]", PatternReason.BAD_CLASS),
        ("AB[A-5]", PatternReason.BAD_CLASS),
        ("AB[^A]", PatternReason.BAD_CLASS),
        ("AB[\u00df]", PatternReason.BAD_CLASS),
        ("AB%", PatternReason.BAD_CHARACTER),
        ("AB';--", PatternReason.BAD_CHARACTER),
        ("AB(1|2)", PatternReason.BAD_CHARACTER),
    ],
)
def test_refused_with_the_reason(text, reason):
    with pytest.raises(PatternError) as refusal:
        parse_pattern(text)
    assert refusal.value.reason is reason
    assert len(str(refusal.value)) > 20


@pytest.mark.parametrize(
    ("text", "like", "prefix", "length"),
    [
        ("7a?-1*", "7A_1%", "7A", None),
        ("7ABC123", "7ABC123", "7ABC123", 7),
        ("?B?12*", "_B_12%", "", None),
        ("**AB**", "%AB%", "", None),
        ("AB-?-1", "AB_1", "AB", 4),
        ("A[B]1[A-C9]", "AB1_", "AB1", 4),
    ],
)
def test_renders(text, like, prefix, length):
    pattern = parse_pattern(text)
    assert (pattern.like, pattern.prefix, pattern.length) == (like, prefix, length)
    assert pattern.like_is_exact == ("[" not in text or text == "A[B]1")
    assert pattern.exact == (text == "7ABC123")
    assert parse_pattern(str(pattern)) == pattern


@given(patterns, plates)
def test_matches_as_shell_patterns_do(text, plate):
    try:
        pattern = parse_pattern(text)
    except PatternError:
        return
    matched = pattern.matches(plate)
    assert matched == fnmatch.fnmatchcase(plate, text)
    assert matched == bool(re.search(pattern.regex, plate))
    assert matched == bool(re.fullmatch(pattern.like.replace("%", ".*").replace("_", "."), plate))
    if matched:
        assert plate.startswith(pattern.prefix)
        assert pattern.length in (None, len(plate))


@given(st.text(max_size=40))
def test_nothing_typed_gets_through(text):
    try:
        pattern = parse_pattern(text)
    except PatternError:
        return
    assert re.fullmatch(r"[A-Z0-9%_]+", pattern.like)
    assert re.fullmatch(r"\^(?:[A-Z0-9]|\[A-Z0-9\]\*?|\[[A-Z0-9]+\])+\$", pattern.regex)


def test_classes_and_the_whole_plate():
    pattern = parse_pattern("7A[0-2X]*")
    assert [plate for plate in ("7A0", "7a1-B", "7AX9", "7A3", "X7A0", "") if pattern.matches(plate)] == [
        "7A0",
        "7a1-B",
        "7AX9",
    ]
