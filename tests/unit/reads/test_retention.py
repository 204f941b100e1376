"""Retention as the published policy says, against a real gRPC server on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import grpc
import pytest

from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError
from services.reads.retention import Retention


class Access(access_pb2_grpc.AccessServiceServicer):
    """Publishes what a test wants published."""

    def __init__(self) -> None:
        self.keep: dict[str, int] = {"elk-grove-pd": 2_592_000, "nh-pd": 180}
        self.away = False
        self.asked = 0

    async def GetPolicy(self, request, context):
        self.asked += 1
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        policy = access_pb2.Policy(agency_id=request.agency_id)
        policy.retention.add(kind="crop", keep_s=1)
        if request.agency_id in self.keep:
            policy.retention.add(kind="read", keep_s=self.keep[request.agency_id])
        return access_pb2.GetPolicyResponse(policy=policy)


@pytest.fixture
async def served() -> AsyncIterator[tuple[Access, grpc.aio.Channel]]:
    access, server = Access(), grpc.aio.server()
    access_pb2_grpc.add_AccessServiceServicer_to_server(access, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield access, channel
    await server.stop(None)


@pytest.mark.req("R-RET-1")
async def test_each_agency_has_its_own_schedule_asked_once_a_minute(served) -> None:
    access, channel = served
    retention = Retention(channel, 0, 60.0)
    await retention.ready()
    for _ in range(3):
        assert await retention.keep("elk-grove-pd") == timedelta(days=30)
        assert await retention.keep("nh-pd") == timedelta(minutes=3)
    assert access.asked == 3


async def test_the_last_answer_stays_in_force_while_access_is_away(served) -> None:
    access, channel = served
    retention = Retention(channel, 0, 0.001)
    await retention.keep("nh-pd")
    access.away = True
    await asyncio.sleep(0.01)
    assert await retention.keep("nh-pd") == timedelta(minutes=3)


@pytest.mark.req("R-RET-1")
async def test_nothing_is_guessed(served) -> None:
    access, channel = served
    with pytest.raises(PlatewardError, match="names no retention"):
        await Retention(channel, 0, 60.0).keep("other-pd")
    assert await Retention(channel, 60, 60.0).keep("other-pd") == timedelta(minutes=1)
    access.away = True
    with pytest.raises(PlatewardError) as refused:
        await Retention(channel, 60, 60.0).keep("elk-grove-pd")
    assert refused.value.reason == errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE
