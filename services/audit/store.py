"""The only SQL of ``audit``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from plateward.common.v1 import action_pb2
from servicekit.database import Pool
from services.audit.model import Entry
from tlog.hashing import leaf_hash
from tlog.tiles import TILE_WIDTH, Tile

Connection = psycopg.AsyncConnection[DictRow]
EPOCH_BITS = 20
_SEQUENCER_LOCK = 0x617564697473
_ENTRY_COLUMNS = (
    "index",
    "event_id",
    "occurred_at",
    "action",
    "phase",
    "status",
    "digest",
    "sealed",
    "entry",
)
_PAGE = 4096
_DISCLOSE = action_pb2.ACTION_DISCLOSE
# Which term narrows a search most: the others are checked on what it finds.
_SELECTIVE = ("plate", "case", "member", "action", "by", "agency")


async def take_sequencer_lock(connection: Connection) -> bool:
    """Return whether this connection now is the one sequencer's; held until the connection ends."""
    row = await (
        await connection.execute("SELECT pg_try_advisory_lock(%s) AS taken", (_SEQUENCER_LOCK,))
    ).fetchone()
    await connection.commit()
    return bool(row and row["taken"])


async def known_events(connection: Connection, event_ids: Sequence[str]) -> Mapping[str, Known]:
    """Return event ID → index, digest and leaf of the events that the log has."""
    rows = await connection.execute(
        "SELECT event_id::text, index, digest, entry FROM entries WHERE event_id = ANY(%s::uuid[])",
        (list(event_ids),),
        binary=True,
    )
    return {
        r["event_id"]: Known(r["index"], bytes(r["digest"]), leaf_hash(bytes(r["entry"]))) async for r in rows
    }


async def add_entries(connection: Connection, first: int, entries: Sequence[Entry]) -> None:
    """Copy entries into the log from an index on: rows, keys, search terms."""
    async with connection.cursor() as cursor:
        await _copy(
            cursor, "entries", _ENTRY_COLUMNS, ("int8", "uuid", "timestamptz", "int2", "int2", "text", "bytea", "bytea", "bytea"),
            ((first + i, UUID(e.event_id), e.occurred_at, e.row.action, e.row.phase, e.row.status, e.row.digest, e.row.sealed, e.entry)
             for i, e in enumerate(entries)),
        )  # fmt: skip
        await _copy(cursor, "payload_keys", ("index", "wrapped_key"), ("int8", "bytea"),
                    ((first + i, e.wrapped_key) for i, e in enumerate(entries)))  # fmt: skip
        await _copy(cursor, "search_keys", ("epoch", "digest", "index"), ("int4", "bytea", "int8"),
                    (((first + i) >> EPOCH_BITS, term, first + i) for i, e in enumerate(entries) for term in e.row.terms))  # fmt: skip


async def _copy(
    cursor: psycopg.AsyncCursor[Any],
    table: str,
    columns: Sequence[str],
    types: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table), names)
    async with cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            await copy.write_row(row)


async def put_tiles(connection: Connection, tiles: Sequence[Tile]) -> None:
    """Write the full hash tiles among those given."""
    rows = [
        (t.coord.level, t.coord.index, t.data)
        for t in tiles
        if t.coord.level is not None and t.coord.width == TILE_WIDTH
    ]
    if rows:
        async with connection.cursor() as cursor:
            await cursor.executemany("INSERT INTO tiles (level, index, data) VALUES (%s, %s, %s)", rows)


async def add_checkpoint(connection: Connection, size: int, root: bytes, note: str) -> None:
    """Store a signed checkpoint."""
    await connection.execute(
        "INSERT INTO checkpoints (size, root, note) VALUES (%s, %s, %s)", (size, root, note)
    )


@dataclass(frozen=True, slots=True)
class Known:
    """An event that the log has."""

    index: int
    digest: bytes
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """An entry and what its event is sealed in; without a key it was sealed by order."""

    index: int
    entry: bytes
    sealed: bytes
    wrapped_key: bytes | None


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

    async def known_checkpoints(self) -> AsyncIterator[str]:
        """Yield every checkpoint that was signed, oldest first."""
        after = -1
        while True:
            rows = await self._all(
                "SELECT size, note FROM checkpoints WHERE size > %s ORDER BY size LIMIT %s", (after, _PAGE)
            )
            for r in rows:
                yield r["note"]
            if len(rows) < _PAGE:
                return
            after = rows[-1]["size"]

    async def checkpoint_at_or_after(self, size: int) -> str | None:
        """Return the first checkpoint that covers so many entries, or None."""
        row = await self._one("SELECT note FROM checkpoints WHERE size >= %s ORDER BY size LIMIT 1", (size,))
        return row["note"] if row else None

    async def tile(self, level: int, index: int) -> bytes | None:
        """Return a full hash tile, or None."""
        row = await self._one("SELECT data FROM tiles WHERE level = %s AND index = %s", (level, index))
        return bytes(row["data"]) if row else None

    async def entries(self, start: int, end: int) -> list[tuple[int, bytes]]:
        """Return (index, public entry) of a range, as stored: gaps stay gaps."""
        rows = await self._all(
            "SELECT index, entry FROM entries WHERE index >= %s AND index < %s ORDER BY index", (start, end)
        )
        return [(r["index"], bytes(r["entry"])) for r in rows]

    async def payloads(self, start: int, end: int) -> list[Payload]:
        """Return what can be opened of a range, as stored: gaps stay gaps."""
        rows = await self._all(
            "SELECT e.index, e.entry, e.sealed, k.wrapped_key FROM entries e LEFT JOIN payload_keys k USING (index) "
            "WHERE e.index >= %s AND e.index < %s ORDER BY e.index",
            (start, end),
        )
        return [_payload(r) for r in rows]

    async def sealing_leaves(self) -> list[bytes]:
        """Return the leaves of sealing orders."""
        rows = await self._all(
            "SELECT entry FROM entries WHERE action = %s AND position('\nseals '::bytea IN entry) > 0",
            (_DISCLOSE,),
        )
        return [bytes(r["entry"]) for r in rows]

    async def rows(self, start: int, end: int) -> list[dict[str, Any]]:
        """Return every column of a range of entries, with their keys and search terms, as stored: gaps stay gaps."""
        return await self._all(
            "SELECT e.index, e.event_id::text, e.occurred_at, e.action, e.phase, e.status, e.digest, e.sealed, k.wrapped_key, "
            "ARRAY(SELECT s.digest FROM search_keys s WHERE s.index = e.index AND s.epoch = e.index >> %s ORDER BY s.digest) AS terms "
            "FROM entries e LEFT JOIN payload_keys k USING (index) WHERE e.index >= %s AND e.index < %s ORDER BY e.index",
            (EPOCH_BITS, start, end),
        )

    async def cosigned(self, quorum: int) -> tuple[int, list[str]]:
        """Return the largest size that at least so many witnesses cosigned, with their notes; (0, []) for none."""
        rows = await self._all(
            "SELECT size, note FROM cosignatures WHERE size = (SELECT size FROM cosignatures GROUP BY size "
            "HAVING count(*) >= %s ORDER BY size DESC LIMIT 1) ORDER BY witness",
            (max(1, quorum),),
        )
        return (rows[0]["size"], [r["note"] for r in rows]) if rows else (0, [])

    async def add_cosignature(self, size: int, witness: str, note: str) -> None:
        """Keep a witness's cosignature."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO cosignatures (size, witness, note) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (size, witness, note),
            )

    async def last_cosigned(self, witness: str) -> int:
        """Return the size that a witness cosigned last, as far as the log knows."""
        row = await self._one(
            "SELECT coalesce(max(size), 0) AS size FROM cosignatures WHERE witness = %s", (witness,)
        )
        return row["size"] if row else 0

    async def search(
        self,
        terms: Sequence[tuple[str, bytes]],
        start: datetime | None,
        end: datetime | None,
        before: int | None,
        limit: int,
    ) -> list[Payload]:
        """Return the newest entries that carry all terms (kind, digest); there is at least one."""
        ordered = sorted(terms, key=lambda term: _SELECTIVE.index(term[0]))
        where, values = ["k.epoch = %s", "k.digest = %s"], [ordered[0][1]]
        for _, digest in ordered[1:]:
            where.append(
                "EXISTS (SELECT 1 FROM search_keys o WHERE o.epoch = k.epoch AND o.digest = %s AND o.index = k.index)"
            )
            values.append(digest)
        bounds = (("e.occurred_at >= %s", start), ("e.occurred_at < %s", end), ("k.index < %s", before))
        given = [(clause, value) for clause, value in bounds if value is not None]
        where += [clause for clause, _ in given]
        query = (
            "SELECT e.index, e.entry, e.sealed, p.wrapped_key FROM search_keys k JOIN entries e USING (index) "
            f"LEFT JOIN payload_keys p USING (index) WHERE {' AND '.join(where)} ORDER BY k.index DESC LIMIT %s"
        )
        found: list[Payload] = []
        # Epoch by epoch from the newest: each is one backward scan of the index, which ends when the page is full.
        for epoch in range(await self._epoch(before), -1, -1):
            rows = await self._all(
                query, (epoch, *values, *(value for _, value in given), limit - len(found))
            )
            found += [_payload(r) for r in rows]
            if len(found) == limit:
                break
        return found

    async def _epoch(self, before: int | None) -> int:
        row = await self._one("SELECT coalesce(max(index), 0) AS last FROM entries", ())
        last: int = row["last"] if row else 0
        return (last if before is None else min(before, last)) >> EPOCH_BITS

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

    async def _all(self, query: str, values: tuple[Any, ...]) -> list[DictRow]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, values)).fetchall()


def _payload(row: DictRow) -> Payload:
    key = row["wrapped_key"]
    return Payload(
        row["index"], bytes(row["entry"]), bytes(row["sealed"]), bytes(key) if key is not None else None
    )
