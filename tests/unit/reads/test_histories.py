"""Random histories (``make histories`` plays 10,000): see ``tests/common/histories.py``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from types import SimpleNamespace

import pytest
from psycopg.conninfo import make_conninfo

from servicekit.database import Pool
from tests.common.databases import migrated
from tests.common.histories import AGENCIES, World
from tests.histories import call_of
from tests.unit.reads.builders import NOW


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """A server with a summer time: the services' clock is UTC, whatever theirs is."""
    url = make_conninfo(database_url, options="-c TimeZone=America/Los_Angeles")
    async with migrated(url, "services.reads") as opened:
        yield opened


@pytest.mark.req("R-RET-1")
@pytest.mark.req("R-RET-2")
@pytest.mark.req("R-RET-4")
@pytest.mark.parametrize("seed", range(6))
async def test_no_expired_read_is_seen_no_held_one_is_lost_and_certificates_add_up(
    pool, ingest, purger, retention, holds, search, access, clock, crops, seed: int
) -> None:
    # Half of them begin two days before the clocks of California change.
    clock.time = NOW if seed % 2 else NOW.replace(day=6, month=3)
    parts = SimpleNamespace(
        pool=pool, ingest=ingest, purger=purger, retention=retention, holds=holds, search=search, access=access, clock=clock,
        calls={agency_id: call_of(agency_id) for agency_id in AGENCIES}, store=crops._store,
    )  # fmt: skip
    await World(parts, Random(seed)).play(25)
