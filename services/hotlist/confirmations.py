"""Hit confirmation: the agency that made the entry is asked whether it is in force and of this vehicle (NCIC: 10 minutes or one hour).

Rules
-----
1. The time runs from the member's request, not from when the switch takes it: the member waits beside the road either way.
2. What is not answered in time is asked again, ``MOST_ATTEMPTS`` times in all, each with the same time; then it is unanswered, and
   says so. "In process" moves the time to what the other agency said, a day at most.
3. A negative answer rejects the hit at once. Where the hit was confirmed as "not practicable" before, nothing may be done on it any more.
4. A positive answer moves nothing by itself: the verifier records it (``CheckRecords``), and cannot record one that was not given.
5. Answers, requests that are repeated and those in vain are events of the audit log before they are written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, LiteralString

import structlog

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, decision_pb2, errors_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2
from servicekit.clock import Clock
from servicekit.database import UNAVAILABLE, Pool
from servicekit.errors import PlatewardError
from servicekit.interceptors.audit import SOFTWARE
from servicekit.times import instant
from services.hotlist import states
from services.hotlist.hits import Hits, Stepped, Writes
from services.hotlist.switch import Inquiry, Reply, Switch, SwitchUnavailableError

ALLOWED = {hit_pb2.URGENCY_URGENT: timedelta(minutes=10), hit_pb2.URGENCY_ROUTINE: timedelta(hours=1)}
MOST_ATTEMPTS = 3
_LONGEST_PROCESS = timedelta(days=1)
_AT_ONCE = 50
_LOG = structlog.get_logger(__name__)
Append = Callable[[event_pb2.AuditEvent], Awaitable[object]]
_WAITING, _IN_PROCESS = hit_pb2.CONFIRMATION_STATE_WAITING, hit_pb2.CONFIRMATION_STATE_IN_PROCESS
_OVERDUE, _ANSWERED = hit_pb2.CONFIRMATION_STATE_OVERDUE, hit_pb2.CONFIRMATION_STATE_ANSWERED
_UNANSWERED = hit_pb2.CONFIRMATION_STATE_UNANSWERED
OPEN = (_WAITING, _IN_PROCESS, _OVERDUE)
# A routine request becomes an urgent one where somebody asks again so; one in vain begins anew; one that is answered stays.
_ASK = """
INSERT INTO confirmations AS c (hit_id, confirmation_id, urgency, state, requested_by, requested_at, due_at, next_at)
VALUES (%(hit)s, %(id)s, %(urgency)s, 1, %(member)s, %(now)s, %(due)s, %(now)s)
ON CONFLICT (hit_id) DO UPDATE SET confirmation_id = excluded.confirmation_id, urgency = excluded.urgency, state = 1, attempt = 1, sent = 0,
    requested_by = excluded.requested_by, requested_at = excluded.requested_at, due_at = excluded.due_at, next_at = excluded.next_at
WHERE c.state = 5 OR (c.state IN (1, 2, 3) AND c.urgency = 2 AND excluded.urgency = 1)
"""
_DUE = """
SELECT c.*, h.raised, h.agency_id FROM confirmations c JOIN hits h ON h.hit_id = c.hit_id
WHERE c.state IN (1, 2, 3) AND c.next_at <= %s ORDER BY c.next_at LIMIT %s
"""
_MOVE: LiteralString = (
    "UPDATE confirmations SET {} WHERE confirmation_id = %s AND attempt = %s AND state IN (1, 2, 3)"
)


class Confirmations:
    """The table of requests, and the worker that hands them over and takes the answers."""

    def __init__(
        self, pool: Pool, hits: Hits, switch: Switch | None, append: Append, clock: Clock, *, new_id: Callable[[], str], poll_s: float = 1.0
    ) -> None:  # fmt: skip
        self._pool, self._hits, self._switch, self._append = pool, hits, switch, append
        self._clock, self._new_id, self._poll = clock, new_id, timedelta(seconds=poll_s)

    @property
    def by_switch(self) -> bool:
        """Whether a switch is there, so that only its answer confirms."""
        return self._switch is not None

    async def request(
        self, hit_id: str, decision: decision_pb2.Decision | None, member: types_pb2.Subject, urgency: hit_pb2.Urgency.ValueType
    ) -> Stepped:  # fmt: skip
        """Ask the originating agency of a hit's entry; asking again changes nothing unless it is more urgent or was in vain.

        Raises:
            PlatewardError: WRONG_STATE without a switch; NOT_FOUND, HIT_CLAIMED, HIT_STATE.
        """
        if self._switch is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_WRONG_STATE,
                "no message switch is set up here (PLATEWARD_HOTLIST_SWITCH_URL): ask by telephone and record the answer with CheckRecords",
            )
        now = self._clock.now()
        values = {
            "hit": hit_id, "id": self._new_id(), "urgency": urgency, "member": member.member_id, "now": now, "due": now + ALLOWED[urgency],
        }  # fmt: skip
        return await self._hits.step(
            hit_id,
            decision,
            member,
            lambda hit: states.ask(hit, member.member_id),
            Writes(besides=(_ASK, values)),
        )

    async def run(self) -> None:
        """Hand over requests and take answers until cancelled."""
        while self._switch is not None:
            try:
                await self.round()
            except UNAVAILABLE:
                _LOG.warning("database_away")
            except PlatewardError as error:
                # No record, no step: it comes again.
                _LOG.warning("confirmations_wait", error=errors_pb2.ErrorReason.Name(error.reason))
            await asyncio.sleep(self._poll.total_seconds())

    async def round(self) -> int:
        """Deal with what is due; return how many requests that were."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(_DUE, (self._clock.now(), _AT_ONCE))).fetchall()
        await asyncio.gather(*(self._deal_with(row) for row in rows))
        return len(rows)

    async def _deal_with(self, row: Mapping[str, Any]) -> None:
        assert self._switch is not None
        hit = hit_pb2.Hit.FromString(row["raised"])
        reply, sent = None, row["sent"]
        try:
            if sent < row["attempt"]:
                await self._switch.ask(_inquiry(row, hit))
                sent = row["attempt"]
            reply = await self._switch.reply(str(row["confirmation_id"]))
        except SwitchUnavailableError as error:
            _LOG.warning("switch_away", error=str(error))
        now = self._clock.now()
        if reply is not None and reply.until is None:
            await self._answered(row, hit, reply, now)
        elif now >= row["due_at"] and (reply is None or reply.until is None or reply.until <= now):
            await self._overdue(row, hit, now)
        else:
            due, state = row["due_at"], row["state"]
            if reply is not None and reply.until is not None:
                due, state = min(max(reply.until, due), row["requested_at"] + _LONGEST_PROCESS), _IN_PROCESS
            await self._move(
                row, "sent = %s, due_at = %s, state = %s, next_at = %s", sent, due, state, min(now + self._poll, max(due, now))
            )  # fmt: skip

    async def _answered(self, row: Mapping[str, Any], hit: hit_pb2.Hit, reply: Reply, now: datetime) -> None:
        said = (
            hit_pb2.RecordsResult.Name(reply.result).removeprefix("RECORDS_RESULT_").lower().replace("_", " ")
        )
        told = "; ".join(
            part
            for part in (f"the originating agency answered: {said}", reply.by, reply.reference, reply.note)
            if part
        )
        await self._record(row, hit, told)
        values = {
            "result": reply.result, "by": reply.by, "reference": reply.reference, "note": reply.note, "now": now,
            "id": row["confirmation_id"],
        }  # fmt: skip
        answered = (
            "UPDATE confirmations SET state = 4, result = %(result)s, answered_by = %(by)s, reference = %(reference)s, note = %(note)s, "
            "answered_at = %(now)s WHERE confirmation_id = %(id)s AND state IN (1, 2, 3)"
        )
        whole = decision_pb2.Decision(
            effect=decision_pb2.EFFECT_ALLOW,
            obligations=decision_pb2.Obligations(agency_ids=[row["agency_id"]]),
        )
        originator = types_pb2.Subject(
            agency_id=row["agency_id"],
            member_id="records-check",
            member_name=reply.by or "originating agency",
        )
        await self._hits.step(
            str(row["hit_id"]), whole, originator, lambda standing: states.answered(standing, reply.result),
            Writes(note=told, besides=(answered, values)),
        )  # fmt: skip

    async def _overdue(self, row: Mapping[str, Any], hit: hit_pb2.Hit, now: datetime) -> None:
        attempt = row["attempt"]
        if attempt >= MOST_ATTEMPTS:
            await self._record(row, hit, f"the originating agency did not answer {attempt} requests in time")
            await self._move(row, "state = %s", _UNANSWERED)
            return
        await self._record(row, hit, f"request {attempt} was not answered in time: asked again")
        due = now + ALLOWED[row["urgency"]]
        await self._move(
            row, "state = %s, due_at = %s, next_at = %s, attempt = %s", _OVERDUE, due, now, attempt + 1
        )

    async def _move(self, row: Mapping[str, Any], change: LiteralString, *values: object) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(_MOVE.format(change), (*values, row["confirmation_id"], row["attempt"]))

    async def _record(self, row: Mapping[str, Any], hit: hit_pb2.Hit, told: str) -> None:
        event = event_pb2.AuditEvent(
            event_id=self._new_id(), phase=event_pb2.PHASE_SYSTEM,
            service="hotlist", software=SOFTWARE, action=action_pb2.ACTION_VERIFY_HIT, owner_agency_id=row["agency_id"],
            subject=types_pb2.Subject(agency_id=row["agency_id"], workload="records-check"),
            change=event_pb2.Change(kind="hit", target=hit.hit_id, summary=told[:1024]),
        )  # fmt: skip
        event.occurred_at.FromDatetime(self._clock.now())
        await self._append(event)


def _inquiry(row: Mapping[str, Any], hit: hit_pb2.Hit) -> Inquiry:
    return Inquiry(
        confirmation_id=str(row["confirmation_id"]), attempt=row["attempt"], urgency=row["urgency"], due_at=row["due_at"],
        asked_by=row["agency_id"], entry=hit.entry, seen_at=instant(hit.read.seen_at),
    )  # fmt: skip
