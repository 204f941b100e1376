"""The plates that a read may really have been: all within a few look-alike substitutions, best first.

Rules
-----
1. The read itself comes first with weight 1. A variant's weight is the product over its substitutions of
   ``likeness * doubt``, where doubt is ``1 - confidence`` of that character, at least ``MIN_DOUBT``:
   readers are sometimes sure and wrong.
2. At most ``substitutions`` characters differ and at most ``limit`` plates come back; ties come in a fixed
   order, so that the answer is the same everywhere.
3. The best are found first and the rest never made: cost follows the limit, not the size of the
   neighbourhood.
4. A neighbour is a candidate for a person's eyes, never a plate that was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from plates.lookalike import WEIGHTS
from plates.normal import normalize

MIN_DOUBT = 0.02
MAX_SUBSTITUTIONS = 4
MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A possible plate: its text, its weight (0 to 1], and the positions that differ from the read."""

    text: str
    weight: float
    positions: tuple[int, ...]


def neighbours(
    text: str,
    confidences: Sequence[float] | None = None,
    *,
    substitutions: int = 2,
    limit: int = 200,
    min_weight: float = 0.0,
) -> list[Neighbour]:
    """The neighbourhood of a read, heaviest first, the read itself included.

    Args:
        text: the read.
        confidences: one a character of the normal form, 0 to 1; without them every character is in full doubt.
        substitutions: how many characters may differ, 0 to 4.
        limit: how many to return at most, 1 to 10,000.
        min_weight: leave out what weighs less.

    Raises:
        PlateError: the text has no normal form.
        ValueError: a number is out of range, or there is not one confidence a character.

    Example:
        >>> [near.text for near in neighbours("B0", [0.9, 0.2], limit=3)]
        ['B0', 'BO', 'BQ']
    """
    plate = normalize(text)
    doubts = _doubts(plate, confidences)
    if not 0 <= substitutions <= MAX_SUBSTITUTIONS:
        raise ValueError(f"substitutions must be 0 to {MAX_SUBSTITUTIONS}, not {substitutions}")
    if not 1 <= limit <= MAX_LIMIT:
        raise ValueError(f"limit must be 1 to {MAX_LIMIT}, not {limit}")
    changes = sorted(
        (
            (weight * doubt, position, other)
            for position, (character, doubt) in enumerate(zip(plate, doubts, strict=True))
            for other, weight in WEIGHTS.get(character, {}).items()
        ),
        key=lambda change: (-change[0], change[1], change[2]),
    )
    found: list[Neighbour] = []
    # A state is a set of changes, by ascending place in the sorted list: extending one, or moving its last change on
    # by one, reaches every set exactly once and never gains weight.
    heap: list[tuple[float, str, float, tuple[int, ...]]] = [(-1.0, plate, 1.0, ())]
    while heap and len(found) < limit:
        _, shown, base, picked = heappop(heap)
        positions = [changes[at][1] for at in picked]
        weight = base * changes[picked[-1]][0] if picked else 1.0
        if weight < min_weight:
            break
        if len(set(positions)) == len(positions):
            found.append(Neighbour(shown, weight, tuple(sorted(positions))))
        following = picked[-1] + 1 if picked else 0
        if following == len(changes):
            continue
        if picked:
            _push(heap, plate, changes, base, (*picked[:-1], following))
        if len(picked) < substitutions and len(set(positions)) == len(positions):
            _push(heap, plate, changes, weight, (*picked, following))
    return found


def _push(
    heap: list[tuple[float, str, float, tuple[int, ...]]],
    plate: str,
    changes: list[tuple[float, int, str]],
    base: float,
    picked: tuple[int, ...],
) -> None:
    shown = list(plate)
    for at in picked:
        shown[changes[at][1]] = changes[at][2]
    heappush(heap, (-base * changes[picked[-1]][0], "".join(shown), base, picked))


def _doubts(plate: str, confidences: Sequence[float] | None) -> list[float]:
    if confidences is None:
        return [1.0] * len(plate)
    if len(confidences) != len(plate):
        raise ValueError(
            f"{plate} has {len(plate)} characters, but {len(confidences)} confidences were given"
        )
    if any(not 0.0 <= confidence <= 1.0 for confidence in confidences):
        raise ValueError("a confidence is a number from 0 to 1")
    return [max(MIN_DOUBT, 1.0 - confidence) for confidence in confidences]
