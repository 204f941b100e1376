"""Saying that something no longer holds, in the transaction that ends it: who listens hears it when it is committed."""

from __future__ import annotations

import json

from psycopg import AsyncConnection
from psycopg.rows import DictRow

CHANNEL = "plateward_revocations"


async def announce(connection: AsyncConnection[DictRow], kind: str, target: str, agency_id: str) -> None:
    """Announce a change of an agreement, a member, an agency or the policy; ``agency_id`` is whose access it concerns."""
    payload = json.dumps({"kind": kind, "id": target, "agency_id": agency_id})
    await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
