"""Chain of custody: who had what a hold keeps in hand, line after line, each bound to the one before it.

Rules
-----
1. A line is JSON: number, time, who, of which agency, what was done, and the SHA-256 of the line before it.
2. Each line is recorded in the audit log with its digest before it is written; its receipt is kept beside it. The line names
   the event that records it, so that a receipt of another event, however genuine, does not pass for its own.
3. Lines are only added. Who takes the chain out of the database takes out what proves it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from plateward.audit.v1 import event_pb2
from servicekit.clock import Clock
from servicekit.context import CallContext
from servicekit.ids import new_id
from services.reads.records import Records


class Custody:
    """Adds lines and reads them."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def add(
        self, connection: AsyncConnection[Any], hold_id: UUID, call: CallContext, what: str, **detail: Any
    ) -> None:
        """Add a line in the transaction of what it tells of.

        Raises:
            PlatewardError: AUDIT_UNAVAILABLE; then what it tells of must not happen either.
        """
        found = await connection.execute(
            "SELECT line, digest FROM custody WHERE hold_id = %s ORDER BY line DESC LIMIT 1", (hold_id,)
        )
        last = await found.fetchone()
        line = last["line"] + 1 if last is not None else 1
        event_id = new_id(self._clock)
        entry = {
            "line": line, "event": event_id, "at": self._clock.now().isoformat(), "hold": str(hold_id), "what": what, **detail,
            "member": call.subject.member_id, "name": call.subject.member_name, "agency": call.subject.agency_id,
            "workload": call.subject.workload, "request": call.request_id,
            "previous": bytes(last["digest"]).hex() if last is not None else "",
        }  # fmt: skip
        text = json.dumps(entry, ensure_ascii=False, sort_keys=True).encode()
        digest = hashlib.sha256(text).digest()
        change = event_pb2.Change(
            kind="custody", target=str(hold_id), summary=f"line {line}: {what}", after_digest=digest
        )
        receipt = await self._records.change(call, change, event_id=event_id)
        await connection.execute(
            "INSERT INTO custody (hold_id, line, entry, digest, receipt) VALUES (%s, %s, %s, %s, %s)",
            (hold_id, line, text, digest, receipt.SerializeToString(deterministic=True)),
        )

    @staticmethod
    async def lines(connection: AsyncConnection[Any], hold_id: UUID) -> list[dict[str, Any]]:
        """Return the chain of a hold, first line first, each with its entry, digest and receipt as stored."""
        found = await connection.execute("SELECT * FROM custody WHERE hold_id = %s ORDER BY line", (hold_id,))
        return list(await found.fetchall())
