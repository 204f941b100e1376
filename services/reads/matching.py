"""How plate text is asked for: exact, by pattern, by look-alikes, and among the reader's other candidates.

Classes, best first: the text itself (0), a look-alike of it that folds to the same key (1), a text that the reader held
possible (2), and, for whole plates, a text that differs in one character of the wider likeness of ``plates/lookalike.py``,
such as 3 for 8 or F for E, which fold into nothing (3). Where look-alikes are asked for, what the reader held possible is
compared by its key too. The class is an SQL expression, so that pages are keyset pages; within a class the newest comes first.
All classes are found by the grams of ``grams.py`` in one look. Why a read is in its class is told by ``reasons.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plates.lookalike import CLASSES, canonical
from plates.neighbours import neighbours
from plates.normal import PlateError, normalize
from plates.pattern import Literal, OneOf, Part, Pattern, PatternError, parse_pattern
from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError
from services.reads.grams import pattern_grams, whole_gram

SAME, LOOKALIKE, CANDIDATE, NEAR = 0, 1, 2, 3
# Of the one-character neighbourhood of a plate, at most so many keys are looked for, most alike first: a plate of seven characters
# has about thirty.
_MOST_NEAR = 64
_FOLDED = "translate(c, '{}', '{}')".format(
    "".join(group[1:] for group in CLASSES), "".join(group[0] * (len(group) - 1) for group in CLASSES)
)


@dataclass(frozen=True, slots=True)
class PlateQuery:
    """A plate or pattern to look for."""

    pattern: Pattern
    folded: Pattern | None
    """The pattern over look-alike keys, where look-alikes were asked for."""
    near: tuple[str, ...] = ()
    """Keys of texts that differ in one character of the wider likeness: of a whole plate, where look-alikes were asked for."""

    def same(self) -> Way:
        """Return how the text itself is found."""
        return Way(str(SAME), [], *_joined(_index(self.pattern), _matches("plate", self.pattern)))

    def all(self) -> Way:
        """Return how everything is found that the pattern may mean, in one look."""
        same, same_values = _matches("plate", self.pattern)
        if self.folded is None:
            held, held_values = _candidates(self.pattern)
            return Way(
                f"(CASE WHEN {same} THEN {SAME} ELSE {CANDIDATE} END)",
                [*same_values],
                *_joined(_index(self.pattern), (f"({same} OR {held})", [*same_values, *held_values])),
            )
        alike, alike_values = _matches("plate_key", self.folded)
        held, held_values = _any_candidate(_FOLDED, self.folded)
        cases = f"WHEN {same} THEN {SAME} WHEN {alike} THEN {LOOKALIKE}"
        case_values = [*same_values, *alike_values]
        # What fits as read has a key that fits.
        rest, values = f"{alike} OR {held}", [*alike_values, *held_values]
        if self.near:
            cases, case_values = f"{cases} WHEN {held} THEN {CANDIDATE}", [*case_values, *held_values]
            rest, values = f"{rest} OR plate_key = ANY(%s::text[])", [*values, [*self.near]]
        return Way(
            f"(CASE {cases} ELSE {NEAR if self.near else CANDIDATE} END)",
            case_values,
            *_joined(_index(self.pattern, self.near), (f"({rest})", values)),
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


def parse_plate(text: str, *, lookalikes: bool) -> PlateQuery | None:
    """Return the query of a plate as typed; ``None`` when no plate was given (empty, or ``*`` alone).

    Raises:
        PlatewardError: INVALID_ARGUMENT with what to do about the pattern. Signs without any character of a plate are refused: a
            search that dropped them would show everything.
    """
    if not text.strip(" *.-"):
        if text.strip() and "*" not in text:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
                f"The plate {text.strip()} names nothing: give its characters, or leave it out.",
            )
        return None
    try:
        pattern = parse_pattern(text)
    except PatternError as error:
        raise PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, str(error)) from error
    if not lookalikes:
        return PlateQuery(pattern, None)
    folded = Pattern(tuple(map(_fold, pattern.parts)))
    return PlateQuery(pattern, folded, _near(pattern.prefix) if pattern.exact else ())


def parse_exact(text: str) -> str:
    """Return a whole plate as typed, in normal form.

    Raises:
        PlatewardError: INVALID_ARGUMENT: it holds a wildcard, or is no plate.
    """
    try:
        return normalize(text)
    except PlateError as error:
        raise PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, str(error)) from error


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
    return _any_candidate("c", pattern)


def _any_candidate(compared: str, pattern: Pattern) -> tuple[str, list[Any]]:
    clause, values = _matches(compared, pattern)
    return f"EXISTS (SELECT 1 FROM unnest(candidates) AS c WHERE {clause})", values  # noqa: S608


def _near(plate: str) -> tuple[str, ...]:
    found = neighbours(plate, substitutions=1, limit=4 * _MOST_NEAR)
    keys = dict.fromkeys(canonical(near.text) for near in found)
    keys.pop(canonical(plate), None)
    return tuple(keys)[:_MOST_NEAR]


def _index(pattern: Pattern, near: Sequence[str] = ()) -> tuple[str, list[Any]]:
    """Return the predicate that the index of grams answers; it lets through more than the pattern does."""
    alternatives = pattern_grams(pattern)
    if near:
        return "grams && %s::int[]", [[*alternatives[0], *map(whole_gram, near)]]
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
