"""The HTTP adapter of the case registry against a real server, and what policy makes of each of its answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, types_pb2
from services.access.cases import CaseSystemUnavailableError, HttpCaseRegistry
from services.access.decide import Core
from services.access.engines import RegopyEngine
from services.access.policy import load_bundle, sample_document
from tests.common.access import NOW, OWNER, member, opened

GOOD = {
    "number": "26-004312",
    "offence": "vehicle-theft",
    "unit": "auto-theft",
    "opened_at": "2026-11-20T08:00:00Z",
    "closed_at": None,
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def case_system(handler: Handler) -> AsyncIterator[str]:
    """A case system on a real port."""
    app = web.Application()
    app.router.add_get("/rms/cases/{number}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/rms"
    finally:
        await runner.cleanup()


def answering(**changes: Any) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({**GOOD, "number": request.match_info["number"], **changes})

    return answer


@pytest.mark.req("R-ACC-1")
async def test_the_contract(tmp_path: Path) -> None:
    seen: list[tuple[str, str, str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(
            (
                request.match_info["number"],
                request.query["agency"],
                request.headers["Accept"],
                request.headers["Authorization"],
            )
        )
        return web.json_response(
            {**GOOD, "number": request.match_info["number"], "closed_at": "2026-11-21T08:00:00-08:00"}
        )

    token = tmp_path / "token"
    async with case_system(answer) as url:
        registry = HttpCaseRegistry(url, timeout_s=2, token_file=token)
        try:
            token.write_text("first\n", encoding="utf-8")
            found = await registry.find(OWNER, "26/0043 12")
            token.write_text("second", encoding="utf-8")
            await registry.find(OWNER, "26-1")
        finally:
            await registry.close()
    assert found is not None
    assert (found["offence"], found["unit"]) == ("vehicle-theft", "auto-theft")
    assert found["opened_at"] == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert found["closed_at"] == datetime(2026, 11, 21, 16, tzinfo=UTC)
    assert seen == [
        ("26/0043 12", OWNER, "application/json", "Bearer first"),
        ("26-1", OWNER, "application/json", "Bearer second"),
    ]


def status(number: int) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=number)

    return answer


async def slow(_: web.Request) -> web.Response:
    await asyncio.sleep(5)
    return web.json_response(GOOD)


async def text(_: web.Request) -> web.Response:
    return web.Response(text="<html>login</html>", content_type="text/html")


ANSWERS: list[tuple[str, Handler, str]] = [
    ("open", answering(), "platform.allowed"),
    ("closed", answering(closed_at="2026-11-21T08:00:00Z"), "agency.case-closed"),
    ("opened tomorrow", answering(opened_at="2026-11-24T08:00:00Z"), "agency.case-closed"),
    ("of another offence", answering(offence="robbery"), "agency.case-offence"),
    ("not there", status(404), "agency.case-unknown"),
    ("forbidden", status(403), "agency.case-registry"),
    ("broken", status(500), "agency.case-registry"),
    ("moved", status(302), "agency.case-registry"),
    ("too slow", slow, "agency.case-registry"),
    ("no JSON", text, "agency.case-registry"),
    ("of another number", answering(number="26-9"), "agency.case-registry"),
    ("without a time zone", answering(opened_at="2026-11-20T08:00:00"), "agency.case-registry"),
    ("without an offence", answering(offence=None, opened_at=None), "agency.case-registry"),
    ("too long", answering(unit="x" * 100_000), "agency.case-registry"),
]


@pytest.mark.req("R-ACC-1")
@pytest.mark.parametrize(("handler", "rule"), [a[1:] for a in ANSWERS], ids=[a[0] for a in ANSWERS])
async def test_what_policy_makes_of_each_answer(database_url: str, handler: Handler, rule: str) -> None:
    async with opened(database_url) as access, case_system(handler) as url:
        registry, engine, bundle = (
            HttpCaseRegistry(url, timeout_s=0.3),
            RegopyEngine(),
            load_bundle(sample_document("elk-grove-pd")),
        )
        await engine.load(bundle)
        core = Core(access.store, access.approvals, engine, bundle, access.clock, cases=registry)
        try:
            decision = await core.decide(asked())
        finally:
            await registry.close()
            await engine.close()
        assert decision.rule == rule, decision


async def test_a_system_that_is_away_is_no_answer() -> None:
    registry = HttpCaseRegistry("http://127.0.0.1:9", timeout_s=0.3)
    try:
        with pytest.raises(CaseSystemUnavailableError):
            await registry.find(OWNER, "26-1")
    finally:
        await registry.close()


def asked() -> access_pb2.DecideRequest:
    request = access_pb2.DecideRequest(
        subject=member("m-1042"), action=action_pb2.ACTION_SEARCH, owner_agency_ids=[OWNER]
    )
    request.purpose.CopyFrom(
        types_pb2.Purpose(
            offence="vehicle-theft", case_number="26-004312", reason="silver Accord taken from Laguna Blvd"
        )
    )
    request.window.start.FromDatetime(NOW.replace(hour=1))
    request.window.end.FromDatetime(NOW)
    return request
