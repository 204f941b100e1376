"""People who were stopped wrongly, through the calls of the service on a real PostgreSQL: each case ends with the stop refused.

The cases are public record; survey of the mission, section 8. ``test_wrong_stops.py`` has their rules.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from plateward.common.v1 import action_pb2, errors_pb2, recognition_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from plateward.reads.v1 import read_pb2, reads_pb2
from servicekit import context
from servicekit.errors import PlatewardError
from servicekit.identity import Caller
from services.hotlist.lists import Lists
from services.hotlist.rpc import HotlistServicer
from tests.unit.hotlist.builders import AGENCY, NOW, OFFICER, SUPERVISOR, decision, entry, keep_picture, read

pytestmark = [pytest.mark.req("R-HOT-2"), pytest.mark.req("R-HOT-3")]
SAME, DIFFERENT = hit_pb2.COMPARISON_SAME, hit_pb2.COMPARISON_DIFFERENT
CONFIRMED = hit_pb2.RECORDS_RESULT_CONFIRMED
OTHER = hit_pb2.RECORDS_RESULT_OTHER_VEHICLE
TRUCK, MOTORCYCLE = recognition_pb2.VEHICLE_TYPE_TRUCK, recognition_pb2.VEHICLE_TYPE_MOTORCYCLE
SURE = [0.99] * 7


class Patrol:
    """A member of the agency at the calls of the service, and the camera that they answer for."""

    def __init__(self, pool: Any, clock: Any, entries: Any, hits: Any, matcher: Any) -> None:
        self.pool, self.matcher = pool, matcher
        parts: Any = SimpleNamespace(entries=entries, hits=hits, confirmations=SimpleNamespace(by_switch=False),
            new_id=lambda: str(uuid4()), of_lists=SimpleNamespace(lists=Lists(pool, clock)))  # fmt: skip
        self.service = HotlistServicer(parts, None)  # type: ignore[arg-type]

    def sign_in(self, member: types_pb2.Subject = OFFICER) -> None:
        caller = Caller(AGENCY, action_pb2.CALLER_KIND_PORTAL, "portal")
        context.enter(context.CallContext("r", "m", caller, member, NOW, decision=decision()))

    async def enter(self, wanted: hit_pb2.HotlistEntry) -> str:
        purpose = types_pb2.Purpose(offence="vehicle-theft", reason="reported stolen")
        self.sign_in()
        made = await self.service.CreateEntry(
            hotlist_pb2.CreateEntryRequest(entry=wanted, purpose=purpose), None
        )
        self.sign_in(SUPERVISOR)
        await self.service.ApproveEntry(hotlist_pb2.ApproveEntryRequest(entry_id=made.entry.entry_id), None)
        return str(made.entry.entry_id)

    async def pass_by(self, seen: read_pb2.Read) -> list[hit_pb2.Hit]:
        """Read a vehicle; return its hits with a picture each, exact ones first."""
        cursor = await self.matcher.cursor()
        following = f"1:{int(cursor.split(':')[1]) + 1 if cursor else 1}"
        await self.matcher.take(cursor, reads_pb2.FollowReadsResponse(reads=[seen], cursor=following))
        self.sign_in()
        found = await self.service.ListHits(hotlist_pb2.ListHitsRequest(), None)
        own = [hit for hit in found.hits if hit.read.read_id == seen.read_id]
        for hit in own:
            await keep_picture(self.pool, hit.hit_id)
        return sorted(own, key=lambda hit: hit.match_kind)

    async def verify(self, hit: hit_pb2.Hit, records: int = CONFIRMED, **seen: int) -> hit_pb2.Hit:
        """Claim, compare and check, as far as it goes."""
        self.sign_in()
        await self.service.ClaimHit(hotlist_pb2.ClaimHitRequest(hit_id=hit.hit_id), None)
        looked = {"plate": SAME, "state": SAME, "vehicle": SAME} | seen
        compared = await self.service.CompareHit(
            hotlist_pb2.CompareHitRequest(hit_id=hit.hit_id, **looked), None
        )
        if compared.hit.state == hit_pb2.HIT_STATE_REJECTED:
            return compared.hit
        check = hotlist_pb2.CheckRecordsRequest(
            hit_id=hit.hit_id, result=records, reference="desk 4, CLETS 261123"
        )
        return (await self.service.CheckRecords(check, None)).hit

    async def may_not_stop(self, hit: hit_pb2.Hit) -> int:
        """Try to record a stop; return the reason of the refusal."""
        self.sign_in()
        stop = hotlist_pb2.RecordActionRequest(hit_id=hit.hit_id, action=hit_pb2.HIT_ACTION_STOP)
        with pytest.raises(PlatewardError) as refused:
            await self.service.RecordAction(stop, None)
        return int(refused.value.reason)


@pytest.fixture
def patrol(pool, clock, entries, hits, matcher) -> Patrol:
    return Patrol(pool, clock, entries, hits, matcher)


async def test_green_nobody_looked_then_the_vehicle_is_another_and_even_a_careless_check_stops_nobody(
    patrol,
) -> None:
    await patrol.enter(entry("5SOW750", vehicle_type=TRUCK, colour="grey"))
    [hit] = await patrol.pass_by(read("5SOW750"))
    assert (hit.max_action, list(hit.demotions)) == (
        hit_pb2.MAX_ACTION_LEAD, ["other vehicle: seen car, entry truck"],
    )  # fmt: skip
    assert await patrol.may_not_stop(hit) == errors_pb2.ERROR_REASON_HIT_UNVERIFIED
    looked = await patrol.verify(hit, plate=DIFFERENT, vehicle=DIFFERENT)
    assert looked.rejection == hit_pb2.REJECTION_MISREAD
    assert await patrol.may_not_stop(hit) == errors_pb2.ERROR_REASON_HIT_STATE
    # Each officer thought that the other had looked: whoever says "the same" to all is held to a lead.
    [again] = await patrol.pass_by(read("5SOW750"))
    assert (await patrol.verify(again)).state == hit_pb2.HIT_STATE_CONFIRMED
    assert await patrol.may_not_stop(again) == errors_pb2.ERROR_REASON_HIT_STATE


async def test_gilliam_the_same_digits_of_another_state_on_a_motorcycle_stop_nobody(patrol) -> None:
    await patrol.enter(entry("ABC123", state="US-MT", vehicle_type=MOTORCYCLE))
    [hit] = await patrol.pass_by(read("ABC123", state="US-CO"))
    assert hit.max_action == hit_pb2.MAX_ACTION_LEAD
    assert await patrol.may_not_stop(hit) == errors_pb2.ERROR_REASON_HIT_UNVERIFIED
    assert (await patrol.verify(hit, state=DIFFERENT)).rejection == hit_pb2.REJECTION_WRONG_STATE
    assert await patrol.may_not_stop(hit) == errors_pb2.ERROR_REASON_HIT_STATE
    [again] = await patrol.pass_by(read("ABC123", state="US-CO"))
    assert (await patrol.verify(again)).state == hit_pb2.HIT_STATE_CONFIRMED
    assert await patrol.may_not_stop(again) == errors_pb2.ERROR_REASON_HIT_STATE


@pytest.mark.parametrize(("true", "misread"), [("JLL7362", "JLL7367"), ("ABC122", "ABC127")])
async def test_upchurch_and_espanola_a_2_read_as_7_is_terminal_whoever_finds_the_mismatch(
    patrol, true, misread
) -> None:
    await patrol.enter(entry(misread))
    [hit] = await patrol.pass_by(read(misread, confidences=SURE[: len(misread)]))
    assert hit.match_kind == "exact"
    assert await patrol.may_not_stop(hit) == errors_pb2.ERROR_REASON_HIT_UNVERIFIED
    assert (await patrol.verify(hit, plate=DIFFERENT)).rejection == hit_pb2.REJECTION_MISREAD
    assert await patrol.may_not_stop(hit) == errors_pb2.ERROR_REASON_HIT_STATE
    # The dispatcher said that the number differed.
    [told] = await patrol.pass_by(read(misread, confidences=SURE[: len(misread)]))
    assert (await patrol.verify(told, OTHER)).rejection == hit_pb2.REJECTION_WRONG_VEHICLE
    assert await patrol.may_not_stop(told) == errors_pb2.ERROR_REASON_HIT_STATE
    # The plate as it is, read without doubt, raises nothing at all.
    assert await patrol.pass_by(read(true, confidences=SURE[: len(true)])) == []


async def test_upchurch_the_entry_ends_in_2_and_the_doubted_read_in_7(patrol) -> None:
    await patrol.enter(entry("JLL7362"))
    [hit] = await patrol.pass_by(read("JLL7367", confidences=[0.99] * 6 + [0.6]))
    assert hit.match_kind == "lookalike"
    last = hit.explanation[-1]
    assert (last.read, last.entry, last.match) == ("7", "2", hit_pb2.CHARACTER_MATCH_LOOKALIKE)
    assert (await patrol.verify(hit, plate=DIFFERENT)).rejection == hit_pb2.REJECTION_MISREAD
    assert await patrol.may_not_stop(hit) == errors_pb2.ERROR_REASON_HIT_STATE


async def test_colorado_both_o_and_0_are_entered_and_once_cleared_neither_stops_the_vehicle(patrol) -> None:
    oh, zero = [await patrol.enter(entry(plate, state="US-CO")) for plate in ("BOX101", "B0X101")]
    seen = read("B0X101", state="US-CO", confidences=[0.99] * 6)
    exact, twin = await patrol.pass_by(seen)
    assert (exact.entry.entry_id, exact.match_kind, twin.entry.entry_id, twin.match_kind) == (
        zero, "exact", oh, "lookalike",
    )  # fmt: skip
    # The read is right and the vehicle is not the one: the twin is a lead, and the vehicle ends the other.
    assert twin.max_action == hit_pb2.MAX_ACTION_LEAD
    assert (await patrol.verify(exact, vehicle=DIFFERENT)).rejection == hit_pb2.REJECTION_WRONG_VEHICLE
    for hit in (exact, twin):
        assert await patrol.may_not_stop(hit) in (
            errors_pb2.ERROR_REASON_HIT_STATE, errors_pb2.ERROR_REASON_HIT_UNVERIFIED,
        )  # fmt: skip
    patrol.sign_in(SUPERVISOR)
    for entry_id in (oh, zero):
        clear = hotlist_pb2.ClearVehicleRequest(
            entry_id=entry_id, plate="B0X101", state="US-CO", reason="stopped in error, owner confirmed"
        )
        await patrol.service.ClearVehicle(clear, None)
    own, mistaken = await patrol.pass_by(read("B0X101", state="US-CO", confidences=[0.99] * 6))
    assert (mistaken.state, mistaken.rejection) == (
        hit_pb2.HIT_STATE_REJECTED, hit_pb2.REJECTION_CLEARED,
    )  # fmt: skip
    # Its own plate may be on the thief's vehicle: a lead that says so, whatever a person finds.
    assert (own.max_action, list(own.demotions)) == (
        hit_pb2.MAX_ACTION_LEAD, ["a vehicle with this plate was cleared: not the one looked for"],
    )  # fmt: skip
    assert (await patrol.verify(own)).state == hit_pb2.HIT_STATE_CONFIRMED
    for hit in (own, mistaken):
        assert await patrol.may_not_stop(hit) == errors_pb2.ERROR_REASON_HIT_STATE
    # What was open when the vehicle was cleared ends as cleared too.
    assert (await patrol.verify(twin)).rejection == hit_pb2.REJECTION_CLEARED
