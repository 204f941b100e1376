"""Events that the service records by itself: what it destroyed, each step of a canvass, each line of custody.

The kit records every call. These are recorded beside it since their receipts must be in hand before something leaves: a
certificate, a page of rows, a package. No record, no data: what cannot be recorded is not done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, receipt_pb2
from servicekit.clock import Clock
from servicekit.context import CallContext
from servicekit.ids import new_id
from servicekit.interceptors.audit import SOFTWARE
from servicekit.ports import AuditSink


class Records:
    """Appends to the audit log in the name of ``reads``."""

    def __init__(self, sink: AuditSink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock

    async def system(
        self,
        event_id: str,
        agency_id: str,
        action: action_pb2.Action.ValueType,
        change: event_pb2.Change,
        count: int = 0,
    ) -> receipt_pb2.Receipt:
        """Record what the service did by itself; the same event ID gives the same entry.

        Raises:
            PlatewardError: AUDIT_UNAVAILABLE.
        """
        event = event_pb2.AuditEvent(
            event_id=event_id, phase=event_pb2.PHASE_SYSTEM, service="reads", software=SOFTWARE, action=action,
            owner_agency_id=agency_id, change=change, outcome=event_pb2.Outcome(status="OK", result_count=count),
        )  # fmt: skip
        event.occurred_at.FromDatetime(self._clock.now())
        return await self._sink.append(event)

    async def step(
        self,
        call: CallContext,
        ids: Sequence[str],
        count: int,
        *,
        what: str,
        action: action_pb2.Action.ValueType,
    ) -> receipt_pb2.Receipt:
        """Record a step of a call, with a digest of the IDs that it shows.

        Raises:
            PlatewardError: AUDIT_UNAVAILABLE.
        """
        event = self._of_call(call, action, event_pb2.PHASE_OUTCOME)
        digest = hashlib.sha256("".join(f"{i}\n" for i in sorted(ids)).encode()).digest() if ids else b""
        event.outcome.MergeFrom(event_pb2.Outcome(status="OK", result_count=count, result_digest=digest))
        event.query.add(name="step", value=what)
        return await self._sink.append(event)

    async def change(
        self,
        call: CallContext,
        change: event_pb2.Change,
        action: action_pb2.Action.ValueType = action_pb2.ACTION_MANAGE_HOLD,
        event_id: str = "",
    ) -> receipt_pb2.Receipt:
        """Record a change that a call makes, under an event ID where what is changed names its event.

        Raises:
            PlatewardError: AUDIT_UNAVAILABLE.
        """
        event = self._of_call(call, action, event_pb2.PHASE_CHANGE)
        event.event_id = event_id or event.event_id
        event.change.CopyFrom(change)
        return await self._sink.append(event)

    def _of_call(
        self, call: CallContext, action: action_pb2.Action.ValueType, phase: event_pb2.Phase.ValueType
    ) -> event_pb2.AuditEvent:
        event = event_pb2.AuditEvent(
            event_id=new_id(self._clock), phase=phase, request_id=call.request_id, service="reads", method=call.method,
            subject=call.subject, action=action, software=SOFTWARE,
            owner_agency_id=call.owner_agency_id or call.subject.agency_id,
        )  # fmt: skip
        event.occurred_at.FromDatetime(self._clock.now())
        if call.decision is not None:
            event.decision.CopyFrom(call.decision)
        return event
