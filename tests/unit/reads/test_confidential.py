"""The address-confidentiality list: never stored, and the list tells nobody anything."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from plateward.common.v1 import options_pb2, recognition_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.reads.confidential import _SETTLED, Confidential, digest
from services.reads.purge import Purger
from tests.unit.reads.builders import AGENCY, JPEG, NOW, accepted, new_read

KEY = bytes(range(32))


@pytest.fixture
def confidential(pool) -> Confidential:
    return Confidential(pool, KEY)


def kept(reads) -> list[str]:
    return [read.row.plate for read in reads]


@pytest.mark.req("R-RET-1")
async def test_a_listed_plate_is_dropped_also_when_the_reader_only_held_it_possible(
    confidential, pool
) -> None:
    await confidential.replace(
        AGENCY, [digest(KEY, "8ABC123"), digest(KEY, "8ABC123"), digest(KEY, "7XYZ777")]
    )
    reads = [
        accepted(new, NOW)
        for new in (
            new_read("8ABC123", at=NOW),
            new_read("8ABC173", at=NOW, candidates={"8ABC123": 0.1}),
            new_read("5DEF555", at=NOW),
            new_read("8ABC123", at=NOW, readable=False),
            new_read("", at=NOW, readable=False, candidates={"7XYZ777": 0.1}),
            new_read("5DEF556", at=NOW, readable=False),
        )
    ]
    assert kept(await confidential.withhold(AGENCY, reads)) == ["5DEF555", ""]
    assert len(await confidential.withhold("galt-pd", reads)) == 6
    await confidential.replace(AGENCY, [])
    assert len(await confidential.withhold(AGENCY, reads)) == 6


@pytest.mark.req("R-RET-1")
async def test_of_an_unreadable_plate_no_text_is_stored(ingest, pool) -> None:
    news = [
        new_read("8ABC123", at=NOW, readable=False, candidates={"8ABC173": 0.4}),
        new_read("", at=NOW, candidates={"7XYZ777": 0.3}),
        new_read("5DEF555", at=NOW, candidates={"5DEF556": 0.2}),
    ]
    await ingest.store(AGENCY, [accepted(new, NOW) for new in news])
    async with pool.connection() as connection:
        found = await connection.execute("SELECT plate, candidates, plate_reading FROM reads ORDER BY plate")
        *unread, whole = await found.fetchall()
    for row in unread:
        reading = recognition_pb2.PlateReading.FromString(row["plate_reading"])
        assert (row["candidates"], reading.text, len(reading.characters), len(reading.candidates)) == (
            [],
            "",
            0,
            0,
        )
        assert reading.confidence
    reading = recognition_pb2.PlateReading.FromString(whole["plate_reading"])
    assert (reading.text, len(reading.characters), len(reading.candidates)) == ("5DEF555", 7, 2)


@pytest.mark.req("R-RET-1")
async def test_unreadable_plates_stored_before_that_rule_lose_their_text(ingest, pool) -> None:
    news = [new_read("8ABC123", at=NOW, readable=False), new_read("5DEF555", at=NOW)]
    await ingest.store(AGENCY, [accepted(new, NOW) for new in news])
    migration = files("services.reads") / "migrations" / "0008_unreadable_without_text.sql"
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE reads SET plate_reading = %s WHERE plate = ''", (news[0].read.plate.SerializeToString(),)
        )
        await connection.execute(migration.read_text().encode())
        found = await connection.execute("SELECT plate, plate_reading FROM reads ORDER BY plate")
        unread, whole = await found.fetchall()
    assert recognition_pb2.PlateReading.FromString(unread["plate_reading"]).text == ""
    assert recognition_pb2.PlateReading.FromString(whole["plate_reading"]).text == "5DEF555"


@pytest.mark.req("R-RET-1")
def test_a_batch_that_saw_the_list_before_is_in_the_table_before_the_sweep_begins() -> None:
    method = reads_pb2.DESCRIPTOR.services_by_name["ReadsService"].methods_by_name["IngestReads"]
    deadline = timedelta(milliseconds=method.GetOptions().Extensions[options_pb2.rule].deadline_ms)
    assert deadline >= timedelta(seconds=1)
    assert 2 * deadline <= _SETTLED


async def test_the_database_holds_no_plate_of_the_list(confidential, pool) -> None:
    assert await confidential.replace(AGENCY, [digest(KEY, "8ABC123")]) == 1
    async with pool.connection() as connection:
        found = await connection.execute("SELECT confidential_plates::text AS row FROM confidential_plates")
        [row] = await found.fetchall()
    assert "8ABC123" not in row["row"]
    assert b"8ABC123".hex() not in row["row"]
    assert digest(KEY, "8ABC123") != digest(bytes(32), "8ABC123")


async def test_without_a_key_no_list_is_taken(pool, tmp_path: Path) -> None:
    with pytest.raises(PlatewardError, match="CONFIDENTIAL_KEY_FILE"):
        await Confidential(pool, None).replace(AGENCY, [bytes(32)])


@pytest.mark.req("R-RET-1")
@pytest.mark.req("R-RET-4")
async def test_what_was_stored_before_the_list_came_is_destroyed_with_a_certificate(
    confidential, pool, ingest, clock, crops, records, key, retention, monkeypatch
) -> None:
    purger = Purger(pool, clock, crops, records, key, confidential)
    news = [
        new_read("8ABC123", at=NOW, jpeg=JPEG),
        new_read("8ABC173", at=NOW - timedelta(days=3), candidates={"8ABC123": 0.1}),
        new_read("8A8C123", at=NOW),
        new_read("5DEF555", at=NOW),
    ]
    await ingest.store(AGENCY, [accepted(new, NOW) for new in news])
    await ingest.store("galt-pd", [accepted(new_read("8ABC123", at=NOW), NOW, agency="galt-pd")])
    schedules = await retention.schedules(AGENCY)
    await confidential.replace(AGENCY, [digest(KEY, "8ABC123"), digest(KEY, "1NEVER1")])
    assert await purger.run(schedules) == []  # a batch may still be on its way into the table
    monkeypatch.setattr("services.reads.confidential._SETTLED", timedelta(0))
    certificates = await purger.run(schedules)
    assert [(c.kind, c.destroyed) for c in certificates] == [("read", 2), ("crop", 1)]
    assert {c.schedule for c in certificates} == {"address-confidentiality list"}
    async with pool.connection() as connection:
        found = await connection.execute("SELECT agency_id, plate FROM reads ORDER BY 1, 2")
        left = [(row["agency_id"], row["plate"]) for row in await found.fetchall()]
    assert left == [(AGENCY, "5DEF555"), (AGENCY, "8A8C123"), ("galt-pd", "8ABC123")]
    assert await purger.run(schedules) == []
