"""Destruction: what no schedule keeps any more goes, and a certificate says what went (R-RET-1, R-RET-4).

Rules
-----
1. A day that has expired as a whole is dropped as a partition, and its pictures as a prefix. Where a schedule is shorter
   than two days, rows go one by one besides, at every run.
2. Each step is one transaction that carries its part of the certificate (``purge_store.py``). A purge that was cut off is
   found under way by the next one: its blobs are deleted, its certificates issued, then a new one begins.
3. Blobs go after the commit that dooms them; certificates are issued when the last blob is gone and the audit log has
   taken the record. Without the log nothing is certified, and the purge stays under way until it is back.
4. Pictures whose own schedule is shorter go before their reads, with a certificate of kind ``crop``.
5. A new address-confidentiality list destroys what was stored earlier of its plates, in a purge of its own: its certificate names
   the list in the place of a schedule.
6. Replicas do not destroy side by side: a lock of the session is held for each agency, and it ends with the process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection, errors

from plateward.common.v1 import action_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.certificates import CertificateStore, event_change, sign, window
from servicekit.clock import Clock
from servicekit.database import Pool
from servicekit.ids import derived_id, new_id
from services.reads import purge_store as store
from services.reads.confidential import BASIS, Confidential
from services.reads.crops import Crops
from services.reads.held_pictures import destroy_orphans
from services.reads.preview import SHORT, crops_until, preview
from services.reads.purge_store import Purge
from services.reads.records import Records
from services.reads.schedules import Schedules
from tlog.note import SignerKey

_LOG = structlog.get_logger(__name__)
_BLOBS_AT_ONCE = 1000
_TAKE = "SELECT pg_try_advisory_lock(hashtextextended('purge ' || %s, 0)) AS got"
_GIVE = "SELECT pg_advisory_unlock(hashtextextended('purge ' || %s, 0))"


class Purger:
    """Destroys what is due, an agency at a time."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        crops: Crops,
        records: Records,
        key: SignerKey,
        confidential: Confidential | None = None,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._crops = crops
        self._records = records
        self._key = key
        self._confidential = confidential

    async def run(self, schedules: Schedules) -> list[reads_pb2.Certificate]:
        """Destroy what is due of one agency; return the certificates, none when nothing was.

        Raises:
            PlatewardError: STORAGE_UNAVAILABLE, AUDIT_UNAVAILABLE: what is done is done, the next run certifies it.
            psycopg.OperationalError: the database is away; the next run goes on.
        """
        async with self._alone(schedules.agency_id) as connection:
            if connection is None:
                return []
            issued: list[reads_pb2.Certificate] = []
            if (cut_off := await store.under_way(connection, schedules.agency_id)) is not None:
                issued += await self._finish(connection, cut_off)
            issued += await self._withheld(connection, schedules)
            now = self._clock.now()
            purge = Purge(UUID(new_id(self._clock)), schedules.agency_id)
            await store.begin(connection, purge, schedules, now)
            await self._destroy(connection, purge, schedules, now)
            return issued + await self._finish(connection, purge)

    async def preview(self, schedules: Schedules) -> list[reads_pb2.Certificate]:
        """Return what a run would destroy now, uncertified; see ``preview.py``."""
        async with self._pool.connection() as connection:
            await connection.set_autocommit(True)
            try:
                return await preview(connection, schedules, self._clock.now(), self._confidential)
            finally:
                await connection.set_autocommit(False)

    async def _withheld(
        self, connection: AsyncConnection[Any], schedules: Schedules
    ) -> list[reads_pb2.Certificate]:
        agency_id = schedules.agency_id
        wanted = await self._confidential.due(connection, agency_id) if self._confidential else None
        if self._confidential is None or wanted is None:
            return []
        texts = await self._confidential.stored(connection, agency_id)
        purge = Purge(UUID(new_id(self._clock)), agency_id)
        await store.begin(connection, purge, schedules, self._clock.now(), BASIS)
        await store.delete_withheld(connection, purge, texts, wanted)
        return await self._finish(connection, purge)

    async def _destroy(
        self, connection: AsyncConnection[Any], purge: Purge, schedules: Schedules, now: datetime
    ) -> None:
        alive = schedules.alive(now)
        for name, day in await store.due_days(connection, purge.agency_id, alive.reads_after):
            try:
                await store.drop_day(connection, purge, name, day)
            except (errors.LockNotAvailable, errors.DeadlockDetected):
                _LOG.info("partition_in_use", partition=name)
        if schedules.read.keep < SHORT:
            await store.delete_expired(connection, purge, alive.reads_after)
        await store.delete_released(connection, purge, alive.reads_after)
        if schedules.crop.keep < schedules.read.keep:
            days = await store.days_between(connection, purge.agency_id, alive.crops_after)
            await store.destroy_crops(connection, purge, crops_until(schedules, alive), days)

    async def _finish(self, connection: AsyncConnection[Any], purge: Purge) -> list[reads_pb2.Certificate]:
        while await destroy_orphans(connection, self._crops, self._clock.now(), _BLOBS_AT_ONCE):
            pass
        while keys := await store.doomed(connection, purge, _BLOBS_AT_ONCE):
            for key in keys:
                await self._crops.destroy(key)
            await store.forget_blobs(connection, keys)
        issued = [
            self._certificate(purge, row)
            for row in await store.results(connection, purge)
            if row["destroyed"] or row["held"]
        ]
        for certificate in issued:
            certificate.receipt.CopyFrom(
                await self._records.system(
                    certificate.certificate_id, purge.agency_id, action_pb2.ACTION_DESTROY,
                    event_change(certificate), certificate.destroyed,
                )
            )  # fmt: skip
        async with connection.transaction():
            for certificate in issued:
                await CertificateStore.put(connection, certificate)
            await store.end(connection, purge)
        return issued

    def _certificate(self, purge: Purge, row: Mapping[str, Any]) -> reads_pb2.Certificate:
        # The time is that of the purge: a certificate that is made again after a crash is the same one.
        began: datetime = row["started_at"]
        certificate = reads_pb2.Certificate(
            certificate_id=derived_id(began.astimezone(UTC), str(purge.purge_id), row["kind"]),
            agency_id=purge.agency_id, kind=row["kind"], destroyed=row["destroyed"], held=row["held"],
            schedule=row["schedule"], policy_version=row["policy_version"], commitment=row["root"],
            range=window(row["first_at"], row["last_at"]),
        )  # fmt: skip
        certificate.destroyed_at.FromDatetime(began)
        sign(certificate, self._key)
        return certificate

    @asynccontextmanager
    async def _alone(self, agency_id: str) -> AsyncIterator[AsyncConnection[Any] | None]:
        """Give a connection that holds the lock of rule 6, or none while another replica holds it."""
        async with self._pool.connection() as connection:
            await connection.set_autocommit(True)
            try:
                found = await connection.execute(_TAKE, (agency_id,))
                row = await found.fetchone()
                if row is None or not row["got"]:
                    yield None
                    return
                try:
                    yield connection
                finally:
                    if not connection.closed:
                        await connection.execute(_GIVE, (agency_id,))
            finally:
                if not connection.closed:
                    await connection.set_autocommit(False)
