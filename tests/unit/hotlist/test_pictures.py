"""A hit keeps its pictures: taken over once from a service of reads, sealed, seen by who may see the hit, gone with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest

from plateward.common.v1 import decision_pb2, errors_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.errors import PlatewardError
from services.hotlist.keeping import Keeping
from services.hotlist.pictures import Pictures
from tests.unit.hotlist.builders import AGENCY, decision, entry, read

KEY = bytes(range(32))
PLATE, VEHICLE = types_pb2.CROP_KIND_PLATE, types_pb2.CROP_KIND_VEHICLE


class Store(reads_pb2_grpc.ReadsServiceServicer):
    """Answers like ``reads``, over gRPC: what it has, NOT_FOUND, or nothing at all."""

    def __init__(self) -> None:
        self.crops: dict[int, bytes] = {PLATE: b"\xff\xd8plate", VEHICLE: b"\xff\xd8vehicle"}
        self.away = False
        self.asked: list[reads_pb2.FetchCropRequest] = []

    async def FetchCrop(
        self, request: reads_pb2.FetchCropRequest, context: Any
    ) -> reads_pb2.FetchCropResponse:
        self.asked.append(request)
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if request.kind not in self.crops:
            await context.abort(grpc.StatusCode.NOT_FOUND, "gone")
        return reads_pb2.FetchCropResponse(jpeg=self.crops[request.kind])


@pytest.fixture
async def served() -> AsyncIterator[tuple[Store, grpc.aio.Channel]]:
    store, server = Store(), grpc.aio.server()
    reads_pb2_grpc.add_ReadsServiceServicer_to_server(store, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield store, channel
    await server.stop(None)


@pytest.fixture
async def hit(entries, matcher, hits) -> hit_pb2.Hit:
    made = await entries.create(
        entry(approved_by=""), entry_id=entry().entry_id, agency_id=AGENCY, member_id="m-1042"
    )
    await entries.approve(made.entry_id, [AGENCY], "m-1077")
    await matcher.take(await matcher.cursor(), reads_pb2.FollowReadsResponse(reads=[read()], cursor="1:1"))
    [(_, raised)] = await hits.after(decision(AGENCY), 0, 10)
    return raised


@pytest.mark.req("R-HOT-2")
@pytest.mark.req("R-REC-3")
async def test_pictures_are_taken_over_once_sealed_and_seen_by_who_sees_the_hit(
    served, pool, clock, hit
) -> None:
    store, channel = served
    pictures = Pictures(pool, channel, clock, KEY)
    assert [await pictures.take() for _ in range(2)] == [1, 0]
    assert [(a.read_id, a.agency_id, a.kind) for a in store.asked] == [
        (hit.read.read_id, AGENCY, PLATE), (hit.read.read_id, AGENCY, VEHICLE),
    ]  # fmt: skip
    assert await pictures.get(hit.hit_id, PLATE, decision(AGENCY)) == (b"\xff\xd8plate", hit.read.read_id)
    assert (await pictures.get(hit.hit_id, VEHICLE, decision(AGENCY)))[0] == b"\xff\xd8vehicle"
    async with pool.connection() as connection:
        found = await connection.execute("SELECT sealed FROM hit_pictures")
        assert all(b"plate" not in bytes(row["sealed"]) for row in await found.fetchall())
    for other in (decision("galt-pd"), None, decision_pb2.Decision()):
        with pytest.raises(PlatewardError) as refused:
            await pictures.get(hit.hit_id, PLATE, other)
        assert refused.value.reason == errors_pb2.ERROR_REASON_NOT_FOUND


@pytest.mark.req("R-HOT-2")
async def test_while_reads_is_away_hits_wait_and_what_is_gone_is_not_asked_for_again(
    served, pool, clock, hit
) -> None:
    store, channel = served
    pictures = Pictures(pool, channel, clock, KEY)
    store.away = True
    with pytest.raises(grpc.aio.AioRpcError):
        await pictures.take()
    store.away = False
    del store.crops[VEHICLE]
    assert [await pictures.take() for _ in range(2)] == [1, 0]
    assert (await pictures.get(hit.hit_id, PLATE, decision(AGENCY)))[0]
    with pytest.raises(PlatewardError):
        await pictures.get(hit.hit_id, VEHICLE, decision(AGENCY))


async def test_another_key_opens_nothing_and_without_one_nothing_is_kept(served, pool, clock, hit) -> None:
    store, channel = served
    assert await Pictures(pool, channel, clock, None).take() == 0
    assert store.asked == []
    await Pictures(pool, channel, clock, KEY).take()
    with pytest.raises(PlatewardError) as refused:
        await Pictures(pool, channel, clock, bytes(32)).get(hit.hit_id, PLATE, decision(AGENCY))
    assert refused.value.reason == errors_pb2.ERROR_REASON_STORAGE_UNAVAILABLE


@pytest.mark.req("R-RET-1")
async def test_pictures_go_with_their_hit(served, pool, clock, hit, destroying) -> None:
    _, channel = served
    pictures = Pictures(pool, channel, clock, KEY)
    await pictures.take()
    clock.time = hit.read.expires_at.ToDatetime(clock.time.tzinfo) + timedelta(seconds=1)
    with pytest.raises(PlatewardError):
        await pictures.get(hit.hit_id, PLATE, decision(AGENCY))
    # No `access` answers behind this channel: the schedule that stands in the hit is in force.
    assert await destroying(Keeping(channel)).destroy() == 1
    async with pool.connection() as connection:
        found = await connection.execute("SELECT count(*) AS n FROM hit_pictures")
        assert (await found.fetchone())["n"] == 0
