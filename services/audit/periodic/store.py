"""The SQL of the periodic audits: their records, and the looks of an agency in a span."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import DictRow

from plateward.audit.v1 import event_pb2
from servicekit.crypto import open_sealed, seal
from servicekit.database import Pool
from services.audit.model import Sealer
from services.audit.periodic.life import PLANNED, Record
from services.audit.store import EPOCH_BITS, Payload

_PAGE = 1000


class AuditStore:
    """Records of audits, sealed; and the population of an audit."""

    def __init__(self, pool: Pool, sealer: Sealer, key: bytes) -> None:
        self._pool = pool
        self._sealer = sealer
        self._key = key

    async def add(
        self, record_id: str, audit_id: str, agency_id: str, kind: str, at: datetime, data: Mapping[str, Any]
    ) -> bytes:
        """Add a record; return the bytes that were sealed, for the log's digest."""
        text = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO audit_records (record_id, audit_id, agency, kind, at, sealed) VALUES (%s, %s, %s, %s, %s, %s)",
                (record_id, audit_id, self._sealer.term("agency", agency_id), kind, at, seal(self._key, text, _bound(audit_id, kind, at))),
            )  # fmt: skip
        return text

    async def records(self, audit_id: str, agency_id: str) -> list[Record]:
        """Return an audit's records, oldest first; none of another agency's."""
        rows = await self._all(
            "SELECT audit_id::text, kind, at, sealed FROM audit_records WHERE audit_id = %s AND agency = %s ORDER BY record_id",
            (audit_id, self._sealer.term("agency", agency_id)),
        )
        return [self._record(r) for r in rows]

    async def audit_ids(self, agency_id: str, before: str, limit: int) -> list[str]:
        """Return the IDs of an agency's audits, newest first."""
        rows = await self._all(
            "SELECT audit_id::text FROM audit_records WHERE agency = %s AND kind = %s AND (%s = '' OR audit_id < nullif(%s, '')::uuid) "
            "ORDER BY audit_id DESC LIMIT %s",
            (self._sealer.term("agency", agency_id), PLANNED, before, before, limit),
        )
        return [r["audit_id"] for r in rows]

    async def unfinished(self) -> list[list[Record]]:
        """Return the records of every audit of any agency that is not signed off."""
        rows = await self._all(
            "SELECT audit_id::text, kind, at, sealed FROM audit_records r WHERE NOT EXISTS "
            "(SELECT 1 FROM audit_records s WHERE s.audit_id = r.audit_id AND s.kind = 'signed-off') ORDER BY audit_id, record_id",
            (),
        )
        grouped: dict[str, list[Record]] = {}
        for row in rows:
            grouped.setdefault(row["audit_id"], []).append(self._record(row))
        return list(grouped.values())

    async def last_signed_off(self) -> datetime | None:
        """Return when an audit was signed off last."""
        rows = await self._all("SELECT max(at) AS at FROM audit_records WHERE kind = 'signed-off'", ())
        at: datetime | None = rows[0]["at"]
        return at

    async def population(
        self, agency_id: str, actions: Sequence[int], start: datetime, end: datetime, *, answered: bool
    ) -> list[int]:
        """Return the indexes of the looks of a span by or at an agency, ascending; only those with an answer, or all."""
        found: list[int] = []
        async for rows in self._looks(agency_id, actions, start, end):
            found += [r["index"] for r in rows if not answered or r["status"] == "OK"]
        return found

    async def events(self, agency_id: str, start: datetime, end: datetime) -> AsyncIterator[list[Payload]]:
        """Yield every outcome, change and system event of an agency in a span, ascending, in batches."""
        async for rows in self._looks(agency_id, None, start, end):
            yield [
                Payload(
                    r["index"], bytes(r["entry"]), bytes(r["sealed"]), bytes(r["wrapped_key"]) if r["wrapped_key"] is not None else None
                )
                for r in rows
            ]  # fmt: skip

    async def _looks(
        self, agency_id: str, actions: Sequence[int] | None, start: datetime, end: datetime
    ) -> AsyncIterator[list[DictRow]]:
        term, after, wanted = (
            self._sealer.term("agency", agency_id),
            -1,
            None if actions is None else list(actions),
        )
        (last,) = await self._all("SELECT coalesce(max(index), 0) AS last FROM entries", ())
        phases = [event_pb2.PHASE_OUTCOME, event_pb2.PHASE_CHANGE, event_pb2.PHASE_SYSTEM]
        for epoch in range((last["last"] >> EPOCH_BITS) + 1):
            while True:
                rows = await self._all(
                    "SELECT e.index, e.status, e.entry, e.sealed, p.wrapped_key FROM search_keys k JOIN entries e USING (index) "
                    "LEFT JOIN payload_keys p USING (index) WHERE k.epoch = %s AND k.digest = %s AND k.index > %s "
                    "AND e.occurred_at >= %s AND e.occurred_at < %s AND e.phase = ANY(%s) AND (%s::int[] IS NULL OR e.action = ANY(%s::int[])) "
                    "ORDER BY k.index LIMIT %s",
                    (epoch, term, after, start, end, phases, wanted, wanted, _PAGE),
                )
                if rows:
                    after = rows[-1]["index"]
                    yield rows
                if len(rows) < _PAGE:
                    break

    def _record(self, row: DictRow) -> Record:
        bound = _bound(row["audit_id"], row["kind"], row["at"])
        data = json.loads(open_sealed(self._key, bytes(row["sealed"]), bound))
        return Record(row["audit_id"], row["kind"], row["at"], data)

    async def _all(self, query: str, values: tuple[Any, ...]) -> list[DictRow]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, values)).fetchall()


def _bound(audit_id: str, kind: str, at: datetime) -> bytes:
    return f"{audit_id}\0{kind}\0{at.timestamp():.6f}".encode()
