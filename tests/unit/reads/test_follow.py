"""Following in commit order: never a gap, at least once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError
from services.reads.crops import crop_key
from services.reads.cursors import START, Cursor, parse_cursor
from services.reads.follow import Follow
from tests.unit.reads.builders import AGENCY, JPEG, NOW, accepted, new_read

_INSERT = (
    "INSERT INTO reads (agency_id, read_id, seen_at, camera_id, latitude, longitude, plate, plate_key, candidates, state, "
    "vehicle_type, colour, plate_reading, vehicle_reading, plate_crop, vehicle_crop, model_version, frames) "
    "SELECT agency_id, gen_random_uuid(), seen_at, camera_id, latitude, longitude, %s, plate_key, candidates, state, "
    "vehicle_type, colour, plate_reading, vehicle_reading, plate_crop, vehicle_crop, %s, frames "
    "FROM reads LIMIT 1"
)


def _names(batch) -> list[str]:
    return [read.model_version for read in batch.reads]


@pytest.mark.req("R-HOT-1")
async def test_a_transaction_that_commits_later_is_never_skipped(pool, ingest, follow) -> None:
    await ingest.store(AGENCY, [accepted(new_read(at=NOW), NOW)])
    start, _ = await follow.after(START)
    async with pool.connection() as early, pool.connection() as late:
        await early.execute(_INSERT, ("EARLY", "early"))
        await late.execute(_INSERT, ("LATE", "late"))
        await late.commit()
        # The later one is visible in the table, but an older transaction may still commit before it in order.
        assert await follow.after(start) is None
        await early.commit()
    cursor, batch = await follow.after(start)
    assert _names(batch) == ["early", "late"]
    assert await follow.after(cursor) is None


async def test_interleaved_writers_lose_nothing_and_double_nothing(pool, ingest, follow) -> None:
    await ingest.store(AGENCY, [accepted(new_read(at=NOW), NOW)])
    cursor, _ = await follow.after(START)
    written, seen, done = set(), [], asyncio.Event()

    async def write(number: int) -> None:
        for turn in range(12):
            async with pool.connection() as connection:
                for part in range(3):
                    await connection.execute(_INSERT, ("X", f"{number}-{turn}-{part}"))
                    await asyncio.sleep(0.001 * ((number + turn + part) % 4))
                if (number + turn) % 5 == 0:
                    await connection.rollback()
                    continue
            written.update(f"{number}-{turn}-{part}" for part in range(3))

    async def read() -> None:
        nonlocal cursor
        while True:
            finished = done.is_set()
            batch = await follow.after(cursor, limit=7)
            if batch is not None:
                cursor = batch[0]
                seen.extend(_names(batch[1]))
            elif finished:
                return
            else:
                await asyncio.sleep(0.002)

    reading = asyncio.create_task(read())
    await asyncio.gather(*(write(number) for number in range(4)))
    done.set()
    await reading
    assert set(seen) == written
    assert len(seen) == len(set(seen))


async def test_a_stream_is_woken_resumes_and_ends_when_draining(pool, ingest, waker, clock) -> None:
    draining = asyncio.Event()
    follow = Follow(pool, waker, clock, draining, 60.0)
    listening = asyncio.create_task(waker.run())
    moment = waker.moment
    await asyncio.wait_for(moment.wait(), 5)
    stream = follow.stream("hotlist", "")
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.05)
    await ingest.store(AGENCY, [accepted(new_read(at=NOW), NOW)])
    # Far below the poll interval: the notification woke it.
    batch = await asyncio.wait_for(first, 5)
    await ingest.store(AGENCY, [accepted(new_read("7XYZ999", at=NOW), NOW)])
    resumed = follow.stream("hotlist", batch.cursor)
    assert (await asyncio.wait_for(anext(resumed), 5)).reads[0].plate.text == "7XYZ999"
    waiting = asyncio.ensure_future(anext(resumed))
    await asyncio.sleep(0.05)
    draining.set()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 5)
    await stream.aclose()
    listening.cancel()
    async with pool.connection() as connection:
        row = await (
            await connection.execute("SELECT cursor FROM followers WHERE follower = 'hotlist'")
        ).fetchone()
    assert Cursor(*map(int, row["cursor"].split(":"))) > Cursor(*map(int, batch.cursor.split(":")))


@pytest.mark.req("R-RET-1")
async def test_expired_reads_are_not_sent(ingest, follow, clock) -> None:
    await ingest.store("nh-pd", [accepted(new_read(at=NOW), NOW, agency="nh-pd")])
    assert await follow.after(START) is not None
    clock.time = NOW + timedelta(minutes=3)
    assert await follow.after(START) is None


async def test_a_cursor_ahead_of_the_database_is_refused(follow) -> None:
    with pytest.raises(PlatewardError) as refused:
        await anext(follow.stream("hotlist", f"{2**63}:1"))
    assert refused.value.reason == errors_pb2.ERROR_REASON_CURSOR_INVALID


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1))
def test_a_cursor_reads_back(txid: int, seq: int) -> None:
    assert parse_cursor(str(Cursor(txid, seq))) == Cursor(txid, seq)


@pytest.mark.parametrize("text", ["1", "1:2:3", "-1:2", f"{2**64}:1", f"1:{2**63}", "1:2 ", "a:b"])
def test_a_malformed_cursor_is_refused(text: str) -> None:
    with pytest.raises(PlatewardError):
        parse_cursor(text)


@pytest.mark.req("R-REC-3")
@pytest.mark.req("R-RET-1")
async def test_a_follower_takes_over_crops_of_live_reads_only(ingest, follow, clock, retention) -> None:
    new = new_read(at=NOW - timedelta(days=1), jpeg=JPEG)
    await ingest.store(AGENCY, [accepted(new, NOW)])
    seen_at = NOW - timedelta(days=1)

    async def key(agency: str = AGENCY, column: str = "plate_crop") -> str:
        return await follow.crop_key(
            agency, new.read.read_id, seen_at, column, await retention.alive([AGENCY])
        )

    assert await key() == crop_key(AGENCY, seen_at, new.read.read_id, "plate")
    assert await key(column="vehicle_crop") == ""
    assert await key(agency="galt-pd") == ""
    clock.time = NOW + timedelta(days=30)
    assert await key() == ""
