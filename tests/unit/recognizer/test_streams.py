"""Messages into frames: what ends a stream, what is dropped, and that nothing waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from plateward.common.v1 import errors_pb2
from plateward.recognizer.v1 import recognizer_pb2
from servicekit.errors import PlatewardError
from services.recognizer.session import Frame
from services.recognizer.streams import End, Intake

Request = recognizer_pb2.RecognizeStreamRequest


def message(
    frame: int, *, camera: str = "cam-1", seconds: int | None = None, image: bytes = b"x", end: bool = False
) -> Request:
    request = Request(camera_id=camera, frame=frame, image=image, end_of_stream=end)
    request.captured_at.seconds = 1_764_000_000 + frame if seconds is None else seconds
    return request


async def given(messages: Sequence[Request], *, then_wait: bool = False) -> AsyncIterator[Request]:
    for each in messages:
        yield each
    if then_wait:
        await asyncio.sleep(3600)


def intake(
    messages: AsyncIterator[Request], *, most: int = 4, idle_s: float = 5, image_most: int = 100
) -> Intake:
    return Intake(messages, most=most, image_most=image_most, idle_s=idle_s)


async def taken(messages: Sequence[Request], **limits: int) -> tuple[list[Frame | End], int]:
    """Let everything arrive before anything is taken."""
    one, draining = intake(given(messages), **limits), asyncio.Event()
    assert await one.open() == messages[0].camera_id
    await one.run()
    items = []
    while (item := await one.next(draining)) is not None:
        items.append(item)
    return items, one.dropped


async def refused(messages: Sequence[Request], **limits: int) -> errors_pb2.ErrorReason.ValueType:
    with pytest.raises(PlatewardError) as error:
        await taken(messages, **limits)
    return error.value.reason


async def test_frames_and_the_end_come_in_order() -> None:
    items, dropped = await taken([message(1), message(2), message(2, end=True)])
    assert [type(i) for i in items] == [Frame, Frame, End]
    assert dropped == 0


async def test_a_full_queue_drops_the_oldest_and_counts() -> None:
    items, dropped = await taken([*(message(n) for n in range(1, 11)), message(10, end=True)], most=4)
    assert [i.number for i in items] == [7, 8, 9, 10, 10]
    assert dropped == 6


async def test_large_frames_are_bounded_by_their_bytes_and_the_newest_stays() -> None:
    large = [message(n, image=b"x" * 90) for n in range(1, 9)]
    items, dropped = await taken(large, most=16, image_most=100)
    assert [i.number for i in items] == [7, 8]
    assert dropped == 6


async def test_a_stream_without_a_message_is_refused() -> None:
    with pytest.raises(PlatewardError, match="names the camera"):
        await intake(given([])).open()


async def test_rules_of_a_stream() -> None:
    assert await refused([message(1), message(2, camera="cam-2")]) == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
    assert (
        await refused([message(2, seconds=7), message(1, seconds=8)])
        == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
    )
    assert await refused([message(1), message(2, seconds=5)]) == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
    assert (
        await refused([message(1), message(2, image=b"x" * 101)]) == errors_pb2.ERROR_REASON_IMAGE_TOO_LARGE
    )
    assert await refused([message(1), message(2, seconds=2**62)]) == errors_pb2.ERROR_REASON_TIME_OUT_OF_RANGE


async def test_what_came_before_a_fault_is_still_given() -> None:
    messages = [message(1), message(2), message(3, camera="cam-2")]
    one, draining = intake(given(messages)), asyncio.Event()
    await one.open()
    await one.run()
    assert [(await one.next(draining)).number for _ in range(2)] == [1, 2]
    with pytest.raises(PlatewardError):
        await one.next(draining)


async def test_late_and_repeated_frames_are_dropped_with_the_count_and_the_stream_goes_on() -> None:
    late = [message(3), message(5), message(4), message(5), message(6, seconds=1_764_000_004), message(7)]
    items, dropped = await taken([*late, message(7, end=True)], most=9)
    assert [(type(i), i.number) for i in items] == [(Frame, 3), (Frame, 5), (Frame, 7), (End, 7)]
    assert dropped == 3


async def test_gaps_between_frames_are_no_fault() -> None:
    items, dropped = await taken([message(1), message(900), message(70_000)])
    assert [i.number for i in items] == [1, 900, 70_000]
    assert dropped == 0


async def test_a_silent_camera_is_let_go() -> None:
    one = intake(given([message(1)], then_wait=True), idle_s=0.05)
    await one.open()
    running = asyncio.create_task(one.run())
    assert (await one.next(asyncio.Event())).number == 1
    with pytest.raises(PlatewardError, match="no frame came") as error:
        await one.next(asyncio.Event())
    assert error.value.reason == errors_pb2.ERROR_REASON_DEADLINE_EXCEEDED
    await running


async def test_the_end_of_the_service_ends_the_wait() -> None:
    one, draining = intake(given([message(1)], then_wait=True)), asyncio.Event()
    await one.open()
    running = asyncio.create_task(one.run())
    assert (await one.next(draining)).number == 1
    waiting = asyncio.create_task(one.next(draining))
    await asyncio.sleep(0)
    draining.set()
    assert await waiting is None
    running.cancel()
