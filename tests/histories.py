"""``make histories``: random histories of retention, holds and killed purges, ten thousand of them.

Each is named by its seed; a failure prints it, and ``--seed N --count 1`` plays it again (where things happen at once, their order may be
another one then: play it several times). See ``tests/common/histories.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import grpc
import psycopg
from obstore.store import MemoryStore
from psycopg.conninfo import make_conninfo

from clients.devkit import postgres
from plateward.access.v1 import access_pb2_grpc
from plateward.common.v1 import receipt_pb2, types_pb2
from servicekit.context import CallContext, enter
from servicekit.interceptors.identity import UNKNOWN
from services.reads.crops import Crops
from services.reads.custody import Custody
from services.reads.holds import Holds
from services.reads.ingest import Ingest
from services.reads.partitions import Partitions
from services.reads.purge import Purger
from services.reads.records import Records
from services.reads.retention import Retention
from services.reads.schedules import ScheduleStore
from services.reads.search import Search
from tests.common.databases import FixedClock, migrated
from tests.common.histories import AGENCIES, World
from tests.unit.reads.builders import NOW, Access, decision
from tlog.note import SignerKey

_TABLES = "held_reads, hold_reads, holds, custody, purges, purge_kinds, doomed_blobs, certificates, schedules, crops_destroyed"


_BLOCK = 10


class Log:
    """Gives receipts: the audit log has its own torture (``make torture-audit``)."""

    async def append(self, _event: Any) -> receipt_pb2.Receipt:
        return receipt_pb2.Receipt()


async def play(count: int, seed: int, steps: int, url: str) -> None:
    """Play histories one after the other on an empty store each."""
    key = SignerKey.generate("plateward/reads")
    # The service's clock is UTC; what has a summer time is the server. Every other history goes over the night of its change.
    async with migrated(
        make_conninfo(url, options="-c TimeZone=America/Los_Angeles"), "services.reads"
    ) as pool:
        for number in range(seed, seed + count):
            async with pool.connection() as connection:
                names = await (
                    await connection.execute("DELETE FROM read_partitions RETURNING name")
                ).fetchall()
                for row in names:
                    await connection.execute(f"DROP TABLE {row['name']}")
                await connection.execute(f"TRUNCATE {_TABLES}")
            try:
                await one(pool, key, number, steps)
            except Exception as fault:
                print(
                    f"\nhistory {number} FAILED: {fault or 'see the trace'}; play it again with --seed {number} --count 1"
                )
                raise


def block(given: tuple[int, int, int, str]) -> int:
    """Play some histories in a process, in its own database of the server; return how many."""
    seed, count, steps, url = given
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    name = f"histories_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if there is None:
            connection.execute(f"CREATE DATABASE {name}")
    asyncio.run(play(count, seed, steps, make_conninfo(url, dbname=name)))
    return count


def all_of(count: int, seed: int, steps: int, url: str, jobs: int) -> int:
    """Play histories side by side in processes, and say how long it will take; return the exit code."""
    began, done = time.monotonic(), 0
    blocks = [(at, min(_BLOCK, seed + count - at), steps, url) for at in range(seed, seed + count, _BLOCK)]
    with get_context("spawn").Pool(min(jobs, len(blocks))) as pool:
        for more in pool.imap_unordered(block, blocks):
            done, spent = done + more, time.monotonic() - began
            left = spent / done * (count - done) / 60
            print(
                f"\r{done:,} of {count:,} histories in {spent:.0f} s, about {left:.0f} minutes left  ",
                end="",
                flush=True,
            )
    print(
        f"\n{count:,} histories of {steps} steps: no expired read returned, no held read lost, certificates add up"
    )
    return 0


def call_of(agency_id: str) -> CallContext:
    """Return a call of an agency's supervisor."""
    call = CallContext(
        request_id="01990e5c-7c2a-7d10-9a31-0c1f6f6cf0aa", method="PlaceHold", caller=UNKNOWN, received_at=NOW,
        subject=types_pb2.Subject(agency_id=agency_id, member_id="m-1077"), decision=decision(agency_id),
    )  # fmt: skip
    enter(call)
    return call


async def one(pool: Any, key: SignerKey, seed: int, steps: int) -> None:
    clock, access, server = FixedClock(NOW), Access(), grpc.aio.server()
    if seed % 2 == 0:
        clock.time = NOW.replace(day=6, month=3)
    access_pb2_grpc.add_AccessServiceServicer_to_server(access, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        retention = Retention(channel, ScheduleStore(pool), clock, 0, 1e-9)
        store = MemoryStore()
        crops, records = Crops(store, bytes(32)), Records(Log(), clock)
        calls = {agency_id: call_of(agency_id) for agency_id in AGENCIES}
        for agency_id in AGENCIES:
            await retention.schedules(agency_id)
        parts = SimpleNamespace(
            pool=pool, clock=clock, access=access, retention=retention, calls=calls, store=store,
            ingest=Ingest(pool, Partitions(), crops), purger=Purger(pool, clock, crops, records, key),
            holds=Holds(pool, clock, crops, retention, Custody(records, clock)), search=Search(pool, retention, bytes(32)),
        )  # fmt: skip
        await World(parts, Random(seed)).play(steps)
    await server.stop(None)


def main() -> int:
    """Run on a PostgreSQL of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="how many histories (default: 10,000)")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--steps", type=int, default=20, help="steps of each")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes side by side (default: one a core)"
    )
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    server = postgres.start(folder / "pg")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        return all_of(given.count, given.seed, given.steps, server.get_uri(), given.jobs)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
