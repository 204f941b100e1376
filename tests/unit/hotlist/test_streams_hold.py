"""Streams under clients that die and clients that do not read."""

from __future__ import annotations

import asyncio
import random
import tracemalloc

import pytest

from plateward.common.v1 import errors_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.hotlist.streams import BATCH, Streams
from tests.unit.hotlist.builders import AGENCY, decision, entry, read


@pytest.fixture
async def many(entries, matcher):
    """Raise as many hits as wanted."""
    wanted = entry()
    await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    await entries.approve(wanted.entry_id, [AGENCY], "m-1077")

    async def put(count: int) -> None:
        cursor = await matcher.cursor()
        following = f"1:{int(cursor.split(':')[1]) + 1 if cursor else 1}"
        reads = [read() for _ in range(count)]
        await matcher.take(cursor, reads_pb2.FollowReadsResponse(reads=reads, cursor=following))

    return put


@pytest.mark.req("R-HOT-1")
async def test_a_client_killed_100_times_misses_no_hit(hits, many, waker) -> None:
    rng = random.Random(7)
    streams = Streams(hits, waker, asyncio.Event(), 0.05)
    seen: list[str] = []
    kept = "0"
    raising = asyncio.create_task(_raise_slowly(many))
    for _ in range(100):
        stream = streams.stream(decision(), kept)
        # Dies somewhere between two hits; the cursor of the last one dealt with may not have been kept.
        for _ in range(rng.randint(0, 12)):
            response = await asyncio.wait_for(anext(stream), 10)
            seen.append(response.hit.hit_id)
            if rng.random() < 0.8:
                kept = response.cursor
        await stream.aclose()
    await raising
    last = await hits.last_sequence()
    stream = streams.stream(decision(), kept)
    while int(kept) < last:
        response = await asyncio.wait_for(anext(stream), 10)
        seen.append(response.hit.hit_id)
        kept = response.cursor
    await stream.aclose()
    everything = {hit.hit_id for _, hit in await hits.after(decision(), 0, 100_000)}
    assert len(everything) == 1200
    assert set(seen) == everything
    assert len(seen) > len(everything), "no hit came twice: the test killed nobody in between"


async def _raise_slowly(many) -> None:
    for _ in range(60):
        await many(20)
        await asyncio.sleep(0.005)


@pytest.mark.req("R-HOT-1")
async def test_a_cursor_stays_valid_when_the_newest_hits_are_destroyed(pool, hits, many, waker) -> None:
    streams = Streams(hits, waker, asyncio.Event(), 0.05)
    await many(3)
    async with pool.connection() as connection:
        await connection.execute("DELETE FROM hits WHERE seq = 2")
        await connection.execute("DELETE FROM hits WHERE seq IN (1, 3)")
    assert await hits.last_sequence() == 3
    kept = streams.stream(decision(), "3")
    waiting = asyncio.ensure_future(anext(kept))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await many(1)
    raised = await asyncio.wait_for(waiting, 10)
    assert (raised.cursor, raised.HasField("hit")) == ("4", True)
    await kept.aclose()
    with pytest.raises(PlatewardError) as refused:
        await anext(streams.stream(decision(), "5"))
    assert refused.value.reason == errors_pb2.ERROR_REASON_CURSOR_INVALID


@pytest.mark.req("R-HOT-1")
async def test_a_client_killed_before_its_first_hit_misses_nothing(hits, many, waker) -> None:
    streams = Streams(hits, waker, asyncio.Event(), 0.05)
    await many(2)
    stream = streams.stream(decision(), "")
    first = await asyncio.wait_for(anext(stream), 10)
    assert not first.HasField("hit"), "where the stream starts is no hit"
    await stream.aclose()
    await many(1)
    again = streams.stream(decision(), first.cursor)
    assert (await asyncio.wait_for(anext(again), 10)).cursor == "3"
    await again.aclose()


@pytest.mark.req("R-HOT-1")
async def test_1000_clients_that_stand_still_hold_one_batch_each_at_most(hits, many, waker) -> None:
    streams = Streams(hits, waker, asyncio.Event(), 60.0)
    await many(3 * BATCH)
    tracemalloc.start()
    try:
        still = [streams.stream(decision(), "0") for _ in range(1000)]
        for one in still:
            await anext(one)
        held, _ = tracemalloc.get_traced_memory()
        await many(3 * BATCH)
        await asyncio.sleep(0.2)
        later, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # More hits behind a client that stands still cost nothing.
    assert later - held < 20_000_000, (held, later)
    for one in still:
        await one.aclose()
