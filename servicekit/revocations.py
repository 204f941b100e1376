"""Long answers end when what allowed them no longer holds: within a second, also when nobody can say whether it does.

Rules
-----
1. A stream that policy decided on is doubted when `access` says that something of its member, agency or policy has changed;
   when `access` has been silent for ``SILENCE_S``; and again every ``SILENCE_S`` while it stays silent.
2. A doubted stream is decided on anew before anything more leaves. It ends when it is refused, when nobody decides, and when
   its bounds have become others: the client comes back and goes on within the new ones.
3. A stream ends with the token that opened it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar

import grpc

from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.common.v1 import decision_pb2, errors_pb2, types_pb2
from servicekit.clock import Clock
from servicekit.errors import PlatewardError

SILENCE_S = 0.7
_RETRY_S = 0.1
_BEAT = "beat"
_EVERYONE = frozenset({"all", "policy"})
_A = TypeVar("_A")


class RevocationWatch:
    """Listens to `access` and puts streams in doubt."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = access_pb2_grpc.AccessServiceStub(channel)
        self._doubts: dict[asyncio.Event, types_pb2.Subject] = {}
        self.heard = 0

    @contextmanager
    def doubt(self, subject: types_pb2.Subject, since: int) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever what a subject was allowed is in doubt.

        ``since`` is ``heard`` from before the decision: what was said between the two is not missed.
        """
        event = asyncio.Event()
        if self.heard != since:
            event.set()
        self._doubts[event] = subject
        try:
            yield event
        finally:
            del self._doubts[event]

    async def run(self) -> None:
        """Listen until cancelled; while `access` is silent, everything is in doubt."""
        while True:
            call = self._stub.WatchRevocations(access_pb2.WatchRevocationsRequest())
            with suppress(grpc.aio.AioRpcError, TimeoutError):
                while True:
                    said: Any = await asyncio.wait_for(call.read(), SILENCE_S)
                    if said is grpc.aio.EOF:
                        break
                    self._heard(said)
            call.cancel()
            self._doubt_all()
            await asyncio.sleep(_RETRY_S)

    def _heard(self, said: access_pb2.WatchRevocationsResponse) -> None:
        if said.kind == _BEAT:
            return
        self.heard += 1
        for event, subject in self._doubts.items():
            if concerns(said, subject):
                event.set()

    def _doubt_all(self) -> None:
        self.heard += 1
        for event in self._doubts:
            event.set()


def concerns(said: access_pb2.WatchRevocationsResponse, subject: types_pb2.Subject) -> bool:
    """Return whether what no longer holds may have allowed a subject something."""
    if said.kind in _EVERYONE or not said.agency_id:
        return True
    if said.agency_id != subject.agency_id:
        return False
    return said.kind != "member" or said.id == subject.member_id


async def while_allowed(
    answers: AsyncIterator[_A],
    doubt: asyncio.Event,
    decide_again: Callable[[], Awaitable[None]],
    valid_until: datetime | None,
    clock: Clock,
) -> AsyncGenerator[_A, None]:
    """Yield answers for as long as rules 1 to 3 let them; ``decide_again`` raises when they no longer do.

    Raises:
        PlatewardError: what ``decide_again`` raises; TOKEN_EXPIRED by rule 3.
    """
    coming: asyncio.Future[_A] | None = None
    doubted = asyncio.ensure_future(doubt.wait())
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(answers))
            left = None if valid_until is None else (valid_until - clock.now()).total_seconds()
            if not coming.done() and not doubted.done():
                either: set[asyncio.Future[Any]] = {coming, doubted}
                await asyncio.wait(
                    either,
                    timeout=None if left is None else max(left, 0.0),
                    return_when=asyncio.FIRST_COMPLETED,
                )
            if left is not None and valid_until is not None and clock.now() >= valid_until:
                raise PlatewardError(
                    errors_pb2.ERROR_REASON_TOKEN_EXPIRED, "the token has expired: sign in again to go on"
                )
            if doubt.is_set():
                doubt.clear()
                doubted = asyncio.ensure_future(doubt.wait())
                await decide_again()
            if coming.done():
                try:
                    answer = coming.result()
                except StopAsyncIteration:
                    return
                coming = None
                yield answer
    finally:
        doubted.cancel()
        if coming is not None:
            coming.cancel()
            # What it still held is nobody's any more, a fault too.
            await asyncio.gather(coming, return_exceptions=True)


def same_bounds(first: decision_pb2.Decision | None, second: decision_pb2.Decision) -> bool:
    """Return whether two decisions bound alike. How far back they reach moves with the clock, and narrows nothing to come."""
    bare = []
    for decision in (first or decision_pb2.Decision(), second):
        bounds = decision_pb2.Obligations()
        bounds.CopyFrom(decision.obligations)
        bounds.ClearField("not_before")
        for scope in bounds.scopes:
            scope.ClearField("not_before")
        bare.append(bounds.SerializeToString(deterministic=True))
    return bare[0] == bare[1]


def bounds_changed() -> PlatewardError:
    """Return the end of a stream whose bounds have become others."""
    return PlatewardError(
        errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE,
        "what you may see has changed since this began: connect again to go on within the new bounds",
        retry_after=0.1,
    )
