"""Puts ``audit`` together: the only place that constructs things."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from plateward.audit.v1 import audit_pb2
from servicekit.database import open_pool
from servicekit.kit import Kit
from servicekit.server import Service, Wired
from services.audit.keys import log_keys, master_key
from services.audit.metrics import LogMetrics
from services.audit.model import Sealer
from services.audit.public import PublicLog, serving
from services.audit.publishing import Publisher
from services.audit.roles import prepare_database
from services.audit.rpc import AuditServicer
from services.audit.sequencer import Sequencer
from services.audit.settings import AuditSettings
from services.audit.store import Store


@asynccontextmanager
async def wire(settings: AuditSettings, kit: Kit) -> AsyncIterator[Wired]:
    """Open the database, become the sequencer; let go at the end."""
    master = await master_key(settings)
    await prepare_database(settings)
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings)
        stack.push_async_callback(pool.close)
        sealer, store, metrics = Sealer(master), Store(pool), LogMetrics(kit.metrics.registry)
        sequencer = Sequencer(settings, sealer, log_keys(settings), store, metrics)
        stack.push_async_callback(sequencer.close)
        await sequencer.open()
        await sequencer.first_checkpoint()
        publisher = Publisher(settings, sequencer, store, metrics)
        await publisher.open()
        kit.spawn(sequencer.run(), "sequencer")
        kit.spawn(publisher.run(), "publisher")
        await stack.enter_async_context(
            serving(PublicLog(sequencer, publisher, store), settings.public_listen)
        )
        page_key = hmac.digest(master, b"plateward-audit-pages", "sha256")
        servicer = AuditServicer(sequencer, publisher, store, sealer, page_key, kit.clock)
        yield Wired(servicer=servicer, audit=sequencer, decider=kit.remote_decider())


SERVICE = Service(
    name="audit",
    descriptor=audit_pb2.DESCRIPTOR.services_by_name["AuditService"],
    settings=AuditSettings,
    wire=wire,
)
