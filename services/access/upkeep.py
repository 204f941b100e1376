"""What time does by itself, put on record: accounts that nobody uses are locked."""

from __future__ import annotations

import asyncio

import structlog

from plateward.access.v1 import access_pb2
from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2
from servicekit.clock import Clock
from servicekit.database import UNAVAILABLE
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from servicekit.interceptors.audit import SOFTWARE
from servicekit.ports import AuditSink
from services.access.members import Members

_LOG = structlog.get_logger(__name__)
_EVERY_S = 60.0


def locked_event(member: access_pb2.Member, clock: Clock) -> event_pb2.AuditEvent:
    """Return the event that says that an account was locked because nobody used it."""
    last = member.last_active_at.ToDatetime().date()
    event = event_pb2.AuditEvent(
        event_id=new_id(clock), phase=event_pb2.PHASE_CHANGE, service="access", action=action_pb2.ACTION_MANAGE_MEMBERS,
        owner_agency_id=member.agency_id, software=SOFTWARE, outcome=event_pb2.Outcome(status="OK"),
        change=event_pb2.Change(kind="member", target=member.member_id, summary=f"locked: unused for 90 days, last active {last}"),
    )  # fmt: skip
    event.occurred_at.FromDatetime(clock.now())
    return event


async def keep_up(members: Members, audit: AuditSink, clock: Clock) -> None:
    """Look for unused accounts every minute; runs until it is cancelled.

    The lock itself does not wait for this: decisions and lists see it by a predicate.
    """

    async def record(member: access_pb2.Member) -> None:
        await audit.append(locked_event(member, clock))

    while True:
        try:
            await members.lock_unused(record)
        except (PlatewardError, *UNAVAILABLE) as error:
            _LOG.warning("upkeep_waits", error=type(error).__name__)
        await asyncio.sleep(_EVERY_S)
