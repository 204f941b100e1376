"""The address-confidentiality list: never stored, and the list tells nobody anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from servicekit.errors import PlatewardError
from services.reads.confidential import Confidential, digest
from tests.unit.reads.builders import AGENCY, NOW, accepted, new_read

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
