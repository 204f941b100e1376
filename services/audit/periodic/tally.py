"""What an audit counts in the log: one pass over the events of the span, pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2
from services.audit.looks import LOOKS, Look, look_of

_WIDTHS = ((1, "one day or less"), (7, "up to a week"), (31, "up to a month"))
_ADMINISTRATION = (
    action_pb2.ACTION_MANAGE_MEMBERS, action_pb2.ACTION_MANAGE_SHARING, action_pb2.ACTION_DECIDE_SHARING, action_pb2.ACTION_MANAGE_RELEASE,
    action_pb2.ACTION_DECIDE_RELEASE, action_pb2.ACTION_MANAGE_POLICY, action_pb2.ACTION_MANAGE_HOTLIST, action_pb2.ACTION_PUSH_HOTLIST,
    action_pb2.ACTION_MANAGE_HOLD, action_pb2.ACTION_DESTROY, action_pb2.ACTION_MANAGE_CAMERAS, action_pb2.ACTION_APPROVE,
    action_pb2.ACTION_GRANT_APPROVAL, action_pb2.ACTION_DISCLOSE, action_pb2.ACTION_CONDUCT_AUDIT,
)  # fmt: skip
_HIT_ACTIONS = (action_pb2.ACTION_VERIFY_HIT, action_pb2.ACTION_ACT_ON_HIT, action_pb2.ACTION_VIEW_HITS)


@dataclass
class Tally:
    """Counts over a span."""

    agency_id: str
    members: Counter[str] = field(default_factory=Counter)
    agencies: Counter[str] = field(default_factory=Counter)
    purposes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    widths: Counter[str] = field(default_factory=Counter)
    denials: Counter[str] = field(default_factory=Counter)
    without_case: int = 0
    partner: Counter[str] = field(default_factory=Counter)
    partner_attested: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    changes: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    last_seen: dict[str, datetime] = field(default_factory=dict)
    workloads: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    policy_versions: Counter[str] = field(default_factory=Counter)
    sampled: dict[int, Look] = field(default_factory=dict)
    sealed: int = 0

    def add(self, events: Iterable[tuple[int, event_pb2.AuditEvent]], sample: frozenset[int]) -> None:
        """Count events; keep the looks of the sample."""
        for index, event in events:
            if event.subject.member_id:
                at = event.occurred_at.ToDatetime()
                self.last_seen[event.subject.member_id] = max(
                    at, self.last_seen.get(event.subject.member_id, at)
                )
            if event.decision.policy_version:
                self.policy_versions[event.decision.policy_version] += 1
            if event.action in LOOKS and event.phase == event_pb2.PHASE_OUTCOME:
                self._look(look_of(index, event), sample)
            elif event.phase == event_pb2.PHASE_CHANGE and event.action in _ADMINISTRATION:
                self._change(index, event)
            elif event.action in _HIT_ACTIONS:
                self.hits[f"{_name(event.action)}: {event.outcome.status}"] += 1
            elif event.phase == event_pb2.PHASE_SYSTEM:
                self.changes["system"].append(_told(index, event))

    def _look(self, look: Look, sample: frozenset[int]) -> None:
        if look.index in sample:
            self.sampled[look.index] = look
        if not look.answered:
            self.denials[look.rule or look.status] += 1
            return
        self.members[look.member_name or look.member_id or look.workload] += 1
        self.agencies[look.agency_id] += 1
        self.purposes[look.offence or "none"] += 1
        self.kinds[look.action] += 1
        self.widths[
            next((name for days, name in _WIDTHS if look.span_days <= days), "more than a month")
        ] += 1
        self.without_case += not look.case_number
        if look.member_id:
            self.workloads[look.member_id].add(look.workload)
        if look.agency_id != self.agency_id:
            self.partner[look.agency_id] += 1
            self.partner_attested += look.attested

    def _change(self, index: int, event: event_pb2.AuditEvent) -> None:
        self.changes[event.change.kind or _name(event.action)].append(_told(index, event))
        if event.action in _HIT_ACTIONS:
            self.hits[f"{_name(event.action)}: {event.change.summary[:40]}"] += 1


def _told(index: int, event: event_pb2.AuditEvent) -> dict[str, Any]:
    return {
        "entry": index,
        "at": event.occurred_at.ToDatetime().isoformat(timespec="seconds"),
        "by": event.subject.member_name or event.subject.member_id or event.service,
        "what": event.change.summary or _name(event.action),
    }


def _name(action: int) -> str:
    return action_pb2.Action.Name(action).removeprefix("ACTION_").lower()  # type: ignore[arg-type]
