"""Looks in any order in, looks in order of time out: sorted on disk, so that a million rows need little memory.

The file is SQLite's private temporary database: it has no name, and is gone when it is closed or the process dies.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 5000
_INTERNED = 50_000

Row = tuple[datetime, int, str, str, str, str, str, str, float, int, int]


class Ordered:
    """Rows of (time, line, member, organisation, action, plate, case, reason, days, cameras, agencies)."""

    def __init__(self) -> None:
        self.duplicates = 0
        # The reading thread changes from call to call; never two at once.
        self._file = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._file.execute("PRAGMA cache_size = -16384")
        self._file.execute("PRAGMA temp_store = FILE")
        self._file.execute(
            "CREATE TABLE looks (at, line, member, org, action, plate, case_number, reason, days, cameras, agencies)"
        )
        self._file.execute("BEGIN")
        self._batch: list[tuple[object, ...]] = []

    def add(self, row: Row) -> None:
        """Take a row."""
        self._batch.append(((row[0] - _EPOCH) // timedelta(microseconds=1), *row[1:]))
        if len(self._batch) >= _BATCH:
            self._write()

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows, oldest first; the same row a second time is counted and left out."""
        self._write()
        moment, seen = -1, set[tuple[object, ...]]()
        known: dict[str, str] = {}
        for at, line, *rest in self._file.execute("SELECT * FROM looks ORDER BY at, line"):
            if at != moment:
                moment, seen = at, set()
            if tuple(rest) in seen:
                self.duplicates += 1
                continue
            seen.add(tuple(rest))
            if len(known) > _INTERNED:
                known.clear()
            texts = [known.setdefault(text, text) for text in rest[:6]]
            member, org, action, plate, case, reason = texts
            yield (
                _EPOCH + timedelta(microseconds=at),
                line,
                member,
                org,
                action,
                plate,
                case,
                reason,
                *rest[6:],
            )

    def close(self) -> None:
        """Forget everything."""
        self._file.close()

    def _write(self) -> None:
        self._file.executemany("INSERT INTO looks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._batch)
        self._batch.clear()
