"""The address-confidentiality list: plates of protected people, which are never stored (Gov. Code 6205, "Safe at Home").

Rules
-----
1. The list is kept as HMAC-SHA-256 of each plate's normal form under a key that the database does not hold: who reads the
   table learns no plate, and cannot try out the few million that there are.
2. A read is dropped at ingest, pictures and all, when its text or any text that the reader held possible is on the list, also
   when the reader trusted none of them (``checks.py``). It is counted as withheld, and nothing else about it is kept or told.
3. A new list replaces the old one at once, for every replica. What was stored earlier of its plates is destroyed by the next round
   of destruction (``purge.py``), with a certificate of its own; what a hold keeps stays in the hold store, as ever.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection, sql

from plateward.common.v1 import errors_pb2, options_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from services.reads.checks import Accepted

BASIS = "address-confidentiality list"
"""What a certificate of rule 3 names in the place of a schedule."""
_WANT = (
    "INSERT INTO confidential_sweeps (agency_id, wanted_at) VALUES (%s, clock_timestamp()) "
    "ON CONFLICT (agency_id) DO UPDATE SET wanted_at = excluded.wanted_at"
)
# A batch that was compared with the list before may still be on its way into the table: as long as its call lasts at most, which
# began before the new list was committed, and as long again for that commit and for the batch's own.
_DUE = "SELECT wanted_at FROM confidential_sweeps WHERE agency_id = %s AND wanted_at < clock_timestamp() - %s"
_INGEST = reads_pb2.DESCRIPTOR.services_by_name["ReadsService"].methods_by_name["IngestReads"]
_SETTLED = 2 * timedelta(milliseconds=_INGEST.GetOptions().Extensions[options_pb2.rule].deadline_ms)
_STEP = 10_000


def digest(key: bytes, plate: str) -> bytes:
    """Return the digest of a plate in normal form, 32 bytes."""
    return hmac.digest(key, plate.encode(), "sha256")


class Confidential:
    """The list of each agency; without a key it is empty and stays so."""

    def __init__(self, pool: Pool, key: bytes | None) -> None:
        self._pool = pool
        self._key = key

    async def replace(self, agency_id: str, digests: Sequence[bytes]) -> int:
        """Put a list in the place of the one before; return how many plates it has.

        Raises:
            PlatewardError: INVALID_ARGUMENT: the service has no key to compare with.
        """
        if self._key is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
                "This service has no key of the list: the operator sets PLATEWARD_READS_CONFIDENTIAL_KEY_FILE first.",
            )
        wanted = sorted(set(digests))
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("DELETE FROM confidential_plates WHERE agency_id = %s", (agency_id,))
            await connection.execute(_WANT, (agency_id,))
            await connection.execute(
                "INSERT INTO confidential_plates (agency_id, digest) SELECT %s, unnest(%s::bytea[])",
                (agency_id, wanted),
            )
        return len(wanted)

    async def due(self, connection: AsyncConnection[Any], agency_id: str) -> datetime | None:
        """Return which list's earlier reads are to be destroyed: the time of its arrival, or none."""
        found = await connection.execute(_DUE, (agency_id, _SETTLED))
        row = await found.fetchone()
        return row["wanted_at"] if row is not None else None

    async def stored(self, connection: AsyncConnection[Any], agency_id: str) -> list[str]:
        """Return the texts among an agency's stored reads, read or held possible, that are on its list.

        Every different text of every day is hashed: about a second for a million.
        """
        if self._key is None:
            return []
        found = await connection.execute(
            "SELECT digest FROM confidential_plates WHERE agency_id = %s", (agency_id,)
        )
        listed = {bytes(row["digest"]) for row in await found.fetchall()}
        found = await connection.execute(
            "SELECT name FROM read_partitions WHERE agency_id = %s", (agency_id,)
        )
        texts: set[str] = set()
        for row in await found.fetchall() if listed else ():
            table = sql.Identifier(row["name"])
            async with connection.transaction(), connection.cursor("texts") as rows:
                await rows.execute(
                    sql.SQL("SELECT plate AS one FROM {} UNION SELECT unnest(candidates) FROM {}").format(
                        table, table
                    )
                )
                while step := await rows.fetchmany(_STEP):
                    texts |= await asyncio.to_thread(self._on, listed, [row["one"] for row in step])
        return sorted(texts)

    def _on(self, listed: set[bytes], texts: Sequence[str]) -> set[str]:
        key = self._key or b""
        return {text for text in texts if text and digest(key, text) in listed}

    async def withhold(self, agency_id: str, reads: Sequence[Accepted]) -> list[Accepted]:
        """Return the reads of which no text is on the agency's list."""
        if self._key is None or not reads:
            return list(reads)
        of_read = [[digest(self._key, text) for text in accepted.texts] for accepted in reads]
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT digest FROM confidential_plates WHERE agency_id = %s AND digest = ANY(%s::bytea[])",
                (agency_id, [one for digests in of_read for one in digests]),
            )
            listed = {bytes(row["digest"]) for row in await found.fetchall()}
        return [read for read, digests in zip(reads, of_read, strict=True) if listed.isdisjoint(digests)]
