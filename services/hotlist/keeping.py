"""How long hits are kept: the agency's own schedule of hits, which is not that of reads.

Rules
-----
1. A hit lives from when its vehicle was seen, as long as the active policy keeps hits (kind ``hit``); it holds what it needs
   of its read, pictures too (``pictures.py``), so it outlives a read that goes earlier.
2. A policy that is shortened shortens hits that are raised already; one that is lengthened prolongs nothing.
3. While the policy was never learnt, a hit goes with its read: a guess could keep what must go.
4. What has expired is invisible at once (a predicate of every query) and destroyed with the steps taken on it.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import structlog

from plateward.access.v1 import access_pb2, access_pb2_grpc
from servicekit.clock import Clock
from servicekit.database import UNAVAILABLE, Pool

HIT = "hit"
_TIMEOUT_S = 5.0
_CACHE_S = 60.0
_RETRY_S = 2.0
_log = structlog.get_logger(__name__)


class Keeping:
    """The schedules of hits, asked of `access`, and the destruction that follows them."""

    def __init__(self, access: grpc.aio.Channel, pool: Pool, clock: Clock) -> None:
        self._stub: Any = access_pb2_grpc.AccessServiceStub(access)
        self._pool = pool
        self._clock = clock
        self._known: dict[str, tuple[timedelta | None, float]] = {}

    async def keep(self, agency_id: str) -> timedelta | None:
        """Return how long an agency keeps hits; ``None`` where its policy was never learnt or names no such rule."""
        now = asyncio.get_running_loop().time()
        keep, until = self._known.get(agency_id, (None, 0.0))
        if until > now:
            return keep
        try:
            answer = await self._stub.GetPolicy(
                access_pb2.GetPolicyRequest(agency_id=agency_id), timeout=_TIMEOUT_S
            )
        except grpc.aio.AioRpcError:
            # The last answer stays in force while nobody can say.
            until = now + _RETRY_S
        else:
            found = [timedelta(seconds=rule.keep_s) for rule in answer.policy.retention if rule.kind == HIT]
            keep, until = (found[0] if found else None), now + _CACHE_S
        self._known[agency_id] = (keep, until)
        return keep

    async def destroy(self) -> int:
        """Shorten what a policy has shortened, destroy what has expired; return how many hits are gone.

        Raises:
            psycopg.OperationalError: the database is away; the next pass does it.
        """
        now = self._clock.now()
        async with self._pool.connection() as connection:
            found = await connection.execute("SELECT DISTINCT agency_id FROM hits")
            agencies = [row["agency_id"] for row in await found.fetchall()]
        keeps = {agency_id: await self.keep(agency_id) for agency_id in agencies}
        async with self._pool.connection() as connection, connection.transaction():
            for agency_id, keep in keeps.items():
                if keep is not None:
                    await connection.execute(
                        "UPDATE hits SET expires_at = seen_at + %s WHERE agency_id = %s AND expires_at > seen_at + %s",
                        (keep, agency_id, keep),
                    )
            for table in ("verifications", "confirmations", "hit_pictures"):
                await connection.execute(
                    f"DELETE FROM {table} t USING hits h WHERE h.hit_id = t.hit_id AND h.expires_at <= %s",  # noqa: S608
                    (now,),
                )
            gone = await connection.execute("DELETE FROM hits WHERE expires_at <= %s", (now,))
        return gone.rowcount

    async def run(self, interval_s: float) -> None:
        """Destroy what is due, again and again, until cancelled."""
        while True:
            try:
                if gone := await self.destroy():
                    _log.info("hits_destroyed", hits=gone)
            except UNAVAILABLE:
                _log.warning("database_away")
            await asyncio.sleep(interval_s)
