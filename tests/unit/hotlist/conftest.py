"""A real PostgreSQL for the tests of this folder, a fresh database for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import receipt_pb2
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.database import Pool
from servicekit.waker import Waker
from services.hotlist.destruction import Destruction, signing_key
from services.hotlist.entries import Entries
from services.hotlist.hits import Hits
from services.hotlist.importing import Importer
from services.hotlist.lists import Lists
from services.hotlist.matcher import CHANNEL, Matcher
from tests.common.databases import FixedClock, migrated
from tests.unit.hotlist.builders import AGENCY, HEADER, NOW, decision


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


class HeldReads(reads_pb2_grpc.ReadsServiceServicer):
    """Answers like ``reads`` what a legal hold keeps."""

    def __init__(self) -> None:
        self.read_ids: set[str] = set()
        self.cases: set[str] = set()
        self.away = False

    async def FindHeld(self, request: reads_pb2.FindHeldRequest, context: Any) -> reads_pb2.FindHeldResponse:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        return reads_pb2.FindHeldResponse(
            read_ids=self.read_ids & set(request.read_ids),
            case_numbers=self.cases & set(request.case_numbers),
        )


@pytest.fixture
def held() -> HeldReads:
    return HeldReads()


@pytest.fixture
def recorded() -> list[event_pb2.AuditEvent]:
    """What the audit log was told of destructions."""
    return []


@pytest.fixture
async def destroying(
    pool: Pool, clock: FixedClock, held: HeldReads, recorded: list[Any]
) -> AsyncIterator[Any]:
    """Destroy by a schedule, with a service of reads that says what is held."""
    server = grpc.aio.server()
    reads_pb2_grpc.add_ReadsServiceServicer_to_server(held, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def append(event: event_pb2.AuditEvent) -> receipt_pb2.Receipt:
        recorded.append(event)
        return receipt_pb2.Receipt(event_id=event.event_id, index=len(recorded))

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield lambda keeping: Destruction(pool, clock, keeping, channel, append, signing_key(bytes(32)))
    await server.stop(None)


@pytest.fixture
def waker(database_url: str) -> Waker:
    return Waker(database_url, CHANNEL)


@pytest.fixture
def importer(pool, clock) -> Importer:
    return Importer(pool, clock, 30)


@pytest.fixture
def lists(pool, clock) -> Lists:
    return Lists(pool, clock)


@pytest.fixture
def take(importer):
    async def put(
        *rows: str, hours: float = 1, list_id: str = "ncic", mapping: str = "ncic", header: str = HEADER,
        cut: int = 40, agency: str = AGENCY, max_age_s: int = 86_400, **first: object,
    ) -> hotlist_pb2.ImportListResponse:  # fmt: skip
        wanted = hotlist_pb2.Hotlist(list_id=list_id, source="NCIC", max_age_s=max_age_s)
        wanted.as_of.FromDatetime(NOW - timedelta(hours=hours))
        data = "\n".join([header, *rows]).encode()

        async def parts():
            yield hotlist_pb2.ImportListRequest(list=wanted, mapping=mapping, **first)
            for at in range(0, len(data), cut):
                yield hotlist_pb2.ImportListRequest(chunk=data[at : at + cut])

        return await importer.take(parts(), agency, "m-1042")

    return put


@pytest.fixture
def raised(matcher, hits):
    async def of(*reads) -> list[hit_pb2.Hit]:
        cursor = await matcher.cursor()
        following = f"1:{int(cursor.split(':')[1]) + 1 if cursor else 1}"
        before = await hits.last_sequence()
        await matcher.take(cursor, reads_pb2.FollowReadsResponse(reads=reads, cursor=following))
        return [hit for _, hit in await hits.after(decision(AGENCY, "galt-pd"), before, 100)]

    return of
