"""Waking whoever follows a table: PostgreSQL's NOTIFY, and the wait that goes with it.

A notification only wakes; what is there is read from the table. A lost one costs its waiters one poll interval.
"""

from __future__ import annotations

import asyncio

from psycopg import AsyncConnection, sql

from servicekit.database import UNAVAILABLE

_RETRY_S = 1.0


class Waker:
    """Wakes the followers of this process when any replica has notified a channel."""

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = channel
        self._notified = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is made anew, and followers poll meanwhile."""
        while True:
            try:
                async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
                    self.wake()
                    async for _ in connection.notifies():
                        self.wake()
            except UNAVAILABLE:
                await asyncio.sleep(_RETRY_S)

    def wake(self) -> None:
        """Wake everyone who waits now."""
        self._notified.set()
        self._notified = asyncio.Event()

    @property
    def moment(self) -> asyncio.Event:
        """The event that the next wake-up sets. Take it before looking, wait on it after."""
        return self._notified


async def wait_for_either(
    first: asyncio.Event, second: asyncio.Event, timeout_s: float | None = None
) -> None:
    """Return when one of two events is set, or when the time is over."""
    waits = [asyncio.ensure_future(first.wait()), asyncio.ensure_future(second.wait())]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
