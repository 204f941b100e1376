"""Canvass: everything in an area and window, plates seen at several scenes, plates that travelled along (R-SRC-2).

Rules
-----
1. A canvass shows people who did nothing: it goes step by step (count, rows, pictures), each step is asked for by itself,
   decided and recorded, and its receipt is in hand before its rows leave.
2. What touches more cameras than one person may look at is refused until a second person approves it (``width.py``).
3. Never more rows than the decision allows; the count tells how many there are beyond them. A plate's reads are shown all or not
   at all, but for a plate that alone has more than the limit: its count tells.
4. Plates are grouped by their look-alike key: one vehicle that was read as 8ABC123 here and BABC123 there is one.
   A read counts for one scene, also where scenes overlap: once at two of them is no journey.
5. The obligations and the expiry are predicates of every arm, as for a search.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection

from plates.lookalike import canonical
from plateward.common.v1 import action_pb2, decision_pb2, errors_pb2, receipt_pb2
from plateward.reads.v1 import read_pb2, reads_pb2
from servicekit.context import CallContext
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from servicekit.times import instant
from services.reads.crops import Crops
from services.reads.grams import whole_gram
from services.reads.matching import parse_exact
from services.reads.predicates import BY_TIME, Arm, Where, between, inside
from services.reads.records import Records
from services.reads.rows import read_of, shown
from services.reads.search import Search, mask
from services.reads.width import narrow_enough

MOST_ROWS = 1000
_PART = 50
_TARGETS = 2000
# Of plates in order, those whose reads all fit; the first one in any case.
_WHOLE = (
    "found AS (SELECT * FROM (SELECT *, sum(reads) OVER (ORDER BY weight DESC, last_at DESC, plate_key) AS so_far FROM weighed) "
    "AS summed WHERE so_far <= %s OR so_far = reads)"
)
_GROUPS = "ORDER BY weight DESC, last_at DESC, plate_key, seen_at, read_id LIMIT %s"
_STEPS = {
    reads_pb2.CANVASS_STEP_COUNT: "count",
    reads_pb2.CANVASS_STEP_ROWS: "rows",
    reads_pb2.CANVASS_STEP_PICTURES: "pictures",
}


class Canvass:
    """Answers canvasses from the table."""

    def __init__(self, pool: Pool, search: Search, crops: Crops, records: Records) -> None:
        self._pool = pool
        self._search = search
        self._crops = crops
        self._records = records

    async def stream(
        self, request: reads_pb2.CanvassRequest, call: CallContext
    ) -> AsyncIterator[reads_pb2.CanvassResponse]:
        """Yield the count, then rows, then their pictures, as far as the step goes.

        Raises:
            PlatewardError: DENIED_BY_POLICY (rule 2), AUDIT_UNAVAILABLE.
        """
        await narrow_enough(
            self._pool, call.decision, owners=request.owner_agency_ids, areas=[request.scene.area]
        )
        looked = await self._looked(
            call, request.scene, request.owner_agency_ids, request.purpose.case_number
        )
        first, rows = await self._scene(looked, request.step, most_rows(call.decision))
        first.receipt.CopyFrom(await self._recorded(call, [], first.count, "count"))
        yield first
        masked = call.decision.obligations.masked_fields if call.decision is not None else ()
        for at in range(0, len(rows), _PART):
            reads = [read_of(row) for row in rows[at : at + _PART]]
            ids = [read.read_id for read in reads]
            part = reads_pb2.CanvassResponse(count=first.count)
            if request.step == reads_pb2.CANVASS_STEP_PICTURES and "crops" not in masked:
                part.pictures.extend(await self._pictures(reads))
            for read in reads:
                mask(read, masked)
            part.reads.extend(reads)
            part.receipt.CopyFrom(await self._recorded(call, ids, len(ids), _STEPS[request.step]))
            call.returned(ids)
            yield part

    async def compare(
        self, request: reads_pb2.CompareScenesRequest, call: CallContext
    ) -> list[reads_pb2.ScenePlate]:
        """Return the plates that were seen at as many of the scenes as were asked for, most scenes first.

        Raises:
            PlatewardError: DENIED_BY_POLICY (rule 2), INVALID_ARGUMENT: more scenes are asked for than there are.
        """
        await narrow_enough(self._pool, call.decision, areas=[scene.area for scene in request.scenes])
        if request.at_least > len(request.scenes):
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
                f"at_least is {request.at_least} and there are {len(request.scenes)} scenes: lower it, or add scenes.",
            )
        parts, values = [], list[Any]()
        for number, scene in enumerate(request.scenes, 1):
            for arm in await self._looked(call, scene, (), request.purpose.case_number):
                columns, column_values = shown(arm)
                parts.append(
                    f"SELECT {columns}, {number} AS scene FROM {arm.table} WHERE {arm.where.sql} AND plate_key <> ''"  # noqa: S608
                )
                values += [*column_values, *arm.where.parameters]
        if not parts:
            return []
        statement = (
            f"WITH seen AS MATERIALIZED ({' UNION ALL '.join(parts)}), "  # noqa: S608
            "once AS (SELECT DISTINCT ON (agency_id, read_id) seen.*, scenes FROM seen JOIN (SELECT agency_id, read_id, "
            "array_agg(DISTINCT scene ORDER BY scene) AS scenes FROM seen GROUP BY agency_id, read_id) AS numbered "
            "USING (agency_id, read_id)), "
            "weighed AS (SELECT plate_key, count(DISTINCT scene) AS weight, count(DISTINCT (agency_id, read_id)) AS reads, "
            "max(seen_at) AS last_at FROM seen GROUP BY plate_key "
            "HAVING count(DISTINCT scene) >= %s AND count(DISTINCT (agency_id, read_id)) >= %s), "
            f"{_WHOLE} SELECT once.*, weight, reads, last_at FROM once JOIN found USING (plate_key) {_GROUPS}"
        )
        most = most_rows(call.decision)
        groups = await self._groups(statement, [*values, *[request.at_least] * 2, most, most])
        # Of a plate that is cut at the limit, what is left does not tell.
        at_several = [
            rows for rows in groups if len(rows) < rows[0]["reads"] or _apart(rows) >= request.at_least
        ]
        return self._told(call, at_several)

    async def companions(
        self, request: reads_pb2.FindCompanionsRequest, call: CallContext
    ) -> list[reads_pb2.ScenePlate]:
        """Return the plates that passed the same cameras within seconds of a plate, most cameras first.

        Raises:
            PlatewardError: DENIED_BY_POLICY (rule 2), INVALID_ARGUMENT: no whole plate.
        """
        await narrow_enough(self._pool, call.decision)
        key, within = canonical(parse_exact(request.plate)), timedelta(seconds=request.within_s)
        start, end = instant(request.window.start), instant(request.window.end)
        # Without the case: what travelled along is compared within the table of reads, also what a hold keeps besides.
        looked = await self._search.arms(call.decision, call.subject)
        if not looked:
            return []
        arm = looked[0]
        target = arm.asked(lambda where: _passes(where, key, start, end))
        beside = arm.asked(lambda where: where.add("plate_key NOT IN (%s, '')", key))
        columns, column_values = shown(beside)
        statement = (
            f"WITH target AS MATERIALIZED (SELECT agency_id, camera_id, seen_at FROM reads WHERE {target.where.sql} "  # noqa: S608
            "ORDER BY seen_at DESC LIMIT %s), "
            f"seen AS MATERIALIZED (SELECT DISTINCT ON (read_id) beside.* FROM target CROSS JOIN LATERAL (SELECT {columns} FROM reads "
            f"WHERE {beside.where.sql} AND reads.agency_id = target.agency_id AND reads.camera_id = target.camera_id "
            f"AND seen_at BETWEEN target.seen_at - %s::interval AND target.seen_at + %s::interval AND {BY_TIME} BETWEEN "
            "((target.seen_at - %s::interval) AT TIME ZONE 'UTC') AND ((target.seen_at + %s::interval) AT TIME ZONE 'UTC')) AS beside), "
            "weighed AS (SELECT plate_key, count(DISTINCT camera_id) AS weight, count(*) AS reads, max(seen_at) AS last_at "
            "FROM seen GROUP BY plate_key HAVING count(DISTINCT camera_id) >= %s), "
            f"{_WHOLE} SELECT seen.*, weight, reads, last_at FROM seen JOIN found USING (plate_key) {_GROUPS}"
        )
        most = most_rows(call.decision)
        values = [
            *target.where.parameters,
            _TARGETS,
            *column_values,
            *beside.where.parameters,
            *[within] * 4,
        ]
        return self._told(call, await self._groups(statement, [*values, request.at_least, most, most]))

    # ---------------------------------------------------------------- private

    async def _looked(
        self, call: CallContext, scene: reads_pb2.Scene, owners: Sequence[str], case_number: str
    ) -> list[Arm]:
        looked = await self._search.arms(call.decision, call.subject, owners, case_number)

        def ask(where: Where) -> None:
            between(where, instant(scene.window.start), instant(scene.window.end))
            inside(where, scene.area)

        return [arm.asked(ask) for arm in looked]

    async def _scene(
        self, looked: Sequence[Arm], step: reads_pb2.CanvassStep.ValueType, most: int
    ) -> tuple[reads_pb2.CanvassResponse, list[dict[str, Any]]]:
        first, rows = reads_pb2.CanvassResponse(), list[dict[str, Any]]()
        if not looked:
            return first, rows
        async with self._pool.connection() as connection:
            row = await _counted(connection, looked)
            first.count, first.cameras, first.plates = row["reads"], row["cameras"], row["plates"]
            if step == reads_pb2.CANVASS_STEP_COUNT:
                return first, rows
            parts, values = [], list[Any]()
            for arm in looked:
                columns, column_values = shown(arm)
                parts.append(f"SELECT {columns} FROM {arm.table} WHERE {arm.where.sql}")  # noqa: S608
                values += [*column_values, *arm.where.parameters]
            union = " UNION ALL ".join(parts)
            found = await connection.execute(
                f"SELECT * FROM ({union}) AS matching ORDER BY seen_at, read_id LIMIT %s",  # noqa: S608
                [*values, most],
            )
            return first, await found.fetchall()

    async def _groups(self, statement: str, values: list[Any]) -> list[list[dict[str, Any]]]:
        """Return the rows of each plate, in the order of the statement."""
        async with self._pool.connection() as connection:
            found = await connection.execute(statement, values)
            rows = await found.fetchall()
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault(row["plate_key"], []).append(row)
        return list(groups.values())

    @staticmethod
    def _told(call: CallContext, groups: Sequence[list[dict[str, Any]]]) -> list[reads_pb2.ScenePlate]:
        masked = call.decision.obligations.masked_fields if call.decision is not None else ()
        plates = []
        for rows in groups:
            reads = [read_of(row) for row in rows]
            [(text, _)] = Counter(read.plate.text for read in reads).most_common(1)
            for read in reads:
                mask(read, masked)
            scenes = sorted({number for row in rows for number in row.get("scenes", ())})
            plates.append(
                reads_pb2.ScenePlate(plate=text, reads=reads, scenes=scenes, count=rows[0]["reads"])
            )
            call.returned(read.read_id for read in reads)
        return plates

    async def _pictures(self, reads: Sequence[read_pb2.Read]) -> list[reads_pb2.Picture]:
        pictures = []
        for read in reads:
            for crop in read.crops:
                jpeg = await self._crops.get(crop.key)
                if jpeg is not None:
                    pictures.append(reads_pb2.Picture(read_id=read.read_id, kind=crop.kind, jpeg=jpeg))
        return pictures

    async def _recorded(
        self, call: CallContext, ids: list[str], count: int, what: str
    ) -> receipt_pb2.Receipt:
        return await self._records.step(call, ids, count, what=what, action=action_pb2.ACTION_CANVASS)


def _apart(rows: Sequence[dict[str, Any]]) -> int:
    """Return at how many scenes a plate was seen when each read counts for one of them (a largest matching)."""
    taken: dict[int, int] = {}

    def place(at: int, tried: set[int]) -> bool:
        for scene in rows[at]["scenes"]:
            if scene not in tried:
                tried.add(scene)
                if scene not in taken or place(taken[scene], tried):
                    taken[scene] = at
                    return True
        return False

    for at in range(len(rows)):
        place(at, set())
    return len(taken)


def most_rows(decision: decision_pb2.Decision | None) -> int:
    """Return how many rows an answer may have."""
    allowed = decision.obligations.max_rows if decision is not None else 0
    return min(allowed or MOST_ROWS, MOST_ROWS)


async def _counted(connection: AsyncConnection[Any], looked: Sequence[Arm]) -> dict[str, Any]:
    parts = [f"SELECT camera_id, plate_key FROM {arm.table} WHERE {arm.where.sql}" for arm in looked]  # noqa: S608
    union = " UNION ALL ".join(parts)
    found = await connection.execute(
        "SELECT count(*) AS reads, count(DISTINCT camera_id) AS cameras, count(DISTINCT plate_key) AS plates "  # noqa: S608
        f"FROM ({union}) AS seen",
        [value for arm in looked for value in arm.where.parameters],
    )
    row: dict[str, Any] | None = await found.fetchone()
    assert row is not None
    return row


def _passes(where: Where, key: str, start: datetime, end: datetime) -> None:
    where.add("grams @> %s::int[]", [whole_gram(key)])
    where.add("plate_key = %s", key)
    where.add("seen_at >= %s AND seen_at < %s", start, end)
