r"""Search patterns for partial plates: what an officer types who saw a part of one.

Rules
-----
1. ``*`` is any run of characters (none included), ``?`` exactly one unknown character, ``[AB1]`` or
   ``[A-F]`` one of several; everything else is a literal character in normal form. Separators between
   literals are dropped.
2. A pattern matches the whole plate. ``7A?1*`` matches ``7AB1``, not ``X7AB1``.
3. Limits, each with a typed error that says what to do: 1 to 32 characters, at most 3 ``*``, at least 2
   literal characters (a class of one counts), so that no pattern lists a town.
4. Rendered SQL is made of ``A-Z0-9``, ``%``, ``_`` and the regex signs this module writes: input reaches it
   only through the parsed form, so nothing typed can break out. It is still passed as a bound parameter.
5. Neighbouring ``*`` are one ``*``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from plates.normal import MAX_LENGTH, PlateError, PlateReason, normalize

MAX_PATTERN = 32
MAX_RUNS = 3
MIN_LITERALS = 2
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TOKEN = re.compile(r"\*|\?|\[([^\[\]]*)\]|[^*?\[\]]+")


class PatternReason(Enum):
    """Why a pattern was refused."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_WIDE = "too_wide"
    TOO_MANY_RUNS = "too_many_runs"
    BAD_CLASS = "bad_class"
    BAD_CHARACTER = "bad_character"


class PatternError(ValueError):
    """A pattern was refused; ``reason`` is for programs, the message says what to do."""

    def __init__(self, reason: PatternReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Literal:
    """One known character."""

    character: str


@dataclass(frozen=True, slots=True)
class AnyOne:
    """One unknown character (``?``)."""


@dataclass(frozen=True, slots=True)
class AnyRun:
    """Any run of characters, none included (``*``)."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several characters, in alphabet order (``[..]``)."""

    characters: str


Part = Literal | AnyOne | AnyRun | OneOf


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern: its parts, left to right."""

    parts: tuple[Part, ...]
    _regex: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_regex", re.compile(self.regex, re.ASCII))

    def __str__(self) -> str:
        return "".join(_written(part) for part in self.parts)

    @property
    def exact(self) -> bool:
        """Whether the pattern is one plate, without wildcards."""
        return all(isinstance(part, Literal) for part in self.parts)

    @property
    def prefix(self) -> str:
        """The literal characters it begins with; an index on the plate can be searched by them."""
        literals: list[str] = []
        for part in self.parts:
            if not isinstance(part, Literal):
                break
            literals.append(part.character)
        return "".join(literals)

    @property
    def length(self) -> int | None:
        """How long a matching plate is; ``None`` when the pattern holds a ``*``."""
        return None if any(isinstance(part, AnyRun) for part in self.parts) else len(self.parts)

    @property
    def like(self) -> str:
        """For SQL ``LIKE``: matches all that the pattern does, and more when it holds classes."""
        signs: dict[type[Part], str] = {AnyRun: "%", AnyOne: "_", OneOf: "_"}
        return "".join(
            part.character if isinstance(part, Literal) else signs[type(part)] for part in self.parts
        )

    @property
    def like_is_exact(self) -> bool:
        """Whether ``like`` alone decides; otherwise add ``regex``."""
        return not any(isinstance(part, OneOf) for part in self.parts)

    @property
    def regex(self) -> str:
        """Anchored regular expression, the same in Python and in PostgreSQL (``~``)."""
        return f"^{''.join(_expression(part) for part in self.parts)}$"

    def matches(self, text: str) -> bool:
        """Whether a plate matches as a whole; text without a normal form matches nothing."""
        try:
            plate = normalize(text)
        except PlateError:
            return False
        return self._regex.fullmatch(plate) is not None


def parse_pattern(text: str) -> Pattern:
    """Read a search pattern as typed.

    Raises:
        PatternError: see rule 3, or a class or a character is not of a plate.

    Example:
        >>> parse_pattern("7a?-1*").like
        '7A_1%'
    """
    stripped = text.strip()
    if not stripped:
        raise PatternError(PatternReason.EMPTY, "The pattern is empty: give what is known of the plate.")
    if len(stripped) > MAX_PATTERN:
        raise PatternError(
            PatternReason.TOO_LONG, f"The pattern has {len(stripped)} characters; {MAX_PATTERN} is the most."
        )
    parts: list[Part] = []
    at = 0
    while at < len(stripped):
        token = _TOKEN.match(stripped, at)
        if token is None:
            raise PatternError(
                PatternReason.BAD_CLASS, "A [ needs its ], and classes do not nest: write [AB1]."
            )
        _add(parts, token)
        at = token.end()
    _check(parts)
    return Pattern(tuple(parts))


def _add(parts: list[Part], token: re.Match[str]) -> None:
    shown = token.group()
    if shown == "*":
        if not (parts and isinstance(parts[-1], AnyRun)):
            parts.append(AnyRun())
    elif shown == "?":
        parts.append(AnyOne())
    elif token[1] is not None:
        characters = _members(token[1])
        parts.append(Literal(characters) if len(characters) == 1 else OneOf(characters))
    else:
        parts.extend(Literal(character) for character in _literal(shown))


def _literal(text: str) -> str:
    try:
        return normalize(text)
    except PlateError as error:
        if error.reason is PlateReason.EMPTY:
            return ""
        raise PatternError(PatternReason(error.reason.value), str(error)) from error


def _members(text: str) -> str:
    spread = re.sub(r"([A-Z])-([A-Z])|([0-9])-([0-9])", _spread, text.upper().replace(" ", ""))
    if not text.isascii() or not spread or any(character not in _ALPHABET for character in spread):
        raise PatternError(
            PatternReason.BAD_CLASS,
            f"[{text}] is no class: write the characters ([AB1]) or a rising range ([A-F], [0-4]).",
        )
    return "".join(sorted(set(spread)))


def _spread(span: re.Match[str]) -> str:
    first, last = span.group().split("-")
    return _ALPHABET[_ALPHABET.index(first) : _ALPHABET.index(last) + 1] or "-"


def _check(parts: list[Part]) -> None:
    runs = sum(isinstance(part, AnyRun) for part in parts)
    if runs > MAX_RUNS:
        raise PatternError(
            PatternReason.TOO_MANY_RUNS, f"The pattern has {runs} runs (*); {MAX_RUNS} is the most."
        )
    if len(parts) - runs > MAX_LENGTH:
        raise PatternError(
            PatternReason.TOO_LONG,
            f"The pattern asks for {len(parts) - runs} characters; no plate has over {MAX_LENGTH}.",
        )
    literals = sum(isinstance(part, Literal) for part in parts)
    if literals < MIN_LITERALS:
        raise PatternError(
            PatternReason.TOO_WIDE,
            f"The pattern has {literals} known characters; give at least {MIN_LITERALS}, or search an area instead.",
        )


def _written(part: Part) -> str:
    match part:
        case Literal(character):
            return character
        case AnyOne():
            return "?"
        case AnyRun():
            return "*"
        case OneOf(characters):
            return f"[{characters}]"


def _expression(part: Part) -> str:
    match part:
        case Literal(character):
            return character
        case AnyOne():
            return "[A-Z0-9]"
        case AnyRun():
            return "[A-Z0-9]*"
        case OneOf(characters):
            return f"[{characters}]"
