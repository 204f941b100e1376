"""Where the words of a clause do not carry what they are taken to mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from services.access.lint_claims import Finding, days_of, group, statements

_SPAN = re.compile(
    r"\b(\d+|one|two|three|six|twelve|thirty|sixty|ninety)[ -]+(minute|hour|day|week|month|year)s?\b",
    re.IGNORECASE,
)
_NUMBERS = {"one": 1, "two": 2, "three": 3, "six": 6, "twelve": 12, "thirty": 30, "sixty": 60, "ninety": 90}
_DAYS = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0, "year": 365.0}
_WEAK = re.compile(
    r"\b(if practicable|when applicable|as appropriate|on a regular basis|from time to time|where possible|should be|should verify|may include|reasonable efforts)\b",
    re.IGNORECASE,
)
_SLACK = 0.05


def spans(text: str) -> list[float]:
    """Return the spans of time that a text names, in days."""
    return [float(_NUMBERS.get(n.lower(), 0) or n) * _DAYS[unit.lower()] for n, unit in _SPAN.findall(text)]


def text_against_value(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A clause whose words name another span than its value."""
    for s in statements(document):
        value, named = s.get("retention"), spans(str(s.get("text", "")))
        if not isinstance(value, dict) or not named:
            continue
        meant = [
            v
            for k in ("exactly_days", "least_days", "most_days")
            if isinstance(v := value.get(k), int | float)
        ]
        if meant and not any(abs(n - m) <= _SLACK * max(m, n) for n in named for m in meant):
            yield Finding(
                "text-against-value",
                (str(s.get("clause")),),
                f"{s.get('clause')} says {', '.join(f'{n:g}' for n in named)} days in words and {', '.join(f'{m:g}' for m in meant)} in its value: make them one",
                refused=True,
            )


def basis_against_value(document: Mapping[str, Any]) -> Iterator[Finding]:
    """A basis that names another span than what rests on it."""
    for kind, entry in group(document, "retention").items():
        days = days_of(entry)
        named = spans(str(entry.get("basis", ""))) if isinstance(entry, dict) else []
        if days is not None and named and not any(abs(n - days) <= _SLACK * max(n, days) for n in named):
            yield Finding(
                "basis-against-value",
                (f"retention.{kind}",),
                f"retention.{kind} keeps {days:g} days and rests on a basis that says {', '.join(f'{n:g}' for n in named)}: make them one, or name the right basis",
                refused=True,
            )


def weak_words(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Words that nobody can be held to."""
    texts = [(str(s.get("clause")), str(s.get("text", ""))) for s in statements(document)]
    texts += [
        (name, str(entry.get("statement", "")))
        for name in ("monitoring", "sharing", "accuracy", "purposes")
        if (entry := group(document, name))
    ]
    for clause, text in texts:
        for weak in sorted({m.lower() for m in _WEAK.findall(text)}):
            yield Finding(
                "weak-words",
                (clause,),
                f'{clause} says "{weak}", which nobody can be held to: say who must do what, and when',
            )


TEXT_CHECKS = (text_against_value, basis_against_value, weak_words)
