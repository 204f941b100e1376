"""Puts ``reads`` together: settings in, servicer out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import unquote, urlsplit

from obstore.store import LocalStore, ObjectStore, from_url

from plateward.reads.v1 import reads_pb2
from servicekit.crypto import load_or_create_key
from servicekit.database import UNAVAILABLE, migrate, open_pool
from servicekit.kit import Kit
from servicekit.server import Service, Wired
from servicekit.waker import Waker
from services.reads.cameras import Cameras
from services.reads.crops import Crops
from services.reads.follow import Follow
from services.reads.ingest import CHANNEL, Ingest
from services.reads.pages import page_key
from services.reads.partitions import Partitions, day_of
from services.reads.retention import Retention
from services.reads.rpc import Parts, ReadsServicer
from services.reads.schedules import ScheduleStore
from services.reads.search import Search
from services.reads.settings import ReadsSettings

_HOUSEKEEPING_S = 3600.0
_RETRY_S = 30.0


def open_store(url: str) -> ObjectStore:
    """Return the blob store of a URL; a folder is made where it is absent."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(unquote(parts.path), mkdir=True)
    return from_url(url)


@asynccontextmanager
async def wire(settings: ReadsSettings, kit: Kit) -> AsyncIterator[Wired]:
    """Open the database, the blob store and the way to `access`; close them at the end."""
    key = load_or_create_key(settings.key_file)
    pool = await open_pool(settings)
    try:
        await migrate(pool, "services.reads")
        partitions = Partitions()
        waker = Waker(settings.database_url.get_secret_value(), CHANNEL)
        crops = Crops(open_store(settings.crops_url), key)
        schedules = ScheduleStore(pool)
        retention = Retention(
            kit.channel(settings.access_target),
            schedules,
            kit.clock,
            settings.fallback_keep_seconds,
            settings.policy_cache_seconds,
        )
        parts = Parts(
            pool=pool,
            clock=kit.clock,
            cameras=Cameras(pool),
            crops=crops,
            follow=Follow(pool, waker, kit.clock, kit.draining, settings.follow_poll_seconds),
            ingest=Ingest(pool, partitions, crops),
            retention=retention,
            search=Search(pool, retention, page_key(key)),
        )

        async def make_ahead() -> None:
            today = day_of(kit.clock.now())
            days = [today + timedelta(days=n) for n in range(-1, settings.partition_days_ahead + 1)]
            async with pool.connection() as connection:
                for agency_id in await schedules.agencies():
                    await partitions.ensure(connection, agency_id, days)

        async def keep_house() -> None:
            wait = _HOUSEKEEPING_S
            while True:
                await asyncio.sleep(wait)
                try:
                    await make_ahead()
                    wait = _HOUSEKEEPING_S
                except UNAVAILABLE:
                    # Ingest makes what is missing on demand; days ahead can wait for the database.
                    wait = _RETRY_S

        async def on_ready() -> None:
            await make_ahead()
            await retention.ready()

        kit.spawn(waker.run(), "waker")
        kit.spawn(keep_house(), "partitions")
        yield Wired(
            servicer=ReadsServicer(parts),
            audit=kit.remote_audit(),
            decider=kit.remote_decider(),
            on_ready=on_ready,
        )
    finally:
        await pool.close()


SERVICE = Service(
    name="reads",
    descriptor=reads_pb2.DESCRIPTOR.services_by_name["ReadsService"],
    settings=ReadsSettings,
    wire=wire,
)
