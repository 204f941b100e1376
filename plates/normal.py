"""The normal form of plate text: the one spelling under which a plate is stored, matched and searched.

Rules
-----
1. Normal text is 1 to 12 characters of ``A-Z0-9``, nothing else.
2. Compatibility forms (full-width, superscript, ligature) are unfolded (NFKC), accents dropped, letters
   upper-cased.
3. Separators that plates and people use between groups are dropped: spaces, hyphens and dashes, dots,
   slashes, bullets.
4. Anything else is refused with what to do about it, never silently dropped: a dropped character is a
   misread.
5. Normalising normal text changes nothing. Zero and O stay what they are: folding look-alikes is another
   step.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum

MAX_LENGTH = 12
# Longer input cannot be a plate; the bound keeps Unicode folding cheap for hostile input.
_MAX_INPUT = 64
_NORMAL = re.compile(r"[A-Z0-9]{1,12}", re.ASCII)
_SEPARATORS = frozenset("-_./\\·•∙‧'\u2019`")
_DASHES = ("Pd", "Zs", "Zl", "Zp")


class PlateReason(Enum):
    """Why plate text was refused."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    BAD_CHARACTER = "bad_character"


class PlateError(ValueError):
    """Plate text was refused; ``reason`` is for programs, the message says what to do."""

    def __init__(self, reason: PlateReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def normalize(text: str) -> str:
    """The normal form of plate text as typed, read or imported.

    Raises:
        PlateError: nothing is left, more than 12 characters are left, or a character has no place on a plate.

    Example:
        >>> normalize(" 7abc-123 ")
        '7ABC123'
    """
    if _NORMAL.fullmatch(text):
        return text
    if len(text) > _MAX_INPUT:
        raise PlateError(
            PlateReason.TOO_LONG,
            f"That is {len(text)} characters: give the plate alone, at most {MAX_LENGTH}.",
        )
    kept: list[str] = []
    for character in unicodedata.normalize("NFKD", text):
        if character.isascii() and character.isalnum():
            kept.append(character.upper())
        elif not _is_separator(character):
            raise PlateError(
                PlateReason.BAD_CHARACTER,
                f"{character!r} is on no plate: use the letters A to Z and the digits 0 to 9.",
            )
    if not kept:
        raise PlateError(PlateReason.EMPTY, "The plate is empty: give at least one letter or digit.")
    if len(kept) > MAX_LENGTH:
        raise PlateError(
            PlateReason.TOO_LONG,
            f"The plate has {len(kept)} letters and digits: at most {MAX_LENGTH} fit; search a part of it instead.",
        )
    return "".join(kept)


def is_normal(text: str) -> bool:
    """Whether text is in normal form already."""
    return _NORMAL.fullmatch(text) is not None


def display(text: str) -> str:
    """Normal text for people: a space where a run of three or more meets the other kind, as plates are grouped.

    Raises:
        PlateError: the text has no normal form.

    Example:
        >>> display("7abc123"), display("AB1234")
        ('7ABC 123', 'AB 1234')
    """
    plate = normalize(text)
    runs: list[str] = re.findall(r"[A-Z]+|[0-9]+", plate)
    shown = runs[0]
    for run in runs[1:]:
        shown += run if len(shown) == 1 or len(run) < 3 else f" {run}"
    return shown


def _is_separator(character: str) -> bool:
    return (
        character in _SEPARATORS
        or character.isspace()
        or unicodedata.category(character) in _DASHES
        or bool(unicodedata.combining(character))
    )
