"""Pictures of held reads: copied out of the way of destruction before a hold is committed, with no lock and no connection held.

Rules
-----
1. A copy is doomed before it is made; the transaction of its hold takes it off that list. A crash in between leaves nothing
   behind for ever, and a copy that was taken away meanwhile is seen, since its line is gone: it is made again.
2. What is doomed without a purge is destroyed together with its line, under the line's lock, and only where nothing in the hold
   store points to it: two holds at once may copy the same picture.
3. A picture that its own schedule has destroyed, with a certificate, is not held: asked under the agency's lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection

from servicekit.clock import Clock
from servicekit.database import Pool
from services.reads.crops import Crops, held_key

_COPY_PATIENCE = timedelta(hours=1)
_KINDS = (("plate_crop", "plate"), ("vehicle_crop", "vehicle"))
_POINTED_AT = (
    "SELECT plate_crop FROM held_reads WHERE plate_crop = ANY(%(keys)s) "
    "UNION ALL SELECT vehicle_crop FROM held_reads WHERE vehicle_crop = ANY(%(keys)s)"
)


class HeldPictures:
    """Copies pictures to the hold store."""

    def __init__(self, pool: Pool, clock: Clock, crops: Crops) -> None:
        self._pool = pool
        self._clock = clock
        self._crops = crops

    async def copy(self, agency_id: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
        """Copy what is not in the hold store yet; return each key of the hold store, and whether there was a picture.

        Raises:
            PlatewardError: STORAGE_UNAVAILABLE.
        """
        wanted = {
            held_key(agency_id, str(row["read_id"]), kind): row[column]
            for row in rows
            for column, kind in _KINDS
            if row[column] and row[column] != held_key(agency_id, str(row["read_id"]), kind)
        }
        if not wanted:
            return {}
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO doomed_blobs (key, due_at) SELECT unnest(%s::text[]), %s ON CONFLICT (key) DO UPDATE "
                "SET due_at = greatest(doomed_blobs.due_at, excluded.due_at)",
                (sorted(wanted), self._clock.now() + _COPY_PATIENCE),
            )
        there = await self._crops.copy(wanted)
        return {key: key in there for key in wanted}

    @staticmethod
    async def keep(
        connection: AsyncConnection[Any],
        agency_id: str,
        rows: Iterable[dict[str, Any]],
        copied: Mapping[str, bool],
    ) -> bool:
        """Point rows to their copies, in the transaction of their hold; False when some copy is not there (any more)."""
        found = await connection.execute(
            "DELETE FROM doomed_blobs WHERE key = ANY(%s) AND purge_id IS NULL RETURNING key",
            (sorted(copied),),
        )
        undoomed = {row["key"] for row in await found.fetchall()}
        found = await connection.execute(
            "SELECT up_to FROM crops_destroyed WHERE agency_id = %s", (agency_id,)
        )
        destroyed = await found.fetchone()
        destroyed_to: datetime | None = destroyed["up_to"] if destroyed is not None else None
        for row in rows:
            for column, kind in _KINDS:
                key = held_key(agency_id, str(row["read_id"]), kind)
                if not row[column] or row[column] == key:
                    continue
                if destroyed_to is not None and row["seen_at"] <= destroyed_to:
                    row[column] = ""
                elif key not in undoomed:
                    return False
                else:
                    row[column] = key if copied[key] else ""
        return True


async def destroy_orphans(connection: AsyncConnection[Any], crops: Crops, now: datetime, limit: int) -> int:
    """Destroy copies whose hold was never committed (rule 2); return how many lines are done with.

    Raises:
        PlatewardError: STORAGE_UNAVAILABLE: they stay doomed.
    """
    async with connection.transaction():
        found = await connection.execute(
            "SELECT key FROM doomed_blobs WHERE purge_id IS NULL AND due_at <= %s ORDER BY key LIMIT %s FOR UPDATE SKIP LOCKED",
            (now, limit),
        )
        keys = [row["key"] for row in await found.fetchall()]
        if not keys:
            return 0
        kept = await connection.execute(_POINTED_AT, {"keys": keys})
        held = {row["plate_crop"] for row in await kept.fetchall()}
        for key in keys:
            if key not in held:
                await crops.destroy(key)
        await connection.execute("DELETE FROM doomed_blobs WHERE key = ANY(%s)", (keys,))
    return len(keys)
