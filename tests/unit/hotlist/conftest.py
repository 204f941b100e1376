"""A real PostgreSQL for the tests of this folder, a fresh database for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from servicekit.database import Pool
from servicekit.waker import Waker
from services.hotlist.entries import Entries
from services.hotlist.hits import Hits
from services.hotlist.matcher import CHANNEL, Matcher
from tests.common.databases import FixedClock, migrated
from tests.unit.hotlist.builders import NOW


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with migrated(database_url, "services.hotlist") as opened:
        yield opened


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


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
    return Waker(database_url, CHANNEL)
