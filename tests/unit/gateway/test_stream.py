"""The whole way of a sighting, with a real recognizer behind a real channel that is taken away in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import cv2
import grpc
import pytest

from clients.gateway.counters import Counters
from clients.gateway.feed import Feed
from clients.gateway.sender import Sender, new_read
from clients.gateway.sources import Still
from clients.gateway.spool import Spool
from clients.gateway.stream import UNDER_WAY, Stream, StreamError
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from plateward.recognizer.v1 import recognizer_pb2, recognizer_pb2_grpc
from scenes.clip import Clip
from services.recognizer.loading import Loaded, load
from services.recognizer.rpc import RecognizerServicer
from services.recognizer.settings import RecognizerSettings
from services.recognizer.workers import Workers

START = datetime(2026, 11, 23, 18, tzinfo=UTC)
NOWHERE = Path("/nonexistent")


class Recorded:
    """A clip as a recording."""

    name, live, generated, total, seconds = "recorded", False, True, None, 0.0

    def __init__(self) -> None:
        clip = Clip(11, fps=5, passes=["7KXR482", "8ABC123", "5XYZ987"])
        self.texts = [p.text for p in clip.passes]
        self._stills = [
            Still(n / clip.fps, bytes(cv2.imencode(".jpg", image)[1])) for n, image in enumerate(clip)
        ]

    def frames(self) -> Iterator[Still]:
        yield from self._stills


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load(None, threads=1, provider="cpu")


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = Spool(tmp_path / "spool.sqlite")
    yield opened
    opened.close()


class Replica:
    """A recognizer that can be taken away and come back at the same address, remembering nothing."""

    def __init__(self, loaded: Loaded) -> None:
        self.port, self._loaded, self._workers = 0, loaded, Workers(1, 1)
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        settings = RecognizerSettings(
            tls_cert=NOWHERE, tls_key=NOWHERE, tls_ca=NOWHERE, token_jwks=NOWHERE, workers=1
        )
        future = asyncio.get_running_loop().create_future()
        future.set_result(self._loaded)
        self.draining = asyncio.Event()
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(
            RecognizerServicer(settings, self._workers, self.draining, future), self._server
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        assert self._server is not None
        await self._server.stop(0)

    def close(self) -> None:
        self._workers.close()


@asynccontextmanager
async def replica(loaded: Loaded) -> AsyncIterator[Replica]:
    one = Replica(loaded)
    await one.start()
    try:
        yield one
    finally:
        await one.stop()
        one.close()


async def ids(spool: Spool) -> list[str]:
    return [i for i, _ in await spool.batch(1000, 10**9)]


async def played(recorded: Recorded, one: Replica, spool: Spool, *, pace: float = 0) -> Counters:
    counters = Counters()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{one.port}") as channel:
        await Stream(
            "cam-1", Feed(recorded, counters, start=START, pace=pace), spool, channel, counters
        ).run()
    return counters


@pytest.mark.req("R-REC-4")
async def test_every_pass_is_spooled_once_whatever_breaks(
    recorded: Recorded, loaded: Loaded, spool: Spool, tmp_path: Path
) -> None:
    async with replica(loaded) as one:
        whole = await played(recorded, one, spool)
        expected = await ids(spool)
        assert (whole.sightings, whole.reconnects, whole.dropped) == (3, 0, 0)
        assert [new_read(b).read.plate.text for _, b in await spool.batch(9, 10**9)] == recorded.texts

        broken = Spool(tmp_path / "broken.sqlite")
        playing = asyncio.create_task(played(recorded, one, broken, pace=15))
        for drain in (False, True, False):
            await asyncio.sleep(0.5)
            if drain:
                one.draining.set()
                await asyncio.sleep(0.1)
            await one.stop()
            await asyncio.sleep(0.2)
            await one.start()
        counters = await playing
        assert await ids(broken) == expected
        assert counters.reconnects >= 3
        assert counters.resent > 0
        assert counters.sightings == 3
        broken.close()


async def test_an_empty_source_needs_no_recognizer_to_end(
    loaded: Loaded, spool: Spool, recorded: Recorded
) -> None:
    class Empty(Recorded):
        def __init__(self) -> None:
            self._stills = []

    async with replica(loaded) as one:
        counters = await played(Empty(), one, spool)
    assert (counters.frames, spool.depth) == (0, 0)


@pytest.mark.parametrize(("frame", "streams"), [(1, 1), (6, 2)])
async def test_a_refusal_ends_the_gateway_with_its_reason(
    spool: Spool, recorded: Recorded, frame: int, streams: int
) -> None:
    """At the first frame at once; in the middle, where a failing write can hide the reason, with the next stream."""
    opened = []

    class Refusing(recognizer_pb2_grpc.RecognizerServiceServicer):
        async def RecognizeStream(self, request, context):
            opened.append(context)
            async for message in request:
                if message.frame >= frame:
                    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not this certificate")
                yield recognizer_pb2.RecognizeStreamResponse()

    server = grpc.aio.server()
    recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(Refusing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    counters = Counters()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(StreamError, match="not this certificate"):
            await Stream("cam-1", Feed(recorded, counters, start=START), spool, channel, counters).run()
    assert len(opened) <= streams
    await server.stop(0)


async def test_no_more_frames_are_under_way_than_allowed(spool: Spool, recorded: Recorded) -> None:
    taken, answer = [], asyncio.Event()

    class Slow(recognizer_pb2_grpc.RecognizerServiceServicer):
        async def RecognizeStream(self, request, context):
            async for message in request:
                taken.append(message.frame)
                if len(taken) == UNDER_WAY + 1:
                    await answer.wait()
                    for number in taken[1:]:
                        yield recognizer_pb2.RecognizeStreamResponse(settled_through=number)
                elif len(taken) == 1 or len(taken) > UNDER_WAY:
                    yield recognizer_pb2.RecognizeStreamResponse(settled_through=message.frame)

    server = grpc.aio.server()
    recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(Slow(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    counters = Counters()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream = Stream("cam-1", Feed(recorded, counters, start=START), spool, channel, counters)
        running = asyncio.create_task(stream.run())
        await asyncio.sleep(0.3)
        assert len(taken) == 1 + UNDER_WAY
        answer.set()
        await running
    await server.stop(0)


class Store(reads_pb2_grpc.ReadsServiceServicer):
    """A store that is away at first, takes each ID once, and refuses what it is told to."""

    def __init__(self, *, away: int = 0, refuse: str = "", poison: str = "") -> None:
        self.away, self.refuse, self.poison = away, refuse, poison
        self.stored: list[str] = []
        self.calls = 0

    async def IngestReads(self, request, context):
        self.calls += 1
        if self.calls <= self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the database does not answer")
        given = [r.read.read_id for r in request.reads]
        if self.poison in given:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a field breaks its rule")
        response = reads_pb2.IngestReadsResponse()
        for read_id in given:
            if read_id == self.refuse:
                response.rejected.add(
                    read_id=read_id, reason="ERROR_REASON_CAMERA_UNKNOWN", message="register it"
                )
            elif read_id in self.stored:
                response.duplicates += 1
            else:
                self.stored.append(read_id)
                response.stored += 1
        return response


@asynccontextmanager
async def sending(store: Store, spool: Spool, counters: Counters) -> AsyncIterator[asyncio.Task[None]]:
    server = grpc.aio.server()
    reads_pb2_grpc.add_ReadsServiceServicer_to_server(store, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        task = asyncio.create_task(Sender(spool, channel, counters).run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    await server.stop(0)


async def fill(spool: Spool, names: str) -> None:
    for name in names:
        await spool.add(
            name, recognizer_pb2.Sighting(sighting_id=name, camera_id="cam-1").SerializeToString()
        )


@pytest.mark.req("R-REC-4")
async def test_sightings_wait_for_a_store_that_is_away(spool: Spool) -> None:
    await fill(spool, "abc")
    store, counters = Store(away=2), Counters()
    async with sending(store, spool, counters):
        await spool.emptied.wait()
        await fill(spool, "ad")
        await asyncio.sleep(0.05)
        await spool.emptied.wait()
    assert store.stored == ["a", "b", "c", "d"]
    assert (counters.stored, counters.duplicates, counters.retries) == (4, 1, 2)


async def test_refused_sightings_are_kept_apart(spool: Spool) -> None:
    await fill(spool, "abc")
    counters = Counters()
    async with sending(store := Store(refuse="b"), spool, counters):
        await spool.emptied.wait()
    assert store.stored == ["a", "c"]
    [refused] = await spool.rejected()
    assert (refused.id, refused.reason) == ("b", "ERROR_REASON_CAMERA_UNKNOWN")
    assert (refused.camera, refused.seen_at[:10]) == ("cam-1", "1970-01-01")
    assert counters.rejected == 1


async def test_one_that_makes_a_batch_invalid_is_found_and_set_apart(spool: Spool) -> None:
    await fill(spool, "abcdefgh")
    counters = Counters()
    async with sending(store := Store(poison="e"), spool, counters):
        await spool.emptied.wait()
    assert sorted(store.stored) == list("abcdfgh")
    assert [r.id for r in await spool.rejected()] == ["e"]
