"""Storing batches: once each, all or nothing, pictures first."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError
from services.reads.ingest import Ingest
from services.reads.partitions import Partitions, partition_name
from tests.unit.reads.builders import AGENCY, JPEG, NOW, accepted, new_read


async def _count(pool) -> int:
    async with pool.connection() as connection:
        return (await (await connection.execute("SELECT count(*) AS n FROM reads")).fetchone())["n"]


async def test_the_same_batch_twice_is_stored_once(pool, ingest) -> None:
    batch = [accepted(new_read(at=NOW - timedelta(hours=n)), NOW) for n in range(30)]
    first = await ingest.store(AGENCY, batch)
    second = await ingest.store(AGENCY, batch)
    assert (first.stored, first.duplicates, second.stored, second.duplicates) == (30, 0, 0, 30)
    assert await _count(pool) == 30


async def test_the_same_read_twice_in_a_batch_and_moved_a_little_is_one(pool, ingest) -> None:
    first = new_read(at=NOW)
    moved = new_read(at=NOW - timedelta(milliseconds=40), read_id=first.read.read_id.upper())
    stored = await ingest.store(AGENCY, [accepted(first, NOW), accepted(moved, NOW)])
    again = await ingest.store(AGENCY, [accepted(moved, NOW)])
    assert (stored.stored, stored.duplicates, again.stored) == (1, 1, 0)


async def test_the_same_batches_at_once_are_stored_once(pool, ingest) -> None:
    batch = [accepted(new_read(at=NOW), NOW) for _ in range(50)]
    ends = await asyncio.gather(*(ingest.store(AGENCY, batch) for _ in range(4)))
    assert sum(end.stored for end in ends) == 50
    assert await _count(pool) == 50


async def test_the_same_id_of_another_agency_is_another_read(pool, ingest) -> None:
    new = new_read(at=NOW)
    for agency in (AGENCY, "galt-pd"):
        assert (await ingest.store(agency, [accepted(new, NOW, agency=agency)])).stored == 1


async def test_late_reads_get_the_partition_of_their_day(pool, ingest) -> None:
    await ingest.store(AGENCY, [accepted(new_read(at=NOW - timedelta(days=n)), NOW) for n in (0, 3, 29)])
    async with pool.connection() as connection:
        found = await connection.execute(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'reads'::regclass ORDER BY 1"
        )
        names = [row["name"] for row in await found.fetchall()]
    days = (date(2026, 10, 25), date(2026, 11, 20), date(2026, 11, 23))
    assert names == [partition_name(AGENCY, day) for day in days]


async def test_two_replicas_make_a_partition_at_once(pool) -> None:
    async def make() -> None:
        async with pool.connection() as connection:
            await Partitions().ensure(connection, AGENCY, [NOW.date()])

    await asyncio.gather(*(make() for _ in range(4)))


async def test_a_dropped_partition_is_made_again(pool, ingest) -> None:
    await ingest.store(AGENCY, [accepted(new_read(at=NOW), NOW)])
    async with pool.connection() as connection:
        await connection.execute("DROP TABLE " + partition_name(AGENCY, NOW.date()))
    assert (await ingest.store(AGENCY, [accepted(new_read(at=NOW), NOW)])).stored == 1


@pytest.mark.req("R-REC-3")
async def test_pictures_are_encrypted_bound_to_their_key_and_never_replaced(
    ingest, crops, tmp_path: Path
) -> None:
    new = new_read(at=NOW, jpeg=JPEG)
    read = accepted(new, NOW)
    await ingest.store(AGENCY, [read])
    key = read.row.plate_crop
    assert await crops.get(key) == JPEG
    files = [file for file in (tmp_path / "crops").rglob("*") if file.is_file()]
    assert len(files) == 1
    assert JPEG not in files[0].read_bytes()
    await crops.put({key: JPEG + b" forged later"})
    assert await crops.get(key) == JPEG
    files[0].rename(files[0].with_name("moved-plate"))
    with pytest.raises(PlatewardError, match="does not open"):
        await crops.get(f"{key.rpartition('/')[0]}/moved-plate")
    assert await crops.get(key) is None


async def test_no_row_without_its_picture(pool, ingest, tmp_path: Path) -> None:
    folder = tmp_path / "crops"
    for child in folder.iterdir():
        child.unlink()
    folder.rmdir()
    folder.write_bytes(b"no folder")
    with pytest.raises(PlatewardError) as refused:
        await ingest.store(AGENCY, [accepted(new_read(at=NOW, jpeg=JPEG), NOW)])
    assert refused.value.reason == errors_pb2.ERROR_REASON_STORAGE_UNAVAILABLE
    assert await _count(pool) == 0


async def test_a_database_that_goes_away_leaves_nothing_half_stored(pool, crops, server_url) -> None:
    class Cutting(Partitions):
        """Ends the connection between the pictures and the rows."""

        async def ensure(self, connection, agency_id, days) -> None:
            await super().ensure(connection, agency_id, days)
            with psycopg.connect(server_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))

    batch = [accepted(new_read(at=NOW, jpeg=JPEG), NOW) for _ in range(3)]
    with pytest.raises(psycopg.OperationalError):
        await Ingest(pool, Cutting(), crops).store(AGENCY, batch)
    assert await _count(pool) == 0
    assert (await Ingest(pool, Partitions(), crops).store(AGENCY, batch)).stored == 3


@pytest.mark.req("R-REC-2")
async def test_no_column_can_carry_a_person(pool) -> None:
    async with pool.connection() as connection:
        found = await connection.execute(
            "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND table_name <> 'schema_migrations'"
        )
        names = {row["name"] for row in await found.fetchall()}
    words = {
        "person",
        "face",
        "gender",
        "race",
        "ethnicity",
        "driver",
        "occupant",
        "owner",
        "age",
        "sex",
        "passenger",
        "name_of",
    }
    assert not {name for name in names if words & set(name.split("_"))}
    assert {"plate", "plate_reading", "vehicle_reading"} <= names
