"""A look at data, as the audits and the misuse detectors see it: the facts of one event, without its protobuf."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2

LOOKS = (action_pb2.ACTION_SEARCH, action_pb2.ACTION_CANVASS)


@dataclass(frozen=True, slots=True)
class Look:
    """One search or canvass that was answered or refused.

    ``cameras`` and ``agencies`` are how many were named (0: all cameras, one's own agency); ``span_days`` is the window that was
    asked for.
    """

    index: int
    at: datetime
    agency_id: str
    owner_agency_id: str
    member_id: str
    member_name: str
    workload: str
    action: str
    plate: str
    elements: tuple[tuple[str, str], ...]
    offence: str
    case_number: str
    reason: str
    attested: bool
    status: str
    rule: str
    result_count: int
    span_days: float
    cameras: int
    agencies: int

    @property
    def answered(self) -> bool:
        """Whether data came back, or could have."""
        return self.status == "OK"


def look_of(index: int, event: event_pb2.AuditEvent) -> Look:
    """Return the facts of an outcome event."""
    elements = tuple((e.name, e.value) for e in event.query)
    named = dict(elements)
    return Look(
        index=index, at=event.occurred_at.ToDatetime(UTC), agency_id=event.subject.agency_id, owner_agency_id=event.owner_agency_id,
        member_id=event.subject.member_id, member_name=event.subject.member_name, workload=event.subject.workload,
        action=action_pb2.Action.Name(event.action).removeprefix("ACTION_").lower(), plate=named.get("plate", "").upper().replace(" ", "").replace("-", ""), elements=elements,
        offence=event.purpose.offence, case_number=event.purpose.case_number or event.purpose.event_number,
        reason=event.purpose.reason, attested=event.purpose.onward_use_attested, status=event.outcome.status,
        rule=event.decision.rule, result_count=event.outcome.result_count, span_days=_span(named.get("window", "")),
        cameras=sum(1 for name, _ in elements if name == "camera_ids"),
        agencies=sum(1 for name, _ in elements if name == "owner_agency_ids"),
    )  # fmt: skip


def _span(window: str) -> float:
    try:
        edges = json.loads(window)
        start, end = (datetime.fromisoformat(edges[edge]) for edge in ("start", "end"))
        return max(0.0, (end - start).total_seconds() / 86400)
    except (ValueError, KeyError, TypeError):
        return 0.0
