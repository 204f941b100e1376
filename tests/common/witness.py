"""Sees every statement that a service sends and every row that PostgreSQL sends back, before the service looks at it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest


@dataclass(slots=True)
class Witness:
    """What went over the wire while it watched."""

    statements: list[tuple[str, Any]] = field(default_factory=list)
    rows: list[list[bytes]] = field(default_factory=list)

    def note(self, query: Any, parameters: Any, cursor: psycopg.AsyncCursor[Any]) -> None:
        """Keep a statement and all that came back for it, fetched or not."""
        self.statements.append((query if isinstance(query, str) else str(query), parameters))
        result = cursor.pgresult
        for row in range(result.ntuples if result is not None else 0):
            assert result is not None
            values = (result.get_value(row, column) for column in range(result.nfields))
            self.rows.append([bytes(value) for value in values if value is not None])

    def came(self, ids: Iterable[str]) -> set[str]:
        """Return which of some UUIDs PostgreSQL sent, in text or in binary, in any column."""
        sent = b"\0".join(value for row in self.rows for value in row)
        return {i for i in ids if i.encode() in sent or UUID(i).bytes in sent}

    def about(self, table: str) -> list[tuple[str, Any]]:
        """Return the statements that select from a table."""
        return [(q, p) for q, p in self.statements if "SELECT" in q.upper() and table in q]


@contextmanager
def witnessed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Witness]:
    """Watch every cursor of this process."""
    witness = Witness()
    execute = psycopg.AsyncCursor.execute

    async def watched(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        cursor = await execute(self, query, params, **options)
        witness.note(query, params, self)
        return cursor

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncCursor, "execute", watched)
        yield witness
