"""A running sequencer on a real database, as the service's wiring makes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from servicekit.crypto import load_or_create_key
from servicekit.database import migrate, open_pool
from services.audit.model import Sealer
from services.audit.sequencer import Sequencer
from services.audit.settings import AuditSettings
from services.audit.store import Store
from services.audit.wiring import load_or_create_log_key


@asynccontextmanager
async def opened(settings: AuditSettings) -> AsyncIterator[tuple[Sequencer, Store, Sealer]]:
    """A running sequencer, as the service's wiring makes it."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings)
        stack.push_async_callback(pool.close)
        await migrate(pool, "services.audit")
        sealer, store = Sealer(load_or_create_key(settings.master_key_file)), Store(pool)
        sequencer = Sequencer(
            settings, sealer, load_or_create_log_key(settings.log_key_file, settings.origin), store
        )
        stack.push_async_callback(sequencer.close)
        await sequencer.open()
        await sequencer.first_checkpoint()
        running = asyncio.create_task(sequencer.run())
        stack.callback(running.cancel)
        yield sequencer, store, sealer
