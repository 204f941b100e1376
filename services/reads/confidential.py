"""The address-confidentiality list: plates of protected people, which are never stored (Gov. Code 6205, "Safe at Home").

Rules
-----
1. The list is kept as HMAC-SHA-256 of each plate's normal form under a key that the database does not hold: who reads the
   table learns no plate, and cannot try out the few million that there are.
2. A read is dropped at ingest, pictures and all, when its text or any text that the reader held possible is on the list.
   It is counted as withheld, and nothing else about it is kept or told.
3. A new list replaces the old one at once, for every replica.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from plateward.common.v1 import errors_pb2
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from services.reads.checks import Accepted


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
            await connection.execute(
                "INSERT INTO confidential_plates (agency_id, digest) SELECT %s, unnest(%s::bytea[])",
                (agency_id, wanted),
            )
        return len(wanted)

    async def withhold(self, agency_id: str, reads: Sequence[Accepted]) -> list[Accepted]:
        """Return the reads of which no text is on the agency's list."""
        if self._key is None or not reads:
            return list(reads)
        of_read = [
            [digest(self._key, text) for text in (a.row.plate, *a.row.candidates) if text] for a in reads
        ]
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT digest FROM confidential_plates WHERE agency_id = %s AND digest = ANY(%s::bytea[])",
                (agency_id, [one for digests in of_read for one in digests]),
            )
            listed = {bytes(row["digest"]) for row in await found.fetchall()}
        return [read for read, digests in zip(reads, of_read, strict=True) if listed.isdisjoint(digests)]
