"""Random histories of a store of reads, played on the real one: what must never happen, whatever the order of things.

A history is a list of steps of two agencies on one store: reads come in (late, early, across a change of clocks), policies change
(also for pictures by themselves), holds are placed and released between purges and *during* them, purges run, die at any statement
(by an exception in the process, or by the server ending their connection in the middle of a transaction, which is what ``kill -9``
of either leaves), and time goes on, also a little backwards. After each step the world is asked what it sees.

1. No expired read is returned. 2. No held read is lost, nor its pictures. 3. Certificates add up: what went is seen from outside
(``ledger.py``), and each certificate's count and commitment is exactly of that, reads and pictures, agency by agency.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import obstore
import psycopg

from plateward.common.v1 import types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.reads import purge_store
from services.reads.schedules import BEGINNING
from tests.common.ledger import Ledger, watch
from tests.unit.reads.builders import AGENCY, JPEG, accepted, decision, new_read, query

AGENCIES = (AGENCY, "galt-pd")
KEEPS = tuple(
    timedelta(**k) for k in ({"minutes": 3}, {"hours": 26}, {"days": 3}, {"days": 21}, {"days": 30})
)
CASE = "26-004312"
_STEPS = (
    ("ingest",) * 4
    + ("tick",) * 4
    + ("purge",) * 2
    + ("during",) * 3
    + ("cut",) * 2
    + ("hold",) * 2
    + ("release", "policy", "policy", "skew")
)
_CUTTABLE = (
    "begin", "due_days", "drop_day", "delete_expired", "delete_released", "destroy_crops", "doomed", "results", "end", "_weigh",
    "_doom", "_add", "_add_kind", "_drop_copies",
)  # fmt: skip


class KilledError(Exception):
    """The process is gone: its transaction with it."""


@dataclass
class Agency:
    """One agency's part of a history, and what the history knows of it."""

    parts: Any
    rng: Random
    agency_id: str
    call: Any
    ledger: Ledger
    seen: dict[str, datetime] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    """Reads that have expired once: they must never be seen again but under a hold."""
    held: dict[str, set[str]] = field(default_factory=dict)
    releasing: set[str] = field(default_factory=set)
    leaving: set[str] = field(default_factory=set)
    """Reads of a hold that is being released at this moment: whether another may still take them is open."""
    keep: timedelta = KEEPS[-1]
    floor: datetime = BEGINNING

    @property
    def now(self) -> datetime:
        return self.parts.clock.time

    @property
    def under_hold(self) -> set[str]:
        return set().union(*self.held.values())

    def horizon(self) -> datetime:
        return max(self.floor, self.now - self.keep)

    # ------------------------------------------------------------------ steps

    async def ingest(self) -> None:
        news = []
        for _ in range(self.rng.randint(1, 4)):
            ago = self.rng.choice((0.001, 0.5, 20, 80, 500, 700)) * self.rng.random()
            at = self.now - timedelta(hours=ago)
            if at > self.horizon():
                news.append(new_read(at=at, jpeg=JPEG if self.rng.random() < 0.6 else b""))
        rows = [accepted(new, self.now, agency=self.agency_id, keep=timedelta(days=4000)) for new in news]
        await self.parts.ingest.store(self.agency_id, rows)
        self.seen.update({str(row.row.read_id): row.row.seen_at for row in rows})

    async def policy(self, keep: timedelta | None = None) -> None:
        self.floor = max(self.floor, self.now - self.keep)
        self.keep = keep or self.rng.choice(KEEPS)
        crop = self.keep if self.rng.random() < 0.5 else min(self.keep, self.rng.choice(KEEPS))
        self.parts.access.publish(self.agency_id, read=self.keep, crop=crop)
        await self.parts.retention.schedules(self.agency_id)

    async def purge(self) -> None:
        # A run that is cut off may have issued certificates before: what counts is what was kept, not what was returned.
        await self.parts.purger.run(await self.parts.retention.schedules(self.agency_id))

    async def during(self) -> None:
        """Place and release holds while a purge runs."""

        async def later(step: Any) -> None:
            for _ in range(self.rng.randint(0, 12)):
                await asyncio.sleep(0.001)
            await step()

        steps = [self.rng.choice((self.hold, self.hold, self.release)) for _ in range(self.rng.randint(1, 3))]
        ends = await asyncio.gather(*(later(step) for step in steps), self.purge(), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def cut(self) -> None:
        """Kill a purge at a statement, and place or release a hold meanwhile and before it is resumed."""
        name, at, by_server = self.rng.choice(_CUTTABLE), self.rng.randint(0, 2), self.rng.random() < 0.5
        whole, calls = getattr(purge_store, name), iter(range(1000))

        async def killed(connection: Any, *arguments: Any, **named: Any) -> Any:
            if next(calls) == at:
                if not by_server:
                    raise KilledError
                async with self.parts.pool.connection() as other:
                    await other.execute(
                        "SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,)
                    )
            return await whole(connection, *arguments, **named)

        setattr(purge_store, name, killed)
        try:
            await self.during()
        except (KilledError, psycopg.OperationalError):
            await self.rng.choice((self.hold, self.release, self.ingest))()
        finally:
            setattr(purge_store, name, whole)

    async def hold(self) -> None:
        if not self.seen:
            return
        wanted = self.rng.sample(sorted(self.seen), min(len(self.seen), self.rng.randint(1, 2)))
        request = reads_pb2.PlaceHoldRequest(read_ids=wanted)
        request.hold.authority, request.hold.case_number = "Superior Court", CASE
        request.hold.party = reads_pb2.HOLD_PARTY_DEFENCE
        request.hold.review_at.FromDatetime(self.now + timedelta(days=90))
        can = all(self.alive(read_id) or read_id in self.under_hold for read_id in wanted)
        try:
            placed = await self.parts.holds.place(request, self.call)
        except PlatewardError:
            open_ = any(read_id in self.leaving and not self.alive(read_id) for read_id in wanted)
            assert not can or open_, "a hold on reads that are there was refused"
            return
        assert can, "a hold was placed on what has expired"
        self.held[placed.hold_id] = set(wanted)

    async def release(self) -> None:
        if can := sorted(self.held.keys() - self.releasing):
            hold_id = self.rng.choice(can)
            self.releasing.add(hold_id)
            self.leaving |= self.held[hold_id]
            await self.parts.holds.release(hold_id, "the case is over", self.call)
            del self.held[hold_id]

    # ------------------------------------------------------------------ what must be so

    def alive(self, read_id: str) -> bool:
        return read_id not in self.dead and self.seen[read_id] > self.horizon()

    async def look(self) -> None:
        """No expired read is returned, no live one is missed, and what is held is found under its case."""
        self.leaving.clear()
        horizon = self.horizon()
        self.dead |= {read_id for read_id, at in self.seen.items() if at <= horizon}
        alive = {read_id for read_id in self.seen if self.alive(read_id)}
        assert await self._found("") == alive
        assert await self._found(CASE) == alive | self.under_hold

    async def settle(self) -> None:
        """Certificates add up, and what is held has its pictures."""
        await self.purge()
        await self.look()
        await self.ledger.mark()
        await self.ledger.compare()
        async with self.parts.pool.connection() as connection:
            held = await (
                await connection.execute(
                    "SELECT read_id, plate_crop, vehicle_crop FROM held_reads WHERE agency_id = %s",
                    (self.agency_id,),
                )
            ).fetchall()
        assert self.under_hold <= {str(UUID(str(row["read_id"]))) for row in held}
        blobs = {blob["path"] for batch in obstore.list(self.parts.store) for blob in batch}
        wanted = {row[column] for row in held for column in ("plate_crop", "vehicle_crop") if row[column]}
        assert wanted <= blobs, "a held picture is lost"
        gone = len(
            {name for (_, kind), names in self.ledger.gone.items() if kind == "read" for name in names}
        )
        assert gone + len(self.ledger.last["read"]) == len(self.seen)

    async def _found(self, case: str) -> set[str]:
        start, end = self.now - timedelta(days=400), self.now + timedelta(days=400)
        request = query(start, end, "8ABC123", page=types_pb2.PageRequest(size=1000))
        request.purpose.case_number = case
        officer = types_pb2.Subject(agency_id=self.agency_id, member_id="m-1042")
        found = await self.parts.search.find(request, decision(self.agency_id), officer)
        ids = [ranked.read.read_id for ranked in found.reads]
        assert len(set(ids)) == len(ids), "a read was returned twice"
        return set(ids)


class World:
    """Two agencies on one store, with one clock."""

    def __init__(self, parts: Any, rng: Random) -> None:
        self.parts, self.rng = parts, rng
        self.agencies = [
            Agency(parts, rng, agency_id, parts.calls[agency_id], Ledger(parts.pool, agency_id))
            for agency_id in AGENCIES
        ]

    async def play(self, steps: int) -> None:
        """Play a history and look at the world after each step."""
        end = watch({agency.agency_id: agency.ledger for agency in self.agencies})
        try:
            for _ in range(steps):
                step, agency = self.rng.choice(_STEPS), self.rng.choice(self.agencies)
                await getattr(self if hasattr(self, step) else agency, step)()
                for each in self.agencies if hasattr(self, step) else (agency,):
                    await each.look()
            for agency in self.agencies:
                await agency.settle()
        finally:
            end()

    async def tick(self) -> None:
        self.parts.clock.time += timedelta(
            hours=self.rng.choice((0.02, 0.06, 1, 5, 23, 25, 24 * 8)) * self.rng.random()
        )

    async def skew(self) -> None:
        """Another replica's clock is a little behind."""
        for agency in self.agencies:
            agency.floor = max(agency.floor, agency.horizon())
            await agency.policy(agency.keep)
        self.parts.clock.time -= timedelta(seconds=self.rng.randint(1, 90))
