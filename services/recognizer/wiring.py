"""Puts ``recognizer`` together: the only place that constructs things."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from plateward.recognizer.v1 import recognizer_pb2
from servicekit.kit import Kit
from servicekit.server import Service, Wired
from services.recognizer.engine import PROFILES
from services.recognizer.loading import Loaded, load
from services.recognizer.memory import keep_freed_memory
from services.recognizer.rpc import RecognizerServicer
from services.recognizer.settings import RecognizerSettings
from services.recognizer.workers import Workers


@asynccontextmanager
async def wire(settings: RecognizerSettings, kit: Kit) -> AsyncIterator[Wired]:
    """Start the threads; health says SERVING once the models are loaded and warm."""
    keep_freed_memory()
    # Threads that wait for a GPU cost nothing, and fill its batches.
    callers = 1 if "workers" in settings.model_fields_set else PROFILES[settings.provider].callers
    workers = Workers(settings.workers * callers, settings.queue_most)
    loaded: asyncio.Future[Loaded] = asyncio.get_running_loop().create_future()

    async def on_ready() -> None:
        loading = partial(
            load,
            settings.models_dir,
            threads=settings.threads,
            provider=settings.provider,
            cache=settings.engine_cache,
        )
        loaded.set_result(await workers.run(loading))

    try:
        yield Wired(
            servicer=RecognizerServicer(settings, workers, kit.draining, loaded),
            audit=kit.remote_audit(),
            decider=kit.remote_decider(),
            on_ready=on_ready,
        )
    finally:
        workers.close()


SERVICE = Service(
    name="recognizer",
    descriptor=recognizer_pb2.DESCRIPTOR.services_by_name["RecognizerService"],
    settings=RecognizerSettings,
    wire=wire,
)
