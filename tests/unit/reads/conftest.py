"""A real PostgreSQL for the tests of this folder, a fresh database for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from obstore.store import LocalStore

from servicekit.database import Pool
from servicekit.waker import Waker
from services.reads.cameras import Cameras
from services.reads.crops import Crops
from services.reads.ingest import CHANNEL, Ingest
from services.reads.partitions import Partitions
from tests.common.databases import FixedClock, migrated
from tests.unit.reads.builders import NOW


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with migrated(database_url, "services.reads") as opened:
        yield opened


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


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
    return Waker(database_url, CHANNEL)
