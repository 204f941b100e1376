"""Storing a batch of reads: idempotent by read ID, all or nothing durable when it returns.

Rules
-----
1. Each read is checked by itself (``checks.py``); one that is refused is named with its reason, the others
   are stored.
2. The agency is the certificate's, the place is the camera's registration, the expiry is the policy's:
   nothing of this is taken from the message.
3. A read ID is stored once for an agency: the same ID again is a duplicate, also when its time moved a little.
4. Crops go to the blob store before the rows are committed; rows go in by COPY into a staging table and one
   INSERT ... ON CONFLICT DO NOTHING. A failure at any point leaves no row.
5. Followers are notified by the same commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, errors, sql

from servicekit.database import Pool
from services.reads.checks import Accepted
from services.reads.crops import Crops
from services.reads.partitions import Partitions, day_of
from services.reads.rows import COLUMNS

CHANNEL = "reads_stored"
_SAME_READ = timedelta(hours=1)
_NAMES = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
_STAGING = sql.SQL(
    "CREATE TEMP TABLE IF NOT EXISTS staging ON COMMIT DELETE ROWS AS SELECT {} FROM reads WITH NO DATA"
).format(_NAMES)
_COPY = sql.SQL("COPY staging ({}) FROM STDIN").format(_NAMES)
_INSERT = sql.SQL(
    "INSERT INTO reads ({names}) SELECT {names} FROM staging ORDER BY agency_id, read_id ON CONFLICT DO NOTHING"
).format(names=_NAMES)
_KNOWN = (
    "SELECT read_id FROM reads WHERE agency_id = %(agency)s AND read_id = ANY(%(ids)s) "
    "AND seen_at BETWEEN %(first)s AND %(last)s"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """How many reads were new and how many known."""

    stored: int
    duplicates: int


class Ingest:
    """Writes checked reads."""

    def __init__(self, pool: Pool, partitions: Partitions, crops: Crops) -> None:
        self._pool = pool
        self._partitions = partitions
        self._crops = crops

    async def store(self, agency_id: str, reads: Sequence[Accepted]) -> Stored:
        """Store reads of one agency.

        Raises:
            PlatewardError: STORAGE_UNAVAILABLE when the crop store does not take its part.
            psycopg.OperationalError: the database is away or its disk is full; nothing is stored.
        """
        if not reads:
            return Stored(0, 0)
        first_of: dict[UUID, Accepted] = {}
        for read in reads:
            first_of.setdefault(read.row.read_id, read)
        async with self._pool.connection() as connection:
            known = await self._known(connection, agency_id, first_of)
        fresh = [read for read_id, read in first_of.items() if read_id not in known]
        if not fresh:
            return Stored(0, len(reads))
        # A slow blob store holds no connection: searches need them.
        await self._crops.put(_pictures(fresh))
        async with self._pool.connection() as connection:
            stored = await self._insert(connection, agency_id, fresh)
        return Stored(stored, len(reads) - stored)

    @staticmethod
    async def _known(
        connection: AsyncConnection[Any], agency_id: str, reads: Mapping[UUID, Accepted]
    ) -> set[UUID]:
        times = [read.row.seen_at for read in reads.values()]
        found = await connection.execute(
            _KNOWN,
            {
                "agency": agency_id,
                "ids": list(reads),
                "first": min(times) - _SAME_READ,
                "last": max(times) + _SAME_READ,
            },
        )
        return {row["read_id"] for row in await found.fetchall()}

    async def _insert(
        self, connection: AsyncConnection[Any], agency_id: str, reads: Sequence[Accepted]
    ) -> int:
        days = {day_of(read.row.seen_at) for read in reads}
        await self._partitions.ensure(connection, agency_id, days)
        try:
            return await self._copy(connection, reads)
        except errors.CheckViolation:
            # Retention dropped a partition that this process still knew of.
            self._partitions.forget()
            await self._partitions.ensure(connection, agency_id, days)
            return await self._copy(connection, reads)

    @staticmethod
    async def _copy(connection: AsyncConnection[Any], reads: Sequence[Accepted]) -> int:
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.execute(_STAGING)
            async with cursor.copy(_COPY) as copy:
                for read in reads:
                    await copy.write_row(read.row.values())
            await cursor.execute(_INSERT)
            stored = cursor.rowcount
            if stored:
                await cursor.execute(sql.SQL("NOTIFY {}").format(sql.Identifier(CHANNEL)))
        return stored


def _pictures(reads: Sequence[Accepted]) -> dict[str, bytes]:
    return {
        key: picture
        for read in reads
        for key, picture in (
            (read.row.plate_crop, read.plate_jpeg),
            (read.row.vehicle_crop, read.vehicle_jpeg),
        )
        if key
    }
