"""Approvals: a wide query is made only when a second person has seen exactly that query and said yes.

Rules
-----
1. The request itself is sent along: the second person is shown what they approve, and its digest is computed here.
2. Never by the requester (also a constraint of the table); of the same agency; by a role that policy names.
3. It holds for one member, one action and one request, byte by byte, for ``HOLDS`` after it was granted, and once. The
   following pages of that one query belong to it.
4. A request that nobody granted lapses after ``WAITS``.
5. A second person may also say no, with a reason, as long as the query was not made: from then on it never is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from psycopg.rows import DictRow

from plateward.access.v1 import access_pb2
from plateward.audit.v1 import audit_pb2
from plateward.common.v1 import action_pb2, errors_pb2, types_pb2
from plateward.hotlist.v1 import hotlist_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.clock import Clock
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from servicekit.interceptors import validation
from servicekit.scopes import request_digest

WAITS = timedelta(hours=24)
HOLDS = timedelta(hours=1)
_INSERT = """
INSERT INTO approvals (approval_id, agency_id, requester_id, requester_name, action, purpose, request_type, request,
    request_digest, requested_at, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_OWN = "SELECT * FROM approvals WHERE approval_id = %s AND agency_id = %s"
_GRANT = """
UPDATE approvals SET granted_by = %s, expires_at = %s
WHERE approval_id = %s AND granted_by = '' AND refused_by = '' AND expires_at > %s RETURNING *
"""
_REFUSE = """
UPDATE approvals SET refused_by = %s, refusal = %s
WHERE approval_id = %s AND refused_by = '' AND used_at IS NULL AND expires_at > %s RETURNING *
"""
_HOLDS = """
SELECT used_at IS NULL AS unused FROM approvals
WHERE approval_id = %s AND agency_id = %s AND requester_id = %s AND action = %s AND request_digest = %s
  AND granted_by <> '' AND refused_by = '' AND expires_at > %s
"""
_USE = "UPDATE approvals SET used_at = %s, used_by = %s WHERE approval_id = %s AND used_at IS NULL AND refused_by = '' RETURNING 1 AS used"
_PAGE = """
SELECT * FROM approvals WHERE agency_id = %s AND (%s::uuid IS NULL OR approval_id < %s::uuid)
ORDER BY approval_id DESC LIMIT %s
"""


def _requests() -> dict[str, type[Message]]:
    """Return the messages that can carry an approval, by name."""
    return {
        method.input_type.full_name: GetMessageClass(method.input_type)
        for module in (reads_pb2, hotlist_pb2, audit_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if "approval_id" in method.input_type.fields_by_name
    }


REQUESTS = _requests()


class Approvals:
    """The table of approvals."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def request(self, asked: access_pb2.RequestApprovalRequest, subject: types_pb2.Subject) -> str:
        """Ask for a second person; return the approval's ID, which the query carries once it is granted.

        Raises:
            PlatewardError: INVALID_ARGUMENT when the request is missing, of no known type, or not what the digest says.
        """
        query = _opened(asked)
        approval_id, now = new_id(self._clock), self._clock.now()
        async with self._pool.connection() as connection:
            await connection.execute(
                _INSERT,
                (
                    approval_id, subject.agency_id, subject.member_id, subject.member_name,
                    action_pb2.Action.Name(asked.action), asked.purpose.SerializeToString(deterministic=True),
                    asked.request_type, query.SerializeToString(deterministic=True), request_digest(query), now, now + WAITS,
                ),
            )  # fmt: skip
        return approval_id

    async def grant(
        self, approval_id: str, subject: types_pb2.Subject
    ) -> tuple[access_pb2.Approval, access_pb2.Approval]:
        """Approve somebody else's query; return the approval before and after.

        Raises:
            PlatewardError: NOT_FOUND; DENIED_BY_POLICY for one's own; WRONG_STATE when it is granted or has lapsed.
        """
        now = self._clock.now()
        return await self._decide(
            approval_id, subject, (_GRANT, (subject.member_id, now + HOLDS, approval_id, now)), now,
            "this approval was granted or refused before, or has lapsed: the requester asks anew",
        )  # fmt: skip

    async def refuse(
        self, approval_id: str, reason: str, subject: types_pb2.Subject
    ) -> tuple[access_pb2.Approval, access_pb2.Approval]:
        """Say no to somebody else's query; return the approval before and after.

        Raises:
            PlatewardError: NOT_FOUND; DENIED_BY_POLICY for one's own; WRONG_STATE when it is refused, used or has lapsed.
        """
        now = self._clock.now()
        return await self._decide(
            approval_id, subject, (_REFUSE, (subject.member_id, reason, approval_id, now)), now,
            "this approval was refused before, was used, or has lapsed: there is nothing left to refuse",
        )  # fmt: skip

    async def _decide(
        self, approval_id: str, subject: types_pb2.Subject, change: tuple[LiteralString, tuple[Any, ...]], now: datetime, too_late: str
    ) -> tuple[access_pb2.Approval, access_pb2.Approval]:  # fmt: skip
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_OWN, (approval_id, subject.agency_id))).fetchone()
            if row is None:
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_NOT_FOUND,
                    "nobody of your agency asked for an approval with this ID: list them to see the IDs",
                )
            if row["requester_id"] == subject.member_id:
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
                    "nobody decides on their own query: ask a second person",
                    metadata={"rule": "platform.second-person"},
                )
            after = await (await connection.execute(*change)).fetchone()
        if after is None:
            raise PlatewardError(errors_pb2.ERROR_REASON_WRONG_STATE, too_late)
        return approval_of(row, now), approval_of(after, now)

    async def holds(self, request: access_pb2.DecideRequest) -> bool:
        """Return whether the approval that a call carries is good for exactly this call, by rule 3."""
        subject = request.subject
        if not request.approval_id or not request.request_digest:
            return False
        values = (
            request.approval_id, subject.agency_id, subject.member_id, action_pb2.Action.Name(request.action),
            request.request_digest, self._clock.now(),
        )  # fmt: skip
        if not _is_uuid(request.approval_id):
            return False
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_HOLDS, values)).fetchone()
        # A following page belongs to the query that used it; its token is checked by the service that gave it out.
        return row is not None and (row["unused"] or request.next_page)

    async def use(self, request: access_pb2.DecideRequest) -> bool:
        """Use an approval up; return False when another call was first."""
        if request.next_page:
            return True
        async with self._pool.connection() as connection:
            values = (self._clock.now(), request.request_id, request.approval_id)
            return await (await connection.execute(_USE, values)).fetchone() is not None

    async def page(self, agency_id: str, after: str | None, limit: int) -> list[access_pb2.Approval]:
        """Return an agency's approvals, newest first."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(_PAGE, (agency_id, after, after, limit))).fetchall()
        return [approval_of(row, self._clock.now()) for row in rows]


def approval_of(row: DictRow, now: datetime) -> access_pb2.Approval:
    """Return the approval that a row holds, with its state at a moment."""
    query = REQUESTS[row["request_type"]].FromString(row["request"])
    made = access_pb2.Approval(
        approval_id=str(row["approval_id"]), requester_id=row["requester_id"], requester_name=row["requester_name"],
        action=action_pb2.Action.Value(row["action"]), purpose=types_pb2.Purpose.FromString(row["purpose"]),
        request_type=row["request_type"], request_json=json_format.MessageToJson(query, indent=None),
        request_digest=row["request_digest"], granted_by=row["granted_by"], state=_state(row, now),
        refused_by=row["refused_by"], refusal=row["refusal"],
    )  # fmt: skip
    made.requested_at.FromDatetime(row["requested_at"])
    made.expires_at.FromDatetime(row["expires_at"])
    return made


def _state(row: DictRow, now: datetime) -> access_pb2.ApprovalState.ValueType:
    if row["used_at"] is not None:
        return access_pb2.APPROVAL_STATE_USED
    if row["refused_by"]:
        return access_pb2.APPROVAL_STATE_REFUSED
    if row["expires_at"] <= now:
        return access_pb2.APPROVAL_STATE_LAPSED
    return access_pb2.APPROVAL_STATE_GRANTED if row["granted_by"] else access_pb2.APPROVAL_STATE_REQUESTED


def _opened(asked: access_pb2.RequestApprovalRequest) -> Message:
    known = REQUESTS.get(asked.request_type)
    if known is None:
        names = ", ".join(sorted(REQUESTS))
        raise _invalid(f"request_type: send the request that you want to make; it is one of: {names}")
    try:
        query: Any = known.FromString(asked.request)
    except DecodeError as error:
        raise _invalid(f"request: these bytes are no {asked.request_type}") from error
    if not query.ByteSize() or request_digest(query) != asked.request_digest:
        raise _invalid(
            "request_digest is not the SHA-256 of the request (serialized without approval_id and page)"
        )
    if "purpose" in query.DESCRIPTOR.fields_by_name and query.purpose != asked.purpose:
        raise _invalid("purpose differs from the request's: the second person approves one purpose")
    query.ClearField("approval_id")
    # What its own service would refuse can neither be approved nor shown.
    validation.validate(query)
    validation.check_values(query)
    return query  # type: ignore[no-any-return]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _invalid(message: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, message)
