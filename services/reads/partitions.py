"""Day partitions of the table of reads.

Rules
-----
1. A partition holds one UTC day; its name carries the day. Nobody's time zone, and no change of clocks,
   moves a bound.
2. Partitions are made ahead of need. A late read of a day that has none makes it on demand.
3. Making one blocks neither ingest nor search: the table is made aside and attached (SHARE UPDATE EXCLUSIVE).
4. Two replicas never make the same one: an advisory lock is held for the length of the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import AsyncConnection, sql

_LOCK = 0x52454144


def day_of(instant: datetime) -> date:
    """Return the UTC day of an aware instant."""
    return instant.astimezone(UTC).date()


def partition_name(day: date) -> str:
    """Return the name of a day's partition. Example: ``reads_20261123``."""
    return f"reads_{day:%Y%m%d}"


class Partitions:
    """Makes the partitions that are missing, and remembers which are not."""

    def __init__(self) -> None:
        self._known: set[date] = set()

    def forget(self) -> None:
        """Forget what is known, since a partition was dropped behind our back."""
        self._known.clear()

    async def ensure(self, connection: AsyncConnection[Any], days: Iterable[date]) -> None:
        """Make the partitions of ``days`` that do not exist, in a transaction of their own.

        Raises:
            psycopg.OperationalError: the database is away or its disk is full.
        """
        missing = sorted(set(days) - self._known)
        if not missing:
            return
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            for day in missing:
                await self._make(connection, day)
        self._known.update(missing)

    @staticmethod
    async def _make(connection: AsyncConnection[Any], day: date) -> None:
        name = partition_name(day)
        found = await connection.execute("SELECT to_regclass(%s) IS NOT NULL AS there", (name,))
        row = await found.fetchone()
        if row is not None and row["there"]:
            return
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        await connection.execute(
            sql.SQL("CREATE TABLE {} (LIKE reads INCLUDING ALL)").format(sql.Identifier(name))
        )
        await connection.execute(
            sql.SQL("ALTER TABLE reads ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                sql.Identifier(name),
                sql.Literal(start.isoformat()),
                sql.Literal((start + timedelta(days=1)).isoformat()),
            )
        )
