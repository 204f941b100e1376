"""A real PostgreSQL for the tests of this folder, a fresh database for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from obstore.store import LocalStore

from plateward.access.v1 import access_pb2_grpc
from plateward.common.v1 import types_pb2
from servicekit.context import CallContext, enter
from servicekit.database import Pool
from servicekit.interceptors.identity import UNKNOWN
from servicekit.waker import Waker
from services.audit.sequencer import Sequencer
from services.audit.settings import AuditSettings
from services.reads.cameras import Cameras
from services.reads.crops import Crops
from services.reads.custody import Custody
from services.reads.follow import Follow
from services.reads.holds import Holds
from services.reads.ingest import CHANNEL, Ingest
from services.reads.partitions import Partitions
from services.reads.purge import Purger
from services.reads.records import Records
from services.reads.retention import Retention
from services.reads.schedules import ScheduleStore
from services.reads.search import Search
from tests.common.audit_log import opened
from tests.common.databases import FixedClock, migrated
from tests.unit.reads.builders import AGENCY, NOW, Access, decision
from tlog.note import SignerKey


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
def search(pool: Pool, retention: Retention) -> Search:
    return Search(pool, retention, bytes(32))


@pytest.fixture
async def ingest(pool: Pool, crops: Crops, retention: Retention, access: Access) -> Ingest:
    for agency_id in access.keep:
        await retention.schedules(agency_id)
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


@pytest.fixture
async def log(server_url: str, database_url: str, tmp_path: Path) -> AsyncIterator[Sequencer]:
    """A real audit log in a database of its own."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE log_" + database_url.partition("fresh_")[2].partition("?")[0])
    nowhere: Any = dict.fromkeys(("tls_cert", "tls_key", "tls_ca", "token_jwks"), tmp_path / "unused")
    settings = AuditSettings(
        database_url=database_url.replace("fresh_", "log_"),
        master_key_file=tmp_path / "master",
        log_key_file=tmp_path / "log",
        **nowhere,
    )
    async with opened(settings) as (sequencer, _, _):
        yield sequencer


@pytest.fixture
def records(log: Sequencer, clock: FixedClock) -> Records:
    return Records(log, clock)


@pytest.fixture
def key() -> SignerKey:
    return SignerKey.generate("plateward/reads")


@pytest.fixture
def purger(pool: Pool, clock: FixedClock, crops: Crops, records: Records, key: SignerKey) -> Purger:
    return Purger(pool, clock, crops, records, key)


@pytest.fixture
def holds(pool: Pool, clock: FixedClock, crops: Crops, retention: Retention, records: Records) -> Holds:
    return Holds(pool, clock, crops, retention, Custody(records, clock))


@pytest.fixture
def call() -> CallContext:
    """A supervisor's call that the policy allows."""
    made = CallContext(
        request_id="01990e5c-7c2a-7d10-9a31-0c1f6f6cf0aa",
        method="/plateward.reads.v1.ReadsService/PlaceHold",
        caller=UNKNOWN,
        subject=types_pb2.Subject(agency_id=AGENCY, member_id="m-1077", member_name="Sgt. Lee Park"),
        received_at=NOW,
        decision=decision(AGENCY),
    )
    enter(made)
    return made
