"""What a decision lets a caller see of hits, as SQL predicates. No decision, or one without agencies, shows nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from plateward.common.v1 import decision_pb2, errors_pb2
from servicekit.errors import PlatewardError
from servicekit.times import instant


def bounds(decision: decision_pb2.Decision | None, now: datetime) -> tuple[str, list[Any]]:
    """Return the predicates over the table of hits, joined by AND, and their parameters.

    Raises:
        PlatewardError: DECISION_UNAVAILABLE for an obligation that cannot be kept here: showing more would break it.
    """
    obligations = decision.obligations if decision is not None else decision_pb2.Obligations()
    if obligations.masked_fields or obligations.HasField("area"):
        raise PlatewardError(
            errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE,
            "The policy bounds hits by an area or by masked fields, which this version cannot keep: tell the administrator.",
        )
    clauses = ["expires_at > %s", "agency_id = ANY(%s)"]
    parameters: list[Any] = [now, list(obligations.agency_ids)]
    if obligations.camera_ids:
        clauses.append("camera_id = ANY(%s)")
        parameters.append(list(obligations.camera_ids))
    if obligations.HasField("not_before"):
        clauses.append("seen_at >= %s")
        parameters.append(instant(obligations.not_before))
    if obligations.HasField("not_after"):
        clauses.append("seen_at < %s")
        parameters.append(instant(obligations.not_after))
    for owner in sorted({scope.agency_id for scope in obligations.scopes}):
        agreed, values = _agreed(obligations, owner)
        clauses.append(f"(agency_id <> %s OR {agreed})")
        parameters += [owner, *values]
    return " AND ".join(clauses), parameters


def _agreed(obligations: decision_pb2.Obligations, owner: str) -> tuple[str, list[Any]]:
    """Return that a hit's read lies within one of its owner's agreements."""
    clauses, parameters = list[str](), list[Any]()
    for scope in obligations.scopes:
        if scope.agency_id == owner:
            clauses.append("((cardinality(%s::text[]) = 0 OR camera_id = ANY(%s)) AND seen_at >= %s)")
            cameras = list(scope.camera_ids)
            parameters += [cameras, cameras, instant(scope.not_before)]
    return f"({' OR '.join(clauses)})", parameters
