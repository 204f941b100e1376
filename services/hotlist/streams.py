"""Streams of hits as they are raised: at least once, resumable by the number of the last hit dealt with.

An empty cursor starts now, and the first message is that cursor, without a hit: a client that is killed before its first hit
comes back with it and misses nothing. The last number is that of the newest hit there ever was, so a cursor stays valid when
hits are destroyed. A stream holds one batch at a time, so a slow client costs no memory; it ends when
the service drains, and the client comes back with its cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from plateward.common.v1 import decision_pb2, errors_pb2
from plateward.hotlist.v1 import hotlist_pb2
from servicekit.errors import PlatewardError
from servicekit.waker import Waker, wait_for_either
from services.hotlist.hits import Hits

BATCH = 25
_MOST = 2**63


class Streams:
    """Serves streams from the table of hits."""

    def __init__(self, hits: Hits, waker: Waker, draining: asyncio.Event, poll_seconds: float) -> None:
        self._hits = hits
        self._waker = waker
        self._draining = draining
        self._poll_seconds = poll_seconds

    async def stream(
        self, decision: decision_pb2.Decision | None, cursor: str
    ) -> AsyncIterator[hotlist_pb2.StreamHitsResponse]:
        """Yield hits after a cursor for as long as the service runs; without a cursor, first the one that starts now.

        Raises:
            PlatewardError: CURSOR_INVALID.
        """
        last = await self._hits.last_sequence()
        sequence = int(cursor) if cursor else last
        if sequence >= _MOST or sequence > last:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_CURSOR_INVALID,
                "The cursor is ahead of this database: send the last one unchanged, or none to start now.",
            )
        if not cursor:
            yield hotlist_pb2.StreamHitsResponse(cursor=str(sequence))
        while not self._draining.is_set():
            moment = self._waker.moment
            batch = await self._hits.after(decision, sequence, BATCH)
            for sequence, hit in batch:
                yield hotlist_pb2.StreamHitsResponse(hit=hit, cursor=str(sequence))
            if not batch:
                await wait_for_either(moment, self._draining, self._poll_seconds)
