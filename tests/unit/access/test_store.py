"""Facts: read in one statement, on connections that may have died meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from servicekit.database import open_pool
from services.access.store import Store
from tests.common.access import NOW, OWNER, opened


async def test_facts_are_read_again_when_the_server_has_dropped_the_connections(database_url: str) -> None:
    settings: Any = SimpleNamespace(
        database_url=SimpleNamespace(get_secret_value=lambda: database_url), database_pool=3
    )
    async with opened(database_url) as access:
        reading = await open_pool(settings, for_reading=True)
        try:
            store = Store(access.pool, reading)
            before = await store.facts(OWNER, "m-1042", [OWNER, "galt-pd"], NOW)
            async with access.pool.connection() as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            after = await store.facts(OWNER, "m-1042", [OWNER, "galt-pd"], NOW)
            assert after == before
            assert before.member is not None
            assert before.agreements == []
        finally:
            await reading.close()


async def test_facts_of_nobody(database_url: str) -> None:
    async with opened(database_url) as access:
        facts = await access.store.facts("nowhere", "nobody", [OWNER], NOW)
        assert (facts.agency_kind, facts.member, facts.agreements, facts.case) == (None, None, [], None)
        partner = await access.store.facts("galt-pd", "galt-1", [OWNER], NOW)
        assert partner.agency_kind == "AGENCY_KIND_LOCAL"
        assert [a["owner_agency_id"] for a in partner.agreements] == [OWNER]
