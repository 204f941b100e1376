"""The address-confidentiality list: never stored, and the list tells nobody anything."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from servicekit.errors import PlatewardError
from services.reads.confidential import Confidential, digest
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
        )
    ]
    assert kept(await confidential.withhold(AGENCY, reads)) == ["5DEF555", ""]
    assert len(await confidential.withhold("galt-pd", reads)) == 4
    await confidential.replace(AGENCY, [])
    assert len(await confidential.withhold(AGENCY, reads)) == 4


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
