"""Hits live by a schedule of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import grpc
import pytest

from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.common.v1 import types_pb2
from plateward.hotlist.v1 import hit_pb2
from plateward.reads.v1 import reads_pb2
from services.hotlist.keeping import Keeping
from services.hotlist.matcher import Matcher
from tests.unit.hotlist.builders import AGENCY, NOW, decision, entry, read


class Access(access_pb2_grpc.AccessServiceServicer):
    days = 365

    async def GetPolicy(self, request, context):
        rules = [access_pb2.RetentionRule(kind="hit", keep_s=self.days * 86_400)] if self.days else []
        return access_pb2.GetPolicyResponse(policy=access_pb2.Policy(retention=rules))


@pytest.fixture
async def access() -> AsyncIterator[tuple[Access, grpc.aio.Channel]]:
    served, server = Access(), grpc.aio.server()
    access_pb2_grpc.add_AccessServiceServicer_to_server(served, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield served, channel
    await server.stop(None)


@pytest.mark.req("R-RET-1")
@pytest.mark.parametrize(("days", "lives"), [(365, 365), (3, 3), (0, 30)])
async def test_a_hit_lives_by_its_own_schedule_and_is_destroyed_after(
    pool, clock, entries, hits, access, destroying, days, lives
) -> None:
    served, channel = access
    served.days = days
    keeping = Keeping(channel)
    destruction = destroying(keeping)
    matcher = Matcher(pool, clock, lambda: str(uuid4()), 0.01, keeping=keeping)
    wanted = entry()
    await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    await entries.approve(wanted.entry_id, [AGENCY], "m-1077")
    await matcher.take(await matcher.cursor(), reads_pb2.FollowReadsResponse(reads=[read()], cursor="1:1"))

    async def seen() -> int:
        found, _ = await hits.page(decision(), hit_pb2.HIT_STATE_UNSPECIFIED, types_pb2.PageRequest())
        return len(found)

    clock.time = NOW + timedelta(days=lives, seconds=-1)
    assert await destruction.destroy() == 0
    assert await seen() == 1
    clock.time = NOW + timedelta(days=lives)
    assert await seen() == 0
    assert await destruction.destroy() == 1


@pytest.mark.req("R-RET-1")
async def test_a_shortened_schedule_shortens_hits_that_are_there(
    pool, clock, entries, hits, access, destroying
) -> None:
    served, channel = access
    matcher = Matcher(pool, clock, lambda: str(uuid4()), 0.01, keeping=Keeping(channel))
    wanted = entry()
    await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    await entries.approve(wanted.entry_id, [AGENCY], "m-1077")
    await matcher.take(await matcher.cursor(), reads_pb2.FollowReadsResponse(reads=[read()], cursor="1:1"))
    served.days = 1
    clock.time = NOW + timedelta(days=2)
    assert await destroying(Keeping(channel)).destroy() == 1
