"""Streams under clients that die and clients that do not read."""

from __future__ import annotations

import asyncio
import random
import tracemalloc

import pytest

from plateward.reads.v1 import reads_pb2
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
