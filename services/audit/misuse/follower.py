"""Follows the log and shows each look to the detectors of its agency.

Rules
-----
1. The detectors' state is what the last ``WINDOW`` of the log gives: it is rebuilt on a start and every day, so memory is bounded
   and no state has to be stored.
2. A flag's ID is derived from what it says; raising it again stores nothing. Each new flag is itself an event of the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, types_pb2
from servicekit.clock import Clock
from servicekit.crypto import UnsealError
from servicekit.ids import derived_id
from servicekit.interceptors.audit import SOFTWARE
from services.audit.looks import Look, look_of
from services.audit.misuse.flags import Flag
from services.audit.misuse.panel import Panel, detectors
from services.audit.misuse.store import FlagStore
from services.audit.model import SealedEntryError, Sealer
from services.audit.store import Payload

_LOG = structlog.get_logger(__name__)
WINDOW = timedelta(days=120)
_REBUILD = timedelta(days=1)
_POLL_S = 1.0
Append = Callable[[event_pb2.AuditEvent], Awaitable[object]]


class Follower:
    """Feeds the detectors."""

    def __init__(self, store: FlagStore, sealer: Sealer, append: Append, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._append = append
        self._clock = clock
        self._panels: dict[str, Panel] = {}
        self._after = -1
        self._told = -1
        self._stale = False

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            started = self._clock.now()
            self._panels.clear()
            self._after, self._stale = -1, False
            while not self._stale and self._clock.now() - started < _REBUILD:
                if not await self.step(started - WINDOW):
                    await asyncio.sleep(_POLL_S)

    async def step(self, since: datetime) -> int:
        """Take the next looks; return how many there were."""
        rows = await self._store.looks_after(self._after, since)
        for look in await asyncio.to_thread(self._opened, rows):
            for flag in (await self._panel(look.agency_id)).see(look):
                # What was followed before is only shown again to rebuild the state.
                if look.index > self._told:
                    await self._raise(flag)
        if rows:
            self._after = rows[-1].index
            self._told = max(self._told, self._after)
        return len(rows)

    def _opened(self, rows: list[Payload]) -> list[Look]:
        looks = []
        for row in rows:
            try:
                looks.append(look_of(row.index, self._sealer.open(row.entry, row.sealed, row.wrapped_key)))
            except (SealedEntryError, UnsealError):
                _LOG.warning("look_unreadable", index=row.index)
        return looks

    async def _panel(self, agency_id: str) -> Panel:
        if agency_id not in self._panels:
            protected = await self._store.protected(agency_id)
            self._panels[agency_id] = Panel(
                detectors(protected, lambda plate: self._sealer.term("plate", plate))
            )
        return self._panels[agency_id]

    def rebuild(self) -> None:
        """Begin again from the window: the protected plates have changed."""
        self._stale = True

    async def _raise(self, flag: Flag) -> None:
        flag_id = derived_id(flag.at, flag.detector, flag.agency_id, flag.member_id, flag.subject)
        if not await self._store.add(flag_id, flag):
            return
        event = event_pb2.AuditEvent(
            event_id=derived_id(flag.at, "flag", flag_id), phase=event_pb2.PHASE_SYSTEM, service="audit", software=SOFTWARE,
            action=action_pb2.ACTION_CONDUCT_AUDIT, owner_agency_id=flag.agency_id, subject=types_pb2.Subject(agency_id=flag.agency_id),
            change=event_pb2.Change(kind="flag", target=flag_id, summary=f"{flag.detector}: {flag.explanation}"[:1024]),
        )  # fmt: skip
        event.occurred_at.FromDatetime(self._clock.now())
        await self._append(event)
