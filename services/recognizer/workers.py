"""CPU work in threads, in turns and bounded: no camera waits behind another's backlog, and nothing queues without end.

Rules
-----
1. Work stands in lanes: one for each camera, one for single pictures. A free thread takes the first work of the lane whose
   turn it is; then that lane goes to the end.
2. Single pictures beyond what may wait are refused at once with a time to come back, which follows from how long work
   takes here. Frames of cameras wait in their streams' own bounded queues.
3. Whoever goes away before its work has begun takes it out of the lane; a thread that is at work ends it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError

_T = TypeVar("_T")
_FIRST_GUESS_S, _WEIGHT = (
    0.05,
    0.1,
)  # seconds of work before any was measured; of the newest in the running mean
_RETRY_LEAST_S, _RETRY_MOST_S = 0.1, 10.0
SINGLE = ""  # lane of single pictures; no camera is called so


@dataclass(slots=True, eq=False)
class _Waiting:
    work: Callable[[], Any]
    result: asyncio.Future[Any]


class Workers:
    """Threads that recognise. ONNX Runtime, OpenCV and Pillow release the interpreter while they work."""

    def __init__(self, count: int, waiting_most: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="recognise")
        self._count, self._most = count, count + waiting_most
        self._lanes: dict[str, deque[_Waiting]] = {}  # in the order of their turns
        self._running = 0
        self._singles = 0
        self._mean_s = _FIRST_GUESS_S

    async def run(self, work: Callable[[], _T], lane: str = SINGLE) -> _T:
        """Run work in a thread when it is the lane's turn, and return its result."""
        waiting = _Waiting(work, asyncio.get_running_loop().create_future())
        self._lanes.setdefault(lane, deque()).append(waiting)
        self._next()
        try:
            result: _T = await waiting.result
        except asyncio.CancelledError:
            self._withdraw(lane, waiting)
            raise
        return result

    async def run_if_room(self, work: Callable[[], _T]) -> _T:
        """Run the work of a single picture, when not too much waits already.

        Raises:
            PlatewardError: OVERLOADED.
        """
        if self._singles >= self._most:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_OVERLOADED,
                "too many pictures wait: send this one again after the delay given",
                retry_after=min(
                    _RETRY_MOST_S, max(_RETRY_LEAST_S, self._singles * self._mean_s / self._count)
                ),
            )
        self._singles += 1
        try:
            return await self.run(work)
        finally:
            self._singles -= 1

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        for lane in self._lanes.values():
            for waiting in lane:
                waiting.result.cancel()
        self._lanes.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _next(self) -> None:
        """Give free threads the work whose turn it is."""
        while self._running < self._count and self._lanes:
            name = next(iter(self._lanes))
            lane = self._lanes.pop(name)
            waiting = lane.popleft()
            if lane:
                self._lanes[name] = lane
            self._running += 1
            begun = perf_counter()
            done = asyncio.get_running_loop().run_in_executor(self._pool, waiting.work)
            done.add_done_callback(partial(self._settle, waiting, begun))

    def _withdraw(self, name: str, waiting: _Waiting) -> None:
        lane = self._lanes.get(name)
        if lane is not None and waiting in lane:
            lane.remove(waiting)
            if not lane:
                del self._lanes[name]

    def _settle(self, waiting: _Waiting, begun: float, done: asyncio.Future[Any]) -> None:
        self._running -= 1
        self._mean_s += _WEIGHT * (perf_counter() - begun - self._mean_s)
        fault = None if done.cancelled() else done.exception()
        if not waiting.result.done():
            if done.cancelled():
                waiting.result.cancel()
            elif fault is not None:
                waiting.result.set_exception(fault)
            else:
                waiting.result.set_result(done.result())
        self._next()
