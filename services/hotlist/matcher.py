"""Follows the reads and raises hits: every read is matched, every hit is raised once.

Rules
-----
1. The cursor moves in the transaction that raises the hits of its reads: after a crash, reads come again and
   their hits are found raised already.
2. One matcher at a time: the follower's row is locked, and who finds that another has moved it starts from there.
   Hits are therefore numbered in the order in which they are committed.
3. Plates in memory only say which reads to look at: whether an entry is in force is asked of the database in the
   transaction that raises the hit. A removal needs no reload and takes effect at once.
4. The plates are compared with the version of the entries before each batch: a read that was stored after an
   approval was answered is matched against the approved entry. A large change (an import) is loaded beside the matching;
   the reads that came meanwhile are matched again once it is there, also after a crash in between.
   An entry that goes between look and hit may have another in its place, as when a source changes a row: its reads are
   looked at once more.
5. When `reads` is away the matcher comes back with growing pauses; the cursor is kept.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
import structlog
from psycopg import AsyncConnection, sql

from plates.index import PlateIndex
from plateward.hotlist.v1 import hit_pb2
from plateward.reads.v1 import read_pb2, reads_pb2, reads_pb2_grpc
from servicekit.clock import Clock
from servicekit.database import UNAVAILABLE, Pool
from services.hotlist.candidates import around, candidates
from services.hotlist.entries import Entries
from services.hotlist.hits import Hits
from services.hotlist.keeping import Keeping
from services.hotlist.matching import Match, characters, find, matches

CHANNEL = "hits_raised"
FOLLOWER = "hotlist"
AT_ONCE = 20_000
_STEP = 2_000
_TRIES = 3
_NEWER = """
SELECT plate FROM entries WHERE in_force_since >= 0 AND in_force_since > %(version)s AND removed_at IS NULL
UNION ALL SELECT e.plate FROM list_versions v
  JOIN entries e ON e.agency_id = v.agency_id AND e.list_id = v.list_id AND e.list_version = v.version
  WHERE v.in_force_since >= 0 AND v.in_force_since > %(version)s AND e.list_version > 0 AND e.removed_at IS NULL
"""
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
        at_once: int = AT_ONCE,
        keeping: Keeping | None = None,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._new_id = new_id
        self._min_weight = min_weight
        self._at_once = at_once
        self._keeping = keeping
        self._index = PlateIndex()
        self._version = -1
        self._loading: asyncio.Task[None] | None = None
        self._again = asyncio.Event()

    async def run(self, reads: grpc.aio.Channel) -> None:
        """Follow until cancelled."""
        stub: Any = reads_pb2_grpc.ReadsServiceStub(reads)
        pause = _FIRST_PAUSE_S
        started = False
        while True:
            try:
                if not started:
                    await self._start()
                    started = True
                async for _ in self._follow(stub):
                    pause = _FIRST_PAUSE_S
            except grpc.aio.AioRpcError as error:
                _log.warning("following_interrupted", code=error.code().name, pause_s=round(pause, 2))
            except UNAVAILABLE:
                _log.warning("database_away", pause_s=round(pause, 2))
            except MovedError:
                _log.info("cursor_moved")
            # Jitter keeps replicas from coming back in step.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    async def _follow(self, stub: Any) -> AsyncIterator[int]:
        cursor = await self.cursor()
        call = stub.FollowReads(
            reads_pb2.FollowReadsRequest(cursor=cursor, follower=FOLLOWER), wait_for_ready=True
        )
        again = asyncio.ensure_future(self._again.wait())
        try:
            while True:
                reading = asyncio.ensure_future(call.read())
                await asyncio.wait({reading, again}, return_when=asyncio.FIRST_COMPLETED)
                if self._again.is_set():
                    self._again.clear()
                    reading.cancel()
                    raise MovedError
                batch = reading.result()
                if batch is grpc.aio.EOF:
                    return
                raised = await self.take(cursor, batch)
                cursor = batch.cursor
                yield raised
        finally:
            again.cancel()
            call.cancel()

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
            reads: Sequence[read_pb2.Read] = batch.reads
            for _ in range(_TRIES):
                count, reads = await self._raise(connection, await self._hits(connection, reads))
                raised += count
                if not reads:
                    break
            await connection.execute(
                "UPDATE follower SET cursor = %s, updated_at = now() WHERE name = %s",
                (batch.cursor, FOLLOWER),
            )
            if raised:
                await connection.execute(sql.SQL("NOTIFY {}").format(sql.Identifier(CHANNEL)))
        return raised

    async def _raise(
        self, connection: AsyncConnection[Any], hits: Sequence[hit_pb2.Hit]
    ) -> tuple[int, list[read_pb2.Read]]:
        """Raise hits; return how many, and the reads whose entry went while they were matched (rule 4)."""
        raised, again = 0, list[read_pb2.Read]()
        for hit in hits:
            keep = await self._keeping.keep(hit.agency_id) if self._keeping is not None else None
            if await Hits.insert(connection, hit, keep):
                raised += 1
            elif not await Hits.is_raised(connection, hit):
                again.append(hit.read)
        return raised, again

    async def _hits(
        self, connection: AsyncConnection[Any], reads: Sequence[read_pb2.Read]
    ) -> list[hit_pb2.Hit]:
        ways = [(read, found) for read in reads if (found := find(self._index, read, self._min_weight))]
        if not ways:
            return []
        now = self._clock.now()
        entries = await candidates(connection, {plate for _, found in ways for plate in found}, now)
        if not entries:
            return []
        beside = await around(connection)
        return [
            self._hit(read, match)
            for read, found in ways
            for match in matches(
                found, [e for plate in found for e in entries.get(plate, ())], read, now, beside
            )
        ]

    async def _refresh(self, connection: AsyncConnection[Any]) -> None:
        version = await Entries.version(connection)
        if version == self._version or self._loading is not None:
            return
        found = await connection.execute(
            f"{_NEWER} LIMIT %(most)s", {"version": self._version, "most": self._at_once + 1}
        )
        plates = [row["plate"] for row in await found.fetchall()]
        if len(plates) <= self._at_once:
            self._index.add(plates)
            self._version = version
            return
        # Kept in the transaction of the first batch that may miss something.
        await connection.execute(
            "UPDATE follower SET again_from = coalesce(again_from, cursor) WHERE name = %s", (FOLLOWER,)
        )
        self._loading = asyncio.create_task(self._load(version))

    async def _load(self, version: int) -> None:
        try:
            await self._load_newer(version)
            async with self._pool.connection() as connection:
                await connection.execute(
                    "UPDATE follower SET cursor = again_from, again_from = NULL WHERE name = %s AND again_from IS NOT NULL",
                    (FOLLOWER,),
                )
            self._again.set()
        except UNAVAILABLE:
            _log.warning("loading_entries_interrupted")
        finally:
            self._loading = None

    async def _load_newer(self, version: int) -> None:
        async with self._pool.connection() as connection, connection.cursor("plates") as rows:
            rows.itersize = _STEP
            await rows.execute(_NEWER, {"version": self._version})
            while step := await rows.fetchmany(_STEP):
                self._index.add(row["plate"] for row in step)
                # Lets the matching of reads go on in between.
                await asyncio.sleep(0)
        self._version = version
        _log.info("entries_loaded", plates=self._index.size, version=version)

    async def _start(self) -> None:
        """Load all plates before the first read, and match again what a crash left to be matched again."""
        await self.cursor()
        async with self._pool.connection() as connection:
            version = await Entries.version(connection)
        await self._load_newer(version)
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE follower SET cursor = again_from, again_from = NULL WHERE name = %s AND again_from IS NOT NULL",
                (FOLLOWER,),
            )

    def _hit(self, read: read_pb2.Read, match: Match) -> hit_pb2.Hit:
        hit = hit_pb2.Hit(
            hit_id=self._new_id(),
            agency_id=read.agency_id,
            entry=match.entry,
            read=read,
            state=hit_pb2.HIT_STATE_REJECTED if match.is_cleared else hit_pb2.HIT_STATE_RAISED,
            rejection=hit_pb2.REJECTION_CLEARED if match.is_cleared else hit_pb2.REJECTION_UNSPECIFIED,
            max_action=match.max_action,
            demotions=match.demotions,
            explanation=characters(read, match.entry),
            match_kind=match.kind,
            list_age_s=match.list_age_s,
        )
        hit.raised_at.FromDatetime(self._clock.now())
        return hit
