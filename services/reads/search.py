"""Search: SQL with the decision's bounds inside it, an arm for each agency, a stage for each class of match.

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

from plateward.common.v1 import decision_pb2, errors_pb2, types_pb2
from plateward.reads.v1 import read_pb2, reads_pb2
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from servicekit.times import instant
from services.reads import matching
from services.reads.matching import EVERYTHING, PlateQuery, Stage, parse_plate
from services.reads.pages import Place, make_token, open_token, query_digest
from services.reads.predicates import Arm, Where, allowed_agencies, arms, held_arm, inside
from services.reads.retention import Retention
from services.reads.rows import read_of, shown

DEFAULT_ROWS = 50
MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """A page of an answer."""

    reads: list[reads_pb2.RankedRead]
    next_page_token: str


class Search:
    """Answers searches from the table."""

    def __init__(self, pool: Pool, retention: Retention, token_key: bytes) -> None:
        self._pool = pool
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
            PlatewardError: INVALID_ARGUMENT (rule 2, or a pattern), CURSOR_INVALID (page token).
        """
        plate = parse_plate(request.plate, lookalikes=request.lookalikes)
        _require_something(request, plate)
        digest = query_digest(request, subject)
        after = open_token(self._token_key, digest, request.page.token)
        looked = await self.arms(decision, subject, request.owner_agency_ids, request.purpose.case_number)
        looked = [arm.asked(lambda where: _asked(where, request)) for arm in looked]
        size = _size(request, decision)
        rows = await self._rows(looked, plate, after, size + 1)
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
        """Return where a query of a member may look: live reads, and what a hold keeps under its case."""
        version = decision.policy_version if decision is not None else ""
        alive = await self._retention.alive(allowed_agencies(decision, owners), version)
        found = arms(decision, alive)
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
            found = await connection.execute(*_statement(looked, EVERYTHING, None, 1))
            return await found.fetchone()

    async def _rows(
        self, looked: Sequence[Arm], plate: PlateQuery | None, after: Place | None, limit: int
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        if not looked:
            return rows
        async with self._pool.connection() as connection:
            for stage in plate.stages() if plate is not None else (EVERYTHING,):
                if after is not None and after.rank > stage.last:
                    continue
                if len(rows) < limit:
                    found = await connection.execute(*_statement(looked, stage, after, limit - len(rows)))
                    rows += await found.fetchall()
        return rows


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
    where.add("seen_at >= %s AND seen_at < %s", instant(request.window.start), instant(request.window.end))
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


def _statement(looked: Sequence[Arm], stage: Stage, after: Place | None, limit: int) -> tuple[str, list[Any]]:
    """Return the statement of a stage and its parameters, in the order in which they stand in it."""
    order = (
        "seen_at DESC, read_id DESC"
        if stage.first == stage.last
        else "match_class, seen_at DESC, read_id DESC"
    )
    parts, values = [], list[Any]()
    for arm in looked:
        where = Where([*arm.where.clauses, stage.clause], [*arm.where.parameters, *stage.values])
        if after is not None and stage.first == stage.last == after.rank:
            where.add("(seen_at, read_id) < (%s, %s)", after.seen_at, after.read_id)
        elif after is not None and stage.first != stage.last:
            where.add(
                f"({stage.kind} > %s OR ({stage.kind} = %s AND (seen_at, read_id) < (%s, %s)))",
                *stage.kind_values, after.rank, *stage.kind_values, after.rank, after.seen_at, after.read_id,
            )  # fmt: skip
        columns, column_values = shown(arm)
        parts.append(
            f"(SELECT {columns}, {stage.kind} AS match_class FROM {arm.table} WHERE {where.sql} ORDER BY {order} LIMIT %s)"  # noqa: S608
        )
        values += [*column_values, *stage.kind_values, *where.parameters, limit]
    if len(parts) == 1:
        return parts[0], values
    union = " UNION ALL ".join(parts)
    return f"SELECT * FROM ({union}) AS matching ORDER BY {order} LIMIT %s", [*values, limit]  # noqa: S608


def _ranked(plate: PlateQuery | None, row: dict[str, Any], masked: Sequence[str]) -> reads_pb2.RankedRead:
    read = read_of(row)
    told = matching.rank(plate, row["match_class"], read)
    mask(read, masked)
    return reads_pb2.RankedRead(read=read, why=told.why, score=max(0.0, min(1.0, told.score)))
