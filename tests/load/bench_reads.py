"""``make bench-reads``: what ``reads`` costs beside raw psycopg on the same schema, in the same run.

1. Drop of a day: destroying the oldest day with its certificate, in a small table and in the full one.
2. Ingest: a batch through checks, staging and insert, against COPY of the same rows straight into the table.
3. Search: exact, pattern with a beginning, sparse pattern (``?B?12*``); the whole of the service's search against the
   narrowest SQL that a person would write, which knows no look-alikes, candidates, ranks or pages.

``--reads`` says how large the table is (1,000,000; the bar is for 10,000,000: about fifteen minutes and 15 GB to fill).
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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import uvloop
from obstore.store import MemoryStore
from psycopg.rows import dict_row

from clients.devkit import postgres
from plateward.common.v1 import decision_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.clock import Clock
from servicekit.database import Pool, migrate, open_pool
from services.reads.checks import Camera, check
from services.reads.crops import Crops
from services.reads.ingest import Ingest
from services.reads.partitions import Partitions
from services.reads.purge import Purger
from services.reads.records import Records
from services.reads.rows import COLUMNS
from services.reads.schedules import Rule, Schedules, ScheduleStore
from services.reads.search import Search
from services.reads.statements import PLANNED
from tests.load import reads_filled as filled
from tests.load.reads_filled import AGENCY, DAYS
from tests.unit.reads.builders import new_read
from tlog.note import SignerKey

QUERIES = 200
BATCH, BATCHES = 1000, 12
PLACE = types_pb2.Place(latitude=38.4, longitude=-121.4)
_NAMES = ", ".join(COLUMNS)


class Unrecorded:
    """Stands where the audit log stands: its cost is that of ``make bench-audit``."""

    async def append(self, _event: Any) -> Any:
        from plateward.common.v1 import receipt_pb2

        return receipt_pb2.Receipt()


class Fixed:
    """The schedules, without asking for them."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    async def alive(self, _agencies: Any, _version: str = "") -> Any:
        return [self._schedules.alive(datetime.now(UTC))]


def spread(took: list[float]) -> str:
    took = sorted(took)
    return f"p50 {statistics.median(took):7.2f} ms   p95 {took[int(len(took) * 0.95)]:7.2f} ms"


def plate() -> str:
    letters = "".join(random.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=3))
    return f"{random.randint(1, 9)}{letters}{random.randint(0, 999):03}"


def line(what: str, told: str, bar: str, *, met: bool) -> None:
    print(f"{what:<34} {told:<62} bar {bar:<10} {'met' if met else 'MISSED'}", flush=True)


async def drop(pool: Pool, connection: Any, schedules: Schedules, rows: int, vehicles: int) -> float:
    """Fill a day that has expired and destroy it; return the seconds of the destruction."""
    day = (filled.midnight() - timedelta(days=DAYS + 3)).date()
    await asyncio.to_thread(filled.fill_day, connection, day, rows, vehicles)
    purger = Purger(
        pool,
        Clock(),
        Crops(MemoryStore(), bytes(32)),
        Records(Unrecorded(), Clock()),
        SignerKey.generate("bench"),
    )
    began = time.perf_counter()
    [certificate] = await purger.run(schedules)
    took = time.perf_counter() - began
    assert certificate.destroyed == rows
    return took


async def ingest(pool: Pool, url: str, schedules: Schedules) -> None:
    """Batches by the service against batches by COPY, turn by turn."""
    cameras = {"cam-1": Camera(PLACE, active=True)}
    service = Ingest(pool, Partitions(), Crops(MemoryStore(), bytes(32)))
    copy = f"COPY reads ({_NAMES}) FROM STDIN"
    ours, theirs = [], []
    async with await psycopg.AsyncConnection.connect(url) as raw:
        for turn in range(BATCHES + 1):
            now = datetime.now(UTC)
            news = [
                [new_read(plate(), at=now - timedelta(seconds=n % 60),
                          candidates={"8ABC12B": 0.1}) for n in range(BATCH)]
                for _ in range(2)
            ]  # fmt: skip
            began = time.perf_counter()
            taken = [
                check(new, agency_id=AGENCY, cameras=cameras, schedules=schedules, now=now) for new in news[0]
            ]
            stored = await service.store(AGENCY, taken)
            took = time.perf_counter() - began
            assert stored.stored == BATCH
            rows = [
                check(n, agency_id=AGENCY, cameras=cameras, schedules=schedules, now=now).row.values()
                for n in news[1]
            ]
            began = time.perf_counter()
            async with raw.cursor() as cursor, cursor.copy(copy) as into:
                for row in rows:
                    await into.write_row(row)
            await raw.commit()
            if turn:
                ours.append(took)
                theirs.append(time.perf_counter() - began)
    mine, bare = (BATCH / statistics.median(took) for took in (ours, theirs))
    line(
        "ingest, batches of 1,000",
        f"{mine:,.0f} reads/s against {bare:,.0f} by COPY: {mine / bare:.2f}x",
        ">= 0.5x",
        met=mine >= bare / 2,
    )


def asked(plate: str, *, lookalikes: bool = False) -> reads_pb2.SearchReadsRequest:
    request = reads_pb2.SearchReadsRequest(
        plate=plate, lookalikes=lookalikes, page=types_pb2.PageRequest(size=50)
    )
    request.window.start.FromDatetime(datetime.now(UTC) - timedelta(days=DAYS))
    request.window.end.FromDatetime(datetime.now(UTC) + timedelta(minutes=1))
    return request


def allowed() -> decision_pb2.Decision:
    made = decision_pb2.Decision(effect=decision_pb2.EFFECT_ALLOW)
    made.obligations.agency_ids.append(AGENCY)
    made.obligations.max_rows = 200
    return made


async def timed(work: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = await work()
    return (time.perf_counter() - began) * 1e3, answer


async def searches(search: Search, url: str, plates: list[str]) -> None:
    """Each kind of search by the service and by hand, turn by turn on the same plates."""
    subject, rng = types_pb2.Subject(agency_id=AGENCY, member_id="m-1042"), random.Random(7)
    kinds: dict[str, tuple[Callable[[str], str], float, bool]] = {
        "exact": (lambda plate: plate, 2.0, False),
        "exact, look-alikes too": (lambda plate: plate, 0, True),
        "pattern, such as 7A?1*": (lambda p: f"{p[:2]}?{p[3]}*", 3.0, False),
        "pattern, such as 7AB*12?": (lambda p: f"{p[:3]}*{p[4:6]}?", 3.0, False),
    }
    async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as raw:
        await raw.set_read_only(True)

        async def by_hand(pattern: str) -> list[Any]:
            where = "plate = %s" if pattern.isalnum() else "plate LIKE %s"
            now = datetime.now(UTC)
            found = await raw.execute(
                f"SELECT {_NAMES} FROM reads WHERE agency_id = %s AND seen_at >= %s AND seen_at < %s AND {where} "
                "ORDER BY seen_at DESC LIMIT 50",
                (AGENCY, now - timedelta(days=DAYS), now, pattern.replace("?", "_").replace("*", "%")),
            )
            return await found.fetchall()

        for name, (shape, most, lookalikes) in kinds.items():
            ours, theirs, rows = [], [], 0
            for turn, plate in enumerate(rng.sample(plates, QUERIES)):
                pattern = shape(plate)
                request = asked(pattern, lookalikes=lookalikes)
                # Who comes second finds the pages in memory: they take turns.
                if turn % 2:
                    hand, by = await timed(lambda p=pattern: by_hand(p))
                took, found = await timed(lambda r=request: search.find(r, allowed(), subject))
                if not turn % 2:
                    hand, by = await timed(lambda p=pattern: by_hand(p))
                ours.append(took)
                theirs.append(hand)
                rows += len(found.reads)
                assert len(found.reads) >= min(50, len(by)), (pattern, len(found.reads), len(by))
            ratio = statistics.median(ours) / statistics.median(theirs)
            told = f"{spread(ours)}; by hand p50 {statistics.median(theirs):.2f} ms: {ratio:.2f}x"
            line(f"search {name}", told, f"<= {most:.0f}x" if most else "none", met=not most or ratio <= most)
    for lookalikes in (False, True):
        took, rows = [], 0
        for plate in rng.sample(plates, QUERIES):
            request = asked(f"?{plate[1]}?{plate[3:5]}*", lookalikes=lookalikes)
            ms, found = await timed(lambda r=request: search.find(r, allowed(), subject))
            took.append(ms)
            rows += len(found.reads)
        p95 = sorted(took)[int(QUERIES * 0.95)]
        name = "search sparse, ?B?12*" + (", look-alikes" if lookalikes else "")
        line(name, f"{spread(took)}; {rows / QUERIES:.0f} rows a page", "<= 50 ms", met=p95 <= 50)


async def run(url: str, reads: int, *, filled_before: bool) -> None:
    settings: Any = SimpleNamespace(
        database_url=SimpleNamespace(get_secret_value=lambda: url), database_pool=4
    )
    pool = await open_pool(settings)
    try:
        await migrate(pool, "services.reads")
        rule = Rule(timedelta(days=DAYS), "462.4", "bench")
        schedules = await ScheduleStore(pool).learn(AGENCY, {"read": rule, "crop": rule}, datetime.now(UTC))
        rows_a_day, vehicles = reads // DAYS, reads // filled.VEHICLES_A_READ
        dropped = min(rows_a_day, 100_000)
        with psycopg.connect(url, autocommit=True) as connection:
            small = 0.0
            if not filled_before:
                filled.prepare(connection)
                today = filled.midnight().date()
                filled.fill(connection, today, 1, rows_a_day, vehicles)
                small = min([await drop(pool, connection, schedules, dropped, vehicles) for _ in range(3)])
                filled.fill(connection, today - timedelta(days=1), DAYS - 1, rows_a_day, vehicles)
            large = min([await drop(pool, connection, schedules, dropped, vehicles) for _ in range(3)])
            if small:
                told = f"{dropped:,} reads: {small:.2f} s in 1 day's table, {large:.2f} s in {DAYS} days': {large / small:.2f}x"
                line("destroy a day, best of 3", told, "flat", met=large <= 1.5 * small)
            size = connection.execute(
                "SELECT count(*), pg_size_pretty(sum(pg_total_relation_size(name::regclass))) FROM read_partitions"
            ).fetchone()
            sample = "SELECT plate FROM reads TABLESAMPLE SYSTEM (0.2) LIMIT 20000"
            plates = sorted({row[0] for row in connection.execute(sample).fetchall()})
        print(
            f"{reads:,} reads in {size[0]} days, {size[1]} with indexes; {len(plates):,} plates drawn to search for"
        )
        await ingest(pool, url, schedules)
        planned = await open_pool(settings, options=PLANNED, for_reading=True)
        search = Search(pool, Fixed(schedules), bytes(32), planned=planned)  # type: ignore[arg-type]
        await searches(search, url, plates)
        await planned.close()
    finally:
        await pool.close()


def main() -> int:
    """Run on a PostgreSQL of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reads", type=int, default=1_000_000, help="size of the table (default: 1,000,000)")
    parser.add_argument(
        "--keep", type=Path, help="folder to keep the filled table in; it is used again when it is there"
    )
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    before = (folder / "filled").exists()
    server = postgres.start(folder / "pg")
    try:
        if not before:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("DROP DATABASE IF EXISTS bench")
                connection.execute("CREATE DATABASE bench")
                connection.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
                connection.execute("ALTER SYSTEM SET maintenance_work_mem = '512MB'")
                connection.execute("SELECT pg_reload_conf()")
        uvloop.run(run(server.get_uri("bench"), given.reads, filled_before=before))
        if given.keep:
            (folder / "filled").touch()
    finally:
        server.cleanup()
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
