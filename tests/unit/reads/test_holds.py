"""Holds: what they keep survives destruction and is found by those who work the case."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest

from plateward.common.v1 import errors_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.reads.confidential import Confidential, digest
from services.reads.purge import Purger
from tests.unit.reads.builders import AGENCY, JPEG, NOW, accepted, decision, new_read, query

LATER = NOW + timedelta(days=60)
OFFICER = types_pb2.Subject(agency_id=AGENCY, member_id="m-1042")


def order(
    *read_ids: str, plate: str = "", case: str = "26-004312", party=reads_pb2.HOLD_PARTY_PROSECUTION
) -> reads_pb2.PlaceHoldRequest:
    request = reads_pb2.PlaceHoldRequest(read_ids=read_ids, plate=plate)
    request.hold.authority = "Sacramento County Superior Court, order 26CR1187"
    request.hold.case_number, request.hold.party = case, party
    request.hold.review_at.FromDatetime(NOW + timedelta(days=180))
    if plate:
        request.window.start.FromDatetime(NOW - timedelta(days=30))
        request.window.end.FromDatetime(NOW + timedelta(minutes=1))
    return request


@pytest.fixture
async def stored(ingest):
    async def put(*news: reads_pb2.NewRead, agency: str = AGENCY) -> list[str]:
        await ingest.store(agency, [accepted(new, NOW, agency=agency) for new in news])
        return [new.read.read_id for new in news]

    return put


async def find(search, case: str = "", subject=OFFICER, allowed=None, plate: str = "8ABC123") -> list[str]:
    request = query(NOW - timedelta(days=90), LATER, plate)
    request.purpose.case_number = case
    found = await search.find(request, allowed or decision(AGENCY), subject)
    return [ranked.read.read_id for ranked in found.reads]


@pytest.mark.req("R-RET-2")
async def test_a_held_read_survives_destruction_and_is_found_under_its_case(
    stored, holds, purger, retention, search, clock, call, crops, tmp_path: Path
) -> None:
    held, gone = await stored(new_read(at=NOW, jpeg=JPEG), new_read(at=NOW, jpeg=JPEG))
    hold = await holds.place(order(held), call)
    assert hold.reads == 1
    assert sorted(await find(search, "26-004312")) == sorted([held, gone])
    clock.time = LATER
    assert await find(search, "26-004312") == [held]
    reads, pictures = await purger.run(await retention.schedules(AGENCY))
    assert (reads.destroyed, reads.held, pictures.destroyed, pictures.held) == (1, 1, 1, 1)
    assert await find(search, "26-004312") == [held]
    assert await find(search) == await find(search, "26-009999") == []
    # Neither a partner nor another agency's member is entitled, whatever case they name.
    assert await find(search, "26-004312", types_pb2.Subject(agency_id="galt-pd", member_id="m-1")) == []
    row = await search.one(held, decision(AGENCY), OFFICER, [], "26-004312")
    assert await crops.get(row["plate_crop"]) == JPEG
    assert len([file for file in (tmp_path / "crops").rglob("*") if file.is_file()]) == 1


@pytest.mark.req("R-RET-2")
async def test_a_held_picture_is_found_where_pictures_expire_before_reads(
    stored, holds, purger, retention, search, clock, call, crops, access
) -> None:
    held, other = await stored(new_read(at=NOW, jpeg=JPEG), new_read(at=NOW, jpeg=JPEG))
    await holds.place(order(held), call)
    access.publish(AGENCY, read=timedelta(days=30), crop=timedelta(days=1))
    clock.time = NOW + timedelta(days=3)
    await purger.run(await retention.schedules(AGENCY))
    request = query(NOW - timedelta(days=1), LATER, "8ABC123")
    request.purpose.case_number = "26-004312"
    found = {r.read.read_id: r.read for r in (await search.find(request, decision(AGENCY), OFFICER)).reads}
    assert {read_id: len(read.crops) for read_id, read in found.items()} == {held: 1, other: 0}
    row = await search.one(held, decision(AGENCY), OFFICER, [], "26-004312")
    assert await crops.get(row["plate_crop"]) == JPEG
    # Under no case, or another's, it is what every read of its age is.
    for case in ("", "26-009999"):
        row = await search.one(held, decision(AGENCY), OFFICER, [], case)
        assert row["plate_crop"] == ""


@pytest.mark.req("R-RET-2")
@pytest.mark.req("R-RET-1")
async def test_a_held_read_whose_plate_comes_onto_the_confidential_list_is_found_under_its_case_alone(
    stored, holds, clock, crops, records, key, retention, search, call, pool, monkeypatch
) -> None:
    monkeypatch.setattr("services.reads.confidential._SETTLED", timedelta(0))
    confidential = Confidential(pool, bytes(32))
    held, _ = await stored(new_read(at=NOW, jpeg=JPEG), new_read(at=NOW))
    await holds.place(order(held), call)
    await confidential.replace(AGENCY, [digest(bytes(32), "8ABC123")])
    await Purger(pool, clock, crops, records, key, confidential).run(await retention.schedules(AGENCY))
    assert await find(search, "26-004312") == [held]
    assert await find(search) == await find(search, "26-009999") == []
    row = await search.one(held, decision(AGENCY), OFFICER, [], "26-004312")
    assert await crops.get(row["plate_crop"]) == JPEG


@pytest.mark.req("R-RET-2")
async def test_what_is_released_goes_with_the_next_destruction_and_is_certified(
    stored, holds, purger, retention, search, clock, call, tmp_path: Path
) -> None:
    [read] = await stored(new_read(at=NOW, jpeg=JPEG))
    hold = await holds.place(order(read), call)
    defence = await holds.place(order(read, case="26-CR-88", party=reads_pb2.HOLD_PARTY_DEFENCE), call)
    clock.time = LATER
    await purger.run(await retention.schedules(AGENCY))
    await holds.release(hold.hold_id, "case adjudicated", call)
    assert await find(search, "26-004312") == []
    assert await find(search, "26-CR-88") == [read]
    assert await purger.run(await retention.schedules(AGENCY)) == []
    await holds.release(defence.hold_id, "appeal period over", call)
    reads, pictures = await purger.run(await retention.schedules(AGENCY))
    assert (reads.destroyed, reads.held, pictures.destroyed) == (1, 0, 1)
    assert await find(search, "26-CR-88") == []
    assert not [file for file in (tmp_path / "crops").rglob("*") if file.is_file()]
    with pytest.raises(PlatewardError, match="no hold in force"):
        await holds.release(hold.hold_id, "again", call)


async def test_a_hold_that_is_released_before_expiry_counts_the_read_once(
    stored, holds, purger, retention, clock, call
) -> None:
    [read] = await stored(new_read(at=NOW))
    hold = await holds.place(order(read), call)
    await holds.release(hold.hold_id, "placed in error", call)
    clock.time = LATER
    [certificate] = await purger.run(await retention.schedules(AGENCY))
    assert (certificate.destroyed, certificate.held) == (1, 0)
    assert await purger.run(await retention.schedules(AGENCY)) == []


@pytest.mark.req("R-RET-2")
async def test_a_hold_is_all_or_nothing_and_never_of_what_has_expired(
    stored, holds, search, clock, call
) -> None:
    [mine] = await stored(new_read(at=NOW))
    [theirs] = await stored(new_read(at=NOW), agency="galt-pd")
    for request in (order(mine, theirs), order(plate="9ZZZ999")):
        with pytest.raises(PlatewardError) as refused:
            await holds.place(request, call)
        assert refused.value.reason == errors_pb2.ERROR_REASON_NOT_FOUND
    for request in (order(), order(mine, plate="8ABC123"), order(plate="8ABC12?")):
        with pytest.raises(PlatewardError) as refused:
            await holds.place(request, call)
        assert refused.value.reason == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
    clock.time = LATER
    with pytest.raises(PlatewardError, match="expired"):
        await holds.place(order(mine), call)
    assert await holds.listed(AGENCY, with_released=True) == []


async def test_a_hold_by_plate_takes_what_may_be_that_plate_too(stored, holds, call) -> None:
    await stored(
        new_read(at=NOW),
        new_read("8ABC173", at=NOW, candidates={"8ABC123": 0.2}),
        new_read("9XYZ111", at=NOW),
    )
    assert (await holds.place(order(plate="8abc-123"), call)).reads == 2


async def test_what_one_hold_keeps_another_may_hold_after_expiry(
    stored, holds, purger, retention, clock, call, search
) -> None:
    [read] = await stored(new_read(at=NOW, jpeg=JPEG))
    first = await holds.place(order(read), call)
    clock.time = LATER
    await purger.run(await retention.schedules(AGENCY))
    second = await holds.place(order(read, case="26-CR-88", party=reads_pb2.HOLD_PARTY_DEFENCE), call)
    await holds.release(first.hold_id, "case adjudicated", call)
    await purger.run(await retention.schedules(AGENCY))
    assert await find(search, "26-CR-88") == [read]
    assert [h.hold_id for h in await holds.listed(AGENCY, with_released=False)] == [second.hold_id]


@pytest.mark.req("R-RET-2")
async def test_holds_and_destruction_at_the_same_moment_lose_nothing(
    stored, holds, purger, retention, clock, call, search, pool, access
) -> None:
    ids = await stored(*(new_read(at=NOW - timedelta(days=n % 3)) for n in range(24)))
    clock.time = NOW + timedelta(hours=1)

    async def hold(read_id: str) -> str | None:
        try:
            await holds.place(order(read_id), call)
        except PlatewardError as refused:
            return None if refused.reason == errors_pb2.ERROR_REASON_NOT_FOUND else "failed"
        return read_id

    async def destroy() -> int:
        await asyncio.sleep(0.03)
        access.publish(AGENCY, read=timedelta(hours=2))
        total = 0
        for _ in range(3):
            total += sum(c.destroyed for c in await purger.run(await retention.schedules(AGENCY)))
        return total

    destroyed, *ends = await asyncio.gather(destroy(), *(hold(read_id) for read_id in ids))
    held = {read_id for read_id in ends if read_id}
    found = set(await find(search, "26-004312"))
    assert held <= found
    async with pool.connection() as connection:
        left = (await (await connection.execute("SELECT count(*) AS n FROM reads")).fetchone())["n"]
        only_held = (await (await connection.execute("SELECT count(*) AS n FROM held_reads WHERE read_id NOT IN (SELECT read_id FROM reads)")).fetchone())["n"]  # fmt: skip
    assert destroyed + left + only_held == len(ids)


@pytest.mark.req("R-RET-3")
async def test_the_chain_of_custody_is_bound_line_by_line(stored, holds, call) -> None:
    [read] = await stored(new_read(at=NOW))
    hold = await holds.place(order(read), call)
    kept = await holds.kept(AGENCY, hold.hold_id, call, "evidence exported")
    assert [row["read_id"] for row in kept.rows] != []
    entries = [json.loads(bytes(line["entry"])) for line in kept.chain]
    assert [entry["what"] for entry in entries] == ["hold placed", "evidence exported"]
    assert entries[0]["name"] == "Sgt. Lee Park"
    assert entries[1]["previous"] == hashlib.sha256(bytes(kept.chain[0]["entry"])).hexdigest()


async def test_a_picture_copied_for_a_hold_that_was_never_committed_goes(
    stored, holds, purger, retention, clock, call, monkeypatch, tmp_path: Path
) -> None:
    [read] = await stored(new_read(at=NOW, jpeg=JPEG))

    async def cut(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(holds), "_write", cut)
        with pytest.raises(KeyboardInterrupt):
            await holds.place(order(read), call)
    folder = tmp_path / "crops" / "held"
    assert [file for file in folder.rglob("*") if file.is_file()]
    clock.time = NOW + timedelta(hours=2)
    await purger.run(await retention.schedules(AGENCY))
    assert not [file for file in folder.rglob("*") if file.is_file()]
