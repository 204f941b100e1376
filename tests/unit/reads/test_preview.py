"""What a destruction would come to, told beforehand; and that searches do not wait while a day is being counted."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest

from services.reads import purge_store
from services.reads.confidential import Confidential, digest
from services.reads.purge import Purger
from tests.unit.reads.builders import AGENCY, JPEG, NOW, accepted, new_read
from tests.unit.reads.test_holds import order

KEY = bytes(range(32))
DAY = timedelta(days=1)


async def put(ingest, *news) -> list[str]:
    await ingest.store(AGENCY, [accepted(new, NOW, keep=timedelta(days=400)) for new in news])
    return [new.read.read_id for new in news]


def told(certificates) -> list[tuple[str, int, int, str]]:
    return sorted((c.kind, c.destroyed, c.held, c.schedule) for c in certificates if c.destroyed or c.held)


@pytest.mark.req("R-RET-4")
@pytest.mark.parametrize("keep", [timedelta(days=30), timedelta(hours=3)])
async def test_a_dry_run_says_what_the_run_then_does(
    pool, clock, crops, records, key, ingest, retention, access, holds, call, monkeypatch, keep
) -> None:
    """Reads, crops, what holds let go, and plates on the address-confidentiality list."""
    monkeypatch.setattr("services.reads.confidential._SETTLED", timedelta(0))
    confidential = Confidential(pool, KEY)
    purger = Purger(pool, clock, crops, records, key, confidential)
    ids = await put(ingest, *(new_read(at=NOW - timedelta(hours=n), jpeg=JPEG) for n in range(6)))
    await put(ingest, new_read(at=NOW - timedelta(hours=2)))
    released = await holds.place(order(ids[0], ids[1]), call)
    await holds.place(order(ids[1], ids[2], case="26-CR-88"), call)
    clock.time = NOW + timedelta(days=40)
    await purger.run(await retention.schedules(AGENCY))
    await holds.release(released.hold_id, "over", call)

    now = clock.time
    news = [new_read(at=now - timedelta(hours=n * 5), jpeg=JPEG) for n in range(30)]
    news += [new_read("1NEVER1", at=now - timedelta(hours=n * 20), jpeg=JPEG) for n in range(3)]
    await ingest.store(AGENCY, [accepted(new, now) for new in news])
    await holds.place(order(news[20].read.read_id, case="26-CR-90"), call)
    await confidential.replace(AGENCY, [digest(KEY, "1NEVER1")])
    clock.time = now + timedelta(days=27, hours=7)
    access.publish(AGENCY, read=keep, crop=min(keep, timedelta(days=28)) - timedelta(hours=1))
    schedules = await retention.schedules(AGENCY)

    before = told(await purger.preview(schedules))
    assert before == told(await purger.preview(schedules))
    assert ("read", 3, 0, "address-confidentiality list") in before
    assert before == told(await purger.run(schedules))
    assert await purger.preview(schedules) == []


@pytest.mark.req("R-RET-1")
async def test_searches_do_not_wait_while_a_day_is_weighed(
    pool, ingest, purger, retention, clock, monkeypatch, database_url: str
) -> None:
    await put(ingest, *(new_read(at=NOW - timedelta(minutes=n), jpeg=JPEG) for n in range(20)))
    looked: list[tuple[str, int]] = []
    for name in ("_weigh", "_drop_copies", "_doom", "_add"):
        whole = getattr(purge_store, name)

        async def watched(*arguments, _name=name, _whole=whole, **named):
            result = await _whole(*arguments, **named)
            async with await psycopg.AsyncConnection.connect(database_url) as other:
                await other.execute("SET lock_timeout = '500ms'")
                [count] = await (await other.execute("SELECT count(*) FROM reads")).fetchone()
            looked.append((_name, count))
            return result

        monkeypatch.setattr(purge_store, name, watched)
    clock.time = NOW + timedelta(days=40)
    reads, _ = await purger.run(await retention.schedules(AGENCY))
    assert reads.destroyed == 20
    assert {"_weigh", "_drop_copies", "_doom", "_add"} <= {name for name, _ in looked}
    assert {count for _, count in looked} == {20}


@pytest.mark.req("R-RET-4")
async def test_no_read_slips_into_a_day_between_count_and_drop(
    pool, ingest, purger, retention, clock, monkeypatch
) -> None:
    """A late read that comes in meanwhile waits; it is refused or it is counted, and never gone without a certificate."""
    await put(ingest, *(new_read(at=NOW - timedelta(minutes=n)) for n in range(5)))
    clock.time = NOW + timedelta(days=40)
    whole, late = purge_store._weigh, new_read(at=NOW)
    started: list[asyncio.Task[object]] = []

    async def slow(*arguments, **named):
        weighed = await whole(*arguments, **named)
        if not started:
            started.append(asyncio.create_task(put(ingest, late)))
            await asyncio.sleep(0.3)
            assert not started[0].done()
        return weighed

    monkeypatch.setattr(purge_store, "_weigh", slow)
    destroyed = sum(c.destroyed for c in await purger.run(await retention.schedules(AGENCY)))
    [end] = await asyncio.gather(*started, return_exceptions=True)
    destroyed += sum(c.destroyed for c in await purger.run(await retention.schedules(AGENCY)))
    async with pool.connection() as connection:
        left = (await (await connection.execute("SELECT count(*) AS n FROM reads")).fetchone())["n"]
    assert destroyed + left == 5 + (0 if isinstance(end, Exception) else 1)
    assert left == 0
