"""Why a read stands where it stands: which character differs from what was asked, and how sure the reader was of it.

A pattern is laid over the read so that as few characters differ as can be; ties keep them to the left. So the reason of a
look-alike names its characters also behind a ``*``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from plates.lookalike import WEIGHTS, alike, canonical
from plates.pattern import AnyOne, AnyRun, Literal, OneOf, Part, Pattern
from plateward.common.v1 import recognition_pb2
from plateward.reads.v1 import read_pb2
from services.reads.matching import LOOKALIKE, NEAR, SAME, PlateQuery

_LEAST_DOUBT = 0.02
_NEVER = 1_000

Differs = tuple[int, str]
"""A place of a text, from 0, and the characters that were asked for there."""


@dataclass(frozen=True, slots=True)
class Rank:
    """Why a read stands where it stands."""

    why: str
    score: float


def rank(query: PlateQuery | None, match_class: int, read: read_pb2.Read) -> Rank:
    """Return the reason and the score (0 to 1) of a read that a query found in a class."""
    sure = read.plate.confidence
    if query is None:
        return Rank("seen in the area, at the cameras and in the time asked for", sure)
    if match_class == SAME:
        same = "same text" if query.pattern.exact else f"fits the pattern {query.pattern}"
        return Rank(same, sure)
    if match_class in (LOOKALIKE, NEAR):
        return _differing(query.pattern, read.plate, _wide if match_class == NEAR else _folds)
    return _held(query, read.plate)


def differences(pattern: Pattern, text: str, fits: Callable[[str, str], bool]) -> list[Differs] | None:
    """Return where a text differs from a pattern, fewest places, if every difference ``fits``; ``None`` if it cannot be laid over."""
    parts = pattern.parts

    @cache
    def least(i: int, at: int) -> int:
        """How many places differ from part ``i`` and character ``at`` on."""
        if i == len(parts):
            return 0 if at == len(text) else _NEVER
        if isinstance(parts[i], AnyRun):
            return min(least(i + 1, at), least(i, at + 1) if at < len(text) else _NEVER)
        return least(i + 1, at + 1) + _cost(parts[i], text[at], fits) if at < len(text) else _NEVER

    if least(0, 0) >= _NEVER:
        return None
    found: list[Differs] = []
    i = at = 0
    while i < len(parts):
        part = parts[i]
        if isinstance(part, AnyRun):
            if least(i + 1, at) == least(i, at):
                i += 1
            else:
                at += 1
            continue
        if _cost(part, text[at], fits):
            found.append((at, _asked(part)))
        i, at = i + 1, at + 1
    return found


def _cost(part: Part, character: str, fits: Callable[[str, str], bool]) -> int:
    asked = _asked(part)
    if not asked or character in asked:
        return 0
    return 1 if any(fits(character, one) for one in asked) else _NEVER


def _asked(part: Part) -> str:
    match part:
        case Literal(character):
            return character
        case OneOf(characters):
            return characters
        case AnyOne() | AnyRun():
            return ""


def _folds(one: str, other: str) -> bool:
    return canonical(one) == canonical(other)


def _wide(one: str, other: str) -> bool:
    return _folds(one, other) or _likeness(one, other) > 0


def _likeness(read: str, asked: str) -> float:
    """How alike two characters are; what was looked for is a key, so what folds as a look-alike of ``asked`` does counts as that."""
    of_class = (weight for near, weight in WEIGHTS.get(asked, {}).items() if _folds(near, read))
    return max(alike(read, asked), *of_class, 0.0)


def _differing(
    pattern: Pattern, plate: recognition_pb2.PlateReading, fits: Callable[[str, str], bool]
) -> Rank:
    found = differences(pattern, plate.text, fits)
    if not found:
        return Rank(f"looks like {pattern}: read {plate.text}", 0.0)
    told, score = [], 1.0 if pattern.exact else plate.confidence
    for at, asked in found:
        sure = plate.characters[at].confidence if at < len(plate.characters) else None
        read = plate.text[at]
        surety = "" if sure is None else f", confidence {sure:.2f}"
        told.append(f"{read} read where {_one_of(asked)} was asked{surety}")
        likeness = max(_likeness(read, one) for one in asked)
        score *= likeness * (1.0 if sure is None else max(_LEAST_DOUBT, 1.0 - sure))
    told[0] = told[0] if pattern.exact else f"looks like the pattern {pattern}: {told[0]}"
    return Rank("; ".join(told), score)


def _held(query: PlateQuery, plate: recognition_pb2.PlateReading) -> Rank:
    """Tell of a text that the reader held possible: the surest that fits as it stands, else the surest that looks like it."""
    as_asked = [c for c in plate.candidates if query.pattern.matches(c.text)]
    if held := _surest(as_asked):
        why = (
            f"read {plate.text}; the reader also held {held.text} possible, confidence {held.confidence:.2f}"
        )
        return Rank(why, held.confidence)
    like = [c for c in plate.candidates if differences(query.pattern, c.text, _folds) is not None]
    if (held := _surest(like)) is None:
        return Rank(f"the reader also held {query.pattern} possible", 0.0)
    found = differences(query.pattern, held.text, _folds) or []
    told = "; ".join(f"{held.text[at]} held where {_one_of(asked)} was asked" for at, asked in found)
    score = held.confidence
    for at, asked in found:
        score *= max(_likeness(held.text[at], one) for one in asked)
    return Rank(
        f"read {plate.text}; the reader also held {held.text} possible, confidence {held.confidence:.2f}: {told}",
        score,
    )


def _surest(candidates: Sequence[recognition_pb2.Candidate]) -> recognition_pb2.Candidate | None:
    return max(candidates, key=lambda candidate: candidate.confidence, default=None)


def _one_of(characters: str) -> str:
    return " or ".join(characters)
