"""The only SQL of ``audit``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import DictRow

from servicekit.database import Pool
from services.audit.model import Entry
from tlog.tiles import Tile

Connection = psycopg.AsyncConnection[DictRow]
_SEQUENCER_LOCK = 0x617564697473
_ENTRY_COLUMNS = (
    "index, event_id, occurred_at, action, phase, status, entry, leaf_hash, digest, sealed, wrapped_key"
)
_EXPORT_PAGE = 4096


async def take_sequencer_lock(connection: Connection) -> bool:
    """Return whether this connection now is the one sequencer's; held until the connection ends."""
    row = await (
        await connection.execute("SELECT pg_try_advisory_lock(%s) AS taken", (_SEQUENCER_LOCK,))
    ).fetchone()
    await connection.commit()
    return bool(row and row["taken"])


async def known_events(
    connection: Connection, event_ids: Sequence[str]
) -> Mapping[str, tuple[int, bytes, bytes]]:
    """Return event ID → (index, digest, leaf hash) of the events that the log has."""
    rows = await connection.execute(
        "SELECT event_id::text, index, digest, leaf_hash FROM entries WHERE event_id = ANY(%s::uuid[])",
        (list(event_ids),),
    )
    return {r["event_id"]: (r["index"], bytes(r["digest"]), bytes(r["leaf_hash"])) async for r in rows}


async def add_entries(connection: Connection, first: int, entries: Sequence[Entry]) -> None:
    """Copy entries into the log from an index on."""
    async with connection.cursor() as cursor:
        async with cursor.copy(f"COPY entries ({_ENTRY_COLUMNS}) FROM STDIN") as copy:
            for offset, e in enumerate(entries):
                await copy.write_row(
                    (
                        first + offset,
                        e.event_id,
                        e.occurred_at,
                        e.action,
                        e.phase,
                        e.status,
                        e.entry,
                        e.leaf_hash,
                        e.digest,
                        e.sealed,
                        e.wrapped_key,
                    )
                )
        async with cursor.copy("COPY search_keys (kind, digest, index) FROM STDIN") as copy:
            for offset, e in enumerate(entries):
                for kind, digest in e.search:
                    await copy.write_row((kind, digest, first + offset))


async def put_tiles(connection: Connection, tiles: Sequence[Tile]) -> None:
    """Write hash tiles; a tile that has grown replaces its narrower self."""
    rows = [(t.coord.level, t.coord.index, t.coord.width, t.data) for t in tiles if t.coord.level is not None]
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO tiles (level, index, width, data) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (level, index) DO UPDATE SET width = excluded.width, data = excluded.data WHERE tiles.width < excluded.width",
            rows,
        )


async def add_checkpoint(connection: Connection, size: int, root: bytes, note: str) -> None:
    """Store a signed checkpoint."""
    await connection.execute(
        "INSERT INTO checkpoints (size, root, note) VALUES (%s, %s, %s)", (size, root, note)
    )


class Store:
    """Reading the log."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def latest_checkpoint(self) -> tuple[int, str] | None:
        """Return size and note of the latest checkpoint, or None before the first."""
        row = await self._one("SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1", ())
        return (row["size"], row["note"]) if row else None

    async def extent(self) -> tuple[int, int]:
        """Return how many entries there are, and the highest index plus one."""
        row = await self._one("SELECT count(*) AS n, coalesce(max(index) + 1, 0) AS top FROM entries", ())
        assert row is not None
        return row["n"], row["top"]

    async def tile(self, level: int, index: int) -> bytes | None:
        """Return a hash tile as wide as it is, or None."""
        row = await self._one("SELECT data FROM tiles WHERE level = %s AND index = %s", (level, index))
        return bytes(row["data"]) if row else None

    async def leaf_hash(self, index: int) -> bytes | None:
        """Return the leaf hash of an entry, or None."""
        row = await self._one("SELECT leaf_hash FROM entries WHERE index = %s", (index,))
        return bytes(row["leaf_hash"]) if row else None

    async def entries(self, start: int, end: int) -> list[tuple[int, bytes]]:
        """Return (index, public entry) of a range, as stored: gaps stay gaps."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                "SELECT index, entry FROM entries WHERE index >= %s AND index < %s ORDER BY index",
                (start, end),
            )
            return [(r["index"], bytes(r["entry"])) async for r in rows]

    async def all_tiles(self) -> AsyncIterator[tuple[int, int, bytes]]:
        """Yield (level, index, data) of every hash tile."""
        after = (-1, -1)
        while True:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(
                    "SELECT level, index, data FROM tiles WHERE (level, index) > (%s, %s) ORDER BY level, index LIMIT %s",
                    (*after, _EXPORT_PAGE),
                )
                rows = await cursor.fetchall()
            for r in rows:
                yield r["level"], r["index"], bytes(r["data"])
            if len(rows) < _EXPORT_PAGE:
                return
            after = (rows[-1]["level"], rows[-1]["index"])

    async def search(
        self,
        terms: Sequence[tuple[str, bytes]],
        start: datetime | None,
        end: datetime | None,
        before: int | None,
        limit: int,
    ) -> list[tuple[int, bytes, bytes, bytes | None]]:
        """Return (index, entry, sealed, wrapped key) of the newest entries that carry all terms."""
        where = ["TRUE"]
        values: list[Any] = []
        for kind, digest in terms:
            where.append(
                "EXISTS (SELECT 1 FROM search_keys k WHERE k.kind = %s AND k.digest = %s AND k.index = e.index)"
            )
            values += [kind, digest]
        for clause, value in (
            ("e.occurred_at >= %s", start),
            ("e.occurred_at < %s", end),
            ("e.index < %s", before),
        ):
            if value is not None:
                where.append(clause)
                values.append(value)
        query = f"SELECT e.index, e.entry, e.sealed, e.wrapped_key FROM entries e WHERE {' AND '.join(where)} ORDER BY e.index DESC LIMIT %s"
        async with self._pool.connection() as connection:
            rows = await connection.execute(query, (*values, limit))
            return [
                (
                    r["index"],
                    bytes(r["entry"]),
                    bytes(r["sealed"]),
                    r["wrapped_key"] and bytes(r["wrapped_key"]),
                )
                async for r in rows
            ]

    async def count(self, action: int, phases: Sequence[int], since: datetime) -> tuple[int, int]:
        """Return how many calls of an action were answered and how many were not."""
        row = await self._one(
            "SELECT count(*) FILTER (WHERE status = 'OK') AS ok, count(*) FILTER (WHERE status <> 'OK') AS refused "
            "FROM entries WHERE action = %s AND phase = ANY(%s) AND occurred_at >= %s",
            (action, list(phases), since),
        )
        assert row is not None
        return row["ok"], row["refused"]

    async def _one(self, query: str, values: tuple[Any, ...]) -> DictRow | None:
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, values)).fetchone()
