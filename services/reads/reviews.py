"""Holds that nobody has looked at on their day: put on record and counted, until somebody does (R-RET-2).

Rules
-----
1. A hold past its review date goes on: it ends when it is released, never by itself.
2. That it is overdue is recorded in the audit log once for each hold and review date, whatever replica or restart finds it: the
   event's ID is derived from both, and the date is noted only when the log has taken it.
3. The gauge ``plateward_reads_holds_overdue`` says how many are overdue now, an agency a series; alert on more than none.
"""

from __future__ import annotations

import asyncio
from datetime import UTC

import structlog
from prometheus_client import CollectorRegistry, Gauge

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2
from servicekit.clock import Clock
from servicekit.database import UNAVAILABLE, Pool
from servicekit.errors import PlatewardError
from servicekit.ids import derived_id
from services.reads.records import Records

_LOG = structlog.get_logger(__name__)
_EVERY_S = 60.0
_AT_ONCE = 500
_UNTOLD = """
SELECT hold_id, agency_id, case_number, review_at,
       (SELECT count(*) FROM hold_reads WHERE hold_reads.hold_id = holds.hold_id) AS reads
FROM holds WHERE released_at IS NULL AND review_at <= %s AND overdue_told IS DISTINCT FROM review_at ORDER BY review_at LIMIT %s
"""
_COUNTS = "SELECT agency_id, count(*) AS overdue FROM holds WHERE released_at IS NULL AND review_at <= %s GROUP BY agency_id"


class Reviews:
    """Looks for overdue holds."""

    def __init__(self, pool: Pool, clock: Clock, records: Records, registry: CollectorRegistry) -> None:
        self._pool = pool
        self._clock = clock
        self._records = records
        self._overdue = Gauge(
            "plateward_reads_holds_overdue", "Holds in force past their review date.", ["agency"], registry=registry
        )  # fmt: skip

    async def remind(self) -> list[str]:
        """Record the holds that have become overdue; return their IDs.

        Raises:
            PlatewardError: AUDIT_UNAVAILABLE: what is not recorded is tried again at the next round.
            psycopg.OperationalError: the database is away.
        """
        now = self._clock.now()
        async with self._pool.connection() as connection:
            counts = await (await connection.execute(_COUNTS, (now,))).fetchall()
            untold = await (await connection.execute(_UNTOLD, (now, _AT_ONCE))).fetchall()
        self._overdue.clear()
        for row in counts:
            self._overdue.labels(row["agency_id"]).set(row["overdue"])
        told = []
        for row in untold:
            due = row["review_at"].astimezone(UTC)
            hold_id = str(row["hold_id"])
            change = event_pb2.Change(
                kind="hold-overdue", target=hold_id,
                summary=f"hold of case {row['case_number']} was to be looked at by {due:%Y-%m-%d} and was not; it goes on and "
                f"keeps {row['reads']} reads",
            )  # fmt: skip
            event_id = derived_id(due, "hold overdue", hold_id, due.isoformat())
            await self._records.system(
                event_id, row["agency_id"], action_pb2.ACTION_MANAGE_HOLD, change, row["reads"]
            )
            async with self._pool.connection() as connection:
                await connection.execute(
                    "UPDATE holds SET overdue_told = %(due)s WHERE hold_id = %(hold)s AND review_at = %(due)s",
                    {"due": row["review_at"], "hold": row["hold_id"]},
                )
            _LOG.warning("hold_overdue", hold=hold_id, agency=row["agency_id"])
            told.append(hold_id)
        return told

    async def run(self) -> None:
        """Go on for as long as the service runs."""
        while True:
            try:
                await self.remind()
            except (*UNAVAILABLE, PlatewardError) as error:
                _LOG.warning("review_waits", error=type(error).__name__)
            await asyncio.sleep(_EVERY_S)
