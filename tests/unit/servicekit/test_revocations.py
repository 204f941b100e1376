"""Long answers: they go on while they are allowed, and nothing leaves after they no longer are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from plateward.access.v1 import access_pb2
from plateward.common.v1 import decision_pb2, types_pb2
from plateward.common.v1 import errors_pb2 as e
from servicekit.clock import Clock
from servicekit.errors import PlatewardError
from servicekit.revocations import concerns, same_bounds, while_allowed

REVOKED = PlatewardError(e.ERROR_REASON_DENIED_BY_POLICY, "no longer")
SUBJECT = types_pb2.Subject(agency_id="galt-pd", member_id="galt-1")


class Source:
    """Answers that come when they are let go, and a note of how they ended."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int] = asyncio.Queue()
        self.closed = False

    async def answers(self) -> AsyncGenerator[int, None]:
        try:
            while (number := await self.queue.get()) >= 0:
                yield number
        finally:
            self.closed = True


async def allowed() -> None:
    """Policy still allows it."""


async def refused() -> None:
    raise REVOKED


@pytest.mark.req("R-SHR-1")
async def test_what_is_still_allowed_goes_on_after_a_doubt() -> None:
    source, doubt = Source(), asyncio.Event()
    async with aclosing(while_allowed(source.answers(), doubt, allowed, None, Clock())) as stream:
        source.queue.put_nowait(1)
        assert await anext(stream) == 1
        doubt.set()
        source.queue.put_nowait(2)
        assert await anext(stream) == 2
        assert not doubt.is_set()
        source.queue.put_nowait(-1)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@pytest.mark.req("R-SHR-1")
async def test_an_answer_that_is_ready_does_not_leave_after_the_revocation() -> None:
    source, doubt = Source(), asyncio.Event()
    async with (
        aclosing(source.answers()) as answers,
        aclosing(while_allowed(answers, doubt, refused, None, Clock())) as stream,
    ):
        source.queue.put_nowait(1)
        assert await anext(stream) == 1
        source.queue.put_nowait(2)
        doubt.set()
        with pytest.raises(PlatewardError, match="no longer"):
            await anext(stream)
    assert source.closed


async def test_a_doubt_while_nothing_comes_ends_it_too() -> None:
    source, doubt = Source(), asyncio.Event()
    async with aclosing(while_allowed(source.answers(), doubt, refused, None, Clock())) as stream:
        asyncio.get_running_loop().call_later(0.05, doubt.set)
        async with asyncio.timeout(2):
            with pytest.raises(PlatewardError, match="no longer"):
                await anext(stream)


@pytest.mark.req("R-ACC-5")
async def test_it_ends_with_its_token() -> None:
    source = Source()
    until = datetime.now(UTC) + timedelta(seconds=0.2)
    async with aclosing(while_allowed(source.answers(), asyncio.Event(), allowed, until, Clock())) as stream:
        source.queue.put_nowait(1)
        assert await anext(stream) == 1
        async with asyncio.timeout(2):
            with pytest.raises(PlatewardError) as caught:
                await anext(stream)
    assert caught.value.reason == e.ERROR_REASON_TOKEN_EXPIRED


async def test_a_caller_who_leaves_takes_the_answers_along() -> None:
    source = Source()
    async with aclosing(while_allowed(source.answers(), asyncio.Event(), allowed, None, Clock())) as stream:
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert source.closed


@pytest.mark.parametrize(
    ("kind", "agency", "target", "expected"),
    [
        ("all", "", "", True),
        ("policy", "elk-grove-pd", "9f2c", True),
        ("agreement", "galt-pd", "0199", True),
        ("agreement", "lodi-pd", "0199", False),
        ("agency", "galt-pd", "galt-pd", True),
        ("member", "galt-pd", "galt-1", True),
        ("member", "galt-pd", "galt-2", False),
        ("member", "elk-grove-pd", "galt-1", False),
        ("something new", "", "", True),
    ],
)
def test_whom_a_word_concerns(kind: str, agency: str, target: str, expected: bool) -> None:
    said = access_pb2.WatchRevocationsResponse(kind=kind, id=target, agency_id=agency)
    assert concerns(said, SUBJECT) is expected


def test_bounds_are_compared_without_the_moving_start() -> None:
    first, second = (
        decision_pb2.Decision(obligations=decision_pb2.Obligations(agency_ids=["a"])) for _ in range(2)
    )
    first.obligations.not_before.seconds, second.obligations.not_before.seconds = 1, 2
    assert same_bounds(first, second)
    second.obligations.camera_ids.append("cam-1")
    assert not same_bounds(first, second)
    assert not same_bounds(None, second)
