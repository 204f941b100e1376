"""Whether a reason says anything. Words from released audit logs in which nobody could tell what a search was for."""

from __future__ import annotations

import re

_EMPTY = frozenset(
    [
        "investigation",
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
_LEAST = 2


def telling_words(reason: str, offence: str = "") -> list[str]:
    """Return the words of a reason that say something beyond the offence's own name."""
    own = set(re.findall(r"[a-z]+", offence.lower()))
    words = re.findall(r"[a-z]{2,}|\d{2,}", reason.lower())
    return [w for w in words if w not in _EMPTY and w not in own]


def is_vague(reason: str, offence: str = "") -> bool:
    """Return whether fewer than two words of a reason say something."""
    return len(telling_words(reason, offence)) < _LEAST
