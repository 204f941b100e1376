"""Which entries a read may stand for, and how far each may lead. Pure: entries and reads in, matches out.

Rules
-----
1. Entries of the read's own agency that are approved, not removed and not expired; one match an entry.
2. Exact before look-alike before another text that the reader held possible. A look-alike counts when the
   likeness of what differs, times the reader's doubt in those characters, reaches the least weight.
3. Without a known state on both sides a match is a lead; with different states it is a lead that says so; the
   same for a vehicle of another type. A match never leads further than its entry.
4. Every match is unverified: matching decides who looks, never what happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from plates.explain import Step, Verdict, explain
from plates.lookalike import alike, canonical
from plates.neighbours import MIN_DOUBT
from plateward.common.v1 import recognition_pb2
from plateward.hotlist.v1 import hit_pb2
from plateward.reads.v1 import read_pb2

SURE = 0.5
_MATCH = {
    Verdict.SAME: hit_pb2.CHARACTER_MATCH_SAME,
    Verdict.LOOK_ALIKE: hit_pb2.CHARACTER_MATCH_LOOKALIKE,
    Verdict.DIFFERENT: hit_pb2.CHARACTER_MATCH_DIFFERENT,
    Verdict.MISSING: hit_pb2.CHARACTER_MATCH_MISSING,
    Verdict.EXTRA: hit_pb2.CHARACTER_MATCH_MISSING,
}


@dataclass(frozen=True, slots=True)
class Match:
    """A read that may be the plate of an entry."""

    entry: hit_pb2.HotlistEntry
    kind: str
    weight: float
    max_action: hit_pb2.MaxAction.ValueType
    demotions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """Entries by text and by look-alike key; a plate costs a few look-ups however many entries there are."""

    exact: dict[tuple[str, str], tuple[hit_pb2.HotlistEntry, ...]] = field(default_factory=dict)
    folded: dict[tuple[str, str], tuple[hit_pb2.HotlistEntry, ...]] = field(default_factory=dict)
    size: int = 0


def build(entries: Iterable[hit_pb2.HotlistEntry]) -> Index:
    """Return the index of entries, each in normal form."""
    exact: dict[tuple[str, str], tuple[hit_pb2.HotlistEntry, ...]] = {}
    folded: dict[tuple[str, str], tuple[hit_pb2.HotlistEntry, ...]] = {}
    size = 0
    for entry in entries:
        size += 1
        for index, key in ((exact, entry.plate), (folded, canonical(entry.plate))):
            index[entry.agency_id, key] = (*index.get((entry.agency_id, key), ()), entry)
    return Index(exact, folded, size)


def matches(index: Index, read: read_pb2.Read, now: datetime, min_weight: float) -> list[Match]:
    """Return the matches of a read, the heaviest first."""
    if not read.plate.readable or not read.plate.text:
        return []
    best: dict[str, Match] = {}
    for entry, kind, weight in _ways(index, read):
        in_force = entry.approved_by and entry.expires_at.ToDatetime(UTC) > now
        if in_force and weight >= min_weight and entry.entry_id not in best:
            most, demotions = _most(entry, read)
            best[entry.entry_id] = Match(entry, kind, weight, most, demotions)
    return sorted(best.values(), key=lambda match: -match.weight)


def characters(read: read_pb2.Read, entry: hit_pb2.HotlistEntry) -> list[hit_pb2.CharacterExplanation]:
    """Return read and entry character by character, for the person who verifies."""
    return [_character(step) for step in explain(read.plate.text, entry.plate, _confidences(read)).steps]


def _ways(index: Index, read: read_pb2.Read) -> Iterator[tuple[hit_pb2.HotlistEntry, str, float]]:
    agency, text = read.agency_id, read.plate.text
    for entry in index.exact.get((agency, text), ()):
        yield entry, "exact", 1.0
    confidences = _confidences(read)
    for entry in index.folded.get((agency, canonical(text)), ()):
        if entry.plate != text:
            yield entry, "lookalike", _weight(text, entry.plate, confidences)
    for candidate in read.plate.candidates:
        if candidate.text != text:
            for entry in index.exact.get((agency, candidate.text), ()):
                yield entry, "candidate", candidate.confidence


def _weight(text: str, plate: str, confidences: list[float] | None) -> float:
    weight = 1.0
    for place, (one, other) in enumerate(zip(text, plate, strict=True)):
        if one != other:
            doubt = 1.0 if confidences is None else max(MIN_DOUBT, 1.0 - confidences[place])
            # Characters of one class that are alike only through a third have no weight of their own.
            weight *= max(alike(one, other), 0.1) * doubt
    return weight


def _confidences(read: read_pb2.Read) -> list[float] | None:
    values = [character.confidence for character in read.plate.characters]
    return values if len(values) == len(read.plate.text) else None


def _most(
    entry: hit_pb2.HotlistEntry, read: read_pb2.Read
) -> tuple[hit_pb2.MaxAction.ValueType, tuple[str, ...]]:
    demotions = tuple(
        reason for reason in (_state_doubt(entry.state, read.plate), _vehicle_doubt(entry, read)) if reason
    )
    most = entry.max_action or hit_pb2.MAX_ACTION_INFORM
    return (min(most, hit_pb2.MAX_ACTION_LEAD) if demotions else most), demotions


def _state_doubt(wanted: str, plate: recognition_pb2.PlateReading) -> str:
    if plate.state in ("", "unknown"):
        return "issuing state not read"
    if not wanted:
        return "entry names no issuing state"
    if plate.state != wanted:
        if plate.state == _country(wanted) or wanted == _country(plate.state):
            return "issuing state not read: only the country is known"
        return f"wrong state: read {plate.state}, entry {wanted}"
    if plate.state_confidence < SURE:
        return f"issuing state read at confidence {plate.state_confidence:.2f} only"
    return ""


def _vehicle_doubt(entry: hit_pb2.HotlistEntry, read: read_pb2.Read) -> str:
    wanted, seen = entry.vehicle_type, read.vehicle.type
    if wanted and seen and wanted != seen and read.vehicle.type_confidence >= SURE:
        return f"other vehicle: seen {_type(seen)}, entry {_type(wanted)}"
    return ""


def _country(state: str) -> str:
    return state.partition("-")[0]


def _type(kind: recognition_pb2.VehicleType.ValueType) -> str:
    return recognition_pb2.VehicleType.Name(kind).removeprefix("VEHICLE_TYPE_").lower()


def _character(step: Step) -> hit_pb2.CharacterExplanation:
    return hit_pb2.CharacterExplanation(
        read=step.read, entry=step.entry, match=_MATCH[step.verdict], confidence=step.confidence or 0.0
    )
