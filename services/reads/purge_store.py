"""The SQL of destruction, a transaction a step.

What is gone, what it commits to and which blobs are doomed by it
are committed together, so that a process killed at any point has either done a step or not.

Rules
-----
1. A step takes the agency's hold lock, which placing and releasing a hold take too: a hold is placed before a step or
   after it, never during it.
2. What an active hold keeps leaves the table of reads with the rest, is counted as held back, and stays in the hold store.
3. A partition is locked against writers before its rows are counted and committed to, so that none comes in between. Only then is
   it taken off the table of reads, as the last thing of the step: searches wait for that instant and not for the count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql

from plates.lookalike import canonical
from services.reads.commitment import Commitment
from services.reads.crops import day_prefix, held_key
from services.reads.grams import whole_gram
from services.reads.partitions import start_of
from services.reads.schedules import CROP, READ, Schedules

_DAY = timedelta(days=1)
_DROP_PATIENCE = "3s"
_KEPT = (
    "SELECT h.read_id FROM hold_reads AS h JOIN holds USING (hold_id) "
    "WHERE h.agency_id = %(agency)s AND holds.released_at IS NULL"
)
# What of some rows is destroyed, what is kept back, and the leaves of both trees: hashed here, so that IDs of a day need
# not travel. Names of crops sort as their reads do. A picture is kept back where the hold store has it: of a hold that was placed
# after the picture's own schedule had ended it does not, and the picture goes.
_WEIGH = """
WITH weighed AS MATERIALIZED (
    SELECT source.read_id, source.seen_at, source.read_id IN ({kept}) AS kept,
           source.plate_crop <> '' AND source.seen_at > %(crops_done)s AS plate,
           source.vehicle_crop <> '' AND source.seen_at > %(crops_done)s AS vehicle,
           coalesce(held.plate_crop, '') <> '' AS plate_held, coalesce(held.vehicle_crop, '') <> '' AS vehicle_held
    FROM {source} AS source LEFT JOIN held_reads AS held ON held.agency_id = %(agency)s AND held.read_id = source.read_id
), told AS MATERIALIZED (
    SELECT read_id, seen_at, kept, plate::int + vehicle::int AS crops,
           plate AND NOT (kept AND plate_held) AS plate_goes, vehicle AND NOT (kept AND vehicle_held) AS vehicle_goes
    FROM weighed
)
SELECT count(*) AS total,
       count(*) FILTER (WHERE NOT kept) AS destroyed,
       min(seen_at) FILTER (WHERE NOT kept) AS first_at,
       max(seen_at) FILTER (WHERE NOT kept) AS last_at,
       string_agg(sha256('\\x00'::bytea || convert_to(read_id::text, 'UTF8')), ''::bytea ORDER BY read_id)
           FILTER (WHERE NOT kept) AS leaves,
       coalesce(sum(crops), 0)::bigint AS crops,
       coalesce(sum(plate_goes::int + vehicle_goes::int), 0)::bigint AS crops_destroyed,
       min(seen_at) FILTER (WHERE plate_goes OR vehicle_goes) AS crops_first_at,
       max(seen_at) FILTER (WHERE plate_goes OR vehicle_goes) AS crops_last_at,
       string_agg(CASE WHEN plate_goes THEN sha256('\\x00'::bytea || convert_to(read_id::text || '-plate', 'UTF8')) ELSE ''::bytea END
           || CASE WHEN vehicle_goes THEN sha256('\\x00'::bytea || convert_to(read_id::text || '-vehicle', 'UTF8')) ELSE ''::bytea END,
           ''::bytea ORDER BY read_id) AS crop_leaves
FROM told
"""
_EXPIRING = (
    "CREATE TEMPORARY TABLE expiring ON COMMIT DROP AS SELECT read_id, seen_at, plate_crop, vehicle_crop FROM reads "
    "WHERE false"
)
RELEASED = (
    "agency_id = %(agency)s AND seen_at <= %(horizon)s AND "  # noqa: S608
    f"read_id NOT IN ({_KEPT}) AND NOT EXISTS (SELECT 1 FROM reads WHERE reads.agency_id = held.agency_id "
    "AND reads.read_id = held.read_id AND reads.seen_at = held.seen_at)"
)
"""What of ``held_reads AS held`` no hold keeps any more."""
WITHHELD = (
    "agency_id = %(agency)s AND grams && %(grams)s::int[] "
    "AND (plate = ANY(%(texts)s::text[]) OR candidates && %(texts)s::text[])"
)
"""What of ``reads`` has a text that is on the address-confidentiality list."""
_ADD = """
UPDATE purge_kinds SET destroyed = destroyed + %(destroyed)s, held = held + %(held)s, peaks = %(peaks)s,
    first_at = least(first_at, %(first)s), last_at = greatest(last_at, %(last)s)
WHERE purge_id = %(purge)s AND kind = %(kind)s
"""


@dataclass(frozen=True, slots=True)
class Purge:
    """A destruction under way."""

    purge_id: UUID
    agency_id: str


async def hold_lock(connection: AsyncConnection[Any], agency_id: str) -> None:
    """Take the lock of rule 1 for the length of the transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('hold ' || %s, 0))", (agency_id,))


async def begin(
    connection: AsyncConnection[Any], purge: Purge, schedules: Schedules, now: datetime, basis: str = ""
) -> None:
    """Write down that a purge begins, and under which schedules, or on which other ``basis``."""
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO purges (purge_id, agency_id, started_at) VALUES (%s, %s, %s)",
            (purge.purge_id, purge.agency_id, now),
        )
        for kind, schedule in ((READ, schedules.read), (CROP, schedules.crop)):
            await connection.execute(
                "INSERT INTO purge_kinds (purge_id, kind, schedule, policy_version, destroyed, held, peaks) "
                "VALUES (%s, %s, %s, %s, 0, 0, '')",
                (purge.purge_id, kind, basis or schedule.told, schedule.policy_version),
            )


async def under_way(connection: AsyncConnection[Any], agency_id: str) -> Purge | None:
    """Return the purge of an agency that was begun and not ended."""
    found = await connection.execute("SELECT purge_id FROM purges WHERE agency_id = %s", (agency_id,))
    row = await found.fetchone()
    return Purge(row["purge_id"], agency_id) if row is not None else None


async def due_days(
    connection: AsyncConnection[Any], agency_id: str, horizon: datetime
) -> list[tuple[str, date]]:
    """Return the partitions of which nothing is alive, oldest first."""
    found = await connection.execute(
        "SELECT name, day FROM read_partitions WHERE agency_id = %s ORDER BY day", (agency_id,)
    )
    return [
        (row["name"], row["day"])
        for row in await found.fetchall()
        if start_of(row["day"]) + _DAY <= horizon + timedelta(microseconds=1)
    ]


async def drop_day(connection: AsyncConnection[Any], purge: Purge, name: str, day: date) -> int:
    """Destroy a partition; return how many rows it had.

    Raises:
        psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected: a long query reads it, or a late read was coming in;
            try again later.
    """
    table = sql.Identifier(name)
    async with connection.transaction():
        await hold_lock(connection, purge.agency_id)
        await connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_DROP_PATIENCE)))
        # Against whoever writes; who reads goes on.
        await connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table))
        weighed = await _weigh(connection, purge, table)
        await _drop_copies(connection, purge, table)
        await _doom(connection, purge, [day_prefix(purge.agency_id, day)])
        await _add(connection, purge, weighed)
        await connection.execute("DELETE FROM read_partitions WHERE name = %s", (name,))
        await connection.execute(sql.SQL("ALTER TABLE reads DETACH PARTITION {}").format(table))
        await connection.execute(sql.SQL("DROP TABLE {}").format(table))
    return int(weighed["total"])


async def delete_expired(connection: AsyncConnection[Any], purge: Purge, horizon: datetime) -> int:
    """Destroy the rows up to a horizon one by one, where a schedule is shorter than a partition; return how many."""
    async with connection.transaction():
        await hold_lock(connection, purge.agency_id)
        await connection.execute(_EXPIRING)
        gone = await connection.execute(
            "WITH gone AS (DELETE FROM reads WHERE agency_id = %s AND seen_at <= %s "
            "RETURNING read_id, seen_at, plate_crop, vehicle_crop) INSERT INTO expiring SELECT * FROM gone",
            (purge.agency_id, horizon),
        )
        if not gone.rowcount:
            return 0
        weighed = await _weigh(connection, purge, sql.Identifier("expiring"))
        await _doom_found(connection, purge, "SELECT unnest(ARRAY[plate_crop, vehicle_crop]) FROM expiring")
        await _drop_copies(connection, purge, sql.Identifier("expiring"))
        await _add(connection, purge, weighed)
    return gone.rowcount


def withheld_values(texts: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of ``WITHHELD``."""
    return {"grams": [whole_gram(canonical(text)) for text in texts], "texts": [*texts]}


async def delete_withheld(
    connection: AsyncConnection[Any], purge: Purge, texts: Sequence[str], wanted_at: datetime
) -> int:
    """Destroy the reads of which a text is on the address-confidentiality list of a time; return how many."""
    async with connection.transaction():
        await hold_lock(connection, purge.agency_id)
        await connection.execute(_EXPIRING)
        gone = await connection.execute(
            f"WITH gone AS (DELETE FROM reads WHERE {WITHHELD} "  # noqa: S608
            "RETURNING read_id, seen_at, plate_crop, vehicle_crop) INSERT INTO expiring SELECT * FROM gone",
            {"agency": purge.agency_id, **withheld_values(texts)},
        )
        if gone.rowcount:
            weighed = await _weigh(connection, purge, sql.Identifier("expiring"))
            await _doom_found(
                connection, purge, "SELECT unnest(ARRAY[plate_crop, vehicle_crop]) FROM expiring"
            )
            await _drop_copies(connection, purge, sql.Identifier("expiring"))
            await _add(connection, purge, weighed)
        await connection.execute(
            "DELETE FROM confidential_sweeps WHERE agency_id = %s AND wanted_at = %s",
            (purge.agency_id, wanted_at),
        )
    return gone.rowcount


async def delete_released(connection: AsyncConnection[Any], purge: Purge, horizon: datetime) -> int:
    """Destroy what no hold keeps any more and retention would have destroyed before; return how many reads."""
    async with connection.transaction():
        await hold_lock(connection, purge.agency_id)
        await connection.execute(_EXPIRING)
        gone = await connection.execute(
            f"WITH gone AS (DELETE FROM held_reads AS held WHERE {RELEASED} "  # noqa: S608
            "RETURNING read_id, seen_at, plate_crop, vehicle_crop) INSERT INTO expiring SELECT * FROM gone",
            {"agency": purge.agency_id, "horizon": horizon},
        )
        if not gone.rowcount:
            return 0
        weighed = await _weigh(connection, purge, sql.Identifier("expiring"), all_crops=True)
        await _doom_found(connection, purge, "SELECT unnest(ARRAY[plate_crop, vehicle_crop]) FROM expiring")
        await _add(connection, purge, weighed)
    return gone.rowcount


async def destroy_crops(
    connection: AsyncConnection[Any], purge: Purge, target: datetime, days: list[date]
) -> int:
    """Destroy crops seen up to a time, which their schedule keeps for less time than the reads; return how many.

    ``days`` are those that lie wholly before the target: their pictures go by prefix.
    """
    async with connection.transaction():
        await hold_lock(connection, purge.agency_id)
        done = await _crops_done(connection, purge.agency_id)
        if target <= done:
            return 0
        await connection.execute(
            "CREATE TEMPORARY TABLE expiring ON COMMIT DROP AS SELECT read_id, seen_at, plate_crop, vehicle_crop FROM reads "
            "WHERE agency_id = %s AND seen_at > %s AND seen_at <= %s AND (plate_crop <> '' OR vehicle_crop <> '')",
            (purge.agency_id, done, target),
        )
        weighed = await _weigh(connection, purge, sql.Identifier("expiring"))
        await _doom(
            connection,
            purge,
            [day_prefix(purge.agency_id, day) for day in days if start_of(day) + _DAY > done],
        )
        last = max((start_of(day) + _DAY for day in days), default=done)
        await _doom_found(
            connection, purge,
            "SELECT unnest(ARRAY[plate_crop, vehicle_crop]) FROM expiring WHERE seen_at >= %(last)s", last=last,
        )  # fmt: skip
        await _blank_copies(connection, purge)
        await connection.execute(
            "INSERT INTO crops_destroyed (agency_id, up_to) VALUES (%s, %s) "
            "ON CONFLICT (agency_id) DO UPDATE SET up_to = greatest(crops_destroyed.up_to, excluded.up_to)",
            (purge.agency_id, target),
        )
        await _add_kind(connection, purge, CROP, weighed, "crops")
    return int(weighed["crops"])


async def results(connection: AsyncConnection[Any], purge: Purge) -> list[dict[str, Any]]:
    """Return what a purge has come to, a row for each kind, with the root that it commits to."""
    found = await connection.execute(
        "SELECT purge_kinds.*, started_at FROM purge_kinds JOIN purges USING (purge_id) WHERE purge_id = %s ORDER BY kind DESC",
        (purge.purge_id,),
    )
    return [
        {**row, "root": Commitment(row["destroyed"], row["peaks"]).root} for row in await found.fetchall()
    ]


async def weigh_day(connection: AsyncConnection[Any], agency_id: str, name: str) -> dict[str, Any]:
    """Return what dropping a partition would come to."""
    return await _weigh(connection, Purge(UUID(int=0), agency_id), sql.Identifier(name))


async def weigh_rows(
    connection: AsyncConnection[Any],
    agency_id: str,
    source: str,
    values: Mapping[str, Any],
    *,
    all_crops: bool = False,
) -> dict[str, Any]:
    """Return what destroying the rows of ``source`` (a table, and a WHERE clause) would come to."""
    async with connection.transaction():
        await connection.execute(
            f"CREATE TEMPORARY TABLE expiring ON COMMIT DROP AS SELECT read_id, seen_at, plate_crop, vehicle_crop FROM {source}",  # noqa: S608
            {"agency": agency_id, **values},
        )
        purge = Purge(UUID(int=0), agency_id)
        return await _weigh(connection, purge, sql.Identifier("expiring"), all_crops=all_crops)


async def days_between(connection: AsyncConnection[Any], agency_id: str, target: datetime) -> list[date]:
    """Return the stored days that lie wholly up to a time."""
    return [day for _, day in await due_days(connection, agency_id, target)]


async def doomed(connection: AsyncConnection[Any], purge: Purge, limit: int) -> list[str]:
    """Return blobs that a purge has doomed and that are still to be deleted."""
    found = await connection.execute(
        "SELECT key FROM doomed_blobs WHERE purge_id = %s ORDER BY key LIMIT %s", (purge.purge_id, limit)
    )
    return [row["key"] for row in await found.fetchall()]


async def forget_blobs(connection: AsyncConnection[Any], keys: list[str]) -> None:
    """Take blobs that are gone off the list."""
    await connection.execute("DELETE FROM doomed_blobs WHERE key = ANY(%s)", (keys,))


async def end(connection: AsyncConnection[Any], purge: Purge) -> None:
    """Take a purge that is certified off the list."""
    await connection.execute("DELETE FROM purges WHERE purge_id = %s", (purge.purge_id,))


async def _weigh(
    connection: AsyncConnection[Any], purge: Purge, source: sql.Identifier, *, all_crops: bool = False
) -> dict[str, Any]:
    done = None if all_crops else await _crops_done(connection, purge.agency_id)
    found = await connection.execute(
        sql.SQL(_WEIGH).format(kept=sql.SQL(_KEPT), source=source),
        {"agency": purge.agency_id, "crops_done": done or start_of(date(1970, 1, 1))},
    )
    row: dict[str, Any] | None = await found.fetchone()
    assert row is not None
    return row


async def _crops_done(connection: AsyncConnection[Any], agency_id: str) -> datetime:
    found = await connection.execute("SELECT up_to FROM crops_destroyed WHERE agency_id = %s", (agency_id,))
    row = await found.fetchone()
    return row["up_to"] if row is not None else start_of(date(1970, 1, 1))


async def _add(connection: AsyncConnection[Any], purge: Purge, weighed: Mapping[str, Any]) -> None:
    """Add a step to what the purge has come to, reads and their crops."""
    await _add_kind(connection, purge, READ, weighed, "")
    await _add_kind(connection, purge, CROP, weighed, "crops")


async def _add_kind(
    connection: AsyncConnection[Any], purge: Purge, kind: str, weighed: Mapping[str, Any], what: str
) -> None:
    prefix = f"{what}_" if what else ""
    total, destroyed = weighed[what or "total"], weighed[f"{prefix}destroyed"]
    found = await connection.execute(
        "SELECT destroyed, peaks FROM purge_kinds WHERE purge_id = %s AND kind = %s FOR UPDATE",
        (purge.purge_id, kind),
    )
    row = await found.fetchone()
    assert row is not None
    commitment = Commitment(row["destroyed"], row["peaks"])
    leaves = weighed["crop_leaves" if what else "leaves"] or b""
    await asyncio.to_thread(commitment.extend, leaves)
    assert commitment.count == row["destroyed"] + destroyed
    await connection.execute(
        _ADD,
        {
            "purge": purge.purge_id, "kind": kind, "destroyed": destroyed, "held": total - destroyed, "peaks": commitment.peaks,
            "first": weighed[f"{prefix}first_at"], "last": weighed[f"{prefix}last_at"],
        },
    )  # fmt: skip


async def _drop_copies(connection: AsyncConnection[Any], purge: Purge, source: sql.Identifier) -> None:
    """Destroy the hold store's copies of reads that are destroyed now and that no hold keeps any more."""
    found = await connection.execute(
        sql.SQL(
            "DELETE FROM held_reads WHERE agency_id = %(agency)s AND read_id IN (SELECT read_id FROM {}) "
            "AND read_id NOT IN ({}) RETURNING read_id"
        ).format(source, sql.SQL(_KEPT)),
        {"agency": purge.agency_id},
    )
    await _doom(
        connection, purge,
        [held_key(purge.agency_id, str(row["read_id"]), kind) for row in await found.fetchall() for kind in ("plate", "vehicle")],
    )  # fmt: skip


async def _blank_copies(connection: AsyncConnection[Any], purge: Purge) -> None:
    """Destroy the hold store's copies of pictures that are destroyed now and that no hold keeps any more; their rows stay."""
    found = await connection.execute(
        "UPDATE held_reads SET plate_crop = '', vehicle_crop = '' WHERE agency_id = %(agency)s "  # noqa: S608
        f"AND read_id IN (SELECT read_id FROM expiring) AND read_id NOT IN ({_KEPT}) RETURNING read_id",
        {"agency": purge.agency_id},
    )
    await _doom(
        connection, purge,
        [held_key(purge.agency_id, str(row["read_id"]), kind) for row in await found.fetchall() for kind in ("plate", "vehicle")],
    )  # fmt: skip


async def _doom(connection: AsyncConnection[Any], purge: Purge, keys: list[str]) -> None:
    await connection.execute(
        "INSERT INTO doomed_blobs (key, due_at, purge_id) SELECT unnest(%s::text[]), now(), %s "
        "ON CONFLICT (key) DO UPDATE SET purge_id = excluded.purge_id",
        (keys, purge.purge_id),
    )


async def _doom_found(connection: AsyncConnection[Any], purge: Purge, query: str, **values: Any) -> None:
    await connection.execute(
        f"INSERT INTO doomed_blobs (key, due_at, purge_id) SELECT key, now(), %(purge)s FROM ({query}) AS found (key) "  # noqa: S608
        "WHERE key <> '' ON CONFLICT (key) DO UPDATE SET purge_id = excluded.purge_id",
        {"purge": purge.purge_id, **values},
    )
