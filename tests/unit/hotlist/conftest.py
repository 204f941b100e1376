"""A real PostgreSQL for the tests of this folder, a fresh database for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.database import Pool
from servicekit.waker import Waker
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
