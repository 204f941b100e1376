"""A real PostgreSQL for the tests of this folder, a fresh database for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from obstore.store import LocalStore

from plateward.access.v1 import access_pb2_grpc
from servicekit.database import Pool
from servicekit.waker import Waker
from services.reads.cameras import Cameras
from services.reads.crops import Crops
from services.reads.follow import Follow
from services.reads.ingest import CHANNEL, Ingest
from services.reads.partitions import Partitions
from services.reads.retention import Retention
from services.reads.schedules import ScheduleStore
from services.reads.search import Search
from tests.common.databases import FixedClock, migrated
from tests.unit.reads.builders import NOW, Access


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
async def access() -> AsyncIterator[Access]:
    """An `access` on this machine that publishes what a test wants published."""
    served, server = Access(), grpc.aio.server()
    access_pb2_grpc.add_AccessServiceServicer_to_server(served, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        served.channel = channel
        yield served
    await server.stop(None)


@pytest.fixture
def retention(access: Access, pool: Pool, clock: FixedClock) -> Retention:
    """Asks at every use, so that a test's change of policy is seen at once."""
    return Retention(access.channel, ScheduleStore(pool), clock, 0, 1e-9)


@pytest.fixture
def search(pool: Pool, clock: FixedClock, retention: Retention) -> Search:
    return Search(pool, clock, retention, bytes(32))


@pytest.fixture
def ingest(pool: Pool, crops: Crops) -> Ingest:
    return Ingest(pool, Partitions(), crops)


@pytest.fixture
def cameras(pool: Pool) -> Cameras:
    return Cameras(pool)


@pytest.fixture
def waker(database_url: str) -> Waker:
    return Waker(database_url, CHANNEL)


@pytest.fixture
async def follow(pool, waker, clock):
    draining = asyncio.Event()
    yield Follow(pool, waker, clock, draining, 0.05)
    draining.set()
