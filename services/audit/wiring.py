"""Puts ``audit`` together: the only place that constructs things."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from plateward.audit.v1 import audit_pb2
from servicekit.database import open_pool
from servicekit.kit import Kit
from servicekit.server import Service, Wired
from services.audit.disclosure import Disclosure, Sealing
from services.audit.keys import log_keys, master_key
from services.audit.metrics import LogMetrics
from services.audit.misuse.follower import Follower
from services.audit.misuse.store import FlagStore
from services.audit.misuse.thresholds import DEFAULT
from services.audit.model import Sealer
from services.audit.periodic.reminders import Reminders
from services.audit.periodic.report import Reporter
from services.audit.periodic.store import AuditStore
from services.audit.public import PublicLog, serving
from services.audit.publishing import Publisher
from services.audit.roles import prepare_database
from services.audit.rpc import AuditServicer, Parts
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

        def subkey(label: bytes) -> bytes:
            return hmac.digest(master, label, "sha256")

        audits = AuditStore(pool, sealer, subkey(b"plateward-audit-records"))
        flags = FlagStore(pool, sealer, subkey(b"plateward-audit-flags"))
        follower = Follower(
            flags, sealer, sequencer.append, kit.clock, DEFAULT.but(settings.misuse_thresholds)
        )
        sealing = Sealing(settings, store)
        await sealing.finish()
        kit.spawn(follower.run(), "misuse")
        kit.spawn(Reminders(audits, sequencer.append, kit.clock, metrics).run(), "reminders")
        servicer = AuditServicer(
            Parts(
                sequencer=sequencer, publisher=publisher, store=store, sealer=sealer, page_key=subkey(b"plateward-audit-pages"),
                clock=kit.clock, audits=audits, reporter=Reporter(audits, store, sealer, sequencer, flags, kit.clock), flags=flags,
                follower=follower, disclosure=Disclosure(store, sealer, sequencer.tiles), sealing=sealing,
            )
        )  # fmt: skip
        yield Wired(servicer=servicer, audit=sequencer, decider=kit.remote_decider())


SERVICE = Service(
    name="audit",
    descriptor=audit_pb2.DESCRIPTOR.services_by_name["AuditService"],
    settings=AuditSettings,
    wire=wire,
)
