"""CPU work in threads, bounded: what does not fit is refused at once with a time to come back, never queued without end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError

_T = TypeVar("_T")
_RETRY_S = 0.25


class Workers:
    """Threads that recognise. ONNX Runtime and OpenCV release the interpreter while they work."""

    def __init__(self, count: int, waiting_most: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="recognise")
        self._most = count + waiting_most
        self._taken = 0

    async def run(self, work: Callable[[], _T]) -> _T:
        """Run work in a thread and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def run_if_room(self, work: Callable[[], _T]) -> _T:
        """Run work in a thread, when not too much waits already.

        Raises:
            PlatewardError: OVERLOADED.
        """
        if self._taken >= self._most:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_OVERLOADED,
                "too many pictures wait: send this one again after the delay given",
                retry_after=_RETRY_S,
            )
        self._taken += 1
        try:
            # A caller that went away leaves its thread at work; its place is free when the thread is.
            future = asyncio.get_running_loop().run_in_executor(self._pool, work)
            future.add_done_callback(self._free)
        except BaseException:
            self._taken -= 1
            raise
        return await asyncio.shield(future)

    def _free(self, future: asyncio.Future[_T]) -> None:
        self._taken -= 1
        if not future.cancelled():
            future.exception()

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)
