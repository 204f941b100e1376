"""How long what is stored lives: the schedule in force for each agency and kind, and where it has come to.

Rules
-----
1. A thing of kind ``read`` or ``crop`` is alive while it was seen after its schedule's *horizon*: now less the keep, and
   never before the *floor*.
2. The floor is where the horizon stood when a schedule was last replaced: what has expired once stays expired, also
   when the policy lengthens retention afterwards, or a clock is set back.
3. A policy that shortens retention moves the horizon at once: reads that are stored already live shorter too.
4. A policy that lengthens it prolongs what is still alive, and nothing else.
5. The database keeps the schedule: every replica has the same floor, and a service that starts while `access` is away
   still knows the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from servicekit.database import Pool

READ, CROP = "read", "crop"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_LEARN = """
INSERT INTO schedules AS s (agency_id, kind, keep_s, floor, basis, policy_version, learnt_at)
VALUES (%(agency)s, %(kind)s, %(keep_s)s, %(beginning)s, %(basis)s, %(version)s, %(now)s)
ON CONFLICT (agency_id, kind) DO UPDATE SET
    floor = greatest(s.floor, excluded.learnt_at - make_interval(secs => s.keep_s)),
    keep_s = excluded.keep_s, basis = excluded.basis, policy_version = excluded.policy_version, learnt_at = excluded.learnt_at
"""
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long one kind of an agency's things is kept, and on which ground."""

    keep: timedelta
    floor: datetime
    basis: str
    policy_version: str

    def horizon(self, now: datetime) -> datetime:
        """Return the last instant of which nothing is alive any more."""
        return max(self.floor, now - self.keep)

    @property
    def told(self) -> str:
        """The schedule in words. Example: ``30 days (462.4)``."""
        return f"{told(self.keep)} ({self.basis})" if self.basis else told(self.keep)


@dataclass(frozen=True, slots=True)
class Schedules:
    """The schedules of one agency."""

    agency_id: str
    read: Schedule
    crop: Schedule

    def alive(self, now: datetime) -> Alive:
        """Return what is alive at an instant; a crop lives no longer than its read."""
        after = self.read.horizon(now)
        return Alive(self.agency_id, after, max(after, self.crop.horizon(now)), self.read.keep)


@dataclass(frozen=True, slots=True)
class Alive:
    """Only what an agency's cameras saw after these instants may be shown."""

    agency_id: str
    reads_after: datetime
    crops_after: datetime
    keep: timedelta


def told(span: timedelta) -> str:
    """Return a span in words. Example: ``3 minutes``."""
    seconds = int(span.total_seconds())
    for unit, size in _UNITS:
        if seconds and not seconds % size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "0 seconds"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a policy document, as `access` gives it."""

    keep: timedelta
    basis: str
    policy_version: str


class ScheduleStore:
    """The table of schedules."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def learn(self, agency_id: str, rules: Mapping[str, Rule], now: datetime) -> Schedules:
        """Put the rules of the active policy in force; the floor rises to where the ones before had come."""
        async with self._pool.connection() as connection, connection.transaction():
            for kind in (READ, CROP):
                rule = rules[kind]
                await connection.execute(
                    _LEARN,
                    {
                        "agency": agency_id, "kind": kind, "keep_s": int(rule.keep.total_seconds()),
                        "beginning": BEGINNING, "basis": rule.basis, "version": rule.policy_version, "now": now,
                    },
                )  # fmt: skip
        found = await self.find(agency_id)
        assert found is not None
        return found

    async def find(self, agency_id: str) -> Schedules | None:
        """Return an agency's schedules as last learnt."""
        async with self._pool.connection() as connection:
            found = await connection.execute("SELECT * FROM schedules WHERE agency_id = %s", (agency_id,))
            of = {row["kind"]: _schedule(row) for row in await found.fetchall()}
        return Schedules(agency_id, of[READ], of[CROP]) if READ in of and CROP in of else None

    async def agencies(self) -> list[str]:
        """Return the agencies that have schedules, by ID."""
        async with self._pool.connection() as connection:
            found = await connection.execute("SELECT DISTINCT agency_id FROM schedules ORDER BY 1")
            return [row["agency_id"] for row in await found.fetchall()]


def _schedule(row: Mapping[str, Any]) -> Schedule:
    return Schedule(timedelta(seconds=row["keep_s"]), row["floor"], row["basis"], row["policy_version"])
