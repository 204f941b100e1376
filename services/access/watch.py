"""Telling who listens that something no longer holds: revoked by word, or ended by time.

Rules
-----
1. What was announced in a transaction (``announce.py``) is told when that is committed, on every replica (NOTIFY).
2. What ends by time (agreements, training) is looked for every ``TICK_S``: no commit tells of it. So is the policy that
   decides here: its commit comes before the engine has taken it up, and who asked again then would be told by the old one.
3. A watcher gets a beat at least every ``BEAT_S`` while this process hears the database, and none while it does not: silence
   means that a revocation may go unheard, and who waits must ask again.
4. A watcher that falls behind, and one that has just come, is told to look again at everything.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime

from psycopg import AsyncConnection, Notify, sql
from psycopg.rows import DictRow, dict_row

from plateward.access.v1 import access_pb2
from servicekit.clock import Clock
from servicekit.database import UNAVAILABLE
from services.access.announce import CHANNEL

TICK_S = 0.25
BEAT_S = 0.25
_RETRY_S = 0.5
_MOST_WAITING = 1000
_ALL = "all"
_ENDED = """
SELECT 'agreement' AS kind, agreement_id::text AS id, partner_agency_id AS agency_id FROM agreements
WHERE state = 'AGREEMENT_STATE_ACTIVE' AND expires_at > %(from)s AND expires_at <= %(to)s
UNION ALL
SELECT 'member', member_id, agency_id FROM members
WHERE training_expires_at > %(from)s AND training_expires_at <= %(to)s
"""
_Queue = asyncio.Queue[access_pb2.WatchRevocationsResponse]


class Revocations:
    """Hears the database and tells the watchers of this process."""

    def __init__(
        self, url: str, clock: Clock, draining: asyncio.Event, version: Callable[[], str] = lambda: ""
    ) -> None:
        self._url = url
        self._clock = clock
        self._draining = draining
        self._version = version
        self._told_version = ""
        self.policy_moved = asyncio.Event()
        self._watchers: set[_Queue] = set()
        self._hears = False

    async def run(self) -> None:
        """Hear until cancelled; a lost connection is made anew."""
        while True:
            try:
                async with await AsyncConnection[DictRow].connect(
                    self._url, autocommit=True, row_factory=dict_row, connect_timeout=2
                ) as connection:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                    await self._hear(connection)
            except (*UNAVAILABLE, TimeoutError):
                self._hears = False
                await asyncio.sleep(_RETRY_S)

    async def stream(self) -> AsyncGenerator[access_pb2.WatchRevocationsResponse, None]:
        """Yield what no longer holds, and beats, for as long as the service runs."""
        queue: _Queue = asyncio.Queue(_MOST_WAITING)
        self._watchers.add(queue)
        try:
            yield self._said(_ALL)
            while not self._draining.is_set():
                try:
                    yield await asyncio.wait_for(queue.get(), BEAT_S)
                except TimeoutError:
                    if self._hears:
                        yield self._said("beat")
        finally:
            self._watchers.discard(queue)

    async def _hear(self, connection: AsyncConnection[DictRow]) -> None:
        seen_to, self._told_version = self._clock.now(), self._version()
        self._hears = True
        # Whatever was said while nobody heard it.
        self._tell(self._said(_ALL))
        while True:
            async with aclosing(connection.notifies(timeout=TICK_S)) as notifications:
                async for notification in notifications:
                    said = self._heard(notification)
                    if said.kind == "policy":
                        self.policy_moved.set()
                    else:
                        self._tell(said)
            self._tell_policy()
            # Also shows that the connection lives.
            async with asyncio.timeout(TICK_S * 3):
                seen_to = await self._ended(connection, seen_to)

    def _tell_policy(self) -> None:
        if (version := self._version()) != self._told_version:
            self._told_version = version
            self._tell(self._said("policy", version))

    async def _ended(self, connection: AsyncConnection[DictRow], since: datetime) -> datetime:
        now = self._clock.now()
        found = await connection.execute(_ENDED, {"from": since, "to": now})
        for row in await found.fetchall():
            self._tell(self._said(row["kind"], row["id"], row["agency_id"]))
        return now

    def _heard(self, notification: Notify) -> access_pb2.WatchRevocationsResponse:
        try:
            told = json.loads(notification.payload)
            return self._said(str(told["kind"]), str(told["id"]), str(told["agency_id"]))
        except (ValueError, KeyError, TypeError):
            return self._said(_ALL)

    def _said(self, kind: str, target: str = "", agency_id: str = "") -> access_pb2.WatchRevocationsResponse:
        said = access_pb2.WatchRevocationsResponse(kind=kind, id=target, agency_id=agency_id)
        said.at.FromDatetime(self._clock.now())
        return said

    def _tell(self, said: access_pb2.WatchRevocationsResponse) -> None:
        for queue in self._watchers:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(self._said(_ALL))
            else:
                queue.put_nowait(said)
