"""Webhooks over real HTTPS: signed, in order, again until taken, never into a network that nobody allowed."""

from __future__ import annotations

import asyncio
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from clients.devkit.pki import DevelopmentPki
from plateward.common.v1 import errors_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.hotlist.webhooks import GuardedResolver, Webhooks
from tests.unit.hotlist.builders import AGENCY, entry, read

pytestmark = pytest.mark.req("R-HOT-1")
SECRET = b"s" * 32


class Receiver:
    """A dispatch centre's end: HTTPS, answers as it is told."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.bad = 0
        self.answers: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        stamp = request.headers["X-Plateward-Timestamp"]
        expected = "v1=" + hmac.digest(SECRET, f"{stamp}.".encode() + body, "sha256").hex()
        self.bad += not hmac.compare_digest(expected, request.headers["X-Plateward-Signature"])
        status = self.answers.pop(0) if self.answers else 200
        self.got.append(
            {"status": status, "delivery": request.headers["X-Plateward-Delivery"], **json.loads(body)}
        )
        headers = {"Location": "https://127.0.0.1/elsewhere"} if status == 302 else {}
        return web.Response(status=status, headers=headers)


@pytest.fixture
def pki(tmp_path) -> DevelopmentPki:
    made = DevelopmentPki(tmp_path / "pki")
    made.ensure()
    return made


@pytest.fixture
async def receiver(pki: DevelopmentPki) -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/hits", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.cert("reads"), pki.key("reads"))
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    made.url = f"https://localhost:{site._server.sockets[0].getsockname()[1]}/hits"
    yield made
    await runner.cleanup()


@pytest.fixture
async def events() -> list[Any]:
    return []


@pytest.fixture
def webhooks(pool, hits, clock, pki, events) -> Webhooks:
    async def append(event: Any) -> None:
        events.append(event)

    return Webhooks(
        pool,
        hits,
        append,
        clock,
        key=bytes(32),
        allowed=[ip_network("127.0.0.0/8"), ip_network("::1/128")],
        ca=pki.ca,
    )


@pytest.fixture
async def session(webhooks, pki) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(
        resolver=webhooks._resolver, ssl=ssl.create_default_context(cafile=pki.ca), use_dns_cache=False
    )
    async with aiohttp.ClientSession(connector=connector) as opened:
        yield opened


@pytest.fixture
async def raise_hits(entries, matcher):
    wanted = entry()
    await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    await entries.approve(wanted.entry_id, [AGENCY], "m-1077")

    async def put(count: int) -> None:
        cursor = await matcher.cursor()
        following = f"1:{int(cursor.split(':')[1]) + 1 if cursor else 1}"
        await matcher.take(
            cursor, reads_pb2.FollowReadsResponse(reads=[read() for _ in range(count)], cursor=following)
        )

    return put


async def test_hits_arrive_signed_in_order_and_on_record(
    webhooks, session, receiver, raise_hits, events
) -> None:
    await raise_hits(3)
    await webhooks.put(AGENCY, receiver.url, SECRET, "m-1042")
    assert await webhooks.round(session) == 0
    await raise_hits(30)
    assert [await webhooks.round(session) for _ in range(3)] == [25, 5, 0]
    assert receiver.bad == 0
    got = [hit["hit_id"] for each in receiver.got for hit in each["hits"]]
    assert len(got) == len(set(got)) == 30
    assert [e.outcome.result_count for e in events] == [25, 5]
    assert all(e.owner_agency_id == AGENCY for e in events)


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_what_is_not_taken_comes_again_after_a_pause(
    webhooks, session, receiver, raise_hits, clock, status, events
) -> None:
    from datetime import timedelta

    await webhooks.put(AGENCY, receiver.url, SECRET, "m-1042")
    await raise_hits(2)
    receiver.answers = [status, status]
    assert await webhooks.round(session) == 0
    assert await webhooks.round(session) == 0
    assert len(receiver.got) == 1
    clock.time += timedelta(seconds=3)
    assert await webhooks.round(session) == 0
    clock.time += timedelta(seconds=5)
    assert await webhooks.round(session) == 2
    assert len({each["delivery"] for each in receiver.got}) == 1
    # Tried three times, disclosed once: the same record each time.
    assert len({e.event_id for e in events}) == 1


async def test_nothing_leaves_without_a_record(pool, hits, clock, pki, session, receiver, raise_hits) -> None:
    async def away(_event: Any) -> None:
        raise PlatewardError(errors_pb2.ERROR_REASON_AUDIT_UNAVAILABLE, "away")

    silent = Webhooks(pool, hits, away, clock, key=bytes(32), allowed=[ip_network("127.0.0.0/8")], ca=pki.ca)
    await silent.put(AGENCY, receiver.url, SECRET, "m-1042")
    await raise_hits(2)
    assert await silent.round(session) == 0
    assert receiver.got == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://10.0.0.8/x",
        "https://169.254.169.254/latest",
        "https://[::1]/x",
        "https://localhost/x",
        "https:///x",
        "https://0.0.0.0/x",
    ],
)
async def test_an_address_inside_is_refused(pool, hits, clock, url) -> None:
    guarded = Webhooks(pool, hits, _nothing, clock, key=bytes(32), allowed=[], ca=None)
    with pytest.raises(PlatewardError, match="cannot be a webhook"):
        await guarded.put(AGENCY, url, SECRET, "m-1042")


async def _nothing(_event: Any) -> None:
    await asyncio.sleep(0)


def test_only_public_or_allowed_addresses_may_be_called() -> None:
    guard = GuardedResolver([ip_network("10.20.0.0/16")])
    assert guard.may_call("93.184.216.34")
    assert guard.may_call("10.20.3.4")
    for inside in (
        "10.21.0.1",
        "127.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "::ffff:127.0.0.1",
        "100.64.0.1",
    ):
        assert not guard.may_call(inside), inside


async def test_secrets_are_sealed_and_a_removed_webhook_is_silent(
    webhooks, session, receiver, raise_hits, pool
) -> None:
    await webhooks.put(AGENCY, receiver.url, SECRET, "m-1042")
    async with pool.connection() as connection:
        row = await (await connection.execute("SELECT sealed FROM webhooks")).fetchone()
    assert SECRET not in bytes(row["sealed"])
    await webhooks.remove(AGENCY)
    await raise_hits(2)
    assert await webhooks.round(session) == 0
    with pytest.raises(PlatewardError, match="no webhook"):
        await webhooks.remove(AGENCY)


async def test_without_a_key_webhooks_are_off(pool, hits, clock) -> None:
    with pytest.raises(PlatewardError, match="KEY_FILE"):
        await Webhooks(pool, hits, _nothing, clock, key=None, allowed=[], ca=None).put(
            AGENCY, "https://x.example", SECRET, "m"
        )
