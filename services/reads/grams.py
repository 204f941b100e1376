"""Which grams a pattern needs: what the index ``reads_grams`` is asked for.

A whole plate has a gram of its own. Any other gram is a place, a gap (1 to 3) and the two folded characters that stand there; ``text_grams`` of the migrations makes
those of a row, of its text and of all that it may also be. Since they are folded (``plates/lookalike.py``), one look in the
index finds the text, its look-alikes and the other candidates; the statement then says which it was. A part of a pattern
behind a ``*`` has no place: it is asked for at every place where it can stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from plates.lookalike import canonical
from plates.normal import MAX_LENGTH
from plates.pattern import AnyRun, Literal, Part, Pattern

MAX_GAP = 3
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTERS = len(_ALPHABET)
_OFFSET = 32_768
_WHOLE, _NUMBERS = 1 << 16, 1 << 31
# Three pairs of characters tell a plate from all but a few: a fourth costs a look for nothing.
_ENOUGH = 3


def gram(place: int, gap: int, first: str, second: str) -> int:
    """Return the number of a gram; ``place`` counts from 0, the characters are folded."""
    return (
        ((place * MAX_GAP + gap - 1) * _LETTERS + _ALPHABET.index(first)) * _LETTERS + _ALPHABET.index(second)
    ) - _OFFSET


def pattern_grams(pattern: Pattern) -> list[list[int]]:
    """Return alternatives, each a list of grams that a match has all of; none when the index cannot help."""
    if pattern.exact:
        return [[whole_gram(canonical(pattern.prefix))]]
    segments = _segments(pattern)
    if not segments:
        return []
    if segments[0][2] and _pairs(segments[0][1]):
        return [_numbers(segments[0][1], 0)]
    floating = max(segments, key=lambda segment: len(_pairs(segment[1])))
    if not _pairs(floating[1]):
        return []
    before, parts, _ = floating
    after = sum(len(s[1]) for s in segments) - before - len(parts)
    return [_numbers(parts, place) for place in range(before, MAX_LENGTH - len(parts) - after + 1)]


def whole_gram(key: str) -> int:
    """Return the number of a whole text, given as its look-alike key: above those of its characters, below 2^31."""
    return _WHOLE + int.from_bytes(sha256(key.encode()).digest()[:4], "big") % (_NUMBERS - _WHOLE)


def _segments(pattern: Pattern) -> list[tuple[int, Sequence[Part], bool]]:
    """Return the parts between runs: least place, parts, and whether that place is the only one."""
    found: list[tuple[int, Sequence[Part], bool]] = []
    parts: list[Part] = []
    before, anchored = 0, True
    for part in (*pattern.parts, AnyRun()):
        if not isinstance(part, AnyRun):
            parts.append(part)
            continue
        if parts:
            found.append((before, tuple(parts), anchored))
        before, parts, anchored = before + len(parts), [], False
    return found


def _pairs(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """Return pairs of places of known characters that cover as many of them as can be, with few pairs."""
    known = [place for place, part in enumerate(parts) if isinstance(part, Literal)]
    pairs: list[tuple[int, int]] = []
    at = 0
    while at < len(known) - 1:
        if known[at + 1] - known[at] <= MAX_GAP:
            pairs.append((known[at], known[at + 1]))
            at += 2
        else:
            at += 1
    if (
        known
        and at == len(known) - 1
        and at
        and len(pairs) < _ENOUGH
        and known[at] - known[at - 1] <= MAX_GAP
    ):
        pairs.append((known[at - 1], known[at]))
    return pairs


def _numbers(parts: Sequence[Part], place: int) -> list[int]:
    return [gram(place + i, j - i, _folded(parts[i]), _folded(parts[j])) for i, j in _pairs(parts)]


def _folded(part: Part) -> str:
    assert isinstance(part, Literal)
    return canonical(part.character)
