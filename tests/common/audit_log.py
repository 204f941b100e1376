"""A running sequencer on a real database, as the service's wiring makes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client import CollectorRegistry

from servicekit.crypto import load_or_create_key
from servicekit.database import open_pool
from services.audit.keys import log_keys
from services.audit.metrics import LogMetrics
from services.audit.model import Sealer
from services.audit.roles import prepare_database
from services.audit.sequencer import Sequencer
from services.audit.settings import AuditSettings
from services.audit.store import Store


@asynccontextmanager
async def opened(settings: AuditSettings) -> AsyncIterator[tuple[Sequencer, Store, Sealer]]:
    """A running sequencer, as the service's wiring makes it."""
    async with AsyncExitStack() as stack:
        await prepare_database(settings)
        pool = await open_pool(settings)
        stack.push_async_callback(pool.close)
        sealer, store = Sealer(load_or_create_key(settings.master_key_file)), Store(pool)
        sequencer = Sequencer(settings, sealer, log_keys(settings), store, LogMetrics(CollectorRegistry()))
        stack.push_async_callback(sequencer.close)
        await sequencer.open()
        await sequencer.first_checkpoint()
        running = asyncio.create_task(sequencer.run())
        stack.callback(running.cancel)
        yield sequencer, store, sealer
