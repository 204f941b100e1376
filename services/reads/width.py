"""How wide a query is: the cameras that it touches, counted where they are known (R-SRC-2).

Policy counts the cameras that a request names. One that names an area, or nothing at all, touches as many as stand there: those are
counted here, before anything is looked for. More than the decision lets one person look at need a second person's approval; a
decision for a query that was approved sets no such bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plateward.common.v1 import decision_pb2, errors_pb2, types_pb2
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from services.reads.predicates import Where, allowed_agencies, inside

RULE = "agency.second-person"


async def narrow_enough(
    pool: Pool,
    decision: decision_pb2.Decision | None,
    *,
    owners: Sequence[str] = (),
    camera_ids: Sequence[str] = (),
    areas: Sequence[types_pb2.Area] = (),
) -> None:
    """Refuse what touches more cameras than one person may look at; without ``areas`` those anywhere are touched.

    Raises:
        PlatewardError: DENIED_BY_POLICY: a second person must approve it first.
    """
    if decision is None:
        return
    obligations = decision.obligations
    if obligations.second_approver:
        raise _refused(decision, "This is wide")
    most = obligations.most_cameras
    if not most or 0 < len(camera_ids) <= most or 0 < len(obligations.camera_ids) <= most:
        return
    where = Where()
    where.add("agency_id = ANY(%s::text[])", allowed_agencies(decision, owners))
    for named in (camera_ids, obligations.camera_ids):
        if named:
            where.add("camera_id = ANY(%s::text[])", list(named))
    if obligations.HasField("area"):
        inside(where, obligations.area)
    if areas:
        _any(where, areas)
    async with pool.connection() as connection:
        found = await connection.execute(
            f"SELECT count(*) AS cameras FROM cameras WHERE {where.sql}",  # noqa: S608
            where.parameters,
        )
        row = await found.fetchone()
    touched = row["cameras"] if row is not None else 0
    if touched > most:
        raise _refused(decision, f"This touches {touched} cameras, and one person may look at {most}")


def _any(where: Where, areas: Sequence[types_pb2.Area]) -> None:
    clauses, parameters = list[str](), list[Any]()
    for area in areas:
        one = Where()
        inside(one, area)
        clauses.append(one.sql)
        parameters += one.parameters
    where.add(f"({' OR '.join(clauses)})", *parameters)


def _refused(decision: decision_pb2.Decision, what: str) -> PlatewardError:
    return PlatewardError(
        errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
        f"{what}: a second person must approve it first. Ask for an approval (RequestApproval) and send the same request with its "
        "ID, or narrow the area or the cameras.",
        metadata={"rule": RULE, "policy_version": decision.policy_version},
    )
