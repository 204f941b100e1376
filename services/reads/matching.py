"""How plate text is asked for: exact, by pattern, by look-alikes, and among the reader's other candidates.

Classes, best first: the text itself (0), a look-alike of it (1), a text that the reader held possible (2).
The class is an SQL expression, so that pages are keyset pages; within a class the newest comes first. All classes are found
by the grams of ``grams.py`` in one look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plates.explain import Verdict, explain
from plates.lookalike import canonical
from plates.normal import PlateError, normalize
from plates.pattern import Literal, OneOf, Part, Pattern, PatternError, parse_pattern
from plateward.common.v1 import errors_pb2
from plateward.reads.v1 import read_pb2
from servicekit.errors import PlatewardError
from services.reads.grams import pattern_grams

SAME, LOOKALIKE, CANDIDATE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class PlateQuery:
    """A plate or pattern to look for."""

    pattern: Pattern
    folded: Pattern | None
    """The pattern over look-alike keys, where look-alikes were asked for."""

    def same(self) -> Way:
        """Return how the text itself is found."""
        return Way(str(SAME), [], *_joined(_index(self.pattern), _matches("plate", self.pattern)))

    def all(self) -> Way:
        """Return how everything is found that the pattern may mean, in one look."""
        same, same_values = _matches("plate", self.pattern)
        held, held_values = _candidates(self.pattern)
        cases, case_values = f"WHEN {same} THEN {SAME}", [*same_values]
        rest, values = f"{same} OR {held}", [*same_values, *held_values]
        if self.folded is not None:
            alike, alike_values = _matches("plate_key", self.folded)
            cases, case_values = f"{cases} WHEN {alike} THEN {LOOKALIKE}", [*case_values, *alike_values]
            rest, values = f"{rest} OR {alike}", [*values, *alike_values]
        return Way(
            f"(CASE {cases} ELSE {CANDIDATE} END)",
            case_values,
            *_joined(_index(self.pattern), (f"({rest})", values)),
        )


@dataclass(frozen=True, slots=True)
class Way:
    """One way to match: the expression of a row's class, and the predicate."""

    kind: str
    kind_values: list[Any]
    clause: str
    values: list[Any]


EVERYTHING = Way(str(SAME), [], "TRUE", [])
"""The only way of a search without a plate."""


@dataclass(frozen=True, slots=True)
class Rank:
    """Why a read stands where it stands."""

    why: str
    score: float


def parse_plate(text: str, *, lookalikes: bool) -> PlateQuery | None:
    """Return the query of a plate as typed; ``None`` when no plate was given (empty, or ``*`` alone).

    Raises:
        PlatewardError: INVALID_ARGUMENT with what to do about the pattern.
    """
    if not text.strip(" *.-"):
        return None
    try:
        pattern = parse_pattern(text)
    except PatternError as error:
        raise PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, str(error)) from error
    return PlateQuery(pattern, Pattern(tuple(map(_fold, pattern.parts))) if lookalikes else None)


def parse_exact(text: str) -> str:
    """Return a whole plate as typed, in normal form.

    Raises:
        PlatewardError: INVALID_ARGUMENT: it holds a wildcard, or is no plate.
    """
    try:
        return normalize(text)
    except PlateError as error:
        raise PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, str(error)) from error


def rank(query: PlateQuery | None, match_class: int, read: read_pb2.Read) -> Rank:
    """Return the reason and the score (0 to 1) of a read that a query found in a class."""
    sure = read.plate.confidence
    if query is None:
        return Rank("seen in the area, at the cameras and in the time asked for", sure)
    asked = str(query.pattern)
    if match_class == SAME:
        return Rank("same text" if query.pattern.exact else f"fits the pattern {asked}", sure)
    if match_class == LOOKALIKE:
        return _lookalike(query.pattern, read)
    held = max(
        (c for c in read.plate.candidates if query.pattern.matches(c.text)),
        key=lambda c: c.confidence,
        default=None,
    )
    if held is None:
        return Rank(f"the reader also held {asked} possible", 0.0)
    return Rank(
        f"read {read.plate.text}; the reader also held {held.text} possible, confidence {held.confidence:.2f}",
        held.confidence,
    )


def _lookalike(pattern: Pattern, read: read_pb2.Read) -> Rank:
    sure = read.plate.confidence
    if not pattern.exact:
        return Rank(f"looks like the pattern {pattern}: read {read.plate.text}", sure / 2)
    confidences = [c.confidence for c in read.plate.characters]
    compared = explain(read.plate.text, pattern.prefix, confidences or None)
    told: list[str] = []
    score = 1.0
    for step in compared.steps:
        if step.verdict is Verdict.SAME:
            continue
        surety = "" if step.confidence is None else f", confidence {step.confidence:.2f}"
        told.append(f"{step.read} read where {step.entry} was asked{surety}")
        score *= step.likeness * (1.0 if step.confidence is None else max(0.02, 1.0 - step.confidence))
    return Rank("; ".join(told), score)


def _matches(column: str, pattern: Pattern) -> tuple[str, list[Any]]:
    if pattern.exact:
        return f"{column} = %s", [pattern.prefix]
    clauses, parameters = [f"{column} LIKE %s"], [pattern.like]
    if not pattern.like_is_exact:
        clauses.append(f"{column} ~ %s")
        parameters.append(pattern.regex)
    return f"({' AND '.join(clauses)})", list(parameters)


def _candidates(pattern: Pattern) -> tuple[str, list[Any]]:
    if pattern.exact:
        return "candidates @> %s", [[pattern.prefix]]
    clause, values = _matches("c", pattern)
    return f"EXISTS (SELECT 1 FROM unnest(candidates) AS c WHERE {clause})", values  # noqa: S608


def _index(pattern: Pattern) -> tuple[str, list[Any]]:
    """Return the predicate that the index of grams answers; it lets through more than the pattern does."""
    alternatives = pattern_grams(pattern)
    if not alternatives:
        return "TRUE", []
    return f"({' OR '.join(['grams @> %s::int[]'] * len(alternatives))})", list(alternatives)


def _joined(*parts: tuple[str, list[Any]]) -> tuple[str, list[Any]]:
    return " AND ".join(clause for clause, _ in parts), [value for _, values in parts for value in values]


def _fold(part: Part) -> Part:
    match part:
        case Literal(character):
            return Literal(canonical(character))
        case OneOf(characters):
            return OneOf("".join(sorted(set(map(canonical, characters)))))
        case _:
            return part
