"""A set of plates that answers which of them a read may stand for: a few look-ups a read, however many plates.

Rules
-----
1. Plates are held under their look-alike key (``lookalike.canonical``): whatever differs within a class is one look-up.
2. A character that the reader doubts is also looked up as what it resembles beyond its class (3 and 8, 2 and 7), one at a
   time, as far as likeness times doubt reaches the least weight.
3. A candidate's weight is the product of likeness times doubt over the characters that differ; doubt is 1 less the
   reader's confidence, at least ``MIN_DOUBT``, and 1 where the reader gave none. Of twins (``TWINS``) the confidence says little,
   since many plates print them alike: there it is at least ``TWIN_DOUBT``, so that a sure misread of one of them is still found.
4. A plate with ``?`` is partial: each ``?`` stands for any one character, the others must be as read.
5. Plates are only added. Whether an entry is in force is asked where entries live, so a plate too many costs a look-up
   and never a hit. Adding while looking up is safe between any two calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from plates.lookalike import CLASSES, WEIGHTS
from plates.neighbours import MIN_DOUBT

ANY = "?"
_FOLD = str.maketrans({character: group[0] for group in CLASSES for character in group[1:]})
_CLASS = {character: group[0] for group in CLASSES for character in group}
# Characters of one class that are alike only through a third have no weight of their own.
_THROUGH_A_THIRD = 0.1
_MOST_PROBES = 24
TWIN_DOUBT = 0.05
TWINS: frozenset[tuple[str, str]] = frozenset(
    (one, other)
    for group in ("0ODQ", "1I", "8B", "2Z", "5S")
    for one in group
    for other in group
    if one != other
)
"""Characters that many plates print nearly the same, in both orders."""


def _weak() -> dict[str, tuple[tuple[float, str], ...]]:
    found: dict[str, tuple[tuple[float, str], ...]] = {}
    for character, alike in WEIGHTS.items():
        own, best = _CLASS.get(character, character), dict[str, float]()
        for other, weight in alike.items():
            key = _CLASS.get(other, other)
            if key != own:
                best[key] = max(weight, best.get(key, 0.0))
        found[character] = tuple(sorted(((weight, key) for key, weight in best.items()), reverse=True))
    return found


_WEAK = _weak()
_WEAKEST_WORTH = max((pairs[0][0] for pairs in _WEAK.values() if pairs), default=1.0)


class Found(NamedTuple):
    """A plate that a read may stand for: ``kind`` is exact, lookalike or partial; ``weight`` is in (0, 1]."""

    plate: str
    kind: str
    weight: float


class PlateIndex:
    """A growing set of plates in normal form (partial ones with ``?``)."""

    __slots__ = ("_folded", "_partial", "size")

    def __init__(self, plates: Iterable[str] = ()) -> None:
        self._folded: dict[str, str | tuple[str, ...]] = {}
        # Length → places of the unknown characters → plates.
        self._partial: dict[int, dict[tuple[int, ...], set[str]]] = {}
        self.size = 0
        self.add(plates)

    def add(self, plates: Iterable[str]) -> None:
        """Add plates; one that is held already changes nothing."""
        folded = self._folded
        for plate in plates:
            if ANY in plate:
                places = tuple(i for i, character in enumerate(plate) if character == ANY)
                self._partial.setdefault(len(plate), {}).setdefault(places, set()).add(plate)
                continue
            key = plate.translate(_FOLD)
            held = folded.get(key)
            if held is None:
                # One object where key and plate are the same text: most of the memory of a large set.
                folded[plate if key == plate else key] = plate
            elif isinstance(held, str):
                if held == plate:
                    continue
                folded[key] = (held, plate)
            elif plate in held:
                continue
            else:
                folded[key] = (*held, plate)
            self.size += 1

    def __contains__(self, plate: object) -> bool:
        if not isinstance(plate, str):
            return False
        held = self._folded.get(plate.translate(_FOLD))
        return held == plate if isinstance(held, str) else held is not None and plate in held

    def find(
        self, text: str, confidences: Sequence[float] | None = None, min_weight: float = 0.01
    ) -> list[Found]:
        """Return the plates that a read may stand for, each once, in no order.

        Args:
            text: the read in normal form.
            confidences: one a character, 0 to 1; without them every character is in full doubt.
            min_weight: leave out what weighs less, above 0.
        """
        folded = self._folded
        key = text.translate(_FOLD)
        found: list[Found] = []
        if (held := folded.get(key)) is not None:
            _keep(found, held, text, confidences, min_weight)
        if confidences is None or 1.0 - min(confidences, default=1.0) >= min_weight / _WEAKEST_WORTH:
            for probe in _probes(text, key, confidences, min_weight):
                if (held := folded.get(probe)) is not None:
                    _keep(found, held, text, confidences, min_weight)
        if masks := self._partial.get(len(text)):
            for places, plates in masks.items():
                masked = "".join(ANY if i in places else c for i, c in enumerate(text))
                if masked in plates:
                    found.append(Found(masked, "partial", 1.0))
        return found


def weigh(text: str, plate: str, confidences: Sequence[float] | None) -> float:
    """The weight of a plate for a read of the same length by rule 3; 0 where a difference has no likeness."""
    weight = 1.0
    for place, (one, other) in enumerate(zip(text, plate, strict=True)):
        if one != other:
            likeness = WEIGHTS.get(one, {}).get(other, 0.0)
            if not likeness:
                if _CLASS.get(one, one) != _CLASS.get(other, other):
                    return 0.0
                likeness = _THROUGH_A_THIRD
            least = TWIN_DOUBT if (one, other) in TWINS else MIN_DOUBT
            weight *= likeness * (1.0 if confidences is None else max(least, 1.0 - confidences[place]))
    return weight


def _keep(
    found: list[Found],
    held: str | tuple[str, ...],
    text: str,
    confidences: Sequence[float] | None,
    min_weight: float,
) -> None:
    for plate in (held,) if isinstance(held, str) else held:
        if plate == text:
            found.append(Found(plate, "exact", 1.0))
        elif (weight := weigh(text, plate, confidences)) >= min_weight:
            found.append(Found(plate, "lookalike", weight))


def _probes(text: str, key: str, confidences: Sequence[float] | None, min_weight: float) -> list[str]:
    worth: list[tuple[float, str]] = []
    for place, character in enumerate(text):
        doubt = 1.0 if confidences is None else 1.0 - confidences[place]
        if doubt * _WEAKEST_WORTH < min_weight:
            continue
        for weight, other in _WEAK.get(character, ()):
            if weight * doubt < min_weight:
                break
            worth.append((weight * doubt, f"{key[:place]}{other}{key[place + 1 :]}"))
    if len(worth) > _MOST_PROBES:
        worth.sort(reverse=True)
        del worth[_MOST_PROBES:]
    return [probe for _, probe in worth]
