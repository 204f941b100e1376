"""The service's answers over a real channel: readings that keep the rules of their proto, typed refusals, drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import protovalidate
import pytest

from plateward.common.v1 import errors_pb2, types_pb2
from plateward.recognizer.v1 import recognizer_pb2, recognizer_pb2_grpc
from servicekit.errors import PlatewardError
from services.recognizer.loading import Loaded, load
from services.recognizer.rpc import RecognizerServicer
from services.recognizer.session import Frame
from services.recognizer.settings import RecognizerSettings
from services.recognizer.workers import Workers

NOWHERE = Path("/nonexistent")


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load(None, threads=1, provider="cpu")


class Served:
    def __init__(
        self,
        stub: recognizer_pb2_grpc.RecognizerServiceStub,
        servicer: RecognizerServicer,
        draining: asyncio.Event,
    ) -> None:
        self.stub, self.servicer, self.draining = stub, servicer, draining


@pytest.fixture
async def served(loaded: Loaded) -> AsyncIterator[Served]:
    settings = RecognizerSettings(
        tls_cert=NOWHERE,
        tls_key=NOWHERE,
        tls_ca=NOWHERE,
        token_jwks=NOWHERE,
        workers=1,
        image_most_bytes=1_000_000,
    )
    workers, draining = Workers(1, 1), asyncio.Event()
    future = asyncio.get_running_loop().create_future()
    future.set_result(loaded)
    servicer = RecognizerServicer(settings, workers, draining, future)
    server = grpc.aio.server()
    recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Served(recognizer_pb2_grpc.RecognizerServiceStub(channel), servicer, draining)
    await server.stop(0)
    workers.close()


@pytest.mark.req("R-REC-1")
@pytest.mark.req("R-REC-3")
async def test_a_picture_is_read_with_crops(served: Served, frames: list[Frame]) -> None:
    picture = frames[9].image
    answer = await served.stub.Recognize(recognizer_pb2.RecognizeRequest(image=picture, with_crops=True))
    protovalidate.validate(answer)
    assert answer.plates
    assert answer.plates[0].readable
    assert [c.value for c in answer.plates[0].characters] == list(answer.plates[0].text)
    assert (answer.width, answer.height) == (1280, 720)
    assert answer.took_ms > 0
    kinds = [c.kind for c in answer.crops]
    assert kinds.count(types_pb2.CROP_KIND_PLATE) == len(answer.plates)
    assert kinds.count(types_pb2.CROP_KIND_VEHICLE) == len(answer.vehicles)
    assert all(len(c.jpeg) < len(picture) for c in answer.crops)
    without = await served.stub.Recognize(recognizer_pb2.RecognizeRequest(image=picture))
    assert not without.crops


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"no picture", errors_pb2.ERROR_REASON_IMAGE_INVALID),
        (b"x" * 1_000_001, errors_pb2.ERROR_REASON_IMAGE_TOO_LARGE),
    ],
)
async def test_what_is_no_picture_is_refused(served: Served, image: bytes, reason: int) -> None:
    with pytest.raises(PlatewardError) as error:
        await served.servicer.Recognize(recognizer_pb2.RecognizeRequest(image=image), None)
    assert error.value.reason == reason


async def test_more_than_fits_is_refused_with_a_time_to_come_back(
    served: Served, frames: list[Frame]
) -> None:
    request = recognizer_pb2.RecognizeRequest(image=frames[9].image)
    answers = await asyncio.gather(
        *(served.servicer.Recognize(request, None) for _ in range(6)), return_exceptions=True
    )
    refused = [a for a in answers if isinstance(a, PlatewardError)]
    assert len(refused) == 4
    assert {r.reason for r in refused} == {errors_pb2.ERROR_REASON_OVERLOADED}
    assert all(r.retry_after for r in refused)
    assert (await served.servicer.Recognize(request, None)).plates


async def test_models_are_named(served: Served, loaded: Loaded) -> None:
    answer = await served.stub.GetModels(recognizer_pb2.GetModelsRequest())
    assert answer == loaded.models
    assert [m.name for m in answer.models] == ["detector", "reader", "vehicles", "state", "colour"]
    assert all(len(m.sha256) == 64 for m in answer.models)


def requests(frames: list[Frame], *, end: bool) -> list[recognizer_pb2.RecognizeStreamRequest]:
    made = []
    for frame in frames:
        made.append(
            recognizer_pb2.RecognizeStreamRequest(camera_id="cam-1", frame=frame.number, image=frame.image)
        )
        made[-1].captured_at.FromDatetime(frame.at)
    if end:
        made.append(
            recognizer_pb2.RecognizeStreamRequest(
                camera_id="cam-1", frame=frames[-1].number, end_of_stream=True
            )
        )
        made[-1].captured_at.FromDatetime(frames[-1].at)
    return made


@pytest.mark.req("R-REC-4")
async def test_every_frame_is_acknowledged_or_counted_as_dropped(served: Served, frames: list[Frame]) -> None:
    part = frames[:14]
    answers = [a async for a in served.stub.RecognizeStream(iter(requests(part, end=True)))]
    acknowledged = [a for a in answers if not a.HasField("sighting")]
    assert len(acknowledged) + answers[-1].dropped == len(part) + 1
    assert answers[-1].settled_through == part[-1].number
    assert [a.sighting.plate.text for a in answers if a.HasField("sighting")] == ["7KXR482"]


async def test_a_drain_ends_the_stream_and_reports_no_open_pass(served: Served, frames: list[Frame]) -> None:
    call = served.stub.RecognizeStream()
    for request in requests(frames[:8], end=False):
        await call.write(request)
        await call.read()
    served.draining.set()
    answers = []
    while (answer := await call.read()) is not grpc.aio.EOF:
        answers.append(answer)
    assert not any(a.HasField("sighting") for a in answers)
    assert await call.code() == grpc.StatusCode.OK
