"""``make bench-hotlist``: what matching, raising and swapping cost, each beside a baseline of the same run.

1. Matching at 1 M entries on one core, misread-tolerant, with each read's message taken apart: beside a set look-up of the
   exact text, and a RapidFuzz scan of the same entries.
2. From a read stored to its hit on the stream, at 500 reads/s: real tables, real gRPC between reads and hotlist; without
   policy and audit log, which have benches of their own.
3. Swap of a list of 1 M entries under the same traffic, a tenth of what stays with another colour: nothing that is listed before and
   after, changed or not, is missed, what was added hits, what was dropped does not.
4. 1,000 streams that nobody reads: what they hold in memory.

Matching is at the default least weight. A missed bar is printed; with ``--strict`` it is the exit code too.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import random
import resource
import string
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import uvloop
from obstore.store import LocalStore
from rapidfuzz import fuzz, process

from clients.devkit import postgres
from plates.index import PlateIndex
from plateward.hotlist.v1 import hotlist_pb2
from plateward.reads.v1 import read_pb2, reads_pb2_grpc
from servicekit.clock import Clock
from servicekit.waker import Waker
from services.hotlist.hits import Hits
from services.hotlist.importing import Importer
from services.hotlist.matcher import CHANNEL, Matcher
from services.hotlist.matching import find
from services.hotlist.settings import HotlistSettings
from services.hotlist.streams import Streams
from services.reads import ingest as reads_ingest
from services.reads.checks import check
from services.reads.crops import Crops
from services.reads.follow import Follow
from services.reads.ingest import Ingest
from services.reads.partitions import Partitions
from services.reads.schedules import CROP, READ, Rule, Schedules, ScheduleStore
from tests.common.databases import migrated
from tests.unit.hotlist.builders import decision
from tests.unit.hotlist.builders import read as made_read
from tests.unit.reads.builders import AGENCY, CAMERAS, new_read

HEADER = "LIC,LIS,LIT,LIY,VIN,VYR,VMA,VMO,VST,VCO,DOT,ORI,OCA,NIC,MKE,MIS,OAN"
BATCH, RATE = 25, 500
LEAST = float(HotlistSettings.model_fields["match_min_weight"].default)
MISSED: list[str] = []


def bar(name: str, *, met: bool) -> str:
    """Return "met" or "MISSED", and keep what was missed."""
    if not met:
        MISSED.append(name)
    return "met" if met else "MISSED"


def plate(rng: random.Random) -> str:
    """A plate in California's pattern."""
    return f"{rng.randint(1, 9)}{''.join(rng.choices(string.ascii_uppercase, k=3))}{rng.randint(0, 999):03}"


def doubts(rng: random.Random) -> list[float]:
    """Confidences of a read: one character in twelve in doubt."""
    return [rng.uniform(0.3, 0.97) if rng.random() < 1 / 12 else rng.uniform(0.985, 0.9999) for _ in range(7)]


def matching(entries: int, reads: int) -> None:
    """Print the first table."""
    rng = random.Random(1)
    plates = {plate(rng) for _ in range(entries)}
    while len(plates) < entries:
        plates.add(plate(rng))
    listed = list(plates)
    started = time.process_time()
    index = PlateIndex(listed)
    built = time.process_time() - started
    seen: list[read_pb2.Read] = [
        made_read(text := plate(rng), confidences=doubts(rng), candidates={plate(rng): 0.02})
        for _ in range(reads)
    ]
    del text
    timed: dict[str, float] = {}
    started = time.process_time()
    exact = sum(read.plate.text in plates for read in seen)
    timed["set look-up, exact only"] = reads / (time.process_time() - started)
    best, tolerant = 0.0, 0
    for _ in range(3):
        started = time.process_time()
        tolerant = sum(bool(find(index, read, LEAST)) for read in seen)
        best = max(best, reads / (time.process_time() - started))
    timed["plates/index.py, misread-tolerant"] = best
    few = seen[:5]
    started = time.process_time()
    for read in few:
        process.extractOne(read.plate.text, listed, scorer=fuzz.ratio, score_cutoff=80)
    timed["RapidFuzz scan, one best of all"] = len(few) / (time.process_time() - started)
    print(
        f"\nmatching at {len(plates):,} entries, {reads:,} reads, one core (CPU time); index built in {built:.1f} s"
    )
    print(f"{'':36}{'reads/s':>12}{'reads with a candidate':>26}")
    for name, rate in timed.items():
        told = {"set": exact, "pla": tolerant}.get(name[:3])
        print(f"{name:36}{rate:12,.1f}{'' if told is None else f'{told:26,}'}")
    print(f"bar 50,000: {bar('matching', met=best >= 50_000)}, {best / 50_000:.1f}x; least weight {LEAST}")


class _Reads(reads_pb2_grpc.ReadsServiceServicer):
    def __init__(self, follow: Follow) -> None:
        self._follow = follow

    async def FollowReads(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for response in self._follow.stream(request.follower, request.cursor):
            yield response


class Platform:
    """Reads and hotlist on a real PostgreSQL, joined by gRPC."""

    schedules: Schedules
    ingest: Ingest
    importer: Importer
    hits: Hits
    streams: Streams

    async def store(self, plates: list[str]) -> list[str]:
        """Store reads of plates; return their IDs."""
        new = [new_read(text, at=datetime.now(UTC)) for text in plates]
        now = datetime.now(UTC)
        accepted = [
            check(one, agency_id=AGENCY, cameras=CAMERAS, schedules=self.schedules, now=now) for one in new
        ]
        await self.ingest.store(AGENCY, accepted)
        return [one.read.read_id for one in new]

    async def put(
        self, listed: list[str], age: timedelta, changed: frozenset[str] = frozenset()
    ) -> hotlist_pb2.ImportListResponse:
        """Import a list of plates; of those changed the vehicle has another colour than in a list where they are not."""
        wanted = hotlist_pb2.Hotlist(list_id="ncic", source="generated")
        wanted.as_of.FromDatetime(datetime.now(UTC) - age)
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(HEADER.split(","))
        for one in listed:
            rows.writerow(
                [
                    one,
                    "CA",
                    "",
                    "",
                    "",
                    "",
                    "",
                    "",
                    "4D",
                    "BLK" if one in changed else "SIL",
                    "20261101",
                    "",
                    "26-1",
                    f"V{one}",
                    "EV",
                    "",
                    "",
                ]
            )
        data = text.getvalue().encode()

        async def parts() -> AsyncIterator[hotlist_pb2.ImportListRequest]:
            yield hotlist_pb2.ImportListRequest(list=wanted)
            for at in range(0, len(data), 1 << 18):
                yield hotlist_pb2.ImportListRequest(chunk=data[at : at + (1 << 18)])

        return await self.importer.take(parts(), AGENCY, "m-1042")


@asynccontextmanager
async def platform(server: postgres.Server, folder: Path) -> AsyncIterator[Platform]:
    """Everything from the table of reads to the stream of hits."""
    for name in ("reads", "hotlist"):
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
            connection.execute(f"CREATE DATABASE {name}")
    urls = {name: server.get_uri(name) for name in ("reads", "hotlist")}
    clock, draining, running = Clock(), asyncio.Event(), Platform()
    async with (
        migrated(urls["reads"], "services.reads") as reads,
        migrated(urls["hotlist"], "services.hotlist") as pool,
    ):
        rule = Rule(timedelta(days=30), "bench", "1")
        running.schedules = await ScheduleStore(reads).learn(AGENCY, {READ: rule, CROP: rule}, clock.now())
        stored, raised = Waker(urls["reads"], reads_ingest.CHANNEL), Waker(urls["hotlist"], CHANNEL)
        server_ = grpc.aio.server()
        reads_pb2_grpc.add_ReadsServiceServicer_to_server(
            _Reads(Follow(reads, stored, clock, draining, 1.0)), server_
        )
        port = server_.add_insecure_port("127.0.0.1:0")
        await server_.start()
        running.ingest = Ingest(
            reads, Partitions(), Crops(LocalStore(folder / "crops", mkdir=True), bytes(32))
        )
        running.hits = Hits(pool, clock)
        running.importer = Importer(pool, clock, 30)
        running.streams = Streams(running.hits, raised, draining, 1.0)
        matcher = Matcher(pool, clock, lambda: str(uuid4()), LEAST)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            work = [asyncio.create_task(one) for one in (stored.run(), raised.run(), matcher.run(channel))]
            try:
                yield running
            finally:
                draining.set()
                for one in work:
                    one.cancel()
                await asyncio.gather(*work, return_exceptions=True)
                await server_.stop(0)


async def listen(running: Platform, came: dict[str, float], kinds: dict[str, set[str]]) -> None:
    """Note when the first hit of each read comes over the stream."""
    async for response in running.streams.stream(decision(AGENCY), "0"):
        came.setdefault(response.hit.read.read_id, time.perf_counter())
        kinds.setdefault(response.hit.read.read_id, set()).add(response.hit.entry.plate)


async def traffic(
    running: Platform, seconds: float, wanted: list[str], stored: dict[str, tuple[float, str]]
) -> None:
    """Store 500 reads/s for a time; one in a batch is wanted. Keep when each wanted one was stored."""
    rng, began, number = random.Random(3), time.perf_counter(), 0
    while (now := time.perf_counter()) - began < seconds:
        plates = [plate(rng) for _ in range(BATCH - 1)]
        one = rng.choice(wanted)
        ids = await running.store([*plates, one])
        stored[ids[-1]] = (time.perf_counter(), one)
        number += 1
        await asyncio.sleep(max(0.0, began + number * BATCH / RATE - now))


async def latency(running: Platform, seconds: float, entries: int) -> None:
    """Print the second table."""
    rng = random.Random(2)
    listed = list({plate(rng) for _ in range(entries)})
    await running.put(listed, timedelta(hours=1))
    came: dict[str, float] = {}
    stored: dict[str, tuple[float, str]] = {}
    listening = asyncio.create_task(listen(running, came, {}))
    await running.store([listed[0]])
    while not came:
        if listening.done():
            listening.result()
        await asyncio.sleep(0.1)
    await traffic(running, seconds, listed[:1000], stored)
    await asyncio.sleep(3)
    listening.cancel()
    took = sorted((came[one] - at) * 1e3 for one, (at, _) in stored.items() if one in came)
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(
        f"\nread stored -> hit on the stream at {RATE} reads/s, {len(listed):,} entries: {len(took)} of {len(stored)} hits"
    )
    print(
        f"p50 {p50:.0f} ms, p99 {p99:.0f} ms (bar 250: {bar('latency', met=p99 <= 250)}); hits that came: "
        f"{bar('hits on the stream', met=len(took) == len(stored))}"
    )


async def swap(running: Platform, entries: int) -> None:
    """Print the third table."""
    rng = random.Random(4)
    both = list({plate(rng) for _ in range(200)})
    before, after = ([*both, *{plate(rng) for _ in range(entries)}] for _ in range(2))
    await running.put(before, timedelta(minutes=30))
    came: dict[str, float] = {}
    kinds: dict[str, set[str]] = {}
    stored: dict[str, tuple[float, str]] = {}
    listening = asyncio.create_task(listen(running, came, kinds))
    flowing = asyncio.create_task(traffic(running, 3600, both, stored))
    await asyncio.sleep(5)
    started = time.perf_counter()
    # A tenth of the vehicles that stay say something else now, and half of those that traffic has.
    stays = sorted(set(before) & set(after))
    changed = frozenset(stays[::10]) | frozenset(both[::2])
    answer = await running.put(after, timedelta(minutes=1), changed)
    took = time.perf_counter() - started
    added = list(set(after) - set(before))[:200]
    dropped = list(set(before) - set(after))[:200]
    new = await running.store(added)
    old = await running.store(dropped)
    await asyncio.sleep(5)
    flowing.cancel()
    deadline = time.perf_counter() + 120
    while time.perf_counter() < deadline and not all(one in came for one in (*stored, *new)):
        await asyncio.sleep(1)
    listening.cancel()
    missed = sum(text not in kinds.get(one, set()) for one, (_, text) in stored.items())
    lost = sum(text not in kinds.get(one, set()) for one, text in zip(new, added, strict=True))
    late = sum(text in kinds.get(one, set()) for one, text in zip(old, dropped, strict=True))
    print(
        f"\nswap to {len(after):,} entries in {took:.0f} s: {answer.added:,} added, {answer.removed:,} removed, {answer.changed:,} changed (of {len(changed):,}: {bar('changed rows', met=answer.changed == len(changed))})"
    )
    of_changed = sum(text in changed for _, text in stored.values())
    print(
        f"listed before and after, read meanwhile: {len(stored)}, {of_changed} of them changed, missed {missed} (bar 0: {bar('swap', met=missed == 0)})"
    )
    print(
        f"added, read after the answer: {len(new)}, missed {lost} (bar 0: {bar('added', met=lost == 0)}); "
        f"dropped, read after it: {len(old)}, hit {late} (bar 0: {bar('dropped', met=late == 0)})"
    )
    lags = sorted((came[one] - at) * 1e3 for one, (at, _) in stored.items() if one in came)
    print(
        f"stored -> hit during the swap: p50 {lags[len(lags) // 2]:.0f} ms, p99 {lags[int(len(lags) * 0.99)]:.0f} ms"
    )


async def slow(running: Platform, clients: int) -> None:
    """Print what streams hold that nobody reads."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    open_ = [running.streams.stream(decision(AGENCY), "0") for _ in range(clients)]
    for one in open_:
        await anext(one)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    count = await running.hits.last_sequence()
    print(
        f"\n{clients:,} streams that stand still before {count:,} hits: {grown / 1024:.0f} MiB more, {grown / clients:.0f} KiB each"
    )
    for one in open_:
        await one.aclose()


async def main(arguments: argparse.Namespace) -> None:
    """Run what was asked for."""
    with tempfile.TemporaryDirectory() as folder:
        server = postgres.start(Path(folder) / "pg")
        try:
            async with platform(server, Path(folder)) as running:
                await latency(running, arguments.seconds, arguments.entries)
                await slow(running, 1000)
            async with platform(server, Path(folder)) as running:
                await swap(running, arguments.swap)
        finally:
            server.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--reads", type=int, default=100_000)
    parser.add_argument("--swap", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--only-matching", action="store_true")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a bar is missed")
    given = parser.parse_args()
    matching(given.entries, given.reads)
    if not given.only_matching:
        uvloop.run(main(given))
    if MISSED:
        print(f"\nmissed: {', '.join(MISSED)}")
    sys.exit(1 if MISSED and given.strict else 0)
