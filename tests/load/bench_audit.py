"""``make bench-audit``: what the log costs, beside plain PostgreSQL with the same bytes in the same run.

1. Durable appends a second with 64 writers: the sequencer against group-committed INSERTs of the same bytes into one table.
2. Growth: appends and inclusion proofs in a log of 10^4 entries and up (``--most 10000000`` for the full table: fills the log
   by SQL first, about ten minutes and 15 GB).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import uvloop

from clients.devkit import postgres
from services.audit.model import Sealer
from services.audit.settings import AuditSettings
from tests.common.audit_log import opened
from tests.common.events import event
from tlog.checkpoint import Checkpoint
from tlog.note import SignerKey
from tlog.prover import inclusion_proof
from tlog.tree import Appender

WRITERS, EACH = 64, 150
CHUNK = 500_000


async def load(
    append: Callable[[Any], Awaitable[Any]], make: Callable[[], Any], each: int = EACH
) -> tuple[float, float, float]:
    """Append from 64 writers; return appends a second, p50 and p99 in milliseconds."""
    took: list[float] = []

    async def writer() -> None:
        for _ in range(each):
            item = make()
            started = time.perf_counter()
            await append(item)
            took.append((time.perf_counter() - started) * 1e3)

    started = time.perf_counter()
    await asyncio.gather(*(writer() for _ in range(WRITERS)))
    rate = WRITERS * each / (time.perf_counter() - started)
    took.sort()
    return rate, took[len(took) // 2], took[int(len(took) * 0.99)]


class Plain:
    """Group-committed INSERTs of bytes, with a queue and one writer, as one would write them by hand."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._queue: asyncio.Queue[tuple[bytes, asyncio.Future[None]]] = asyncio.Queue()
        self._next = 0

    async def append(self, data: bytes) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((data, done))
        await done

    async def run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            await asyncio.sleep(0.003)
            while len(batch) < 512 and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            async with self._connection.transaction(), self._connection.cursor() as cursor:
                rows = [(self._next + i, data) for i, (data, _) in enumerate(batch)]
                await cursor.executemany("INSERT INTO plain (index, data) VALUES (%s, %s)", rows)
            self._next += len(batch)
            for _, done in batch:
                done.set_result(None)


async def appends(url: str, settings: AuditSettings) -> None:
    """Print the first table."""
    sealer = Sealer(bytes(32))
    made = event()
    entry = sealer.seal(made, made.occurred_at.ToDatetime(UTC))
    same = entry.entry + entry.row.sealed + entry.row.digest + entry.wrapped_key + b"".join(entry.row.terms)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("CREATE TABLE plain (index bigint PRIMARY KEY, data bytea)")
        await connection.commit()
        plain = Plain(connection)
        task = asyncio.create_task(plain.run())
        base = [await load(plain.append, lambda: same) for _ in range(3)]
        task.cancel()
    async with opened(settings) as (sequencer, _, _):
        ours = [await load(sequencer.append, event) for _ in range(3)]
    best_base, best = max(base), max(ours)
    print(f"\ndurable appends, {WRITERS} writers, {len(same)} bytes each, best of 3")
    print(f"{'':34}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}")
    print(f"{'PostgreSQL, plain group commit':34}{best_base[0]:10.0f}{best_base[1]:9.1f}{best_base[2]:9.1f}")
    print(f"{'the log: sealed, hashed, signed':34}{best[0]:10.0f}{best[1]:9.1f}{best[2]:9.1f}")
    print(
        f"ratio {best[0] / best_base[0]:.2f} (bar 0.5); a second {best[0]:.0f} (bar 5,000); p99 {best[2]:.0f} ms (bar 100)"
    )


def fill(url: str, settings: AuditSettings, appender: Appender, size: int) -> Appender:
    """Grow the stored log to ``size`` entries of filler; return the tree."""
    key = SignerKey.parse(settings.log_key_file.read_text().strip())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        while appender.size < size:
            first, end = appender.size, min(size, appender.size + CHUNK)
            connection.execute(
                """INSERT INTO entries SELECT i, uuidv7(), now(), 1, 1, 'OK', sha256(int8send(i)),
                   decode(repeat('ab', 420), 'hex'), convert_to('filler ' || i || E'\\n', 'UTF8')
                   FROM generate_series(%s::bigint, %s::bigint) AS i""",
                (first, end - 1),
            )
            connection.execute(
                "INSERT INTO payload_keys SELECT i, decode(repeat('cd', 60), 'hex') FROM generate_series(%s::bigint, %s::bigint) AS i",
                (first, end - 1),
            )
            connection.execute(
                """INSERT INTO search_keys SELECT (i >> 20)::int, substring(sha256(int8send(i * 8 + t)) FROM 1 FOR 16), i
                   FROM generate_series(%s::bigint, %s::bigint) AS i, generate_series(0, 4) AS t""",
                (first, end - 1),
            )
            growth = appender.grow(sha256(b"\x00filler %d\n" % i).digest() for i in range(first, end))
            with connection.cursor() as cursor, cursor.copy("COPY tiles FROM STDIN") as copy:
                for tile in growth.tiles:
                    if tile.coord.width == 256:
                        copy.write_row((tile.coord.level, tile.coord.index, tile.data))
            appender = growth.after
        note = Checkpoint(settings.origin, size, appender.root).sign(key)
        connection.execute("INSERT INTO checkpoints VALUES (%s, %s, %s)", (size, appender.root, note))
    return appender


async def grown(url: str, settings: AuditSettings, most: int) -> None:
    """Print the second table."""
    print(
        f"\n{'entries':>12}{'appends/s':>11}{'µs each':>9}{'p99 ms':>8}{'proof p50 ms':>14}{'proof p99 ms':>14}"
    )
    appender, size = Appender(), 10_000
    async with opened(settings):
        pass
    rng = random.Random(1)
    while size <= most:
        appender = await asyncio.to_thread(fill, url, settings, appender, size)
        async with opened(settings) as (sequencer, _, _):
            await load(sequencer.append, event, 20)
            rate, _, p99 = max([await load(sequencer.append, event, 60) for _ in range(3)])
            took = []
            for _ in range(300):
                sequencer.tiles.forget()
                started = time.perf_counter()
                await inclusion_proof(rng.randrange(size), sequencer.size, sequencer.tiles)
                took.append((time.perf_counter() - started) * 1e3)
        took.sort()
        print(
            f"{size:12,}{rate:11.0f}{1e6 / rate:9.0f}{p99:8.1f}{statistics.median(took):14.2f}{took[296]:14.2f}",
            flush=True,
        )
        _forget(url, size)
        size *= 10
    print(
        "the cost of an append must be flat; a proof must take 2 ms at most at 10 M entries (no tile cached here)"
    )


def _forget(url: str, size: int) -> None:
    """Take the measured appends back: the filler goes on from where it ended."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in ("entries", "payload_keys", "search_keys"):
            connection.execute(f"DELETE FROM {table} WHERE index >= %s", (size,))
        connection.execute("DELETE FROM checkpoints")
        connection.execute("DELETE FROM tiles WHERE (index + 1) * (256 ^ (level + 1))::bigint > %s", (size,))
        connection.execute("VACUUM ANALYZE")


def main() -> int:
    """Run on a PostgreSQL of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--most", type=int, default=1_000_000, help="largest log of the second table")
    parser.add_argument("--folder", type=Path, help="where to put the database (default: a temporary folder)")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    server = postgres.start(folder / "pg")
    try:
        nowhere: dict[str, Any] = dict.fromkeys(
            ("tls_cert", "tls_key", "tls_ca", "token_jwks"), folder / "unused"
        )
        for name, work in (("appends", appends), ("grown", lambda url, s: grown(url, s, given.most))):
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            url = server.get_uri(name)
            settings = AuditSettings(
                database_url=url, master_key_file=folder / "master", log_key_file=folder / "log", **nowhere
            )  # fmt: skip
            uvloop.run(work(url, settings))
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
