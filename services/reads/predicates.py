"""SQL predicates over the table of reads: what was asked, what was allowed, what is still alive.

Rules
-----
1. Every query that shows reads begins with ``arms``: the obligations of the decision and the expiry, an arm for each
   agency, since each has its own schedule. Nothing is fetched and filtered afterwards.
2. An obligation without agencies allows nothing; no decision allows nothing.
3. Values are bound parameters, always; the text of SQL holds only what stands in this package.
4. What a hold keeps is found in the hold store under the case of that hold, by the agency that owns it, from the moment it is
   held: whatever takes the read or its pictures out of the table, they are found, and once. The hold then stands in the place
   of the schedules and of the decision's earliest time; every other bound holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from plateward.common.v1 import decision_pb2, types_pb2
from servicekit.times import instant
from services.reads.schedules import BEGINNING, Alive

BY_TIME = "(seen_at AT TIME ZONE 'UTC')"
"""What the indexes ``reads_recent`` and ``reads_camera`` order by."""
_OF_CASE = (
    "SELECT held.read_id FROM hold_reads AS held JOIN holds USING (hold_id) "
    "WHERE holds.agency_id = %s AND holds.case_number = %s AND holds.released_at IS NULL"
)
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


@dataclass(frozen=True, slots=True)
class Arm:
    """One agency's part of a query: where it looks, under which predicates, from when crops are alive, how long reads live."""

    table: str
    where: Where
    crops_after: datetime
    keep: timedelta | None

    def asked(self, ask: Callable[[Where], None]) -> Arm:
        """Return the arm narrowed by what was asked."""
        where = Where([*self.where.clauses], [*self.where.parameters])
        ask(where)
        return Arm(self.table, where, self.crops_after, self.keep)


def allowed_agencies(decision: decision_pb2.Decision | None, asked: Sequence[str] = ()) -> list[str]:
    """Return whose reads a query looks at: those that the decision allows, of those that were asked for."""
    allowed = decision.obligations.agency_ids if decision is not None else ()
    return [agency for agency in dict.fromkeys(allowed) if not asked or agency in asked]


def arms(
    decision: decision_pb2.Decision | None, alive: Iterable[Alive], *, own: str = "", case_number: str = ""
) -> list[Arm]:
    """Return the arms of rule 1 for the agencies of ``alive``, which ``allowed_agencies`` named.

    With a case, that of agency ``own`` leaves out what ``held_arm`` finds.
    """
    obligations = decision.obligations if decision is not None else decision_pb2.Obligations()
    found = []
    for bound in alive:
        if bound.agency_id not in obligations.agency_ids:
            continue
        where = Where()
        where.add("agency_id = %s", bound.agency_id)
        where.add("seen_at > %s", bound.reads_after)
        if obligations.HasField("not_before"):
            where.add("seen_at >= %s", instant(obligations.not_before))
        _agreed(where, obligations, bound.agency_id)
        _obliged(where, obligations)
        if case_number and bound.agency_id == own:
            where.add(f"read_id NOT IN ({_OF_CASE})", own, case_number)
        found.append(Arm("reads", where, bound.crops_after, bound.keep))
    return found


def held_arm(decision: decision_pb2.Decision | None, own: Alive, case_number: str) -> Arm | None:
    """Return the arm of rule 4, or none where no case is named."""
    if decision is None or own.agency_id not in decision.obligations.agency_ids or not case_number:
        return None
    where = Where()
    where.add("agency_id = %s", own.agency_id)
    where.add(f"read_id IN ({_OF_CASE})", own.agency_id, case_number)
    _obliged(where, decision.obligations)
    return Arm("held_reads", where, BEGINNING, None)


def _agreed(where: Where, obligations: decision_pb2.Obligations, agency_id: str) -> None:
    """Add that a read lies within one of its owner's agreements, where the decision names any."""
    clauses, parameters = list[str](), list[Any]()
    for scope in obligations.scopes:
        if scope.agency_id == agency_id:
            clauses.append("(cardinality(%s::text[]) = 0 OR camera_id = ANY(%s)) AND seen_at >= %s")
            cameras = list(scope.camera_ids)
            parameters += [cameras, cameras, instant(scope.not_before)]
    if clauses:
        where.add(f"({' OR '.join(f'({clause})' for clause in clauses)})", *parameters)


def _obliged(where: Where, obligations: decision_pb2.Obligations) -> None:
    if obligations.camera_ids:
        where.add("camera_id = ANY(%s)", list(obligations.camera_ids))
    if obligations.HasField("not_after"):
        where.add("seen_at < %s", instant(obligations.not_after))
    if obligations.HasField("area"):
        inside(where, obligations.area)


def between(where: Where, start: datetime, end: datetime) -> None:
    """Add a window in time: the column prunes partitions, the expression is what the index by time stands on."""
    where.add("seen_at >= %s AND seen_at < %s", start, end)
    where.add(
        f"{BY_TIME} >= %s::timestamptz AT TIME ZONE 'UTC' AND {BY_TIME} < %s::timestamptz AT TIME ZONE 'UTC'",
        start,
        end,
    )


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
