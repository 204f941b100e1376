"""Revocations are told when they are committed, when time ends something, and never silently lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from plateward.access.v1 import access_pb2
from servicekit.clock import Clock
from services.access.announce import CHANNEL, announce
from services.access.watch import Revocations
from tests.common.access import OWNER, PARTNER, Access, member, opened


@pytest.fixture
async def access(database_url: str) -> AsyncIterator[Access]:
    async with opened(database_url) as parts:
        yield parts


@asynccontextmanager
async def watching(
    database_url: str,
    version: Callable[[], str] = lambda: "",
) -> AsyncIterator[tuple[AsyncIterator[access_pb2.WatchRevocationsResponse], Revocations]]:
    """A watcher that has heard the first words."""
    revocations = Revocations(database_url, Clock(), asyncio.Event(), version)
    running = asyncio.create_task(revocations.run())
    try:
        async with aclosing(revocations.stream()) as said:
            assert (await anext(said)).kind == "all"
            while (await asyncio.wait_for(anext(said), 10)).kind != "beat":
                pass
            yield said, revocations
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def heard(
    said: AsyncIterator[access_pb2.WatchRevocationsResponse], kind: str, within_s: float
) -> access_pb2.WatchRevocationsResponse:
    async with asyncio.timeout(within_s):
        async for response in said:
            if response.kind == kind:
                return response
    raise AssertionError("the stream ended")


@pytest.mark.req("R-SHR-1")
async def test_an_ended_agreement_is_told_within_a_second(access: Access, database_url: str) -> None:
    (agreement,) = await access.agreements.page(PARTNER, "", None, 1)
    async with watching(database_url) as (said, _):
        before = time.monotonic()
        await access.agreements.revoke(agreement.agreement_id, member("m-4001"), "passed on")
        told = await heard(said, "agreement", 1.0)
        assert time.monotonic() - before < 1.0
    assert (told.id, told.agency_id) == (agreement.agreement_id, PARTNER)


@pytest.mark.req("R-ACC-4")
async def test_members_and_agencies_too(access: Access, database_url: str) -> None:
    async with watching(database_url) as (said, _):
        suspended = access_pb2.Member(
            member_id="m-1042",
            name="Ofc. Dana Reyes",
            job_title="patrol-officer",
            state=access_pb2.ACCOUNT_STATE_SUSPENDED,
        )
        await access.members.put(suspended, member("m-3001"))
        told = await heard(said, "member", 1.0)
        assert (told.id, told.agency_id) == ("m-1042", OWNER)
        await access.store.put_agency(PARTNER, "Galt Police Department", "AGENCY_KIND_OUT_OF_STATE", "US-NV")
        assert (await heard(said, "agency", 1.0)).agency_id == PARTNER


@pytest.mark.req("R-SHR-1")
async def test_what_ends_by_time_is_told_when_it_ends(access: Access, database_url: str) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.0)
    async with access.pool.connection() as connection:
        await connection.execute("UPDATE agreements SET expires_at = %s", (soon,))
        await connection.execute(
            "UPDATE members SET training_expires_at = %s WHERE member_id = 'm-1042'", (soon,)
        )
    async with watching(database_url) as (said, _):
        told = {(await heard(said, kind, 3.0)).kind for kind in ("agreement", "member")}
        assert told == {"agreement", "member"}
        assert datetime.now(UTC) - soon < timedelta(seconds=1)


@pytest.mark.req("R-ACC-9")
async def test_a_policy_is_told_when_it_decides_and_not_when_it_is_only_written(
    access: Access, database_url: str
) -> None:
    deciding = ["old"]
    async with watching(database_url, lambda: deciding[0]) as (said, revocations):
        async with access.pool.connection() as connection:
            await announce(connection, "policy", "new", OWNER)
        with pytest.raises(TimeoutError):
            await heard(said, "policy", 0.8)
        assert revocations.policy_moved.is_set(), "who follows the policy is woken"
    async with watching(database_url, lambda: deciding[0]) as (said, _):
        deciding[0] = "new"
        assert (await heard(said, "policy", 1.0)).id == "new"


async def test_nothing_is_told_of_what_is_rolled_back(access: Access, database_url: str) -> None:
    async with watching(database_url) as (said, _):
        async with access.pool.connection() as connection:
            await announce(connection, "member", "x", "y")
            await connection.rollback()
        with pytest.raises(TimeoutError):
            await heard(said, "member", 0.6)


async def test_a_lost_database_is_silence_and_then_a_word_to_look_again(
    access: Access, database_url: str
) -> None:
    async with watching(database_url) as (said, _):
        with psycopg.connect(database_url, autocommit=True) as killer:
            killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert (await heard(said, "all", 5.0)).kind == "all"


async def test_a_watcher_that_falls_behind_looks_again_at_everything(
    access: Access, database_url: str
) -> None:
    async with watching(database_url) as (said, _):
        async with access.pool.connection() as connection:
            for number in range(1500):
                await connection.execute(
                    "SELECT pg_notify(%s, %s)",
                    (CHANNEL, f'{{"kind":"member","id":"{number}","agency_id":"a"}}'),
                )
        # Not read meanwhile.
        await asyncio.sleep(1.0)
        kinds = set()
        async with asyncio.timeout(10):
            async for response in said:
                kinds.add(response.kind)
                if response.kind == "beat":
                    break
        assert "all" in kinds


async def test_words_that_nobody_understands_put_everything_in_doubt(
    access: Access, database_url: str
) -> None:
    async with watching(database_url) as (said, _):
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_notify(%s, 'no json')", (CHANNEL,))
        await heard(said, "all", 2.0)
