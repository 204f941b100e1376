"""One reading from the frames of a pass. Pure.

Rules
-----
1. A frame weighs what its reading is worth: confidence times size, since large plates are read better.
2. The text that the frames' candidates support most is the anchor; each frame's characters are aligned to it, and every
   place is decided by weighted vote. A vote may give a text that no single frame had.
3. Agreement raises confidence and disagreement lowers it; one frame alone keeps its own.
4. The best frame is the one whose reading weighs most; its boxes and pictures stand for the pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from services.recognizer.results import UNKNOWN_STATE, PlateRead, VehicleRead
from services.recognizer.tracker import Seen

FULL_WIDTH = 120.0  # pixels of a plate from which more size says nothing more
MOST_CANDIDATES = 10
UNREADABLE = 0.02  # weight of a frame whose text was not trusted, for choosing among such frames only


@dataclass(frozen=True, slots=True)
class Fused:
    """The reading of a pass.

    Attributes:
        plate: fused text, boxes of the best frame.
        vehicle: voted type and colour, box of the best frame; None where no vehicle was found around the plate.
        best: the best frame.
        frames: in how many frames the plate was read.
    """

    plate: PlateRead
    vehicle: VehicleRead | None
    best: Seen
    frames: int


def weight(plate: PlateRead) -> float:
    """Return what a reading is worth, 0 to 1."""
    size = sqrt(min(1.0, max(plate.box[2], 1.0) / FULL_WIDTH))
    return size * (plate.confidence if plate.readable else UNREADABLE * plate.detection)


def fuse(seen: Sequence[Seen]) -> Fused:
    """Return the reading of a pass's frames.

    Raises:
        ValueError: no frame is given.
    """
    if not seen:
        raise ValueError("a pass has at least one frame")
    best = max(seen, key=lambda s: (weight(s.plate), -s.frame))
    read = [s.plate for s in seen if s.plate.readable and s.plate.text]
    plate = _fused(read, best.plate) if read else best.plate
    return Fused(plate, _vehicle(seen, best), best, len(read) or len(seen))


def _fused(read: Sequence[PlateRead], best: PlateRead) -> PlateRead:
    support: dict[str, float] = defaultdict(float)
    total = 0.0
    for plate in read:
        worth = weight(plate)
        total += worth
        for text, confidence in {plate.text: plate.confidence, **dict(plate.candidates)}.items():
            support[text] += worth * confidence
    anchor = max(support, key=lambda text: (support[text], text))
    text, characters = vote(anchor, [(p.characters, weight(p)) for p in read])
    confidence = _confidence(text, read)
    others = sorted(
        ((min(s / total, confidence), t) for t, s in support.items() if t != text),
        key=lambda c: (-c[0], c[1]),
    )
    state, state_confidence = _state(read)
    return replace(
        best,
        text=text,
        confidence=confidence,
        characters=tuple(characters),
        candidates=((text, confidence), *((t, c) for c, t in others[: MOST_CANDIDATES - 1])),
        readable=True,
        state=state,
        state_confidence=state_confidence,
    )


def vote(
    anchor: str, frames: Sequence[tuple[Sequence[tuple[str, float]], float]]
) -> tuple[str, list[tuple[str, float]]]:
    """Decide each place of a text by weighted vote.

    Args:
        anchor: the text whose places are voted on.
        frames: characters with their confidences, and the weight, of each frame.

    Returns:
        The text, and each character with its confidence: the share of the vote times the mean of those who gave it.
    """
    votes: list[dict[str, list[tuple[float, float]]]] = [defaultdict(list) for _ in anchor]
    for characters, worth in frames:
        text = "".join(c for c, _ in characters)
        for place, index in enumerate(aligned(anchor, text)):
            if index is not None:
                value, confidence = characters[index]
                votes[place][value].append((worth, confidence))
    result: list[tuple[str, float]] = []
    for place, given in enumerate(votes):
        if not given:
            result.append((anchor[place], 0.0))
            continue
        scores = {value: sum(w * c for w, c in items) for value, items in given.items()}
        value = max(scores, key=lambda v: (scores[v], v == anchor[place], v))
        cast = sum(w for items in given.values() for w, _ in items)
        result.append((value, min(1.0, scores[value] / cast) if cast > 0 else 0.0))
    return "".join(value for value, _ in result), result


def aligned(anchor: str, text: str) -> list[int | None]:
    """Return, for each place of `anchor`, the index in `text` that stands there, or None (least edits)."""
    rows, columns = len(anchor) + 1, len(text) + 1
    cost = [[i + j if i == 0 or j == 0 else 0 for j in range(columns)] for i in range(rows)]
    for i in range(1, rows):
        for j in range(1, columns):
            cost[i][j] = min(
                cost[i - 1][j - 1] + (anchor[i - 1] != text[j - 1]), cost[i - 1][j] + 1, cost[i][j - 1] + 1
            )
    places: list[int | None] = [None] * len(anchor)
    i, j = len(anchor), len(text)
    while i and j:
        if cost[i][j] == cost[i - 1][j - 1] + (anchor[i - 1] != text[j - 1]):
            i, j = i - 1, j - 1
            places[i] = j
        elif cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return places


def _confidence(text: str, read: Sequence[PlateRead]) -> float:
    """Combine: the surest agreeing frame, raised by more of them, lowered by those that say otherwise."""
    total = sum(weight(p) for p in read)
    same = [p for p in read if p.text == text]
    if not same or total <= 0:
        means = [dict(p.candidates).get(text, 0.0) for p in read]
        return sum(means) / len(means)
    surest = max(p.confidence for p in same)
    share = sum(weight(p) for p in same) / total
    raised = surest + (1 - surest) * share * (1 - 1 / len(same)) / 2
    return min(1.0, raised * (0.5 + 0.5 * share))


def _state(read: Sequence[PlateRead]) -> tuple[str, float]:
    votes: dict[str, float] = defaultdict(float)
    for plate in read:
        if plate.state != UNKNOWN_STATE:
            votes[plate.state] += plate.state_confidence
    if not votes:
        return UNKNOWN_STATE, 0.0
    state = _most(votes)
    return state, votes[state] / len(read)


def _vehicle(seen: Sequence[Seen], best: Seen) -> VehicleRead | None:
    found = [s.vehicle for s in seen if s.vehicle is not None]
    if not found:
        return None
    shown = best.vehicle or max(found, key=lambda v: v.detection)
    kinds: dict[str, float] = defaultdict(float)
    colours: dict[str, float] = defaultdict(float)
    for vehicle in found:
        kinds[vehicle.type] += vehicle.type_confidence
        colours[vehicle.colour] += vehicle.colour_confidence
    kind, colour = _most(kinds), _most(colours)
    return replace(
        shown,
        type=kind,
        type_confidence=kinds[kind] / len(found),
        colour=colour,
        colour_confidence=colours[colour] / len(found),
    )


def _most(votes: Mapping[str, float]) -> str:
    return max(votes, key=lambda name: (votes[name], name))
