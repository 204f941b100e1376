"""What can be held about Citus without one: the setting is refused where the extension is absent, the key allows for it."""

from __future__ import annotations

import pytest

from services.reads.citus import NoCitusError, distribute


async def test_without_the_extension_the_service_says_what_to_do(pool) -> None:
    with pytest.raises(NoCitusError, match="CREATE EXTENSION citus"):
        await distribute(pool)


async def test_every_unique_index_of_reads_holds_the_column_that_distributes(pool) -> None:
    async with pool.connection() as connection:
        found = await connection.execute(
            "SELECT array_agg(a.attname::text) AS columns FROM pg_index AS i JOIN pg_attribute AS a "
            "ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indrelid = 'reads'::regclass AND i.indisunique "
            "GROUP BY i.indexrelid"
        )
        rows = await found.fetchall()
    assert rows
    assert all({"agency_id", "seen_at", "camera_id"} <= set(row["columns"]) for row in rows)
