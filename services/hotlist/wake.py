"""Wakes the streams of this process when hits were raised by any replica."""

from __future__ import annotations

import asyncio

from psycopg import AsyncConnection, sql

from servicekit.database import UNAVAILABLE

CHANNEL = "hits_raised"
_RETRY_S = 1.0


class Waker:
    """An event that notifications set; a lost notification costs its waiters one poll interval."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._raised = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is made anew."""
        while True:
            try:
                async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                    self.wake()
                    async for _ in connection.notifies():
                        self.wake()
            except UNAVAILABLE:
                await asyncio.sleep(_RETRY_S)

    def wake(self) -> None:
        """Wake everyone who waits now."""
        self._raised.set()
        self._raised = asyncio.Event()

    @property
    def moment(self) -> asyncio.Event:
        """The event that the next wake-up sets. Take it before looking, wait on it after."""
        return self._raised
