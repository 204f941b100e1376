"""The recognizer as a process over mutual TLS: bad pictures, bad frames, memory, and what it says about people: nothing."""

from __future__ import annotations

import asyncio
import io
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import cv2
import grpc
import numpy as np
import pytest
from PIL import Image

from plateward.common.v1 import errors_pb2
from plateward.recognizer.v1 import recognizer_pb2, recognizer_pb2_grpc
from scenes.clip import Clip
from servicekit.errors import parse_rpc_error
from tests.common.bad_pictures import bad_pictures, odd_pictures
from tests.common.recognizer import RunningRecognizer, recognizer

PLATE = "7KXR482"
DEADLINE_S = 10.0
ABOUT_PEOPLE = re.compile(rb"person|people|face|gender|race|driver|occupant|pedestrian", re.IGNORECASE)
Stub = recognizer_pb2_grpc.RecognizerServiceStub


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRecognizer]:
    folder = tmp_path_factory.mktemp("recognizer")
    with recognizer(folder, cores=os.sched_getaffinity(0), workers=2, stream_queue_most=4) as process:
        yield process


@pytest.fixture(scope="module")
def street() -> list[np.ndarray]:
    return list(Clip(11, fps=5, passes=[PLATE]))


@pytest.fixture(scope="module")
def photograph(street: list[np.ndarray]) -> Image.Image:
    return Image.fromarray(street[9][..., ::-1])


def jpeg(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1])


def message(frame: int, image: bytes, *, end: bool = False) -> recognizer_pb2.RecognizeStreamRequest:
    made = recognizer_pb2.RecognizeStreamRequest(
        camera_id="cam-1", frame=frame, image=image, end_of_stream=end
    )
    made.captured_at.FromDatetime(datetime(2026, 11, 23, 18, tzinfo=UTC) + timedelta(seconds=frame / 5))
    return made


@pytest.mark.req("R-REC-1")
async def test_each_bad_picture_is_refused_with_its_reason_and_the_next_one_is_read(
    running: RunningRecognizer, photograph: Image.Image, street: list[np.ndarray]
) -> None:
    good = recognizer_pb2.RecognizeRequest(image=jpeg(street[9]))
    async with running.channel() as channel:
        stub = Stub(channel)
        for name, (data, reason) in bad_pictures(photograph).items():
            begun = time.monotonic()
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.Recognize(recognizer_pb2.RecognizeRequest(image=data), timeout=DEADLINE_S)
            error = parse_rpc_error(refused.value)
            assert error is not None, name
            assert (refused.value.code(), error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason), name
            assert re.search("send|transfer|scale", str(error)), name
            assert time.monotonic() - begun < DEADLINE_S, name
            answer = await stub.Recognize(good, timeout=DEADLINE_S)
            assert PLATE in [p.text for p in answer.plates], name
    assert running.memory_mb("VmHWM") < 500


@pytest.mark.req("R-REC-1")
async def test_each_odd_picture_is_read(running: RunningRecognizer, photograph: Image.Image) -> None:
    async with running.channel() as channel:
        stub = Stub(channel)
        for name, data in odd_pictures(photograph).items():
            answer = await stub.Recognize(recognizer_pb2.RecognizeRequest(image=data), timeout=DEADLINE_S)
            assert answer.width > answer.height, name
            assert answer.vehicles, name
            if name in {"turned.jpg", "grey.jpg", "progressive.jpg", "cmyk.jpg"}:
                assert PLATE in [p.text for p in answer.plates], name


@pytest.mark.req("R-REC-3")
async def test_what_a_file_says_about_place_and_camera_goes_no_further(
    running: RunningRecognizer, photograph: Image.Image
) -> None:
    told = Image.Exif()
    told[0x010F], told[0x9286] = "CAMERA-OF-A-PERSON", "comment"
    told.get_ifd(0x8825).update({1: "N", 2: (38.0, 24.0, 31.0)})
    out = io.BytesIO()
    photograph.save(out, "JPEG", exif=told, quality=92)
    assert b"CAMERA-OF-A-PERSON" in out.getvalue()
    async with running.channel() as channel:
        request = recognizer_pb2.RecognizeRequest(image=out.getvalue(), with_crops=True)
        answer = await Stub(channel).Recognize(request, timeout=DEADLINE_S)
    assert answer.crops
    for crop in answer.crops:
        assert not Image.open(io.BytesIO(crop.jpeg)).getexif()
        assert b"Exif" not in crop.jpeg
    assert b"CAMERA-OF-A-PERSON" not in answer.SerializeToString()


@pytest.mark.req("R-REC-4")
async def test_bad_late_and_missing_frames_cost_a_camera_no_sighting(
    running: RunningRecognizer, photograph: Image.Image, street: list[np.ndarray]
) -> None:
    """Every bad picture as a frame between good ones, a late one, a gap; a read for each write, as the gateway does."""
    bad = list(bad_pictures(photograph).values())
    async with running.channel() as channel:
        call = Stub(channel).RecognizeStream()
        texts, warnings, sent, settled, dropped = [], 0, 0, 0, 0

        async def exchange(request: recognizer_pb2.RecognizeStreamRequest) -> None:
            nonlocal warnings, sent, settled, dropped
            await call.write(request)
            sent += 1
            while True:
                answer = await call.read()
                dropped = answer.dropped
                if not answer.HasField("sighting"):
                    break
                texts.append(answer.sighting.plate.text)
            warnings += bool(answer.warning)
            settled = answer.settled_through

        for index, image in enumerate(street):
            number = 3 * (index + 1)
            if index in {4, 5}:
                continue
            if index < len(bad):
                await exchange(message(number - 1, bad[index][0]))
            if index == 8:
                await call.write(message(number - 2, jpeg(image)))
                sent += 1
            await exchange(message(number, jpeg(image)))
        await exchange(message(3 * len(street), b"", end=True))
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
    assert texts == [PLATE]
    assert warnings == len([i for i in range(min(len(bad), len(street))) if i not in {4, 5}])
    assert dropped == 1
    assert settled == 3 * len(street)


@pytest.mark.req("R-REC-4")
async def test_a_camera_that_sends_too_fast_loses_the_oldest_with_a_count(
    running: RunningRecognizer, street: list[np.ndarray]
) -> None:
    async with running.channel() as channel:
        images = [jpeg(image) for image in street]
        count = 60
        call = Stub(channel).RecognizeStream(
            iter(
                [
                    *(message(n + 1, images[n % len(images)]) for n in range(count)),
                    message(count, b"", end=True),
                ]
            )
        )
        answers = [a async for a in call]
    acknowledged = sum(not a.HasField("sighting") for a in answers)
    assert answers[-1].dropped > 0
    assert acknowledged + answers[-1].dropped == count + 1
    assert answers[-1].settled_through == count


async def test_more_than_fits_is_refused_with_a_delay_while_a_camera_goes_on(
    running: RunningRecognizer, street: list[np.ndarray]
) -> None:
    async with running.channel() as channel:
        stub = Stub(channel)
        call = stub.RecognizeStream()
        request = recognizer_pb2.RecognizeRequest(image=jpeg(street[9]))
        flood = [asyncio.ensure_future(stub.Recognize(request, timeout=60)) for _ in range(120)]
        for n in range(3):
            await call.write(message(n + 1, jpeg(street[n])))
            answer = await asyncio.wait_for(call.read(), 5)
            assert answer.dropped == 0
        call.cancel()
        results = await asyncio.gather(*flood, return_exceptions=True)
    refused = [parse_rpc_error(r) for r in results if isinstance(r, grpc.aio.AioRpcError)]
    assert refused
    assert {r.reason for r in refused if r} == {errors_pb2.ERROR_REASON_OVERLOADED}
    assert all(r and r.retry_after for r in refused)
    assert sum(not isinstance(r, BaseException) for r in results) >= 30


@pytest.mark.req("R-REC-3")
async def test_a_thousand_frames_leave_nothing_behind(
    running: RunningRecognizer, street: list[np.ndarray]
) -> None:
    images = [jpeg(cv2.resize(image, (640, 360))) for image in street]
    async with running.channel() as channel:
        call = Stub(channel).RecognizeStream()
        after_warm_up = 0.0
        for n in range(1200):
            await call.write(message(n + 1, images[n % len(images)]))
            while (await call.read()).HasField("sighting"):
                pass
            if n == 200:
                after_warm_up = running.memory_mb()
        grown = running.memory_mb() - after_warm_up
        call.cancel()
    # A thousand frames have 691 MB of pixels.
    assert grown < 30


@pytest.mark.req("R-REC-2")
async def test_the_log_names_no_plate_and_no_person(running: RunningRecognizer) -> None:
    """After all of the above, bad input included."""
    log = running.process.log.read_bytes()
    assert b"serving" in log
    assert PLATE.encode() not in log
    assert not ABOUT_PEOPLE.search(log)
    assert b"Traceback" not in log
