"""What an import leaves as it was: hits in work, entries that a member took out, calls that come beside it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from plateward.common.v1 import errors_pb2, recognition_pb2
from plateward.hotlist.v1 import hit_pb2
from servicekit.errors import PlatewardError
from services.hotlist import states
from services.hotlist.entries import DESCRIBED
from services.hotlist.hits import Writes
from tests.unit.hotlist.builders import (
    AGENCY,
    NOW,
    OFFICER,
    SUPERVISOR,
    decision,
    entry,
    keep_picture,
    ncic,
    read,
)

OWN = "plate,state,category,reason,id,expires"
SAME = hit_pb2.COMPARISON_SAME


@pytest.fixture
def step(hits):
    async def take(hit: hit_pb2.Hit, move, by=OFFICER) -> hit_pb2.Hit:
        return (await hits.step(hit.hit_id, decision(), by, move, Writes(note="step"))).after

    return take


def claim(hit):
    return states.claim(hit, "m-1042")


def compare(hit):
    return states.compare(hit, "m-1042", plate=SAME, state=SAME, vehicle=SAME)


def confirm(hit):
    return states.check_records(hit, "m-1042", hit_pb2.RECORDS_RESULT_CONFIRMED, "", reference="reply 4711")


def stop(hit):
    return states.act(hit, hit_pb2.HIT_ACTION_STOP)


async def _in_force(entries, list_id: str = "ncic") -> dict[str, hit_pb2.HotlistEntry]:
    return {e.plate: e for e in (await entries.page([AGENCY], list_id, "", 500))[0]}


@pytest.mark.req("R-HOT-3")
async def test_importing_the_same_file_again_changes_nothing_and_moves_the_end(take, entries, clock) -> None:
    far = (NOW + timedelta(days=90)).isoformat()
    near = (NOW + timedelta(days=5)).isoformat()
    rows = [f"8ABC12{n},CA,watch,seen twice,{n},{ends}" for n, ends in enumerate(("", far, near))]
    own = {"header": OWN, "mapping": "agency", "list_id": "beat-4"}
    await take(*rows, hours=3, **own)
    before = await _in_force(entries, "beat-4")
    clock.time = NOW + timedelta(days=1)
    answer = await take(*rows, hours=2, **own)
    assert (answer.added, answer.removed, answer.changed) == (0, 0, 0)
    after = await _in_force(entries, "beat-4")
    assert {p: e.entry_id for p, e in before.items()} == {p: e.entry_id for p, e in after.items()}
    ends = {p: e.expires_at.ToDatetime() - NOW.replace(tzinfo=None) for p, e in after.items()}
    assert ends == {
        "8ABC120": timedelta(days=31), "8ABC121": timedelta(days=31), "8ABC122": timedelta(days=5),
    }  # fmt: skip
    # Another end is a word of the source.
    answer = await take(*rows[:2], f"{rows[2][: -len(near)]}{far}", hours=1, **own)
    assert (answer.added, answer.removed, answer.changed) == (0, 0, 1)


@pytest.mark.req("R-HOT-2")
async def test_a_colour_that_the_source_corrects_lets_no_hit_go(take, raised, step, pool) -> None:
    await take(ncic("8ABC123"), hours=3)
    [worked] = await raised(read())
    await keep_picture(pool, worked.hit_id)
    await step(worked, claim)
    await take(ncic("8ABC123", colour="RED"), hours=2)
    assert (await step(worked, compare)).state == hit_pb2.HIT_STATE_COMPARED
    assert (await step(worked, confirm)).state == hit_pb2.HIT_STATE_CONFIRMED
    await take(ncic("8ABC123", colour="BLU"), hours=1)
    assert (await step(worked, stop, SUPERVISOR)).state == hit_pb2.HIT_STATE_ACTED


@pytest.mark.req("R-HOT-2")
@pytest.mark.parametrize(
    "row", [ncic("8ABC124", nic="V1"), ncic("8ABC123", state="NV", nic="V1"), ncic("8ABC123", "ES", nic="V1")]
)
async def test_another_plate_state_or_a_lesser_reason_in_its_place_is_no_ground_for_the_hit(
    take, raised, step, row
) -> None:
    await take(ncic("8ABC123", nic="V1"), hours=3)
    [worked] = await raised(read())
    await step(worked, claim)
    await take(row, hours=2)
    assert (await step(worked, compare)).rejection == hit_pb2.REJECTION_STALE


@pytest.mark.req("R-HOT-3")
async def test_hofer_recovered_upstream_while_a_hit_is_in_work(take, raised, step, pool) -> None:
    """The car was found again; whoever holds a hit of it finds out at the next step, and nothing is raised any more."""
    await take(ncic("8ABC123"), ncic("8ABC999"), hours=3)
    [worked] = await raised(read())
    [done] = await raised(read())
    await keep_picture(pool, done.hit_id)
    await step(worked, claim)
    for move in (claim, compare, confirm):
        await step(done, move)
    answer = await take(ncic("8ABC999"), hours=1)
    assert answer.removed == 1
    assert (await step(worked, compare)).rejection == hit_pb2.REJECTION_STALE
    with pytest.raises(PlatewardError, match="removed or has expired"):
        await step(done, stop, SUPERVISOR)
    assert await raised(read()) == []


@pytest.mark.req("R-HOT-3")
async def test_hofer_removed_by_hand_stays_out_until_the_source_says_something_else(
    take, raised, entries, lists
) -> None:
    """The source still carries the car that was given back: the next import does not undo what a member did."""
    await take(ncic("8ABC123"), ncic("8ABC999"), hours=5)
    made = (await _in_force(entries))["8ABC123"]
    await entries.remove(made.entry_id, [AGENCY], "m-1077", "recovered, owner has it back")
    for hours in (4, 3):
        answer = await take(ncic("8ABC123"), ncic("8ABC999"), hours=hours)
        assert (dict(answer.dropped), answer.added, answer.changed) == ({"removed by hand": 1}, 0, 0)
        assert await raised(read()) == []
    diff = await lists.diff(AGENCY, "ncic", NOW - timedelta(hours=5), NOW - timedelta(hours=4))
    assert [e.plate for e in diff.removed] == ["8ABC123"]
    # Stolen again: the source says so.
    answer = await take(ncic("8ABC123").replace("26-1", "26-77"), ncic("8ABC999"), hours=2)
    assert (dict(answer.dropped), answer.added) == ({}, 1)
    assert len(await raised(read())) == 1
    # And what it said first is news again.
    answer = await take(ncic("8ABC123"), ncic("8ABC999"), hours=1)
    assert (dict(answer.dropped), answer.added, answer.changed) == ({}, 0, 1)


@pytest.mark.req("R-HOT-3")
async def test_what_was_removed_before_digests_were_made_anew_stays_out(take, entries, pool) -> None:
    """Migration 0006 knows of such a row only that it was removed by hand."""
    await take(ncic("8ABC123"), ncic("8ABC999"), hours=4)
    made = (await _in_force(entries))["8ABC123"]
    await entries.remove(made.entry_id, [AGENCY], "m-1077", "recovered")
    async with pool.connection() as connection:
        await connection.execute("UPDATE entries SET digest = '' WHERE removed_by_hand")
    for hours in (3, 2):
        answer = await take(ncic("8ABC123"), ncic("8ABC999"), hours=hours)
        assert (dict(answer.dropped), answer.added) == ({"removed by hand": 1}, 0)
    answer = await take(ncic("8ABC123", colour="RED"), ncic("8ABC999"), hours=1)
    assert (dict(answer.dropped), answer.added) == ({}, 1)


@pytest.mark.req("R-HOT-3")
async def test_a_row_that_the_source_dropped_and_took_up_again_is_the_sources(take, entries) -> None:
    await take(ncic("8ABC123"), ncic("8ABC999"), hours=4)
    made = (await _in_force(entries))["8ABC123"]
    await entries.remove(made.entry_id, [AGENCY], "m-1077", "recovered")
    await take(ncic("8ABC999"), hours=3)
    answer = await take(ncic("8ABC123"), ncic("8ABC999"), hours=2)
    assert (dict(answer.dropped), answer.added) == ({}, 1)


@pytest.mark.req("R-HOT-1")
@pytest.mark.req("R-HOT-3")
async def test_a_removal_and_an_approval_wait_for_no_swap(take, pool, entries, clock, raised) -> None:
    waiting = entry("7ABC777")
    await entries.create(waiting, entry_id=waiting.entry_id, agency_id=AGENCY, member_id="m-1042")
    await take(ncic("8ABC123"), ncic("8ABC124"), hours=3)
    made = (await _in_force(entries))["8ABC123"]
    async with pool.connection() as holder:
        # Keeps the swap from ending, after its entries have been written.
        await holder.execute("LOCK TABLE lists IN SHARE MODE")
        rows = [ncic(f"9ABC{n}") for n in range(100, 400)]
        swap = asyncio.create_task(take(ncic("8ABC123"), ncic("8ABC124"), *rows, hours=1, cut=1 << 16))
        await _until_open(pool)
        async with asyncio.timeout(2):
            await entries.remove(made.entry_id, [AGENCY], "m-1077", "recovered")
            await entries.approve(waiting.entry_id, [AGENCY], "m-1077")
        assert [h.entry.plate for h in await raised(read(), read("7ABC777"))] == ["7ABC777"]
        assert not swap.done()
    answer = await swap
    assert answer.added == 300
    assert [h for h in await raised(read()) if h.match_kind == "exact"] == []
    assert {h.entry.plate for h in await raised(read("9ABC399")) if h.match_kind == "exact"} == {"9ABC399"}


async def _until_open(pool) -> None:
    """Wait until the swap hangs at its last act."""
    async with asyncio.timeout(20), pool.connection() as connection:
        while True:
            found = await connection.execute(
                "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%INTO lists %%'"
            )
            row = await found.fetchone()
            await connection.commit()
            if row["n"]:
                return
            await asyncio.sleep(0.02)


@pytest.mark.req("R-HOT-1")
@pytest.mark.req("R-HOT-2")
async def test_every_field_of_an_extract_arrives_where_a_person_or_the_switch_asks_for_it(
    take, raised
) -> None:
    """H-04: what was written is what the hit shows."""
    said = "8ABC123,CA,PC,2027,1HGCM82633A004352,2019,HOND,CIV,4D,SIL,20261101,CA0341000,26-1,V123,EV,two doors dented,EG-4471"
    await take(said)
    [hit] = await raised(read())
    got = {name: getattr(hit.entry, name) for name in DESCRIBED}
    assert got == {
        "vin": "1HGCM82633A004352", "make": "HOND", "model": "CIV", "model_year": "2019", "plate_year": "2027", "plate_type": "PC",
        "vehicle_style": "4D", "ori": "CA0341000", "nic": "V123", "oan": "EG-4471",
    }  # fmt: skip
    assert (hit.entry.plate, hit.entry.state, hit.entry.colour, hit.entry.case_number, hit.entry.category) == (
        "8ABC123", "US-CA", "silver", "26-1", "stolen-vehicle",
    )  # fmt: skip
    assert hit.entry.vehicle_type == recognition_pb2.VEHICLE_TYPE_CAR
    assert hit.entry.reason == "stolen vehicle since 20261101: two doors dented"


@pytest.mark.req("R-HOT-1")
async def test_a_pickup_is_looked_for_as_a_car_and_as_a_truck(take, raised) -> None:
    await take(ncic("8ABC123", kind="PK"))
    kinds = recognition_pb2.VehicleType
    for seen, doubts in (("CAR", 0), ("TRUCK", 0), ("BUS", 1), ("MOTORCYCLE", 1)):
        one = read()
        one.vehicle.type = kinds.Value(f"VEHICLE_TYPE_{seen}")
        [hit] = await raised(one)
        assert len(hit.demotions) == doubts, seen


async def test_two_calls_of_one_import_swap_it_in_once(take) -> None:
    answers = await asyncio.gather(
        *(take(ncic("8ABC123"), cut=1 << 16) for _ in range(2)), return_exceptions=True
    )
    assert sum(getattr(answer, "added", 0) for answer in answers) == 1
    for answer in answers:
        if isinstance(answer, Exception):
            assert isinstance(answer, PlatewardError)
            assert answer.reason == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
