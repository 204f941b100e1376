"""SQL predicates over the table of reads: what was asked, what was allowed, what is still alive.

Rules
-----
1. Every query that shows reads begins with ``bounds``: the obligations of the decision and the expiry. Nothing
   is fetched and filtered afterwards.
2. An obligation without agencies allows nothing; no decision allows nothing.
3. Values are bound parameters, always; the text of SQL holds only what stands in this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from plateward.common.v1 import decision_pb2, types_pb2
from servicekit.times import instant

_EARTH_M = 6_371_008.8
_METRES_PER_DEGREE = 111_000.0
_CIRCLE = (
    "(latitude BETWEEN %s AND %s AND 2 * %s * asin(least(1, sqrt(power(sin(radians(latitude - %s) / 2), 2) "
    "+ cos(radians(%s)) * cos(radians(latitude)) * power(sin(radians(longitude - %s) / 2), 2)))) <= %s)"
)


@dataclass(slots=True)
class Where:
    """Predicates joined by AND, with their parameters in order."""

    clauses: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)

    def add(self, clause: str, *parameters: Any) -> None:
        """Add one predicate."""
        self.clauses.append(clause)
        self.parameters.extend(parameters)

    @property
    def sql(self) -> str:
        """The predicates as one expression."""
        return " AND ".join(self.clauses) or "TRUE"


def bounds(decision: decision_pb2.Decision | None, now: datetime) -> Where:
    """Return the predicates of rule 1."""
    where = Where()
    obligations = decision.obligations if decision is not None else decision_pb2.Obligations()
    where.add("expires_at > %s", now)
    where.add("agency_id = ANY(%s)", list(obligations.agency_ids))
    if obligations.camera_ids:
        where.add("camera_id = ANY(%s)", list(obligations.camera_ids))
    if obligations.HasField("not_before"):
        where.add("seen_at >= %s", instant(obligations.not_before))
    if obligations.HasField("not_after"):
        where.add("seen_at < %s", instant(obligations.not_after))
    if obligations.HasField("area"):
        inside(where, obligations.area)
    return where


def inside(where: Where, area: types_pb2.Area) -> None:
    """Add that a read lies in an area: within a circle (great-circle distance), or in a polygon or on its edge."""
    if area.WhichOneof("shape") == "circle":
        centre, radius = area.circle.centre, area.circle.radius_m
        reach = radius / _METRES_PER_DEGREE
        where.add(
            _CIRCLE, centre.latitude - reach, centre.latitude + reach,
            _EARTH_M, centre.latitude, centre.latitude, centre.longitude, radius,
        )  # fmt: skip
    elif area.WhichOneof("shape") == "polygon":
        where.add("point(longitude, latitude) <@ %s::polygon", _ring(area.polygon.corners))
    else:
        where.add("FALSE")


def _ring(corners: Sequence[types_pb2.Place]) -> str:
    return "(" + ",".join(f"({corner.longitude!r},{corner.latitude!r})" for corner in corners) + ")"
