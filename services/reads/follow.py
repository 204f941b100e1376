"""Following the table of reads in commit order: at least once, never a gap.

Rules
-----
1. Order and bound are those of ``cursors.py``: ``(txid, seq)`` below ``pg_snapshot_xmin``.
2. Expired reads are not sent: expiry is a predicate of this query as of every other.
3. A notification only wakes; what is sent comes from the table. A lost notification costs one poll interval.
4. A cursor ahead of the database (restored from an older backup) is refused rather than waited for in silence.
5. A stream ends when the service drains; the follower comes back with its cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import LiteralString

from plateward.common.v1 import errors_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.clock import Clock
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from servicekit.waker import Waker, wait_for_either
from services.reads.cursors import Cursor, parse_cursor
from services.reads.rows import read_of
from services.reads.schedules import Alive

BATCH = 500
_NEXT = """
SELECT reads.*, txid::text AS txid_text, seen_at + (SELECT make_interval(secs => s.keep_s) FROM schedules AS s
    WHERE s.agency_id = reads.agency_id AND s.kind = 'read') AS expires_at
FROM reads
WHERE (txid, seq) > (%(txid)s::text::xid8, %(seq)s)
  AND txid < pg_snapshot_xmin(pg_current_snapshot())
  AND seen_at > (SELECT greatest(s.floor, %(now)s::timestamptz - make_interval(secs => s.keep_s)) FROM schedules AS s
    WHERE s.agency_id = reads.agency_id AND s.kind = 'read')
ORDER BY txid, seq LIMIT %(limit)s
"""


class Follow:
    """Serves followers from the table."""

    def __init__(
        self,
        pool: Pool,
        waker: Waker,
        clock: Clock,
        draining: asyncio.Event,
        poll_seconds: float,
    ) -> None:
        self._pool = pool
        self._waker = waker
        self._clock = clock
        self._draining = draining
        self._poll_seconds = poll_seconds

    async def stream(self, follower: str, text: str) -> AsyncIterator[reads_pb2.FollowReadsResponse]:
        """Yield batches after a cursor for as long as the service runs.

        Raises:
            PlatewardError: CURSOR_INVALID by rule 4 or for a malformed cursor.
            psycopg.OperationalError: the database is away.
        """
        cursor = parse_cursor(text)
        await self._admit(cursor)
        await self._note(follower, cursor)
        while not self._draining.is_set():
            moment = self._waker.moment
            batch = await self.after(cursor)
            if batch is None:
                await wait_for_either(moment, self._draining, self._poll_seconds)
                continue
            cursor, answer = batch
            yield answer
            await self._note(follower, cursor)

    async def after(
        self, cursor: Cursor, limit: int = BATCH
    ) -> tuple[Cursor, reads_pb2.FollowReadsResponse] | None:
        """Return the next reads and the cursor after them, or ``None`` when there are none yet."""
        async with self._pool.connection() as connection:
            found = await connection.execute(
                _NEXT,
                {"txid": str(cursor.txid), "seq": cursor.seq, "now": self._clock.now(), "limit": limit},
            )
            rows = await found.fetchall()
        if not rows:
            return None
        end = Cursor(int(rows[-1]["txid_text"]), rows[-1]["seq"])
        return end, reads_pb2.FollowReadsResponse(reads=map(read_of, rows), cursor=str(end))

    async def crop_key(
        self, agency_id: str, read_id: str, seen_at: datetime, column: LiteralString, alive: Sequence[Alive]
    ) -> str:
        """Return where a crop of a live read is kept; empty where there is none, or where it is not alive any more."""
        after = next((bound.crops_after for bound in alive if bound.agency_id == agency_id), None)
        if after is None:
            return ""
        async with self._pool.connection() as connection:
            found = await connection.execute(
                f"SELECT {column} AS key FROM reads WHERE agency_id = %s AND read_id = %s AND seen_at = %s AND seen_at > %s",  # noqa: S608
                (agency_id, read_id, seen_at, after),
            )
            row = await found.fetchone()
        return str(row["key"]) if row is not None else ""

    async def _admit(self, cursor: Cursor) -> None:
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT %s::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) AS ahead",
                (str(cursor.txid),),
            )
            row = await found.fetchone()
        if row is None or row["ahead"]:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_CURSOR_INVALID,
                "The cursor is ahead of this database: it was restored from an older state. Start over without a cursor.",
            )

    async def _note(self, follower: str, cursor: Cursor) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO followers (follower, cursor) VALUES (%s, %s) "
                "ON CONFLICT (follower) DO UPDATE SET cursor = excluded.cursor, updated_at = now()",
                (follower, str(cursor)),
            )
