"""No record, no data: attempt before anything is looked at, outcome before the answer leaves, refusals always.

Rules
-----
1. A method that is always recorded appends its attempt first; when that fails, nothing else happens.
2. Its outcome is appended before the answer leaves; when that fails, there is no answer.
3. A refusal is recorded for every method. When the log is away the refusal stands, and its event waits in a bounded queue.
4. Recording never fails on the length or the form of what a caller sent: it is cut, not dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from importlib.metadata import version

import structlog
from google.protobuf.message import Message

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, errors_pb2, receipt_pb2, types_pb2
from servicekit.clock import Clock
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from servicekit.interceptors.call import Call
from servicekit.methods import query_elements
from servicekit.ports import AuditSink
from servicekit.telemetry import Metrics

_LOG = structlog.get_logger(__name__)
MOST_WAITING = 10_000
_RETRY_S = 1.0
_PURPOSE_LIMITS: Mapping[str, int] = {"offence": 64, "case_number": 64, "event_number": 64, "reason": 500}
SOFTWARE = version("plateward")


class Recorder:
    """Writes the events of a service's calls."""

    def __init__(self, service: str, sink: AuditSink, clock: Clock, metrics: Metrics) -> None:
        self._service = service
        self._sink = sink
        self._clock = clock
        self._metrics = metrics
        self._waiting: deque[event_pb2.AuditEvent] = deque(maxlen=MOST_WAITING)
        self._wake = asyncio.Event()

    async def attempt(self, call: Call) -> None:
        """Record that something is about to be looked at.

        Raises:
            PlatewardError: AUDIT_UNAVAILABLE.
        """
        await self._sink.append(self._event(call, event_pb2.PHASE_ATTEMPT))
        call.attempted = True

    async def outcome(self, call: Call) -> receipt_pb2.Receipt:
        """Record what a call returned or changed; return the receipt that travels with the answer.

        Raises:
            PlatewardError: AUDIT_UNAVAILABLE.
        """
        context = call.context
        event = self._event(call, event_pb2.PHASE_CHANGE if context.change else event_pb2.PHASE_OUTCOME)
        if context.change:
            event.change.CopyFrom(context.change)
        event.outcome.MergeFrom(
            event_pb2.Outcome(
                status="OK",
                result_count=context.result_count,
                result_digest=context.result_digest,
                took_ms=call.took_ms,
            )
        )
        # Each owner whose data was open to the call has it in its own record (Civil Code 1798.90.52: "provides access").
        await asyncio.gather(*(self._sink.append(self._copy(event, owner)) for owner in _others(call, event)))
        return await self._sink.append(event)

    async def refusal(self, call: Call, error: PlatewardError) -> None:
        """Record that a call was refused or failed; never raises."""
        event = self._event(call, event_pb2.PHASE_OUTCOME)
        event.outcome.MergeFrom(
            event_pb2.Outcome(
                status=error.status.name, reason=errors_pb2.ErrorReason.Name(error.reason), took_ms=call.took_ms,
                result_count=call.context.result_count, result_digest=call.context.result_digest,
            )
        )  # fmt: skip
        await self._or_later(event)

    async def handshakes(self, reason: str, count: int) -> None:
        """Record refused TLS handshakes, several of one reason as one event; never raises."""
        event = event_pb2.AuditEvent(
            event_id=new_id(self._clock), phase=event_pb2.PHASE_SYSTEM, service=self._service, software=SOFTWARE,
            action=action_pb2.ACTION_CONNECT, query=[event_pb2.QueryElement(name="tls", value=reason[:128])],
            outcome=event_pb2.Outcome(status="UNAUTHENTICATED", reason="ERROR_REASON_UNKNOWN_CALLER", result_count=count),
        )  # fmt: skip
        event.occurred_at.FromDatetime(self._clock.now())
        await self._or_later(event)

    async def keep_trying(self) -> None:
        """Append what waits, whenever the log is back; runs until it is cancelled."""
        while True:
            await self._wake.wait()
            try:
                while self._waiting:
                    await self._sink.append(self._waiting[0])
                    self._waiting.popleft()
                    self._metrics.unrecorded.set(len(self._waiting))
                self._wake.clear()
            except PlatewardError:
                await asyncio.sleep(_RETRY_S)

    async def _or_later(self, event: event_pb2.AuditEvent) -> None:
        try:
            await self._sink.append(event)
        except PlatewardError as error:
            if len(self._waiting) == MOST_WAITING:
                _LOG.error("refusal_lost", waiting=MOST_WAITING)
            self._waiting.append(event)
            self._metrics.unrecorded.set(len(self._waiting))
            self._wake.set()
            _LOG.warning("refusal_waits", error=errors_pb2.ErrorReason.Name(error.reason))

    def _copy(self, event: event_pb2.AuditEvent, owner: str) -> event_pb2.AuditEvent:
        copy = event_pb2.AuditEvent()
        copy.CopyFrom(event)
        copy.event_id, copy.owner_agency_id = new_id(self._clock), owner
        return copy

    def _event(self, call: Call, phase: event_pb2.Phase.ValueType) -> event_pb2.AuditEvent:
        context, request = call.context, call.request
        event = event_pb2.AuditEvent(
            event_id=new_id(self._clock), phase=phase, request_id=context.request_id, service=self._service,
            method=call.method.path, subject=context.subject, action=call.method.rule.action, software=SOFTWARE,
            owner_agency_id=(context.owner_agency_id or _owner(request) or context.subject.agency_id)[:64],
        )  # fmt: skip
        event.occurred_at.FromDatetime(self._clock.now())
        if request is not None:
            event.query.extend(query_elements(request))
            if (purpose := _purpose(request)) is not None:
                event.purpose.CopyFrom(purpose)
        if context.decision is not None:
            event.decision.CopyFrom(context.decision)
        return event


def _others(call: Call, event: event_pb2.AuditEvent) -> list[str]:
    """Return the owners whose data a call could see beyond the one that its event names; the caller's own agency sees it anyhow."""
    decision = call.context.decision
    owners = decision.obligations.agency_ids if decision is not None else ()
    return [o for o in owners if o not in (event.owner_agency_id, call.context.subject.agency_id)]


def _owner(request: Message | None) -> str:
    owners = getattr(request, "owner_agency_ids", ())
    return str(owners[0]) if owners else ""


def _purpose(request: Message) -> types_pb2.Purpose | None:
    purpose = getattr(request, "purpose", None)
    if not isinstance(purpose, types_pb2.Purpose) or not purpose.ByteSize():
        return None
    kept = types_pb2.Purpose(onward_use_attested=purpose.onward_use_attested)
    for name, most in _PURPOSE_LIMITS.items():
        setattr(kept, name, getattr(purpose, name)[:most])
    return kept
