"""What ``reads`` does by itself: partitions ahead of need, and the destruction of what is due."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from servicekit.clock import Clock
from servicekit.database import UNAVAILABLE, Pool
from servicekit.errors import PlatewardError
from services.reads.partitions import Partitions, day_of
from services.reads.purge import Purger
from services.reads.retention import Retention
from services.reads.schedules import ScheduleStore

_LOG = structlog.get_logger(__name__)
_HOUSEKEEPING_S = 3600.0
_RETRY_S = 30.0


class Ahead:
    """Makes partitions before they are needed."""

    def __init__(
        self, pool: Pool, clock: Clock, partitions: Partitions, schedules: ScheduleStore, days: int
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._partitions = partitions
        self._schedules = schedules
        self._days = days

    async def make(self) -> None:
        """Make those of yesterday to the days ahead, of every agency that stores reads.

        Raises:
            psycopg.OperationalError: the database is away or its disk is full.
        """
        today = day_of(self._clock.now())
        days = [today + timedelta(days=n) for n in range(-1, self._days + 1)]
        async with self._pool.connection() as connection:
            for agency_id in await self._schedules.agencies():
                await self._partitions.ensure(connection, agency_id, days)

    async def run(self) -> None:
        """Go on for as long as the service runs."""
        wait = _HOUSEKEEPING_S
        while True:
            await asyncio.sleep(wait)
            try:
                await self.make()
                wait = _HOUSEKEEPING_S
            except UNAVAILABLE:
                # Ingest makes what is missing on demand; days ahead can wait for the database.
                wait = _RETRY_S


async def destroy(retention: Retention, purger: Purger, interval_s: float) -> None:
    """Destroy what is due, round after round; what one round does not finish, the next one does."""
    while True:
        await asyncio.sleep(interval_s)
        try:
            for due in await retention.refresh():
                for certificate in await purger.run(due):
                    _LOG.info(
                        "destroyed", kind=certificate.kind, count=certificate.destroyed, held=certificate.held,
                        certificate=certificate.certificate_id,
                    )  # fmt: skip
        except (*UNAVAILABLE, PlatewardError) as error:
            _LOG.warning("destruction_waits", error=type(error).__name__)
