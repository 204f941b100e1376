"""Follows the log and shows each look to the detectors of its agency.

Rules
-----
1. The detectors' state is what the last ``WINDOW`` of the log gives: it is rebuilt on a start and every day, so memory is bounded
   and no state has to be stored. How far looks were judged is stored: a rebuild does not tell again what was told.
2. A flag's ID is derived from what it says, under a key; raising it again stores nothing. Each new flag is itself an event of the log.
3. The detectors work in a thread: appends do not wait for them. When the database is away, the follower waits and goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import structlog

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, types_pb2
from servicekit.clock import Clock
from servicekit.crypto import UnsealError
from servicekit.database import UNAVAILABLE
from servicekit.errors import PlatewardError
from servicekit.ids import derived_id
from servicekit.interceptors.audit import SOFTWARE
from services.audit.looks import Look, look_of
from services.audit.misuse.flags import Flag
from services.audit.misuse.panel import Panel
from services.audit.misuse.store import FlagStore
from services.audit.misuse.thresholds import DEFAULT, Thresholds
from services.audit.model import SealedEntryError, Sealer
from services.audit.store import Payload

_LOG = structlog.get_logger(__name__)
WINDOW = timedelta(days=120)
_REBUILD = timedelta(days=1)
_POLL_S = 1.0
_RETRY_S = 2.0
_NOTE_EVERY = 2000
Append = Callable[[event_pb2.AuditEvent], Awaitable[object]]


class Follower:
    """Feeds the detectors."""

    def __init__(
        self, store: FlagStore, sealer: Sealer, append: Append, clock: Clock, limits: Thresholds = DEFAULT
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._append = append
        self._clock = clock
        self.limits = limits
        self._panels: dict[str, Panel] = {}
        self._after = -1
        self._told: int | None = None
        self._noted = -1
        self._stale = False

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            started = self._clock.now()
            self._begin()
            try:
                while not self._stale and self._clock.now() - started < _REBUILD:
                    if not await self.step(started - WINDOW):
                        await asyncio.sleep(_POLL_S)
            except (*UNAVAILABLE, PlatewardError) as error:
                # What was seen and not yet told is seen again: begin anew.
                _LOG.warning("misuse_waits", error=type(error).__name__)
                await asyncio.sleep(_RETRY_S)

    async def step(self, since: datetime) -> int:
        """Take the next looks; return how many there were."""
        if self._told is None:
            self._told = self._noted = await self._store.position()
        rows = await self._store.looks_after(self._after, since)
        if not rows:
            return 0
        looks = await asyncio.to_thread(self._opened, rows)
        for agency_id in {look.agency_id for look in looks} - self._panels.keys():
            self._panels[agency_id] = await self._new_panel(agency_id)
        found = await asyncio.to_thread(self._flags, looks)
        # What was judged before is only shown again to rebuild the state.
        for flag in [flag for index, flag in found if index > self._told]:
            await self._raise(flag)
        self._after = rows[-1].index
        if self._after > self._told:
            self._told = self._after
            if found or self._told - self._noted >= _NOTE_EVERY:
                await self._store.note_position(self._told)
                self._noted = self._told
        return len(rows)

    def rebuild(self) -> None:
        """Begin again from the window: the protected plates have changed."""
        self._stale = True

    def _begin(self) -> None:
        self._panels.clear()
        self._after, self._stale = -1, False

    def _opened(self, rows: Sequence[Payload]) -> list[Look]:
        looks = []
        for row in rows:
            try:
                looks.append(look_of(row.index, self._sealer.open(row.entry, row.sealed, row.wrapped_key)))
            except (SealedEntryError, UnsealError):
                _LOG.warning("look_unreadable", index=row.index)
        return looks

    def _flags(self, looks: Sequence[Look]) -> list[tuple[int, Flag]]:
        return [(look.index, flag) for look in looks for flag in self._panels[look.agency_id].see(look)]

    async def _new_panel(self, agency_id: str) -> Panel:
        return Panel(
            self.limits,
            protected=await self._store.protected(agency_id),
            digest=lambda plate: self._sealer.term("plate", plate),
        )

    async def _raise(self, flag: Flag) -> None:
        flag_id = self._store.flag_id(flag)
        event = event_pb2.AuditEvent(
            event_id=derived_id(flag.at, "flag", flag_id), phase=event_pb2.PHASE_SYSTEM, service="audit", software=SOFTWARE,
            action=action_pb2.ACTION_CONDUCT_AUDIT, owner_agency_id=flag.agency_id, subject=types_pb2.Subject(agency_id=flag.agency_id),
            change=event_pb2.Change(kind="flag", target=flag_id, summary=f"{flag.detector}: {flag.explanation}"[:1024]),
        )  # fmt: skip
        # The look's own time: the same flag is the same event, so that a crash in between leaves one of each.
        event.occurred_at.FromDatetime(flag.at)
        await self._append(event)
        await self._store.add(flag_id, flag)
