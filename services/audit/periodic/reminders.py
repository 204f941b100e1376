"""Reminders: an audit, or a corrective action, that is due or overdue becomes an event of the log, once a day, and a metric."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, types_pb2
from servicekit.clock import Clock
from servicekit.ids import derived_id
from servicekit.interceptors.audit import SOFTWARE
from services.audit.metrics import LogMetrics
from services.audit.periodic.life import PeriodicAudit, fold
from services.audit.periodic.store import AuditStore

AHEAD = timedelta(days=14)
_EVERY_S = 3600.0
Append = Callable[[event_pb2.AuditEvent], Awaitable[object]]


class Reminders:
    """Looks at the open audits every hour."""

    def __init__(self, audits: AuditStore, append: Append, clock: Clock, metrics: LogMetrics) -> None:
        self._audits = audits
        self._append = append
        self._clock = clock
        self._metrics = metrics

    async def run(self) -> None:
        """Remind until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(_EVERY_S)

    async def once(self) -> int:
        """Write what is due; return how many reminders there are today."""
        now = self._clock.now()
        audits = [a for records in await self._audits.unfinished() if (a := fold(records)) is not None]
        self._metrics.audits_overdue.set(sum(1 for a in audits if a.due_at <= now))
        due = [(a, text) for a in audits for text in _due(a, now)]
        for audit, text in due:
            await self._append(self._event(audit, text, now))
        return len(due)

    def _event(self, audit: PeriodicAudit, text: str, now: datetime) -> event_pb2.AuditEvent:
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        event = event_pb2.AuditEvent(
            # One a day: the same ID is the same entry.
            event_id=derived_id(today, "reminder", audit.audit_id, text), phase=event_pb2.PHASE_SYSTEM, service="audit", software=SOFTWARE,
            action=action_pb2.ACTION_CONDUCT_AUDIT, owner_agency_id=audit.agency_id, subject=types_pb2.Subject(agency_id=audit.agency_id),
            change=event_pb2.Change(kind="audit-due", target=audit.audit_id, summary=text),
        )  # fmt: skip
        event.occurred_at.FromDatetime(today)
        return event


def _due(audit: PeriodicAudit, now: datetime) -> Iterator[str]:
    if audit.due_at <= now:
        yield f"the audit was due on {audit.due_at:%Y-%m-%d} and is not signed off"
    elif audit.due_at - AHEAD <= now:
        yield f"the audit is due on {audit.due_at:%Y-%m-%d}"
    for index, finding in sorted(audit.findings.items()):
        due = finding["corrective_due_at"]
        if due and datetime.fromisoformat(due) - AHEAD <= now:
            yield f"the corrective action on entry {index} is due on {due[:10]}"
