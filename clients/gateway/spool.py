"""The durable spool between recognizer and reads: SQLite, written through to the disk before anything is acknowledged.

Rules
-----
1. ``put`` returns when the sighting is on disk; the same ID twice is one row.
2. A row goes only when ``reads`` has answered for it; one that ``reads`` rejects is kept apart with its reason.
3. The spool is bounded: a full one refuses, and the gateway stops taking frames instead of losing sightings.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

MOST = 200_000


class SpoolFullError(Exception):
    """The spool has as many sightings as it may hold."""


class Spool:
    """The spool of one gateway. Its methods block; call them from a thread."""

    def __init__(self, path: Path, most: int = MOST) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._most = most
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("CREATE TABLE IF NOT EXISTS waiting (id TEXT PRIMARY KEY, sighting BLOB NOT NULL)")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS rejected (id TEXT PRIMARY KEY, sighting BLOB NOT NULL, reason TEXT NOT NULL)"
        )

    def put(self, sighting_id: str, sighting: bytes) -> None:
        """Store a sighting.

        Raises:
            SpoolFullError: there is no room.
        """
        with self._lock:
            if self._count("waiting") >= self._most:
                raise SpoolFullError(
                    f"{self._most} sightings wait: bring the reads service back, or give the spool more room"
                )
            self._db.execute(
                "INSERT OR IGNORE INTO waiting (id, sighting) VALUES (?, ?)", (sighting_id, sighting)
            )

    def batch(self, most: int) -> list[tuple[str, bytes]]:
        """Return the oldest sightings that wait."""
        with self._lock:
            return self._db.execute(
                "SELECT id, sighting FROM waiting ORDER BY rowid LIMIT ?", (most,)
            ).fetchall()

    def settle(self, stored: Iterable[str], rejected: Mapping[str, str]) -> None:
        """Let go of what is stored; keep apart what was rejected, with the reason."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            for sighting_id, reason in rejected.items():
                self._db.execute(
                    "INSERT OR REPLACE INTO rejected SELECT id, sighting, ? FROM waiting WHERE id = ?",
                    (reason, sighting_id),
                )
            self._db.executemany("DELETE FROM waiting WHERE id = ?", [(i,) for i in (*stored, *rejected)])
            self._db.execute("COMMIT")

    @property
    def depth(self) -> int:
        """How many wait."""
        with self._lock:
            return self._count("waiting")

    @property
    def rejected(self) -> list[tuple[str, str]]:
        """(ID, reason) of what was rejected."""
        with self._lock:
            return self._db.execute("SELECT id, reason FROM rejected ORDER BY rowid").fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _count(self, table: str) -> int:
        query = {"waiting": "SELECT count(*) FROM waiting", "rejected": "SELECT count(*) FROM rejected"}[
            table
        ]
        return int(self._db.execute(query).fetchone()[0])
