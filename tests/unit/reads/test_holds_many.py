"""Holds of thousands of reads, many at once, and what happens while their pictures are being copied."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from plateward.common.v1 import errors_pb2, options_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.reads.crops import held_key
from tests.unit.reads.builders import AGENCY, JPEG, NOW, accepted, new_read
from tests.unit.reads.test_holds import LATER, find, order

MANY = 3000


async def put(ingest, count: int) -> list[str]:
    news = [new_read(at=NOW - timedelta(seconds=n), jpeg=JPEG) for n in range(count)]
    for at in range(0, count, 500):
        await ingest.store(AGENCY, [accepted(new, NOW) for new in news[at : at + 500]])
    return [new.read.read_id for new in news]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def small(pool):
    """Two connections, and little patience: what takes a second one while it has one does not end well."""

    async def shrink() -> None:
        await pool.resize(1, 2)
        pool.timeout = 5.0

    return shrink


@pytest.mark.req("R-RET-2")
async def test_thousands_of_reads_are_held_with_their_pictures(
    ingest, holds, purger, retention, clock, call, pool, tmp_path: Path, small
) -> None:
    await put(ingest, MANY)
    await small()
    hold = await holds.place(order(plate="8ABC123"), call)
    assert hold.reads == MANY
    clock.time = LATER
    reads, pictures = await purger.run(await retention.schedules(AGENCY))
    assert (reads.destroyed, reads.held, pictures.destroyed, pictures.held) == (0, MANY, 0, MANY)
    assert len(files(tmp_path / "crops")) == len(files(tmp_path / "crops" / "held")) == MANY
    async with pool.connection() as connection:
        row = await (await connection.execute("SELECT (SELECT count(*) FROM doomed_blobs) AS doomed, "
            "(SELECT count(*) FROM held_reads WHERE plate_crop LIKE 'held/%') AS held")).fetchone()  # fmt: skip
    assert (row["doomed"], row["held"]) == (0, MANY)


@pytest.mark.req("R-RET-2")
async def test_twelve_holds_at_once_on_a_small_pool(ingest, holds, call, small, pool) -> None:
    ids = await put(ingest, 120)
    await small()
    placed = await asyncio.gather(*(holds.place(order(*ids[n * 10 : n * 10 + 10]), call) for n in range(12)))
    assert [hold.reads for hold in placed] == [10] * 12
    assert len({hold.hold_id for hold in placed}) == 12
    async with pool.connection() as connection:
        row = await (await connection.execute("SELECT count(*) AS n FROM held_reads")).fetchone()
    assert row["n"] == 120


class Pause:
    """Stops the copying of pictures when they are copied and nothing is committed yet."""

    def __init__(self, crops, monkeypatch) -> None:
        self.copied, self.go = asyncio.Event(), asyncio.Event()
        whole = crops.copy

        async def copy(pictures):
            there = await whole(pictures)
            self.copied.set()
            await self.go.wait()
            return there

        monkeypatch.setattr(crops, "copy", copy)


@pytest.mark.req("R-RET-2")
async def test_what_is_destroyed_while_pictures_are_copied_refuses_the_hold(
    ingest, holds, crops, purger, retention, access, clock, call, pool, monkeypatch, tmp_path: Path, small
) -> None:
    [read] = await put(ingest, 1)
    await small()
    pause = Pause(crops, monkeypatch)
    placing = asyncio.create_task(holds.place(order(read), call))
    await pause.copied.wait()
    # Neither the lock nor a connection is held: destruction goes on, and so do other holds' releases.
    clock.time = LATER
    reads, _ = await asyncio.wait_for(purger.run(await retention.schedules(AGENCY)), 20)
    assert (reads.destroyed, reads.held) == (1, 0)
    pause.go.set()
    with pytest.raises(PlatewardError) as refused:
        await placing
    assert refused.value.reason == errors_pb2.ERROR_REASON_NOT_FOUND
    assert await holds.listed(AGENCY, with_released=True) == []
    clock.time = LATER + timedelta(hours=2)
    await purger.run(await retention.schedules(AGENCY))
    assert files(tmp_path / "crops") == []


@pytest.mark.req("R-RET-2")
async def test_what_only_expires_while_pictures_are_copied_is_held(
    ingest, holds, crops, purger, retention, clock, call, monkeypatch, search
) -> None:
    [read] = await put(ingest, 1)
    pause = Pause(crops, monkeypatch)
    placing = asyncio.create_task(holds.place(order(read), call))
    await pause.copied.wait()
    clock.time = LATER
    pause.go.set()
    await placing
    await purger.run(await retention.schedules(AGENCY))
    assert await find(search, "26-004312") == [read]
    assert await crops.get(held_key(AGENCY, read, "plate")) == JPEG


@pytest.mark.req("R-RET-2")
async def test_a_copy_that_was_taken_away_is_made_again(
    ingest, holds, crops, purger, retention, clock, call, monkeypatch
) -> None:
    """The orphan of an earlier hold that crashed is destroyed while a new one counts on it."""
    [read] = await put(ingest, 1)
    pause = Pause(crops, monkeypatch)
    placing = asyncio.create_task(holds.place(order(read), call))
    await pause.copied.wait()
    clock.time = NOW + timedelta(hours=2)
    await purger.run(await retention.schedules(AGENCY))
    assert await crops.get(held_key(AGENCY, read, "plate")) is None
    pause.go.set()
    await placing
    clock.time = LATER
    await purger.run(await retention.schedules(AGENCY))
    assert await crops.get(held_key(AGENCY, read, "plate")) == JPEG


@pytest.mark.req("R-RET-2")
async def test_what_another_hold_lets_go_of_meanwhile_is_held_with_its_picture(
    ingest, holds, crops, purger, retention, clock, call, monkeypatch
) -> None:
    read, other = await put(ingest, 2)
    first = await holds.place(order(read), call)
    pause = Pause(crops, monkeypatch)
    placing = asyncio.create_task(holds.place(order(read, other, case="26-CR-88"), call))
    await pause.copied.wait()
    await holds.release(first.hold_id, "over", call)
    pause.go.set()
    assert (await placing).reads == 2
    clock.time = LATER
    await purger.run(await retention.schedules(AGENCY))
    assert await crops.get(held_key(AGENCY, read, "plate")) == JPEG


@pytest.mark.req("R-RET-2")
async def test_a_hold_that_fails_does_not_take_the_picture_of_another(
    ingest, holds, crops, purger, retention, clock, call, monkeypatch
) -> None:
    [read] = await put(ingest, 1)
    with monkeypatch.context() as patched:
        pause = Pause(crops, patched)
        cut = asyncio.create_task(holds.place(order(read), call))
        await pause.copied.wait()
    await holds.place(order(read, case="26-CR-88", party=reads_pb2.HOLD_PARTY_DEFENCE), call)
    # A third one dooms the copy again, and dies.
    with monkeypatch.context() as patched:
        pause = Pause(crops, patched)
        cut.cancel()
        third = asyncio.create_task(holds._pictures.copy(AGENCY, [{"read_id": read, "plate_crop": "x", "vehicle_crop": ""}]))  # fmt: skip
        await pause.copied.wait()
        third.cancel()
    clock.time = LATER
    await purger.run(await retention.schedules(AGENCY))
    assert await crops.get(held_key(AGENCY, read, "plate")) == JPEG


@pytest.mark.req("R-RET-2")
async def test_a_picture_that_its_schedule_destroyed_meanwhile_is_not_held(
    ingest, holds, crops, purger, retention, access, clock, call, monkeypatch, pool
) -> None:
    [read] = await put(ingest, 1)
    pause = Pause(crops, monkeypatch)
    placing = asyncio.create_task(holds.place(order(read), call))
    await pause.copied.wait()
    clock.time = NOW + timedelta(minutes=10)
    access.publish(AGENCY, read=timedelta(days=30), crop=timedelta(minutes=3))
    [pictures] = await purger.run(await retention.schedules(AGENCY))
    assert (pictures.kind, pictures.destroyed, pictures.held) == ("crop", 1, 0)
    pause.go.set()
    await placing
    async with pool.connection() as connection:
        row = await (await connection.execute("SELECT plate_crop FROM held_reads")).fetchone()
    assert row["plate_crop"] == ""


@pytest.mark.req("R-RET-2")
@pytest.mark.parametrize(("name", "least_s"), [("PlaceHold", 300), ("DestroyExpired", 600)])
def test_what_takes_long_has_the_time_for_it(name: str, least_s: int) -> None:
    method = reads_pb2.DESCRIPTOR.services_by_name["ReadsService"].methods_by_name[name]
    assert method.GetOptions().Extensions[options_pb2.rule].deadline_ms >= least_s * 1000
