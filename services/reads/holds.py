"""Legal holds: what is, or may become, evidence is copied out of retention's reach (R-RET-2).

Rules
-----
1. A hold names who ordered it, the case and when it must be looked at again; it preserves for the defence and for civil
   parties as well as for the prosecution.
2. Placing copies the reads and their pictures to the hold store and is complete when it returns: destruction that comes a
   moment later finds them there. It is all or nothing: a read that is not there, or has expired, refuses the hold. By plate it
   takes what is there when it is asked for.
3. Placing, releasing and destroying take the same lock of the agency: never is a read both destroyed and held.
4. A hold keeps until it is released, also past its review date (``reviews.py`` puts that on record); whoever looks at it gives it
   a new date with the reason. What is released goes with the next destruction where retention would have destroyed it.
5. Pictures are copied first, with neither lock nor connection held (``held_pictures.py``); then, under the lock, the reads are
   looked for again: what was destroyed meanwhile refuses the hold, what has only expired meanwhile is held, for it was alive
   when it was asked for. The lock is held for rows only, and one connection waits for it, however many holds are placed at once.
6. What another hold keeps already can be held again, by its ID or plate.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from plateward.common.v1 import decision_pb2, errors_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.clock import Clock
from servicekit.context import CallContext
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from servicekit.times import instant
from services.reads.crops import Crops
from services.reads.custody import Custody
from services.reads.held_pictures import HeldPictures
from services.reads.matching import parse_exact
from services.reads.predicates import Arm, Where, arms
from services.reads.purge_store import hold_lock
from services.reads.retention import Retention
from services.reads.rows import COLUMNS, shown

MOST_READS = 10_000
_MOST_TRIES = 3
_NAMES = ", ".join(COLUMNS)
_VALUES = ", ".join(f"%({name})s" for name in COLUMNS)
_HOLD = "SELECT holds.*, (SELECT count(*) FROM hold_reads WHERE hold_reads.hold_id = holds.hold_id) AS reads FROM holds "


@dataclass(frozen=True, slots=True)
class Kept:
    """A hold with the rows that it keeps."""

    hold: reads_pb2.Hold
    rows: list[dict[str, Any]]
    chain: list[dict[str, Any]]


class Holds:
    """Places, releases and lists the holds of an agency."""

    def __init__(
        self, pool: Pool, clock: Clock, crops: Crops, retention: Retention, custody: Custody
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._pictures = HeldPictures(pool, clock, crops)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._retention = retention
        self._custody = custody

    async def place(self, request: reads_pb2.PlaceHoldRequest, call: CallContext) -> reads_pb2.Hold:
        """Hold what a request names.

        Raises:
            PlatewardError: INVALID_ARGUMENT, NOT_FOUND (rule 2), STORAGE_UNAVAILABLE, AUDIT_UNAVAILABLE.
        """
        asked = self._asked(request)
        own = call.subject.agency_id
        bounds = await self._arms(own, call.decision)
        async with self._pool.connection() as connection:
            there = await _find(connection, [arm.asked(asked) for arm in bounds], own)
        _complete(request, there)
        # The same bounds again: what expires while pictures are copied was alive when it was asked for.
        looked = [
            arm.asked(_Ask("read_id = ANY(%s::uuid[])", [[row["read_id"] for row in there]]))
            for arm in bounds
        ]
        for _ in range(_MOST_TRIES):
            copied = await self._pictures.copy(own, there)
            try:
                return await self._placed(request, call, looked, copied)
            except _CopyGoneError:
                # What another hold kept may have been let go of meanwhile: then its pictures are to be copied as well.
                async with self._pool.connection() as connection:
                    there = await _find(connection, looked, own)
        raise PlatewardError(
            errors_pb2.ERROR_REASON_STORAGE_UNAVAILABLE,
            "Pictures could not be copied in time to be held: nothing was held; try again.",
            retry_after=5.0,
        )

    async def _placed(
        self,
        request: reads_pb2.PlaceHoldRequest,
        call: CallContext,
        looked: Sequence[Arm],
        copied: Mapping[str, bool],
    ) -> reads_pb2.Hold:
        own = call.subject.agency_id
        async with self._turn(own) as connection:
            rows = await _find(connection, looked, own)
            _complete(request, rows)
            if not await self._pictures.keep(connection, own, rows, copied):
                raise _CopyGoneError
            hold_id = UUID(new_id(self._clock))
            await self._write(connection, hold_id, request.hold, own, rows)
            await self._custody.add(
                connection, hold_id, call, "hold placed", reads=len(rows), authority=request.hold.authority,
                case=request.hold.case_number, reads_digest=_digest(rows),
            )  # fmt: skip
            return await self._one(connection, own, hold_id)

    async def release(self, hold_id: str, reason: str, call: CallContext) -> reads_pb2.Hold:
        """End a hold.

        Raises:
            PlatewardError: NOT_FOUND: the agency has no such hold in force.
        """
        own = call.subject.agency_id
        async with self._turn(own) as connection:
            ended = await connection.execute(
                "UPDATE holds SET released_at = %s, release_reason = %s "
                "WHERE hold_id = %s::uuid AND agency_id = %s AND released_at IS NULL",
                (self._clock.now(), reason, hold_id, own),
            )
            if not ended.rowcount:
                raise _no_such_hold()
            await self._custody.add(connection, UUID(hold_id), call, "hold released", reason=reason)
            return await self._one(connection, own, UUID(hold_id))

    async def review(
        self, hold_id: str, review_at: datetime, reason: str, call: CallContext
    ) -> reads_pb2.Hold:
        """Give a hold that goes on a new review date; the chain of custody says who did, why, and what it was before.

        Raises:
            PlatewardError: NOT_FOUND: the agency has no such hold in force; INVALID_ARGUMENT: the date has passed.
        """
        own = call.subject.agency_id
        self._ahead(review_at)
        async with self._turn(own) as connection:
            before = await self._one(connection, own, UUID(hold_id))
            if before.HasField("released_at"):
                raise _no_such_hold()
            await connection.execute(
                "UPDATE holds SET review_at = %s WHERE hold_id = %s", (review_at, before.hold_id)
            )
            await self._custody.add(
                connection, UUID(hold_id), call, "hold reviewed", reason=reason, authority=before.authority,
                review_before=instant(before.review_at).isoformat(), review_at=review_at.isoformat(),
            )  # fmt: skip
            return await self._one(connection, own, UUID(hold_id))

    async def listed(self, agency_id: str, *, with_released: bool) -> list[reads_pb2.Hold]:
        """Return an agency's holds by review date: those that are due for a look come first."""
        async with self._pool.connection() as connection:
            found = await connection.execute(
                _HOLD + "WHERE agency_id = %s AND (%s OR released_at IS NULL) ORDER BY review_at, hold_id",
                (agency_id, with_released),
            )
            return [_hold(row) for row in await found.fetchall()]

    async def kept(self, agency_id: str, hold_id: str, call: CallContext, what: str) -> Kept:
        """Return what a hold in force keeps, with its chain, of which the last line says that this was done.

        Raises:
            PlatewardError: NOT_FOUND, AUDIT_UNAVAILABLE.
        """
        async with self._turn(agency_id) as connection:
            hold = await self._one(connection, agency_id, UUID(hold_id))
            if hold.HasField("released_at"):
                raise _no_such_hold()
            await self._custody.add(connection, UUID(hold_id), call, what)
            found = await connection.execute(
                f"SELECT {_NAMES}, NULL::timestamptz AS expires_at FROM held_reads "  # noqa: S608
                "WHERE agency_id = %s AND read_id IN (SELECT read_id FROM hold_reads WHERE hold_id = %s) ORDER BY seen_at, read_id",
                (agency_id, hold_id),
            )
            return Kept(
                hold, list(await found.fetchall()), await self._custody.lines(connection, UUID(hold_id))
            )

    # ---------------------------------------------------------------- private

    @asynccontextmanager
    async def _turn(self, agency_id: str) -> AsyncIterator[AsyncConnection[Any]]:
        """Give a transaction with the agency's lock; one connection of a replica at most waits for it."""
        async with (
            self._turns[agency_id],
            self._pool.connection() as connection,
            connection.transaction(),
        ):
            await hold_lock(connection, agency_id)
            yield connection

    async def _arms(self, own: str, decision: decision_pb2.Decision | None) -> list[Arm]:
        version = decision.policy_version if decision is not None else ""
        return arms(decision, await self._retention.alive([own], version))

    def _ahead(self, review_at: datetime) -> None:
        if review_at <= self._clock.now():
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
                "The review date has passed: give the day on which someone must look at the hold again.",
            )

    def _asked(self, request: reads_pb2.PlaceHoldRequest) -> _Ask:
        self._ahead(instant(request.hold.review_at))
        if bool(request.read_ids) == bool(request.plate):
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
                "Name what to hold: reads by their IDs, or a plate with a window.",
            )
        if request.read_ids:
            return _Ask("read_id = ANY(%s::uuid[])", [list(request.read_ids)])
        if not request.HasField("window"):
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
                "A plate is held within a window: give its start and end.",
            )
        plate = parse_exact(request.plate)
        return _Ask(
            "(plate = %s OR candidates @> %s) AND seen_at >= %s AND seen_at < %s",
            [plate, [plate], instant(request.window.start), instant(request.window.end)],
        )

    async def _write(
        self,
        connection: AsyncConnection[Any],
        hold_id: UUID,
        hold: reads_pb2.Hold,
        own: str,
        rows: Sequence[dict[str, Any]],
    ) -> None:
        now = self._clock.now()
        await connection.execute(
            "INSERT INTO holds (hold_id, agency_id, authority, case_number, review_at, party, placed_at) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (hold_id, own, hold.authority, hold.case_number, instant(hold.review_at), hold.party, now),
        )
        async with connection.cursor() as cursor:
            await cursor.executemany(
                f"INSERT INTO held_reads ({_NAMES}, seq, txid, held_at) VALUES ({_VALUES}, %(seq)s, %(txid_text)s::text::xid8, "  # noqa: S608
                "%(held_at)s) ON CONFLICT DO NOTHING",
                [{**row, "held_at": now} for row in rows],
            )
        await connection.execute(
            "INSERT INTO hold_reads (hold_id, agency_id, read_id) SELECT %s, %s, unnest(%s::uuid[])",
            (hold_id, own, [row["read_id"] for row in rows]),
        )

    async def _one(self, connection: AsyncConnection[Any], own: str, hold_id: UUID) -> reads_pb2.Hold:
        found = await connection.execute(_HOLD + "WHERE agency_id = %s AND hold_id = %s", (own, hold_id))
        row = await found.fetchone()
        if row is None:
            raise _no_such_hold()
        return _hold(row)


class _CopyGoneError(Exception):
    """A copy was taken away before its hold was committed: copy again."""


@dataclass(frozen=True, slots=True)
class _Ask:
    clause: str
    values: list[Any]

    def __call__(self, where: Where) -> None:
        where.add(self.clause, *self.values)


async def _find(connection: AsyncConnection[Any], looked: Sequence[Arm], own: str) -> list[dict[str, Any]]:
    """Return the rows that are alive, and besides those that some hold keeps."""
    rows: dict[UUID, dict[str, Any]] = {}
    for arm in looked:
        asked = arm.where.clauses[-1]
        values = arm.where.parameters[-asked.count("%s") :]
        held = await connection.execute(
            f"SELECT {_NAMES}, seq, txid::text AS txid_text FROM held_reads WHERE agency_id = %s AND {asked} AND read_id IN "  # noqa: S608
            "(SELECT read_id FROM hold_reads JOIN holds USING (hold_id) WHERE holds.agency_id = %s AND released_at IS NULL) LIMIT %s",
            (own, *values, own, MOST_READS + 1),
        )
        columns, column_values = shown(arm)
        alive = await connection.execute(
            f"SELECT {columns}, seq, txid::text AS txid_text FROM {arm.table} WHERE {arm.where.sql} ORDER BY seen_at LIMIT %s",  # noqa: S608
            (*column_values, *arm.where.parameters, MOST_READS + 1),
        )
        for row in (*await alive.fetchall(), *await held.fetchall()):
            rows[row["read_id"]] = dict(row)
    return list(rows.values())


def _complete(request: reads_pb2.PlaceHoldRequest, rows: Sequence[dict[str, Any]]) -> None:
    missing = {UUID(read_id) for read_id in request.read_ids} - {row["read_id"] for row in rows}
    if missing:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_NOT_FOUND,
            f"{len(missing)} of the reads are not there, have expired or are not yours: nothing was held. Leave out "
            f"{', '.join(map(str, sorted(missing)[:3]))}{' and others' if len(missing) > 3 else ''}, or hold by plate.",
        )
    if not rows:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_NOT_FOUND,
            "There is no read of this plate in the window that is still kept: nothing was held. Check plate and window.",
        )
    if len(rows) > MOST_READS:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            f"More than {MOST_READS} reads at once: narrow the window and place several holds.",
        )


def _digest(rows: Sequence[dict[str, Any]]) -> str:
    named = sorted(str(row["read_id"]) for row in rows)
    return hashlib.sha256("".join(f"{name}\n" for name in named).encode()).hexdigest()


def _no_such_hold() -> PlatewardError:
    return PlatewardError(
        errors_pb2.ERROR_REASON_NOT_FOUND,
        "Your agency has no hold in force with this ID: list the holds (plateward holds list).",
    )


def _hold(row: dict[str, Any]) -> reads_pb2.Hold:
    hold = reads_pb2.Hold(
        hold_id=str(row["hold_id"]), authority=row["authority"], case_number=row["case_number"], party=row["party"],
        reads=row["reads"],
    )  # fmt: skip
    hold.review_at.FromDatetime(row["review_at"].astimezone(UTC))
    released: datetime | None = row["released_at"]
    if released is not None:
        hold.released_at.FromDatetime(released)
    return hold
