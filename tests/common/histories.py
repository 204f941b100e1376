"""Random histories of a store of reads, played on the real one: what must never happen, whatever the order of things.

A history is a list of steps: reads come in (late, early, across a change of clocks), policies change, holds are placed and
released, purges run, are cut off at any statement by a process that dies (its connection is killed, as ``kill -9`` would
leave it), and time goes on, also a little backwards. After each step the world is asked what it sees.

1. No expired read is returned. 2. No held read is lost, nor its picture, and none is returned twice. 3. Certificates add up: every read that ever came in is alive, waits
for its day's partition, is held, or is counted in exactly one certificate, which commits to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from plateward.common.v1 import types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.reads import purge_store
from services.reads.schedules import BEGINNING
from tests.unit.reads.builders import AGENCY, JPEG, accepted, decision, new_read, query

KEEPS = tuple(
    timedelta(**k) for k in ({"minutes": 3}, {"hours": 26}, {"days": 3}, {"days": 21}, {"days": 30})
)
OFFICER = types_pb2.Subject(agency_id=AGENCY, member_id="m-1042")
CASE = "26-004312"
_STEPS = (
    ("ingest",) * 4
    + ("tick",) * 4
    + ("purge",) * 3
    + ("cut",) * 2
    + ("hold",) * 2
    + ("release", "policy", "policy", "skew")
)
_CUTTABLE = (
    "begin", "due_days", "drop_day", "delete_expired", "destroy_crops", "delete_released", "doomed", "results", "end", "_weigh", "_doom", "_add",
    "_add_kind", "_drop_copies",
)  # fmt: skip


class KilledError(Exception):
    """The process is gone: its transaction with it."""


@dataclass
class World:
    """The store, and what the history knows of it."""

    parts: Any
    rng: Random
    seen: dict[str, datetime] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    """Reads that have expired once: they must never be seen again but under a hold."""
    held: dict[str, set[str]] = field(default_factory=dict)
    with_picture: set[str] = field(default_factory=set)
    pictured: set[str] = field(default_factory=set)
    """Held reads whose picture was alive when they were held."""
    keep: timedelta = KEEPS[-1]
    crop_keep: timedelta = KEEPS[-1]
    floor: datetime = BEGINNING
    crop_floor: datetime = BEGINNING

    @property
    def now(self) -> datetime:
        return self.parts.clock.time

    @property
    def under_hold(self) -> set[str]:
        return set().union(*self.held.values())

    def horizon(self) -> datetime:
        return max(self.floor, self.now - self.keep)

    def crop_horizon(self) -> datetime:
        return max(self.horizon(), self.crop_floor, self.now - self.crop_keep)

    async def play(self, steps: int) -> None:
        """Play a history and look at the world after each step."""
        for _ in range(steps):
            await getattr(self, self.rng.choice(_STEPS))()
            await self.look()
        await self.settle()

    # ------------------------------------------------------------------ steps

    async def ingest(self) -> None:
        news = []
        for _ in range(self.rng.randint(1, 4)):
            ago = self.rng.choice((0.001, 0.5, 20, 80, 500, 700)) * self.rng.random()
            at = self.now - timedelta(hours=ago)
            if at > self.horizon():
                news.append(new_read(at=at, jpeg=self.rng.choice((JPEG, b""))))
        rows = [accepted(new, self.now, keep=timedelta(days=4000)) for new in news]
        await self.parts.ingest.store(AGENCY, rows)
        self.seen.update({str(row.row.read_id): row.row.seen_at for row in rows})
        self.with_picture |= {str(row.row.read_id) for row in rows if row.plate_jpeg}

    async def tick(self) -> None:
        self.parts.clock.time += timedelta(
            hours=self.rng.choice((0.02, 0.06, 1, 5, 23, 25, 24 * 8)) * self.rng.random()
        )

    async def skew(self) -> None:
        """Another replica's clock is a little behind."""
        self.floor = max(self.floor, self.horizon())
        await self.policy(self.keep, self.crop_keep)
        self.parts.clock.time -= timedelta(seconds=self.rng.randint(1, 90))

    async def policy(self, keep: timedelta | None = None, crop_keep: timedelta | None = None) -> None:
        self.floor = max(self.floor, self.now - self.keep)
        self.crop_floor = max(self.crop_floor, self.now - self.crop_keep)
        self.keep = keep or self.rng.choice(KEEPS)
        self.crop_keep = crop_keep or self.rng.choice((self.keep, *KEEPS))
        self.parts.access.publish(AGENCY, read=self.keep, crop=self.crop_keep)
        await self.parts.retention.schedules(AGENCY)

    async def purge(self) -> None:
        # A run that is cut off may have issued certificates before: what counts is what was kept, not what was returned.
        await self.parts.purger.run(await self.parts.retention.schedules(AGENCY))

    async def cut(self) -> None:
        """Kill a purge at a statement, and place or release a hold before it is resumed."""
        name, at = self.rng.choice(_CUTTABLE), self.rng.randint(0, 2)
        whole, calls = getattr(purge_store, name), iter(range(1000))

        async def killed(*arguments: Any, **named: Any) -> Any:
            if next(calls) == at:
                raise KilledError
            return await whole(*arguments, **named)

        setattr(purge_store, name, killed)
        try:
            await self.purge()
        except KilledError:
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
            placed = await self.parts.holds.place(request, self.parts.call)
        except PlatewardError:
            assert not can, "a hold on reads that are there was refused"
            return
        assert can, "a hold was placed on what has expired"
        self.held[placed.hold_id] = set(wanted)
        self.pictured |= {
            r for r in self.with_picture.intersection(wanted) if self.seen[r] > self.crop_horizon()
        }

    async def release(self) -> None:
        if self.held:
            hold_id = self.rng.choice(sorted(self.held))
            await self.parts.holds.release(hold_id, "the case is over", self.parts.call)
            del self.held[hold_id]
            self.pictured &= self.under_hold

    # ------------------------------------------------------------------ what must be so

    def alive(self, read_id: str) -> bool:
        return read_id not in self.dead and self.seen[read_id] > self.horizon()

    async def look(self) -> None:
        """No expired read is returned, no live one is missed, and what is held is found under its case."""
        horizon = self.horizon()
        self.dead |= {read_id for read_id, at in self.seen.items() if at <= horizon}
        alive = {read_id for read_id in self.seen if self.alive(read_id)}
        assert await self._found("") == alive
        assert await self._found(CASE) == alive | self.under_hold

    async def settle(self) -> None:
        """Certificates add up."""
        await self.purge()
        await self.look()
        async with self.parts.pool.connection() as connection:
            rows = await (await connection.execute("SELECT read_id FROM reads")).fetchall()
            kept = await (await connection.execute("SELECT read_id FROM held_reads")).fetchall()
            issued = await (await connection.execute("SELECT document FROM certificates")).fetchall()
        stored, held = ({str(UUID(str(row["read_id"]))) for row in found} for found in (rows, kept))
        certificates = [reads_pb2.Certificate.FromString(row["document"]) for row in issued]
        destroyed = sum(c.destroyed for c in certificates if c.kind == "read")
        assert destroyed + len(stored | held) == len(self.seen)
        assert self.under_hold <= held

    async def _found(self, case: str) -> set[str]:
        start, end = self.now - timedelta(days=400), self.now + timedelta(days=400)
        request = query(start, end, "8ABC123", page=types_pb2.PageRequest(size=1000))
        request.purpose.case_number = case
        found = await self.parts.search.find(request, decision(AGENCY), OFFICER)
        reads = [ranked.read for ranked in found.reads]
        ids = {read.read_id for read in reads}
        assert len(ids) == len(reads), "a read was returned twice"
        if case:
            # A picture that was there when its read was held is found as long as the hold lasts.
            without = {read.read_id for read in reads if not read.crops}
            assert not without & self.pictured, "a held picture is not found"
        return ids
