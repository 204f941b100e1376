"""Sightings on disk until ``reads`` has answered for them: SQLite, written through, sealed, bounded.

Rules
-----
1. A sighting that was added survives the loss of power: WAL with ``synchronous=FULL``.
2. What leaves the spool was stored, was known, or was refused with a reason; the refused are kept apart and counted.
3. What retention refuses as too old is not kept here either: ID, camera, time and reason stay, plate and pictures go at once.
   What else was refused goes after some days (a week unless set otherwise), so that there is time to mend the cause.
4. The spool has a size, in sightings and in bytes; adding to a full one waits, and so does adding on a full disk: then a camera's
   frames are skipped, which is counted, and nothing that waits is ever dropped. Only what was refused makes room: beyond a
   quarter of the size, and on a full disk, the oldest of it goes. What goes by age or for room is counted, over restarts.
5. Bodies are sealed at rest, and what is deleted is overwritten (``spool_file.py``).
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from clients.gateway.spool_file import TOO_OLD, TOO_OLD_TOLD, SpoolError, open_file
from servicekit.crypto import UnsealError, open_sealed, seal

__all__ = ["KEEP_REFUSED", "MOST_BYTES", "Rejected", "Spool", "SpoolError"]

_T = TypeVar("_T")
MOST_BYTES = 4 * 2**30
KEEP_REFUSED = timedelta(days=7)
_DAMAGED = "SPOOL_DAMAGED"
_REFUSED_SHARE = 4
_LET_GO_AT_ONCE = 100
_FULL_RETRY_S = 1.0
_PRUNE_S = 60.0
_APART = (
    "INSERT OR REPLACE INTO rejected (id, reason, message, camera, seen_at, body) "
    "SELECT id, ?, ?, ?, ?, CASE WHEN ? THEN x'' ELSE body END FROM waiting WHERE id = ?"
)
_AGAIN = (
    "INSERT OR IGNORE INTO waiting (id, body) SELECT id, body FROM rejected WHERE body <> x'' ORDER BY at, id"
)
_COUNT = (
    "INSERT INTO facts VALUES ('let_go', ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A sighting that ``reads`` refused; of one that was too old this is all that is left."""

    id: str
    reason: str
    message: str
    camera: str = ""
    seen_at: str = ""


class Spool:
    """The spool of one camera. One process at a time.

    Attributes:
        filled: set while sightings wait.
        emptied: set while none does.
        trouble: what is wrong with the disk at the moment, or nothing.
    """

    def __init__(
        self,
        file: Path,
        most: int = 100_000,
        *,
        most_bytes: int = MOST_BYTES,
        keep_refused: timedelta = KEEP_REFUSED,
        key_file: Path | None = None,
    ) -> None:
        """Open a spool, or make it, and its key.

        Raises:
            SpoolError: the file is no spool, another gateway uses it, or the key is not its own.
        """
        self._most, self._most_bytes = most, most_bytes
        self._keep_s = int(keep_refused.total_seconds())
        self._lock = threading.Lock()
        self._room = asyncio.Event()
        self.filled = asyncio.Event()
        self.emptied = asyncio.Event()
        self.trouble = ""
        self._database, self._key = open_file(file, key_file)
        measure = "SELECT count(*), coalesce(sum(length(body)), 0) FROM waiting"
        depth, size = self._database.execute(measure).fetchone()
        self._depth, self._bytes = int(depth), int(size)
        counted = self._database.execute("SELECT value FROM facts WHERE name = 'let_go'").fetchone()
        self._let_go = int(counted[0]) if counted else 0
        self._pruned_at = float("-inf")
        self._prune(self._database)
        self._signal()

    @property
    def depth(self) -> int:
        """How many sightings wait."""
        return self._depth

    @property
    def let_go(self) -> int:
        """How many refused sightings went by age or for room, ever."""
        return self._let_go

    async def add(self, sighting_id: str, body: bytes) -> None:
        """Write a sighting through to the disk, once. A full spool, or disk, waits for room."""
        sealed = seal(self._key, body, sighting_id.encode())
        while self._depth and (self._depth >= self._most or self._bytes + len(sealed) > self._most_bytes):
            self._room.clear()
            await self._room.wait()
        insert = "INSERT OR IGNORE INTO waiting (id, body) VALUES (?, ?)"

        def work(db: sqlite3.Connection) -> int:
            self._prune(db)
            return int(db.execute(insert, (sighting_id, sealed)).rowcount)

        added = await self._run(work)
        self._depth += added
        self._bytes += added * len(sealed)
        self._signal()

    async def batch(self, most: int, most_bytes: int) -> list[tuple[str, bytes]]:
        """Return the sightings that wait longest: at least one where any waits, else within both limits."""
        select = "SELECT id, body FROM waiting ORDER BY number LIMIT ?"
        taken: list[tuple[str, bytes]] = []
        damaged: list[Rejected] = []
        size = 0
        for sighting_id, sealed in await self._run(lambda db: db.execute(select, (most,)).fetchall()):
            try:
                body = open_sealed(self._key, sealed, sighting_id.encode())
            except UnsealError as error:
                damaged.append(Rejected(sighting_id, _DAMAGED, f"what was spooled {error}: check the disk"))
                continue
            size += len(body)
            if taken and size > most_bytes:
                break
            taken.append((sighting_id, body))
        if damaged:
            await self.settle((), damaged)
            return taken or await self.batch(most, most_bytes)
        return taken

    async def settle(self, ids: Iterable[str], rejected: Sequence[Rejected] = ()) -> None:
        """Let go of sightings that were answered for; keep the refused ones apart. One transaction."""
        apart = [
            (r.reason, TOO_OLD_TOLD if r.reason == TOO_OLD else r.message, r.camera, r.seen_at, r.reason == TOO_OLD, r.id)
            for r in rejected
        ]  # fmt: skip
        gone = [(i,) for i in (*ids, *(r.id for r in rejected))]

        def work(db: sqlite3.Connection) -> tuple[int, int]:
            freed = [0, 0]
            with _transaction(db):
                db.executemany(_APART, apart)
                for each in gone:
                    for row in db.execute("DELETE FROM waiting WHERE id = ? RETURNING length(body)", each):
                        freed[0] += 1
                        freed[1] += row[0]
            self._prune(db, now=bool(apart))
            return freed[0], freed[1]

        rows, size = await self._run(work)
        self._depth -= rows
        self._bytes -= size
        self._room.set()
        self._signal()

    async def rejected(self) -> list[Rejected]:
        """Return what was refused, oldest first."""
        select = "SELECT id, reason, message, camera, seen_at FROM rejected ORDER BY at, id"
        return [Rejected(*row) for row in await self._run(lambda db: db.execute(select).fetchall())]

    async def requeue(self) -> int:
        """Let everything that was refused and is still whole wait again; return how many."""

        def work(db: sqlite3.Connection) -> tuple[int, int]:
            with _transaction(db):
                size = db.execute("SELECT coalesce(sum(length(body)), 0) FROM rejected").fetchone()[0]
                moved = db.execute(_AGAIN).rowcount
                db.execute("DELETE FROM rejected")
            return moved, size

        moved, size = await self._run(work)
        self._depth += moved
        self._bytes += size
        self._signal()
        return moved

    def close(self) -> None:
        """Close the file; what waits stays."""
        with self._lock:
            self._database.close()

    # ---------------------------------------------------------------- private

    def _signal(self) -> None:
        for event, holds in ((self.filled, self._depth > 0), (self.emptied, self._depth == 0)):
            (event.set if holds else event.clear)()

    def _prune(self, db: sqlite3.Connection, *, now: bool = False) -> None:
        """Each minute let go of what was refused too long ago and of the oldest beyond its share (rules 3 and 4)."""
        if not now and time.monotonic() - self._pruned_at < _PRUNE_S:
            return
        self._pruned_at = time.monotonic()
        with _transaction(db):
            gone = db.execute(
                "DELETE FROM rejected WHERE at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?)",
                (f"-{self._keep_s} seconds",),
            ).rowcount
            count, size = db.execute(
                "SELECT count(*), coalesce(sum(length(body)), 0) FROM rejected"
            ).fetchone()
            while count and (count > self._most or size > self._most_bytes // _REFUSED_SHARE):
                row = db.execute(
                    "DELETE FROM rejected WHERE id = (SELECT id FROM rejected ORDER BY at, id LIMIT 1) RETURNING length(body)"
                ).fetchone()
                count, size, gone = count - 1, size - row[0], gone + 1
            self._count(db, gone)

    def _make_room(self, db: sqlite3.Connection) -> None:
        """Let go of the oldest refused bodies: the disk is full."""
        delete = "DELETE FROM rejected WHERE id IN (SELECT id FROM rejected WHERE body <> x'' ORDER BY at, id LIMIT ?)"
        with _transaction(db):
            self._count(db, db.execute(delete, (_LET_GO_AT_ONCE,)).rowcount)

    def _count(self, db: sqlite3.Connection, gone: int) -> None:
        if gone:
            db.execute(_COUNT, (gone,))
            self._let_go += gone

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do a piece of work in a thread; on a full disk make room and try again for as long as it takes."""

        def locked() -> _T:
            with self._lock:
                return work(self._database)

        def roomier() -> None:
            with self._lock:
                self._make_room(self._database)

        while True:
            try:
                # Shielded: a cancelled caller must not leave the count behind the table.
                done = await asyncio.shield(asyncio.to_thread(locked))
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                    raise
                before = self._let_go
                self.trouble = "spool: the disk is full; make room, nothing that waits is lost"
                try:
                    await asyncio.shield(asyncio.to_thread(roomier))
                except sqlite3.OperationalError:
                    self._let_go = before
                if self._let_go == before:
                    await asyncio.sleep(_FULL_RETRY_S)
            else:
                self.trouble = ""
                return done


class _transaction:  # noqa: N801 - reads as a statement
    """All or nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        # SQLite ends a transaction by itself where the disk is full.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK" if kind else "COMMIT")
