"""Partitions of the table of reads: one for each agency and UTC day.

Rules
-----
1. A partition holds one UTC day of one agency, so that each agency's schedule destroys by dropping. Nobody's time zone,
   and no change of clocks, moves a bound.
2. Partitions are made ahead of need. A late read of a day that has none makes it on demand.
3. Making one blocks neither ingest nor search: the table is made aside and attached (SHARE UPDATE EXCLUSIVE).
4. Two replicas never make the same one: an advisory lock is held for the length of the transaction.
5. ``read_partitions`` names them; a name tells the day, and the agency as a digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import AsyncConnection, sql

_LOCK = 0x52454144
_DAY = timedelta(days=1)


def day_of(instant: datetime) -> date:
    """Return the UTC day of an aware instant."""
    return instant.astimezone(UTC).date()


def start_of(day: date) -> datetime:
    """Return the first instant of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def partition_name(agency_id: str, day: date) -> str:
    """Return the name of a partition. Example: ``reads_20261123_5b1f0c9e``."""
    return f"reads_{day:%Y%m%d}_{hashlib.sha256(agency_id.encode()).hexdigest()[:8]}"


class Partitions:
    """Makes the partitions that are missing, and remembers which are not."""

    def __init__(self) -> None:
        self._known: set[tuple[str, date]] = set()

    def forget(self) -> None:
        """Forget what is known, since a partition was dropped behind our back."""
        self._known.clear()

    async def ensure(self, connection: AsyncConnection[Any], agency_id: str, days: Iterable[date]) -> None:
        """Make the partitions of an agency's ``days`` that do not exist, in a transaction of their own.

        Raises:
            psycopg.OperationalError: the database is away or its disk is full.
        """
        missing = sorted({(agency_id, day) for day in days} - self._known)
        if not missing:
            return
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            for agency, day in missing:
                await self._make(connection, agency, day)
        self._known.update(missing)

    @staticmethod
    async def _make(connection: AsyncConnection[Any], agency_id: str, day: date) -> None:
        name = partition_name(agency_id, day)
        await connection.execute(
            "INSERT INTO read_partitions (name, agency_id, day) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (name, agency_id, day),
        )
        found = await connection.execute("SELECT to_regclass(%s) IS NOT NULL AS there", (name,))
        row = await found.fetchone()
        if row is not None and row["there"]:
            return
        start = start_of(day)
        await connection.execute(
            sql.SQL("CREATE TABLE {} (LIKE reads INCLUDING ALL)").format(sql.Identifier(name))
        )
        await connection.execute(
            sql.SQL("ALTER TABLE reads ATTACH PARTITION {} FOR VALUES FROM ({a}, {}) TO ({a}, {})").format(
                sql.Identifier(name),
                sql.Literal(start.isoformat()),
                sql.Literal((start + _DAY).isoformat()),
                a=sql.Literal(agency_id),
            )
        )
