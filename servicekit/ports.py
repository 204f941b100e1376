"""What the kit needs from elsewhere: a log that takes events, and someone who decides."""

from __future__ import annotations

from typing import Protocol

from plateward.access.v1 import access_pb2
from plateward.audit.v1 import event_pb2
from plateward.common.v1 import decision_pb2, receipt_pb2


class AuditSink(Protocol):
    """Takes audit events; returns only when an event is durable."""

    async def append(self, event: event_pb2.AuditEvent) -> receipt_pb2.Receipt:
        """Append an event; raise PlatewardError(AUDIT_UNAVAILABLE) when it may not be durable."""
        ...


class Decider(Protocol):
    """Decides on a call."""

    async def decide(self, request: access_pb2.DecideRequest) -> decision_pb2.Decision:
        """Return the decision; raise PlatewardError(DECISION_UNAVAILABLE) when there is none."""
        ...
