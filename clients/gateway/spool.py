"""Sightings on disk until ``reads`` has answered for them: SQLite, written through, bounded.

Rules
-----
1. A sighting that was added survives the loss of power: WAL with ``synchronous=FULL``.
2. What leaves the spool was stored, was known, or was refused with a reason; the refused are kept apart and counted.
3. The spool has a size; adding to a full one waits.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS rejected (
  id TEXT PRIMARY KEY, reason TEXT NOT NULL, message TEXT NOT NULL, body BLOB NOT NULL,
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')));
"""
_PRAGMAS = ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL")
_APART = "INSERT OR REPLACE INTO rejected (id, reason, message, body) SELECT id, ?, ?, body FROM waiting WHERE id = ?"
_AGAIN = "INSERT OR IGNORE INTO waiting (id, body) SELECT id, body FROM rejected ORDER BY at, id"


class SpoolError(Exception):
    """The spool cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A sighting that ``reads`` refused."""

    id: str
    reason: str
    message: str


class Spool:
    """The spool of one camera. One process at a time.

    Attributes:
        filled: set while sightings wait.
        emptied: set while none does.
    """

    def __init__(self, file: Path, most: int = 100_000) -> None:
        """Open a spool, or make it.

        Raises:
            SpoolError: the file is no spool, or another gateway uses it.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        self._most = most
        self._lock = threading.Lock()
        self._room = asyncio.Event()
        self.filled = asyncio.Event()
        self.emptied = asyncio.Event()
        self._database = sqlite3.connect(file, timeout=2.0, isolation_level=None, check_same_thread=False)
        try:
            for pragma in _PRAGMAS:
                self._database.execute(f"PRAGMA {pragma}")
            self._database.executescript(_SCHEMA)
            self._depth = int(self._database.execute("SELECT count(*) FROM waiting").fetchone()[0])
        except sqlite3.DatabaseError as error:
            self._database.close()
            in_use = isinstance(error, sqlite3.OperationalError)
            todo = "end the other gateway of this camera" if in_use else "move it away and start again"
            raise SpoolError(f"{file} cannot be used ({error}): {todo}") from error
        file.chmod(0o600)
        self._signal()

    @property
    def depth(self) -> int:
        """How many sightings wait."""
        return self._depth

    async def add(self, sighting_id: str, body: bytes) -> None:
        """Write a sighting through to the disk, once. A full spool waits for room."""
        while self._depth >= self._most:
            self._room.clear()
            await self._room.wait()
        insert = "INSERT OR IGNORE INTO waiting (id, body) VALUES (?, ?)"
        self._depth += await self._run(lambda db: db.execute(insert, (sighting_id, body)).rowcount)
        self._signal()

    async def batch(self, most: int, most_bytes: int) -> list[tuple[str, bytes]]:
        """Return the sightings that wait longest: at least one where any waits, else within both limits."""
        select = "SELECT id, body FROM waiting ORDER BY number LIMIT ?"
        rows = await self._run(lambda db: db.execute(select, (most,)).fetchall())
        taken: list[tuple[str, bytes]] = []
        size = 0
        for sighting_id, body in rows:
            size += len(body)
            if taken and size > most_bytes:
                break
            taken.append((sighting_id, body))
        return taken

    async def settle(self, ids: Iterable[str], rejected: Sequence[Rejected] = ()) -> None:
        """Let go of sightings that were answered for; keep the refused ones apart. One transaction."""
        apart = [(r.reason, r.message, r.id) for r in rejected]
        gone = [(i,) for i in (*ids, *(r.id for r in rejected))]

        def work(db: sqlite3.Connection) -> int:
            with _transaction(db):
                db.executemany(_APART, apart)
                return db.executemany("DELETE FROM waiting WHERE id = ?", gone).rowcount if gone else 0

        self._depth -= await self._run(work)
        self._room.set()
        self._signal()

    async def rejected(self) -> list[Rejected]:
        """Return what was refused, oldest first."""
        select = "SELECT id, reason, message FROM rejected ORDER BY at, id"
        return [Rejected(*row) for row in await self._run(lambda db: db.execute(select).fetchall())]

    async def requeue(self) -> int:
        """Let everything that was refused wait again; return how many."""

        def work(db: sqlite3.Connection) -> int:
            with _transaction(db):
                moved = db.execute(_AGAIN).rowcount
                db.execute("DELETE FROM rejected")
            return moved

        moved = await self._run(work)
        self._depth += moved
        self._signal()
        return moved

    def _signal(self) -> None:
        for event, holds in ((self.filled, self._depth > 0), (self.emptied, self._depth == 0)):
            (event.set if holds else event.clear)()

    def close(self) -> None:
        """Close the file; what waits stays."""
        with self._lock:
            self._database.close()

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        def locked() -> _T:
            with self._lock:
                return work(self._database)

        # Shielded: a cancelled caller must not leave the count behind the table.
        return await asyncio.shield(asyncio.to_thread(locked))


class _transaction:  # noqa: N801 - reads as a statement
    """All or nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("ROLLBACK" if kind else "COMMIT")
