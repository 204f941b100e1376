"""Turns: no camera waits behind another's backlog, what does not fit is refused, and who goes away leaves nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial

import pytest

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError, to_status
from services.recognizer.workers import Workers


class Gate:
    """Holds the only thread until it is opened, then notes who worked in which order."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.order: list[str] = []

    def hold(self) -> None:
        self.open.wait(10)

    def note(self, name: str) -> None:
        self.order.append(name)


@pytest.fixture
async def one() -> AsyncIterator[Workers]:
    workers = Workers(1, 2)
    yield workers
    workers.close()


@pytest.mark.req("R-REC-5")
async def test_lanes_take_turns(one: Workers) -> None:
    gate = Gate()
    tasks = [asyncio.create_task(one.run(gate.hold, "cam-0"))]
    await asyncio.sleep(0)
    # Camera 1 has a backlog of six before camera 2 and a single picture come.
    for name, count in (("cam-1", 6), ("cam-2", 3), ("", 2)):
        tasks += [asyncio.create_task(one.run(partial(gate.note, name), name)) for _ in range(count)]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(*tasks)
    assert gate.order[:6] == ["cam-1", "cam-2", ""] * 2
    assert gate.order[6:] == ["cam-1", "cam-2", "cam-1", "cam-1", "cam-1"]


async def test_single_pictures_beyond_the_bound_are_refused_with_a_delay(one: Workers) -> None:
    gate = Gate()
    tasks = [asyncio.create_task(one.run_if_room(gate.hold)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(PlatewardError) as refused:
        await one.run_if_room(gate.hold)
    assert refused.value.reason == errors_pb2.ERROR_REASON_OVERLOADED
    assert [d.type_url.rpartition(".")[2] for d in to_status(refused.value, "r").details] == [
        "ErrorInfo", "RetryInfo",
    ]  # fmt: skip
    # A camera is not refused for it: its frames wait in its own queue.
    camera = asyncio.create_task(one.run(lambda: 7, "cam-1"))
    gate.open.set()
    await asyncio.gather(*tasks)
    assert await camera == 7
    assert await one.run_if_room(lambda: 8) == 8


async def test_who_goes_away_leaves_nothing_in_the_lane(one: Workers) -> None:
    gate = Gate()
    first = asyncio.create_task(one.run(gate.hold))
    await asyncio.sleep(0)
    for _ in range(50):
        gone = asyncio.create_task(one.run_if_room(partial(gate.note, "gone")))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
    assert not one._lanes
    gate.open.set()
    await first
    assert gate.order == []


async def test_a_fault_is_its_own_callers(one: Workers) -> None:
    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await one.run(fails)
    assert await one.run(lambda: 1) == 1
