"""How far a read may lead on an entry that it may stand for. Pure: entries, lists and reads in, matches out.

Rules
-----
1. Entries of the read's own agency, or of a foreign list that it accepted; approved, not removed, not expired; one match
   an entry. A foreign list leads to a lead at most.
2. Exact before look-alike before partial before another text that the reader held possible. A look-alike counts when the
   likeness of what differs, times the reader's doubt in those characters, reaches the least weight. Where the reader was sure of
   another character, found only since plates print the two alike (B and 8), it is a lead.
3. Without a known state on both sides a match is a lead; with different states it is a lead that says so; the
   same for a vehicle of another type, for a list that is too old, for a partial plate. A match never leads further than
   its entry and its list. A list older than twice its age raises nothing: what it says is no reason to look at anybody.
4. A vehicle that a member cleared for the entry raises no work: its match is rejected as cleared. Where the cleared
   plate is the entry's own, a thief may carry it still: a lead.
5. Every match is unverified: matching decides who looks, never what happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from plates.explain import Step, Verdict, explain
from plates.index import ANY, TWIN_DOUBT, TWINS, Found, PlateIndex
from plateward.common.v1 import recognition_pb2
from plateward.hotlist.v1 import hit_pb2
from plateward.reads.v1 import read_pb2
from services.hotlist.limits import most_of

SURE = 0.5
PICKUPS = frozenset({"PK", "PICKUP"})
OFF_AFTER = 2  # times a list's age
_KINDS = ("exact", "lookalike", "partial", "candidate")
_MATCH = {
    Verdict.SAME: hit_pb2.CHARACTER_MATCH_SAME,
    Verdict.LOOK_ALIKE: hit_pb2.CHARACTER_MATCH_LOOKALIKE,
    Verdict.DIFFERENT: hit_pb2.CHARACTER_MATCH_DIFFERENT,
    Verdict.MISSING: hit_pb2.CHARACTER_MATCH_MISSING,
    Verdict.EXTRA: hit_pb2.CHARACTER_MATCH_MISSING,
}


class ListStanding(NamedTuple):
    """What a list says of its entries: the most it may lead to, when it was current, seconds until it is too old."""

    max_action: int
    as_of: datetime
    stale_after_s: int

    def age_s(self, now: datetime) -> int:
        """Return the seconds since it was current."""
        return max(0, int((now - self.as_of).total_seconds()))

    def is_off(self, now: datetime) -> bool:
        """Say whether it is too old to match at all (rule 3)."""
        return self.age_s(now) > OFF_AFTER * self.stale_after_s


class Cleared(NamedTuple):
    """A vehicle signed off for an agency: not the one that the entry looks for."""

    agency_id: str
    entry_plate: str
    entry_state: str
    plate: str
    state: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands beside the entries."""

    lists: Mapping[tuple[str, str], ListStanding]
    accepted: frozenset[tuple[str, str, str]] = frozenset()
    """(agency, from agency, list) of the foreign lists accepted."""
    cleared: frozenset[Cleared] = frozenset()


NOTHING = Surroundings({})


@dataclass(frozen=True, slots=True)
class Match:
    """A read that may be the plate of an entry."""

    entry: hit_pb2.HotlistEntry
    kind: str
    weight: float
    max_action: hit_pb2.MaxAction.ValueType
    demotions: tuple[str, ...]
    is_cleared: bool = False
    list_age_s: int = 0


def find(index: PlateIndex, read: read_pb2.Read, min_weight: float) -> dict[str, Found]:
    """Return the plates of the index that a read may stand for; of two ways to one plate the better."""
    if not read.plate.readable or not read.plate.text:
        return {}
    text = read.plate.text
    found = {way.plate: way for way in index.find(text, _confidences(read), min_weight)}
    for candidate in read.plate.candidates:
        other = candidate.text
        if other != text and other not in found and candidate.confidence >= min_weight and other in index:
            found[other] = Found(other, "candidate", candidate.confidence)
    return found


def matches(
    found: Mapping[str, Found],
    entries: Iterable[hit_pb2.HotlistEntry],
    read: read_pb2.Read,
    now: datetime,
    around: Surroundings = NOTHING,
) -> list[Match]:
    """Return the matches of a read among the entries of the plates found, the best first."""
    made = [
        _match(entry, found[entry.plate], read, now, around)
        for entry in entries
        if entry.plate in found
        and entry.approved_by
        and entry.expires_at.ToDatetime(UTC) > now
        and _concerns(entry, read, around)
        and not _is_off(entry, now, around)
    ]
    return sorted(made, key=lambda match: (_KINDS.index(match.kind), -match.weight))


def characters(read: read_pb2.Read, entry: hit_pb2.HotlistEntry) -> list[hit_pb2.CharacterExplanation]:
    """Return read and entry character by character, for the person who verifies."""
    confidences = _confidences(read)
    if ANY in entry.plate:
        return [
            hit_pb2.CharacterExplanation(
                read=seen,
                entry=wanted,
                match=hit_pb2.CHARACTER_MATCH_MISSING if wanted == ANY else hit_pb2.CHARACTER_MATCH_SAME,
                confidence=confidences[place] if confidences else 0.0,
            )
            for place, (seen, wanted) in enumerate(zip(read.plate.text, entry.plate, strict=True))
        ]
    return [_character(step) for step in explain(read.plate.text, entry.plate, confidences).steps]


def too_old(standing: ListStanding, now: datetime) -> str:
    """Return in words that a list is older than it may be; nothing where it is not."""
    age = standing.age_s(now)
    if age <= standing.stale_after_s:
        return ""
    return f"list too old: {span(age)}, the most is {span(standing.stale_after_s)}"


def _concerns(entry: hit_pb2.HotlistEntry, read: read_pb2.Read, around: Surroundings) -> bool:
    return (
        entry.agency_id == read.agency_id
        or (read.agency_id, entry.agency_id, entry.list_id) in around.accepted
    )


def _is_off(entry: hit_pb2.HotlistEntry, now: datetime, around: Surroundings) -> bool:
    standing = around.lists.get((entry.agency_id, entry.list_id))
    return standing is not None and standing.is_off(now)


def _match(
    entry: hit_pb2.HotlistEntry, way: Found, read: read_pb2.Read, now: datetime, around: Surroundings
) -> Match:
    standing = around.lists.get((entry.agency_id, entry.list_id))
    age = standing.age_s(now) if standing is not None else 0
    doubts = [_state_doubt(entry.state, read.plate), _vehicle_doubt(entry, read)]
    if way.kind == "lookalike":
        doubts.append(_sure_doubt(entry.plate, read))
    if way.kind == "partial":
        doubts.append("partial plate: not all characters are known")
    if entry.agency_id != read.agency_id:
        doubts.append(f"foreign list: {entry.list_id} of {entry.agency_id}")
    # Again here: an entry may be older than the rule.
    most = most_of(entry.category, entry.max_action or hit_pb2.MAX_ACTION_INFORM)
    if standing is not None:
        doubts.append(too_old(standing, now))
        most = min(most, hit_pb2.MaxAction.ValueType(standing.max_action or hit_pb2.MAX_ACTION_INFORM))
    cleared = _cleared(entry, read, around)
    own = entry.plate == read.plate.text and entry.state in ("", read.plate.state)
    if cleared and own:
        doubts.append("a vehicle with this plate was cleared: not the one looked for")
    demotions = tuple(doubt for doubt in doubts if doubt)
    most = min(most, hit_pb2.MAX_ACTION_LEAD) if demotions else most
    return Match(entry, way.kind, way.weight, most, demotions, cleared and not own, age)


def _cleared(entry: hit_pb2.HotlistEntry, read: read_pb2.Read, around: Surroundings) -> bool:
    if not around.cleared:
        return False
    seen = read.plate.state if read.plate.state != "unknown" else ""
    return any(
        Cleared(read.agency_id, entry.plate, entry.state, read.plate.text, state) in around.cleared
        for state in {seen, ""}
    )


def _confidences(read: read_pb2.Read) -> list[float] | None:
    values = [character.confidence for character in read.plate.characters]
    return values if len(values) == len(read.plate.text) else None


def _sure_doubt(wanted: str, read: read_pb2.Read) -> str:
    """Say where the reader was sure of the other character of two that plates print alike."""
    for seen, other, sure in zip(read.plate.text, wanted, _confidences(read) or [], strict=False):
        if (seen, other) in TWINS and 1.0 - sure < TWIN_DOUBT:
            return f"read {seen} at confidence {sure:.2f}, entry {other}: plates print the two alike"
    return ""


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
    if (
        wanted
        and seen
        and seen != wanted
        and not _is_pickup(entry, seen)
        and read.vehicle.type_confidence >= SURE
    ):
        return f"other vehicle: seen {_type(seen)}, entry {_type(wanted)}"
    return ""


def _is_pickup(entry: hit_pb2.HotlistEntry, seen: recognition_pb2.VehicleType.ValueType) -> bool:
    """Say whether a pick-up is looked for and what was seen may be one: readers call it a car, people a truck."""
    both = (recognition_pb2.VEHICLE_TYPE_CAR, recognition_pb2.VEHICLE_TYPE_TRUCK)
    return entry.vehicle_style in PICKUPS and entry.vehicle_type in both and seen in both


def _country(state: str) -> str:
    return state.partition("-")[0]


def span(seconds: int) -> str:
    """Return a length of time in words. Example: ``30 d``."""
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {word}"
    return f"{seconds} s"


def _type(kind: recognition_pb2.VehicleType.ValueType) -> str:
    return recognition_pb2.VehicleType.Name(kind).removeprefix("VEHICLE_TYPE_").lower()


def _character(step: Step) -> hit_pb2.CharacterExplanation:
    return hit_pb2.CharacterExplanation(
        read=step.read, entry=step.entry, match=_MATCH[step.verdict], confidence=step.confidence or 0.0
    )
