"""The same schema on Citus, where one machine ends: distributed by camera within the partitions of agency and day.

UNTESTED HERE: no Citus is at hand where the tests run. The statements follow its documentation (``create_distributed_table``,
``create_reference_table``; partitioned tables are distributed with all their partitions). What a test can hold without it is
held: without the extension the service does not start, and says what to do. See docs/citus.md for what differs.
"""

from __future__ import annotations

from psycopg import AsyncConnection, errors

from servicekit.database import Pool

_DISTRIBUTED = (("reads", "camera_id"),)
# Small, joined from everywhere, written seldom.
_REFERENCE = (
    "cameras",
    "schedules",
    "read_partitions",
    "holds",
    "hold_reads",
    "held_reads",
    "crops_destroyed",
)
_IS = "SELECT 1 FROM pg_dist_partition WHERE logicalrelid = %s::regclass"


class NoCitusError(Exception):
    """The setting asks for Citus, and the database has none."""


async def distribute(pool: Pool) -> None:
    """Distribute what is not distributed yet; once after the migrations, harmless afterwards.

    Raises:
        NoCitusError: the extension is not installed in this database.
    """
    async with pool.connection() as connection:
        found = await connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'")
        if await found.fetchone() is None:
            raise NoCitusError(
                "PLATEWARD_READS_CITUS is set and this database has no Citus: install the extension on every node and "
                "CREATE EXTENSION citus, or leave the setting out"
            )
        for table, column in _DISTRIBUTED:
            await _once(connection, table, "SELECT create_distributed_table(%s, %s)", (table, column))
        for table in _REFERENCE:
            await _once(connection, table, "SELECT create_reference_table(%s)", (table,))


async def _once(
    connection: AsyncConnection[dict[str, object]], table: str, statement: str, values: tuple[str, ...]
) -> None:
    try:
        found = await connection.execute(_IS, (table,))
    except errors.UndefinedTable as error:
        raise NoCitusError(
            "the Citus extension of this database is damaged: pg_dist_partition is missing"
        ) from error
    if await found.fetchone() is None:
        await connection.execute(statement, values)
