"""The SQL of flags, dispositions and protected plates, and of the looks that the detectors follow."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import DictRow

from plateward.audit.v1 import event_pb2
from servicekit.crypto import open_sealed, seal
from servicekit.database import Pool
from servicekit.ids import derived_id
from services.audit.looks import LOOKS
from services.audit.misuse.flags import Flag
from services.audit.model import Sealer
from services.audit.store import Payload

# In words, not as parameters: only so does the planner know that the index on looks holds all of them.
_ANSWERED_LOOK = f"e.phase = {event_pb2.PHASE_OUTCOME} AND e.action IN ({', '.join(map(str, LOOKS))})"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class StoredFlag:
    """A flag with what became of it; ``finding`` is empty while nobody has looked."""

    flag_id: str
    at: datetime
    flag: Flag
    finding: str
    note: str


class FlagStore:
    """Flags."""

    def __init__(self, pool: Pool, sealer: Sealer, key: bytes) -> None:
        self._pool = pool
        self._sealer = sealer
        self._key = key

    async def add(self, flag_id: str, flag: Flag) -> bool:
        """Store a flag; return whether it is new."""
        data = {
            "detector": flag.detector, "agency_id": flag.agency_id, "member_id": flag.member_id, "subject": flag.subject,
            "explanation": flag.explanation, "indexes": flag.indexes, "at": flag.at.isoformat(),
        }  # fmt: skip
        async with self._pool.connection() as connection:
            done = await connection.execute(
                "INSERT INTO flags (flag_id, agency, at, sealed) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (flag_id, self._term(flag.agency_id), flag.at, self._seal(data, flag_id)),
            )
            return done.rowcount == 1

    def flag_id(self, flag: Flag) -> str:
        """Return the ID of a flag: derived under a key, so that nobody can guess from it who looked at what."""
        names = (flag.detector, flag.agency_id, flag.member_id, flag.subject)
        return derived_id(flag.at, hmac.digest(self._key, json.dumps(names).encode(), "sha256").hex())

    async def page(self, agency_id: str, before: str, limit: int, *, with_disposed: bool) -> list[StoredFlag]:
        """Return an agency's flags, newest first; ``before`` is the ID where the last page ended, or empty."""
        tail = "" if with_disposed else "AND d.sealed IS NULL "
        return await self._flags(f"{tail}AND (%s = '' OR f.flag_id < nullif(%s, '')::uuid) ORDER BY f.flag_id DESC LIMIT %s",
                                 (self._term(agency_id), before, before, limit))  # fmt: skip

    async def one(self, agency_id: str, flag_id: str) -> StoredFlag | None:
        """Return an agency's flag, or None."""
        found = await self._flags("AND f.flag_id = %s", (self._term(agency_id), flag_id))
        return found[0] if found else None

    async def between(self, agency_id: str, start: datetime, end: datetime) -> list[StoredFlag]:
        """Return an agency's flags of a span, oldest first."""
        return await self._flags(
            "AND f.at >= %s AND f.at < %s ORDER BY f.flag_id", (self._term(agency_id), start, end)
        )

    async def dispose(self, record_id: str, flag_id: str, at: datetime, data: dict[str, Any]) -> None:
        """Record what a flag turned out to be."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO flag_dispositions (record_id, flag_id, at, sealed) VALUES (%s, %s, %s, %s)",
                (record_id, flag_id, at, self._seal(data, flag_id)),
            )

    async def protect(self, record_id: str, agency_id: str, digest: bytes, *, active: bool) -> None:
        """Protect a plate, or end that."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO protected_plates (record_id, agency, digest, active) VALUES (%s, %s, %s, %s)",
                (record_id, self._term(agency_id), digest, active),
            )

    async def protected(self, agency_id: str) -> frozenset[bytes]:
        """Return the digests of an agency's protected plates."""
        rows = await self._all(
            "SELECT DISTINCT ON (digest) digest, active FROM protected_plates WHERE agency = %s ORDER BY digest, record_id DESC",
            (self._term(agency_id),),
        )
        return frozenset(bytes(r["digest"]) for r in rows if r["active"])

    async def position(self) -> int:
        """Return the entry up to which looks were judged; -1 before the first."""
        rows = await self._all("SELECT max(index) AS index FROM misuse_positions", ())
        return -1 if rows[0]["index"] is None else int(rows[0]["index"])

    async def note_position(self, index: int) -> None:
        """Note that looks up to an entry were judged."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO misuse_positions (index) VALUES (%s) ON CONFLICT DO NOTHING", (index,)
            )

    async def looks_after(self, index: int, since: datetime) -> list[Payload]:
        """Return the next looks of any agency after an index, ascending."""
        rows = await self._all(
            "SELECT e.index, e.entry, e.sealed, k.wrapped_key FROM entries e LEFT JOIN payload_keys k USING (index) "
            f"WHERE e.index > %s AND e.occurred_at >= %s AND {_ANSWERED_LOOK} ORDER BY e.index LIMIT %s",
            (index, since, _PAGE),
        )
        return [
            Payload(r["index"], bytes(r["entry"]), bytes(r["sealed"]), bytes(r["wrapped_key"]) if r["wrapped_key"] is not None else None)
            for r in rows
        ]  # fmt: skip

    async def _flags(self, tail: str, values: tuple[Any, ...]) -> list[StoredFlag]:
        rows = await self._all(
            "SELECT f.flag_id::text, f.at, f.sealed, d.sealed AS disposed FROM flags f LEFT JOIN LATERAL (SELECT sealed FROM flag_dispositions d "
            f"WHERE d.flag_id = f.flag_id ORDER BY d.record_id DESC LIMIT 1) d ON TRUE WHERE f.agency = %s {tail}",
            values,
        )
        return [self._flag(r) for r in rows]

    def _flag(self, row: DictRow) -> StoredFlag:
        data = self._open(row["sealed"], row["flag_id"])
        disposed = self._open(row["disposed"], row["flag_id"]) if row["disposed"] is not None else {}
        flag = Flag(
            data["detector"], data["agency_id"], data["member_id"], data["subject"], datetime.fromisoformat(data["at"]),
            data["explanation"], tuple(data["indexes"]),
        )  # fmt: skip
        return StoredFlag(
            row["flag_id"], row["at"], flag, disposed.get("finding", ""), disposed.get("note", "")
        )

    def _term(self, agency_id: str) -> bytes:
        return self._sealer.term("agency", agency_id)

    def _seal(self, data: dict[str, Any], flag_id: str) -> bytes:
        return seal(self._key, json.dumps(data, sort_keys=True).encode(), flag_id.encode())

    def _open(self, sealed: bytes, flag_id: str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(open_sealed(self._key, bytes(sealed), flag_id.encode()))
        return data

    async def _all(self, query: str, values: tuple[Any, ...]) -> list[DictRow]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, values)).fetchall()
