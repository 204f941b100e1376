"""Search: SQL with the decision's bounds inside it, an arm for each agency (``statements.py``).

Rules
-----
1. The window is always given, and the decision's bounds narrow it (``predicates.py``).
2. A search names something: a plate, cameras, an area or a vehicle. A whole window of everything is a canvass.
3. Best class first (``matching.py``), the newest first within it, keyset pages (``pages.py``). A page never
   holds more than the decision's ``max_rows``.
4. Fields that the decision masks are taken out of the answer; a mask that is not understood refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from psycopg import AsyncConnection, OperationalError

from plateward.common.v1 import decision_pb2, errors_pb2, types_pb2
from plateward.reads.v1 import read_pb2, reads_pb2
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from servicekit.times import instant
from services.reads.matching import SAME, PlateQuery, parse_plate
from services.reads.pages import Place, make_token, open_token, query_digest
from services.reads.predicates import Arm, Where, allowed_agencies, arms, held_arm, inside
from services.reads.reasons import rank
from services.reads.retention import Retention
from services.reads.rows import read_of
from services.reads.statements import Window, fenced, newest, newest_span
from services.reads.width import narrow_enough

DEFAULT_ROWS = 50
MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """A page of an answer."""

    reads: list[reads_pb2.RankedRead]
    next_page_token: str


class Search:
    """Answers searches from the table."""

    def __init__(
        self, pool: Pool, retention: Retention, token_key: bytes, *, planned: Pool | None = None
    ) -> None:
        """``planned`` is a pool whose connections keep their plans (``PLANNED``); without one, ``pool`` serves."""
        self._pool = pool
        self._planned = planned or pool
        self._retention = retention
        self._token_key = token_key

    async def find(
        self,
        request: reads_pb2.SearchReadsRequest,
        decision: decision_pb2.Decision | None,
        subject: types_pb2.Subject,
    ) -> Found:
        """Return a page of the reads that match.

        Raises:
            PlatewardError: INVALID_ARGUMENT (rule 2, or a pattern), DENIED_BY_POLICY (``width.py``), CURSOR_INVALID (page token).
        """
        plate = parse_plate(request.plate, lookalikes=request.lookalikes)
        _require_something(request, plate)
        await narrow_enough(
            self._pool, decision, owners=request.owner_agency_ids, camera_ids=request.camera_ids,
            areas=[request.area] if request.HasField("area") else (),
        )  # fmt: skip
        digest = query_digest(request, subject)
        after = open_token(self._token_key, digest, request.page.token)
        looked = await self.arms(decision, subject, request.owner_agency_ids, request.purpose.case_number)
        looked = [arm.asked(lambda where: _asked(where, request)) for arm in looked]
        size = _size(request, decision)
        window = (instant(request.window.start), instant(request.window.end))
        rows = await self._rows(looked, plate, window, after, size + 1)
        masked = decision.obligations.masked_fields if decision is not None else ()
        ranked = [_ranked(plate, row, masked) for row in rows[:size]]
        token = ""
        if len(rows) > size:
            last = rows[size - 1]
            token = make_token(
                self._token_key, digest, Place(last["match_class"], last["seen_at"], last["read_id"])
            )
        return Found(ranked, token)

    async def arms(
        self,
        decision: decision_pb2.Decision | None,
        subject: types_pb2.Subject,
        owners: Sequence[str] = (),
        case_number: str = "",
    ) -> list[Arm]:
        """Return where a query of a member may look: live reads, and what a hold keeps under its case, each read in one arm."""
        version = decision.policy_version if decision is not None else ""
        alive = await self._retention.alive(allowed_agencies(decision, owners), version)
        found = arms(decision, alive, own=subject.agency_id, case_number=case_number)
        own = next((bound for bound in alive if bound.agency_id == subject.agency_id), None)
        if own is not None and (held := held_arm(decision, own, case_number)) is not None:
            found.append(held)
        return found

    async def one(
        self,
        read_id: str,
        decision: decision_pb2.Decision | None,
        subject: types_pb2.Subject,
        owners: Sequence[str],
        case_number: str,
    ) -> dict[str, Any] | None:
        """Return the row of a read that a member may see, or none."""
        looked = await self.arms(decision, subject, owners, case_number)
        looked = [arm.asked(lambda where: where.add("read_id = %s::uuid", read_id)) for arm in looked]
        if not looked:
            return None
        async with self._pool.connection() as connection:
            found = await connection.execute(*newest(looked, None, 1, None))
            return await found.fetchone()

    async def _rows(
        self, looked: Sequence[Arm], plate: PlateQuery | None, window: Window, after: Place | None, limit: int
    ) -> list[dict[str, Any]]:
        if not looked:
            return []
        if plate is None:
            async with self._pool.connection() as connection:
                found = await connection.execute(*newest(looked, after, limit, window))
                return await found.fetchall()
        for last_try in (False, True):
            try:
                async with self._planned.connection() as connection:
                    return await _found(connection, looked, plate, window, after, limit)
            except OperationalError:
                # The database was away since this connection was used; the pool makes a new one.
                if last_try:
                    raise
        raise AssertionError("unreachable")


async def _found(
    connection: AsyncConnection[Any],
    looked: Sequence[Arm],
    plate: PlateQuery,
    window: Window,
    after: Place | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return the rows of a plate: a whole one by one statement; a pattern by its newest day, then by all of its window."""
    if plate.pattern.exact:
        found = await connection.execute(*fenced(looked, plate.all(), after, limit, window), prepare=True)
        return await found.fetchall()
    if after is None or after.rank == SAME:
        found = await connection.execute(
            *fenced(looked, plate.same(), after, limit, newest_span(window, after)), prepare=True
        )
        if len(rows := await found.fetchall()) >= limit:
            return rows
    found = await connection.execute(*fenced(looked, plate.all(), after, limit, window), prepare=True)
    return await found.fetchall()


def mask(read: read_pb2.Read, fields: Sequence[str]) -> None:
    """Take fields (``place``, ``vehicle.colour``) out of a read.

    Raises:
        PlatewardError: DECISION_UNAVAILABLE when a field is not known here: showing it would break the decision.
    """
    for path in fields:
        message: Message = read
        *parents, name = path.split(".")
        for step in [*parents, name]:
            known = message.DESCRIPTOR.fields_by_name.get(step)
            if known is None or (step != name and (known.message_type is None or known.is_repeated)):
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE,
                    "The policy masks a field that this version of the service does not know: tell the administrator.",
                )
            if step != name:
                message = getattr(message, step)
        message.ClearField(name)


def _require_something(request: reads_pb2.SearchReadsRequest, plate: PlateQuery | None) -> None:
    named = (
        plate is not None
        or request.camera_ids
        or request.HasField("area")
        or request.vehicle_type
        or request.colour
    )
    if not named:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            "The search names nothing: give a plate (at least two known characters, such as 7K*), cameras, an area "
            "or a vehicle.",
        )


def _asked(where: Where, request: reads_pb2.SearchReadsRequest) -> None:
    if request.camera_ids:
        where.add("camera_id = ANY(%s)", list(request.camera_ids))
    if request.HasField("area"):
        inside(where, request.area)
    if request.state:
        where.add("state = %s", request.state)
    if request.vehicle_type:
        where.add("vehicle_type = %s", request.vehicle_type)
    if request.colour:
        where.add("colour = %s", request.colour)


def _size(request: reads_pb2.SearchReadsRequest, decision: decision_pb2.Decision | None) -> int:
    allowed = (decision.obligations.max_rows if decision is not None else 0) or MOST_ROWS
    return min(request.page.size or DEFAULT_ROWS, allowed, MOST_ROWS)


def _ranked(plate: PlateQuery | None, row: dict[str, Any], masked: Sequence[str]) -> reads_pb2.RankedRead:
    read = read_of(row)
    told = rank(plate, row["match_class"], read)
    mask(read, masked)
    return reads_pb2.RankedRead(read=read, why=told.why, score=max(0.0, min(1.0, told.score)))
