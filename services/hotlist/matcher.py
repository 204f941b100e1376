"""Follows the reads and raises hits: every read is matched, every hit is raised once.

Rules
-----
1. The cursor moves in the transaction that raises the hits of its reads: after a crash, reads come again and
   their hits are found raised already.
2. One matcher at a time: the follower's row is locked, and who finds that another has moved it starts from there.
   Hits are therefore numbered in the order in which they are committed.
3. The index is compared with the version of the entries before each batch: a read that was stored after an
   approval was answered is matched against the approved entry.
4. When `reads` is away the matcher comes back with growing pauses; the cursor is kept.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import grpc
import structlog
from psycopg import AsyncConnection, sql

from plateward.hotlist.v1 import hit_pb2
from plateward.reads.v1 import read_pb2, reads_pb2, reads_pb2_grpc
from servicekit.clock import Clock
from servicekit.database import UNAVAILABLE, Pool
from services.hotlist.entries import Entries
from services.hotlist.hits import Hits
from services.hotlist.matching import Index, Match, build, characters, matches

CHANNEL = "hits_raised"
FOLLOWER = "hotlist"
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_log = structlog.get_logger(__name__)


class MovedError(Exception):
    """Another replica has moved the cursor."""


class Matcher:
    """Matches reads as they come and keeps the cursor."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        new_id: Callable[[], str],
        min_weight: float,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._new_id = new_id
        self._min_weight = min_weight
        self._index = Index()
        self._version = -1

    async def run(self, reads: grpc.aio.Channel) -> None:
        """Follow until cancelled."""
        stub: Any = reads_pb2_grpc.ReadsServiceStub(reads)
        pause = _FIRST_PAUSE_S
        while True:
            try:
                cursor = await self.cursor()
                request = reads_pb2.FollowReadsRequest(cursor=cursor, follower=FOLLOWER)
                async for batch in stub.FollowReads(request, wait_for_ready=True):
                    await self.take(cursor, batch)
                    cursor = batch.cursor
                    pause = _FIRST_PAUSE_S
            except grpc.aio.AioRpcError as error:
                _log.warning("following_interrupted", code=error.code().name, pause_s=round(pause, 2))
            except UNAVAILABLE:
                _log.warning("database_away", pause_s=round(pause, 2))
            except MovedError:
                _log.info("another_replica_follows")
            # Jitter keeps replicas from coming back in step.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    async def cursor(self) -> str:
        """Return where to go on."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO follower (name, cursor) VALUES (%s, '') ON CONFLICT DO NOTHING", (FOLLOWER,)
            )
            found = await connection.execute("SELECT cursor FROM follower WHERE name = %s", (FOLLOWER,))
            row = await found.fetchone()
        return str(row["cursor"]) if row is not None else ""

    async def take(self, cursor: str, batch: reads_pb2.FollowReadsResponse) -> int:
        """Match a batch that was read after ``cursor``; return how many hits were raised.

        Raises:
            MovedError: the cursor is not there any more; nothing was done.
            psycopg.OperationalError: the database is away; nothing was done.
        """
        raised = 0
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT cursor FROM follower WHERE name = %s FOR UPDATE", (FOLLOWER,)
            )
            row = await found.fetchone()
            if row is None or row["cursor"] != cursor:
                raise MovedError
            await self._refresh(connection)
            now = self._clock.now()
            for read in batch.reads:
                for match in matches(self._index, read, now, self._min_weight):
                    raised += await Hits.insert(connection, self._hit(read, match))
            await connection.execute(
                "UPDATE follower SET cursor = %s, updated_at = now() WHERE name = %s",
                (batch.cursor, FOLLOWER),
            )
            if raised:
                await connection.execute(sql.SQL("NOTIFY {}").format(sql.Identifier(CHANNEL)))
        return raised

    async def _refresh(self, connection: AsyncConnection[Any]) -> None:
        version = await Entries.version(connection)
        if version != self._version:
            self._index = build(await Entries.in_force(connection, self._clock.now()))
            self._version = version
            _log.info("entries_loaded", entries=self._index.size, version=version)

    def _hit(self, read: read_pb2.Read, match: Match) -> hit_pb2.Hit:
        hit = hit_pb2.Hit(
            hit_id=self._new_id(),
            agency_id=match.entry.agency_id,
            entry=match.entry,
            read=read,
            state=hit_pb2.HIT_STATE_RAISED,
            max_action=match.max_action,
            demotions=match.demotions,
            explanation=characters(read, match.entry),
            match_kind=match.kind,
        )
        hit.raised_at.FromDatetime(self._clock.now())
        return hit
