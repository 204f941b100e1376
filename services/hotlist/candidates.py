"""What the matcher asks of the database for plates that a read may stand for: entries in force and what stands beside them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from plateward.hotlist.v1 import hit_pb2
from services.hotlist.entries import entry_of
from services.hotlist.matching import Cleared, ListStanding, Surroundings

_ENTRIES = "SELECT * FROM entries WHERE plate = ANY(%s) AND removed_at IS NULL AND approved_by <> '' AND expires_at > %s"


async def candidates(
    connection: AsyncConnection[Any], plates: Iterable[str], now: datetime
) -> dict[str, list[hit_pb2.HotlistEntry]]:
    """Return the entries in force by plate."""
    found = await connection.execute(_ENTRIES, (list(plates), now))
    entries: dict[str, list[hit_pb2.HotlistEntry]] = {}
    for row in await found.fetchall():
        entries.setdefault(row["plate"], []).append(entry_of(row))
    return entries


async def around(connection: AsyncConnection[Any]) -> Surroundings:
    """Return what stands beside the entries: lists, foreign lists accepted, vehicles cleared."""
    lists = await connection.execute("SELECT agency_id, list_id, max_action, as_of, stale_after_s FROM lists")
    standing = {
        (row["agency_id"], row["list_id"]): ListStanding(
            row["max_action"], row["as_of"], row["stale_after_s"]
        )
        for row in await lists.fetchall()
    }
    offers = await connection.execute(
        "SELECT to_agency_id, from_agency_id, list_id FROM offers WHERE accepted_by <> ''"
    )
    accepted = frozenset(
        (row["to_agency_id"], row["from_agency_id"], row["list_id"]) for row in await offers.fetchall()
    )
    signed = await connection.execute("SELECT agency_id, entry_plate, entry_state, plate, state FROM cleared")
    return Surroundings(standing, accepted, frozenset(Cleared(**row) for row in await signed.fetchall()))
