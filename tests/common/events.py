"""Audit events as a service writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, types_pb2
from servicekit.ids import new_id


def event(plate: str = "8ABC123", **changes: Any) -> event_pb2.AuditEvent:
    """A search by an officer of the sample department, just now."""
    made = event_pb2.AuditEvent(
        event_id=new_id(), phase=event_pb2.PHASE_ATTEMPT, service="reads", action=action_pb2.ACTION_SEARCH,
        subject=types_pb2.Subject(agency_id="elk-grove-pd", member_id="m-1042", member_name="Dana Reyes"),
        query=[event_pb2.QueryElement(name="plate", value=plate)],
        purpose=types_pb2.Purpose(offence="vehicle-theft", case_number="26-004312", reason="silver Accord taken from Laguna Blvd"),
    )  # fmt: skip
    made.occurred_at.FromDatetime(datetime.now(UTC))
    for name, value in changes.items():
        setattr(made, name, value)
    return made
