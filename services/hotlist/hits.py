"""Hits in the database: raised once for each read and entry, moved by the state machine, never skipped.

Rules
-----
1. What a caller sees is bounded by predicates: the decision's agencies, cameras and times, and the hit's
   own expiry.
2. A step locks the hit's row, asks ``states.py``, and writes the new state with who took it. Two members who
   claim at once: one has it, the other is told.
3. An entry that was removed or has expired confirms nothing, unless its source has put another of the same plate in its place:
   the hit is rejected as stale, and an action on a confirmed one is refused.
   The age of its list is that of the moment (``demotions.py``).
4. The same for a vehicle that was cleared since, where its plate is not the entry's own: rejected as cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

from psycopg import AsyncConnection

from plateward.common.v1 import decision_pb2, errors_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2
from servicekit.clock import Clock
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from servicekit.times import instant
from services.hotlist import states
from services.hotlist.bounds import bounds
from services.hotlist.demotions import grow_older
from services.hotlist.states import Result, Standing

MOST_ROWS = 200
_STEPS = (
    "(SELECT coalesce(jsonb_agg(jsonb_build_array(v.member_id, v.member_name, extract(epoch FROM v.at), v.state, v.note) "
    "ORDER BY v.step), '[]') FROM verifications v WHERE v.hit_id = hits.hit_id) AS steps, "
    "(SELECT to_jsonb(c) FROM confirmations c WHERE c.hit_id = hits.hit_id) AS confirmation, "
    "(SELECT jsonb_build_array(extract(epoch FROM l.as_of), l.stale_after_s) FROM entries e JOIN lists l USING (agency_id, list_id) "
    "WHERE e.entry_id = hits.entry_id) AS list_current, "
    "EXISTS (SELECT FROM hit_pictures p WHERE p.hit_id = hits.hit_id) AS pictured"
)
_INSERT = """
INSERT INTO hits (hit_id, agency_id, entry_id, read_id, camera_id, seen_at, expires_at, raised, raised_at, state, max_action, rejection)
SELECT %s, %s, entry_id, %s, %s, %s, %s, %s, %s, %s, %s, %s FROM entries
WHERE entry_id = %s AND approved_by <> '' AND removed_at IS NULL AND expires_at > %s FOR SHARE
ON CONFLICT DO NOTHING
"""
# The entry, or what its source has put in its place for the same plate: a colour that was corrected is no reason to let a stolen
# vehicle go. What leads less far now is another matter: recovered and stored, say.
_LIVE = """
SELECT 1 FROM entries o WHERE o.entry_id = %(entry)s AND (o.removed_at IS NULL AND o.expires_at > %(now)s
  OR o.source_key <> '' AND EXISTS (SELECT 1 FROM entries e WHERE e.agency_id = o.agency_id AND e.list_id = o.list_id
    AND e.source_key = o.source_key AND e.plate = o.plate AND e.state = o.state AND e.max_action >= o.max_action
    AND e.removed_at IS NULL AND e.approved_by <> '' AND e.expires_at > %(now)s))
"""


@dataclass(frozen=True, slots=True)
class Stepped:
    """A hit before and after a step."""

    before: hit_pb2.Hit
    after: hit_pb2.Hit


@dataclass(frozen=True, slots=True)
class Writes:
    """What a step writes besides the state."""

    note: str = ""
    # A statement of the same transaction, with its values.
    besides: tuple[LiteralString, Mapping[str, Any]] | None = None
    action: hit_pb2.HitAction.ValueType = hit_pb2.HIT_ACTION_UNSPECIFIED
    outcome: str = ""


class Hits:
    """The table of hits."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    @staticmethod
    async def insert(
        connection: AsyncConnection[Any], hit: hit_pb2.Hit, keep: timedelta | None = None
    ) -> bool:
        """Raise a hit unless it was raised before or its entry has gone; return whether it was.

        It lives for ``keep`` from when the vehicle was seen; without one, as long as its read.
        """
        expires_at = instant(hit.read.expires_at) if keep is None else instant(hit.read.seen_at) + keep
        raised_at = instant(hit.raised_at)
        cursor = await connection.execute(
            _INSERT,
            (
                hit.hit_id, hit.agency_id, hit.read.read_id, hit.read.camera_id, instant(hit.read.seen_at),
                expires_at, hit.SerializeToString(deterministic=True), raised_at,
                hit.state, hit.max_action, hit.rejection, hit.entry.entry_id, raised_at,
            ),
        )  # fmt: skip
        return cursor.rowcount == 1

    @staticmethod
    async def is_raised(connection: AsyncConnection[Any], hit: hit_pb2.Hit) -> bool:
        """Say whether the hit of a read and an entry is there already."""
        found = await connection.execute(
            "SELECT 1 FROM hits WHERE agency_id = %s AND read_id = %s AND entry_id = %s",
            (hit.agency_id, hit.read.read_id, hit.entry.entry_id),
        )
        return await found.fetchone() is not None

    async def page(
        self,
        decision: decision_pb2.Decision | None,
        state: hit_pb2.HitState.ValueType,
        page: types_pb2.PageRequest,
    ) -> tuple[list[hit_pb2.Hit], str]:
        """Return hits, newest first, and the token of the next page.

        Raises:
            PlatewardError: CURSOR_INVALID.
        """
        now = self._clock.now()
        clause, parameters = bounds(decision, now)
        allowed = (decision.obligations.max_rows if decision is not None else 0) or MOST_ROWS
        size = min(page.size or MOST_ROWS, allowed, MOST_ROWS)
        before = _sequence(page.token)
        rows = await self._select(
            f"{clause} AND (%s = 0 OR state = %s) AND (%s::bigint IS NULL OR seq < %s) ORDER BY seq DESC LIMIT %s",
            [*parameters, state, state, before, before, size + 1],
        )
        following = str(rows[size - 1]["seq"]) if len(rows) > size else ""
        return [hit_of(row, now) for row in rows[:size]], following

    async def after(
        self, decision: decision_pb2.Decision | None, sequence: int, limit: int
    ) -> list[tuple[int, hit_pb2.Hit]]:
        """Return hits in the order in which they were raised, after a sequence number."""
        now = self._clock.now()
        clause, parameters = bounds(decision, now)
        rows = await self._select(
            f"{clause} AND seq > %s ORDER BY seq LIMIT %s", [*parameters, sequence, limit]
        )
        return [(row["seq"], hit_of(row, now)) for row in rows]

    async def last_sequence(self) -> int:
        """Return the number of the newest hit there ever was, also one that is destroyed; 0 where there was none."""
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT greatest((SELECT max(seq) FROM hits), (SELECT seq FROM hits_destroyed)) AS seq"
            )
            row = await found.fetchone()
        return int(row["seq"]) if row is not None else 0

    async def step(
        self,
        hit_id: str,
        decision: decision_pb2.Decision | None,
        member: types_pb2.Subject,
        move: Callable[[Standing], Result],
        writes: Writes,
    ) -> Stepped:
        """Take one step on a hit, in one transaction.

        Raises:
            PlatewardError: NOT_FOUND, or what the rules of ``states.py`` raise.
        """
        now = self._clock.now()
        clause, parameters = bounds(decision, now)
        async with self._pool.connection() as connection:
            locked = await connection.execute(
                f"SELECT hit_id FROM hits WHERE {clause} AND hit_id = %s FOR UPDATE",  # noqa: S608
                [*parameters, hit_id],
            )
            if await locked.fetchone() is None:
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_NOT_FOUND,
                    "There is no such hit that you may see: list the hits (ListHits) for their IDs.",
                )
            row = await self._one(connection, hit_id)
            before = hit_of(row, now)
            standing = Standing(
                before.state,
                before.verifier_id,
                before.max_action,
                before.confirmation.result,
                row["pictured"],
                _idle(before, now),
            )
            result = move(standing)
            if await _was_cleared(connection, before):
                result = _as_cleared(standing, result)
            result = _with_entry(standing, result, in_force=await _in_force(connection, row, now))
            if result.state != before.state:
                await self._write(connection, row, before, result, member, writes, now)
            if writes.besides is not None:
                await connection.execute(*writes.besides)
            after = hit_of(await self._one(connection, hit_id), now)
        return Stepped(before, after)

    @staticmethod
    async def _write(
        connection: AsyncConnection[Any],
        row: Mapping[str, Any],
        before: hit_pb2.Hit,
        result: Result,
        member: types_pb2.Subject,
        writes: Writes,
        now: datetime,
    ) -> None:
        # What the age of the list lowers for now is kept once something is done.
        kept = before if result.state == hit_pb2.HIT_STATE_ACTED else _as_kept(row)
        await connection.execute(
            "UPDATE hits SET state = %s, max_action = %s, demotions = %s, rejection = %s, verifier_id = CASE WHEN %s = 1 THEN '' WHEN verifier_id = '' THEN %s "
            "ELSE verifier_id END, action = CASE WHEN %s = 0 THEN action ELSE %s END, outcome = %s WHERE hit_id = %s",
            (
                result.state, result.most(kept.max_action), [*kept.demotions, *result.doubts], result.rejection, result.state, member.member_id, writes.action, writes.action, writes.outcome,
                before.hit_id,
            ),
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO verifications (hit_id, step, member_id, member_name, at, state, note) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                before.hit_id, len(before.verifications) + 1, member.member_id, member.member_name, now,
                result.state, writes.note,
            ),
        )  # fmt: skip

    async def _select(self, clause: str, parameters: list[Any]) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection:
            found = await connection.execute(
                f"SELECT *, {_STEPS} FROM hits WHERE {clause}",  # noqa: S608
                parameters,
            )
            return await found.fetchall()

    @staticmethod
    async def _one(connection: AsyncConnection[Any], hit_id: str) -> dict[str, Any]:
        statement: LiteralString = f"SELECT *, {_STEPS} FROM hits WHERE hit_id = %s"  # noqa: S608
        found = await connection.execute(statement, (hit_id,))
        row = await found.fetchone()
        if row is None:
            raise LookupError(hit_id)
        return dict(row)


def _idle(hit: hit_pb2.Hit, now: datetime) -> timedelta:
    return now - instant(hit.verifications[-1].at if hit.verifications else hit.raised_at)


def _as_kept(row: Mapping[str, Any]) -> hit_pb2.Hit:
    hit = hit_pb2.Hit.FromString(row["raised"])
    hit.max_action = row["max_action"]
    if row["demotions"] is not None:
        del hit.demotions[:]
        hit.demotions.extend(row["demotions"])
    return hit


def hit_of(row: Mapping[str, Any], now: datetime) -> hit_pb2.Hit:
    """Return the hit that a row (with its ``steps``) holds, as it stands now."""
    hit = _as_kept(row)
    hit.state, hit.verifier_id = row["state"], row["verifier_id"]
    hit.rejection, hit.action = row["rejection"], row["action"]
    grow_older(hit, row["list_current"], now)
    for member_id, member_name, at, state, note in row["steps"]:
        step = hit.verifications.add(member_id=member_id, member_name=member_name, state=state, note=note)
        step.at.FromMicroseconds(round(at * 1_000_000))
    if (asked := row["confirmation"]) is not None:
        _put_confirmation(hit.confirmation, asked)
    return hit


def _put_confirmation(into: hit_pb2.Confirmation, row: Mapping[str, Any]) -> None:
    for name in (
        "confirmation_id", "urgency", "state", "requested_by", "attempt", "result", "answered_by", "reference", "note",
    ):  # fmt: skip
        setattr(into, name, row[name])
    for name in ("requested_at", "due_at", "answered_at"):
        if row[name] is not None:
            getattr(into, name).FromDatetime(datetime.fromisoformat(row[name]))


def _with_entry(standing: Standing, result: Result, *, in_force: bool) -> Result:
    """Apply rule 3 to what a step would lead to."""
    if in_force or result.state in (standing.state, *states.FINAL):
        return result
    if result.state == hit_pb2.HIT_STATE_ACTED:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_HIT_STATE,
            "The entry was removed or has expired since: nothing may be done on this hit any more.",
        )
    return states.stale(standing) if result.state != hit_pb2.HIT_STATE_CLAIMED else result


def _as_cleared(standing: Standing, result: Result) -> Result:
    """Apply rule 4 to what a step would lead to."""
    if result.state in (standing.state, hit_pb2.HIT_STATE_CLAIMED, *states.FINAL):
        return result
    if result.state == hit_pb2.HIT_STATE_ACTED:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_HIT_STATE,
            "The vehicle was cleared since: not the one looked for. Nothing may be done on this hit any more.",
        )
    return Result(hit_pb2.HIT_STATE_REJECTED, hit_pb2.REJECTION_CLEARED)


async def _was_cleared(connection: AsyncConnection[Any], hit: hit_pb2.Hit) -> bool:
    seen = hit.read.plate.state if hit.read.plate.state != "unknown" else ""
    if hit.entry.plate == hit.read.plate.text and hit.entry.state in ("", seen):
        return False
    found = await connection.execute(
        "SELECT 1 FROM cleared WHERE agency_id = %s AND entry_plate = %s AND entry_state = %s AND plate = %s AND state IN (%s, '')",
        (hit.agency_id, hit.entry.plate, hit.entry.state, hit.read.plate.text, seen),
    )
    return await found.fetchone() is not None


async def _in_force(connection: AsyncConnection[Any], row: Mapping[str, Any], now: datetime) -> bool:
    found = await connection.execute(_LIVE, {"now": now, "entry": row["entry_id"]})
    return await found.fetchone() is not None


def _sequence(token: str) -> int | None:
    if not token:
        return None
    if not token.isascii() or not token.isdigit() or len(token) > 18:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_CURSOR_INVALID,
            "The page token is not one of this list: send the last one unchanged, or begin without one.",
        )
    return int(token)
