"""Puts ``reads`` together: settings in, servicer out."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.store import LocalStore, ObjectStore, from_url

from plateward.reads.v1 import reads_pb2
from servicekit.certificates import CertificateStore
from servicekit.crypto import load_or_create_key
from servicekit.database import migrate, open_pool
from servicekit.kit import Kit
from servicekit.server import Service, Wired
from servicekit.waker import Waker
from services.reads.background import Ahead, destroy
from services.reads.cameras import Cameras
from services.reads.canvass import Canvass
from services.reads.citus import distribute
from services.reads.confidential import Confidential
from services.reads.crops import Crops
from services.reads.custody import Custody
from services.reads.evidence import Evidence
from services.reads.follow import Follow
from services.reads.holds import Holds
from services.reads.ingest import CHANNEL, Ingest
from services.reads.pages import page_key
from services.reads.partitions import Partitions
from services.reads.purge import Purger
from services.reads.records import Records
from services.reads.retention import Retention
from services.reads.reviews import Reviews
from services.reads.rpc import Parts, ReadsServicer
from services.reads.rpc_keep import KeepParts
from services.reads.schedules import ScheduleStore
from services.reads.search import Search
from services.reads.settings import ReadsSettings
from services.reads.statements import PLANNED
from tlog.note import KeyType, SignerKey

_SIGNER = "plateward/reads"


def open_store(url: str) -> ObjectStore:
    """Return the blob store of a URL; a folder is made where it is absent."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(unquote(parts.path), mkdir=True)
    return from_url(url)


def signing_key(master: bytes) -> SignerKey:
    """Return the key that signs certificates and evidence, apart from the keys of crops and page tokens."""
    seed = hmac.digest(master, b"plateward reads signing key", "sha256")
    return SignerKey(_SIGNER, KeyType.ED25519, seed)


def _optional_key(path: Path | None) -> bytes | None:
    return load_or_create_key(path) if path is not None else None


@asynccontextmanager
async def wire(settings: ReadsSettings, kit: Kit) -> AsyncIterator[Wired]:
    """Open the database, the blob store and the way to `access`; close them at the end."""
    key = load_or_create_key(settings.key_file)
    pool = await open_pool(settings)
    planned = await open_pool(settings, options=PLANNED, for_reading=True)
    try:
        await migrate(pool, "services.reads")
        if settings.citus:
            await distribute(pool)
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
        audit = kit.remote_audit()
        records, signer = Records(audit, kit.clock), signing_key(key)
        search = Search(pool, retention, page_key(key), planned=planned)
        parts = Parts(
            pool=pool,
            clock=kit.clock,
            cameras=Cameras(pool),
            crops=crops,
            follow=Follow(pool, waker, kit.clock, kit.draining, settings.follow_poll_seconds),
            ingest=Ingest(pool, partitions, crops),
            retention=retention,
            search=search,
            canvass=Canvass(pool, search, crops, records),
        )
        holds = Holds(pool, kit.clock, crops, retention, Custody(records, kit.clock))
        confidential = Confidential(pool, _optional_key(settings.confidential_key_file))
        purger = Purger(pool, kit.clock, crops, records, signer, confidential)
        keep = KeepParts(
            certificates=CertificateStore(pool),
            confidential=confidential,
            evidence=Evidence(holds, crops, records, kit.clock, signer),
            holds=holds,
            purger=purger,
            retention=retention,
            verifier_key=str(signer.verifier),
        )

        ahead = Ahead(pool, kit.clock, partitions, schedules, settings.partition_days_ahead)

        async def on_ready() -> None:
            await ahead.make()
            await retention.ready()

        kit.spawn(waker.run(), "waker")
        kit.spawn(ahead.run(), "partitions")
        kit.spawn(Reviews(pool, kit.clock, records, kit.metrics.registry).run(), "reviews")
        kit.spawn(destroy(retention, purger, settings.destroy_interval_seconds), "destruction")
        yield Wired(
            servicer=ReadsServicer(parts, keep),
            audit=audit,
            decider=kit.remote_decider(),
            on_ready=on_ready,
        )
    finally:
        await planned.close()
        await pool.close()


SERVICE = Service(
    name="reads",
    descriptor=reads_pb2.DESCRIPTOR.services_by_name["ReadsService"],
    settings=ReadsSettings,
    wire=wire,
)
