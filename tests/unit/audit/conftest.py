"""A real PostgreSQL for the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from clients.devkit import postgres
from servicekit.crypto import load_or_create_key
from servicekit.database import migrate, open_pool
from services.audit.model import Sealer
from services.audit.sequencer import Sequencer
from services.audit.settings import AuditSettings
from services.audit.store import Store
from services.audit.wiring import load_or_create_log_key


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Server]:
    running = postgres.start(tmp_path_factory.mktemp("pg"))
    yield running
    running.cleanup()


@pytest.fixture
def database_url(server: postgres.Server, request: pytest.FixtureRequest) -> str:
    name = f"audit_{abs(hash(request.node.nodeid)):x}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return server.get_uri(name)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> AuditSettings:
    nowhere: dict[str, Any] = dict.fromkeys(
        ("tls_cert", "tls_key", "tls_ca", "token_jwks"), tmp_path / "unused"
    )
    return AuditSettings(
        database_url=database_url,
        master_key_file=tmp_path / "master",
        log_key_file=tmp_path / "log",
        **nowhere,
    )


@asynccontextmanager
async def opened(settings: AuditSettings) -> AsyncIterator[tuple[Sequencer, Store, Sealer]]:
    """A running sequencer, as the service's wiring makes it."""
    import asyncio

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


@pytest.fixture
async def log(settings: AuditSettings) -> AsyncIterator[tuple[Sequencer, Store, Sealer]]:
    async with opened(settings) as parts:
        yield parts
