"""Why a read may, or may not, be the plate of an entry: character by character, for the person who verifies a hit.

Rules
-----
1. Read and entry are aligned by the cheapest edit: a look-alike costs less than a difference, a difference
   less than a missing and an extra character. Ties keep characters in place, so the answer is the same
   everywhere.
2. Each step says one of: same, look-alike, different, missing (in the entry, not read), extra (read, not in
   the entry). A read character carries its confidence; a missing one has none.
3. The sentence names every character that differs, by its place counted from 1. It never says "match": a
   person says that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from plates.lookalike import alike
from plates.normal import normalize

_GAP = 120


class Verdict(Enum):
    """How one character of a read compares."""

    SAME = "same"
    LOOK_ALIKE = "look-alike"
    DIFFERENT = "different"
    MISSING = "missing"
    EXTRA = "extra"


@dataclass(frozen=True, slots=True)
class Step:
    """One place of the comparison; ``read`` or ``entry`` is empty where that side has no character."""

    verdict: Verdict
    read: str
    entry: str
    likeness: float
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The comparison of a read with an entry."""

    read: str
    entry: str
    steps: tuple[Step, ...]

    @property
    def exact(self) -> bool:
        """Whether read and entry are the same text."""
        return self.read == self.entry

    @property
    def tolerable(self) -> bool:
        """Whether nothing but look-alikes differ."""
        return all(step.verdict in (Verdict.SAME, Verdict.LOOK_ALIKE) for step in self.steps)

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        told = [
            _told(place, step) for place, step in enumerate(self.steps, 1) if step.verdict is not Verdict.SAME
        ]
        if not told:
            return f"All {len(self.steps)} characters are the same."
        return f"{len(told)} of {len(self.steps)} characters differ: {'; '.join(told)}."


def explain(read: str, entry: str, confidences: Sequence[float] | None = None) -> Explanation:
    """Compare a read with an entry; ``confidences`` are those of the read's characters in normal form.

    Raises:
        PlateError: a text has no normal form.
        ValueError: there is not one confidence a character.

    Example:
        >>> explain("7ABC12B", "7ABC128", [.9, .9, .9, .9, .9, .9, .4]).sentence
        '1 of 7 characters differ: 7: read B, entry 8 (look-alike, confidence 40%).'
    """
    left, right = normalize(read), normalize(entry)
    if confidences is not None and len(confidences) != len(left):
        raise ValueError(f"{left} has {len(left)} characters, but {len(confidences)} confidences were given")
    steps: list[Step] = []
    for i, j in _align(left, right):
        confidence = confidences[i] if confidences is not None and i is not None else None
        one, other = left[i] if i is not None else "", right[j] if j is not None else ""
        steps.append(_step(one, other, confidence))
    return Explanation(left, right, tuple(steps))


def _step(one: str, other: str, confidence: float | None) -> Step:
    likeness = alike(one, other) if one and other else 0.0
    if not one:
        verdict = Verdict.MISSING
    elif not other:
        verdict = Verdict.EXTRA
    elif one == other:
        verdict = Verdict.SAME
    else:
        verdict = Verdict.LOOK_ALIKE if likeness else Verdict.DIFFERENT
    return Step(verdict, one, other, likeness, confidence)


def _align(left: str, right: str) -> list[tuple[int | None, int | None]]:
    """Pairs of places, cheapest edit first by rule 1 (plates are short: the full table is at most 13 by 13)."""
    costs = [[_GAP * (i + j) for j in range(len(right) + 1)] for i in range(len(left) + 1)]
    for i, one in enumerate(left, 1):
        for j, other in enumerate(right, 1):
            costs[i][j] = min(
                costs[i - 1][j - 1] + _cost(one, other), costs[i - 1][j] + _GAP, costs[i][j - 1] + _GAP
            )
    pairs: list[tuple[int | None, int | None]] = []
    i, j = len(left), len(right)
    while i or j:
        if i and j and costs[i][j] == costs[i - 1][j - 1] + _cost(left[i - 1], right[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and costs[i][j] == costs[i - 1][j] + _GAP:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


def _cost(one: str, other: str) -> int:
    return 0 if one == other else 100 - round(50 * alike(one, other))


def _told(place: int, step: Step) -> str:
    sure = "" if step.confidence is None else f", confidence {step.confidence:.0%}"
    if step.verdict is Verdict.MISSING:
        return f"{place}: {step.entry} of the entry was not read"
    if step.verdict is Verdict.EXTRA:
        return f"{place}: read {step.read}, which the entry has not ({step.verdict.value}{sure})"
    return f"{place}: read {step.read}, entry {step.entry} ({step.verdict.value}{sure})"
