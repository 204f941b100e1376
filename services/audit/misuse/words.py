"""Whether a reason says anything, and whether a case number is one. Words from released audit logs that told nobody what a search was for."""

from __future__ import annotations

import re

_EMPTY = frozenset(
    [
        "investigation",
        "investigations",
        "investigate",
        "inv",
        "invest",
        "investigative",
        "investigating",
        "case",
        "search",
        "searching",
        "query",
        "check",
        "checking",
        "lookup",
        "look",
        "up",
        "test",
        "testing",
        "misc",
        "miscellaneous",
        "other",
        "na",
        "none",
        "police",
        "law",
        "enforcement",
        "le",
        "lpr",
        "alpr",
        "flock",
        "plate",
        "vehicle",
        "veh",
        "car",
        "suspect",
        "susp",
        "subject",
        "poi",
        "intel",
        "info",
        "information",
        "follow",
        "followup",
        "assist",
        "criminal",
        "crime",
        "patrol",
        "official",
        "business",
        "duty",
        "work",
        "reason",
        "needed",
        "see",
        "above",
        "the",
        "of",
        "for",
        "and",
        "a",
        "an",
        "to",
        "in",
        "on",
        "at",
        "by",
        "is",
        "not",
        "applicable",
        "per",
    ]
)
_NO_CASE = frozenset(["NA", "N/A", "NONE", "NULL", "UNKNOWN", "UNK", "TBD", "PENDING", "TEST", "OTHER", "INVESTIGATION", "INV", "PATROL", "ALPR", "LPR", "FLOCK", "NOCASE", "NOTAPPLICABLE"])  # fmt: skip
_RUN = "01234567890123456789"
_LEAST = 2


def telling_words(reason: str, offence: str = "") -> list[str]:
    """Return the words of a reason that say something beyond the offence's own name."""
    own = set(re.findall(r"[a-z]+", offence.lower()))
    words = re.findall(r"[a-z]{2,}|\d{2,}", reason.lower())
    return [w for w in words if w not in _EMPTY and w not in own]


def is_vague(reason: str, offence: str = "") -> bool:
    """Return whether fewer than two words of a reason say something."""
    return len(telling_words(reason, offence)) < _LEAST


def names_a_case(number: str) -> bool:
    """Return whether a case number could be one: it has digits, and is no row of the same ones nor a count (``000000``, ``12345``)."""
    bare = re.sub(r"[^A-Z0-9]", "", number.upper())
    digits = re.sub(r"\D", "", bare)
    if bare in _NO_CASE or not digits:
        return False
    return len(set(digits)) > 1 and not (len(digits) > 2 and (digits in _RUN or digits in _RUN[::-1]))
