"""What a dishonest database administrator would do, for the demo and the tests: alter a row of the audit log.

The alteration bypasses triggers and permissions (a superuser can), and is put back afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg


@asynccontextmanager
async def altered_row(superuser_url: str) -> AsyncIterator[int]:
    """Flip one byte of a stored entry in the middle of the log; yield its index; put the byte back.

    Args:
        superuser_url: connection string of a role that owns the audit database.

    Raises:
        LookupError: the log is empty.
    """
    async with await psycopg.AsyncConnection.connect(superuser_url, autocommit=True) as connection:
        # Replica mode switches every trigger off: the guard against UPDATE is no obstacle for a superuser.
        await connection.execute("SET session_replication_role = replica")
        cursor = await connection.execute(
            "SELECT index, entry FROM entries ORDER BY index OFFSET (SELECT count(*) / 2 FROM entries) LIMIT 1"
        )
        row = await cursor.fetchone()
        if row is None:
            raise LookupError("the audit log has no entry to alter")
        index, entry = int(row[0]), bytes(row[1])
        altered = entry[:-2] + bytes([entry[-2] ^ 1]) + entry[-1:]
        try:
            await connection.execute("UPDATE entries SET entry = %s WHERE index = %s", (altered, index))
            yield index
        finally:
            await connection.execute("UPDATE entries SET entry = %s WHERE index = %s", (entry, index))
