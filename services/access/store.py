"""The only SQL of ``access``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from servicekit.database import UNAVAILABLE, Pool
from services.access.announce import announce

ACTIVE_ACCOUNT = "ACCOUNT_STATE_ACTIVE"
ACTIVE_AGREEMENT = "AGREEMENT_STATE_ACTIVE"
# An account unused for so long is locked that second, whether or not that was written down.
_MEMBER = (
    "agency_id, member_id, name, job_title, roles, training, training_expires_at, federal_task_force, last_active_at, "
    "CASE WHEN state = 'ACCOUNT_STATE_ACTIVE' AND last_active_at <= %s THEN 'ACCOUNT_STATE_LOCKED' ELSE state END AS state"
)
# CJIS Security Policy 6.0, AC-2: unused accounts are switched off.
INACTIVE = timedelta(days=90)

CASE = "SELECT offence, unit, opened_at, closed_at FROM cases WHERE agency_id = %s AND case_number = %s"
_FACTS = f"""
SELECT a.kind, m.*, c.offence, c.opened_at, c.closed_at, l.looks, l.case_plates, l.known
FROM (SELECT 1) AS one
LEFT JOIN agencies a ON a.agency_id = %(agency)s
LEFT JOIN (SELECT {_MEMBER.replace("%s", "%(unused)s")} FROM members) m ON m.agency_id = %(agency)s AND m.member_id = %(member)s
LEFT JOIN cases c ON c.agency_id = %(agency)s AND c.case_number = %(case)s
CROSS JOIN LATERAL (
  SELECT coalesce(sum(looks) FILTER (WHERE member_id = %(member)s AND plate_digest = %(plate)s AND day > %(since)s), 0)::int AS looks,
    count(DISTINCT plate_digest) FILTER (WHERE case_number = %(case)s)::int AS case_plates,
    coalesce(bool_or(case_number = %(case)s AND plate_digest = %(plate)s), false) AS known
  FROM case_looks WHERE length(%(plate)s) > 0 AND agency_id = %(agency)s
    AND ((member_id = %(member)s AND plate_digest = %(plate)s) OR (case_number = %(case)s AND %(case)s <> ''))
) l
"""
_AGREEMENTS = """
SELECT owner_agency_id, camera_ids, offences, window_s FROM agreements
WHERE partner_agency_id = %s AND owner_agency_id = ANY(%s) AND state = %s AND expires_at > %s
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What a call looks for, as budgets count it: no plate in clear text."""

    case_number: str
    plate_digest: bytes
    since: date


NO_LOOK = Look("", b"", date.min)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database knows about the subject of a call and the owners it asks for, at one moment."""

    agency_kind: str | None
    member: DictRow | None
    agreements: list[DictRow]
    case: DictRow | None = None
    cases_answer: bool = True
    approved: bool = False
    looks: int = 0
    case_plates: int = 0
    new_plate: bool = False


class Store:
    """Agencies, members, agreements."""

    def __init__(self, pool: Pool, reading: Pool | None = None) -> None:
        self._pool = pool
        # Facts are read for every decision: by a pool without transactions, where there is one.
        self._reading = reading

    async def facts(
        self, agency_id: str, member_id: str, owners: Sequence[str], now: datetime, look: Look = NO_LOOK
    ) -> Facts:
        """Return the facts for a decision, read fresh: a revocation holds from the next call on."""
        foreign = [owner for owner in owners if owner != agency_id]
        values = {
            "agency": agency_id, "member": member_id, "unused": now - INACTIVE, "case": look.case_number,
            "plate": look.plate_digest, "since": look.since,
        }  # fmt: skip
        if self._reading is None:
            async with self._pool.connection() as connection:
                return await self._read(connection, values, foreign, now)
        try:
            async with self._reading.connection() as connection:
                return await self._read(connection, values, foreign, now)
        except UNAVAILABLE:
            # The server was started anew, say: the dead connections are sorted out, and a reading is repeated without harm.
            await self._reading.check()
            async with self._reading.connection() as connection:
                return await self._read(connection, values, foreign, now)

    @staticmethod
    async def _read(
        connection: AsyncConnection[DictRow], values: dict[str, Any], foreign: list[str], now: datetime
    ) -> Facts:
        one = await connection.execute(_FACTS, values)
        agreements = []
        if foreign:
            found = await connection.execute(_AGREEMENTS, (values["agency"], foreign, ACTIVE_AGREEMENT, now))
            agreements = await found.fetchall()
        row = await one.fetchone()
        assert row is not None
        return Facts(
            row["kind"],
            row if row["member_id"] is not None else None,
            agreements,
            {"offence": row["offence"], "opened_at": row["opened_at"], "closed_at": row["closed_at"]}
            if row["offence"] is not None
            else None,
            looks=row["looks"],
            case_plates=row["case_plates"],
            new_plate=bool(values["plate"] and values["case"] and not row["known"]),
        )

    async def looked(self, agency_id: str, member_id: str, look: Look, now: datetime) -> None:
        """Count a look for a plate. Lost at worst with the last moments before a crash: the log has every one."""
        async with self._pool.connection() as connection:
            await connection.execute("SET LOCAL synchronous_commit = off")
            await connection.execute(
                "INSERT INTO case_looks AS c (agency_id, member_id, case_number, plate_digest, day, looks) VALUES (%s, %s, %s, %s, %s, 1) "
                "ON CONFLICT (agency_id, member_id, plate_digest, case_number, day) DO UPDATE SET looks = c.looks + 1",
                (agency_id, member_id, look.case_number, look.plate_digest, now.date()),
            )

    async def forget_looks(self, before: date) -> None:
        """Drop the counts of looks before a day: no budget reaches back so far."""
        await self._run("DELETE FROM case_looks WHERE day < %s", (before,))

    async def is_empty(self) -> bool:
        """Return whether no agency is registered yet."""
        return await self._one("SELECT 1 AS found FROM agencies LIMIT 1", ()) is None

    async def put_agency(self, agency_id: str, name: str, kind: str, state: str) -> None:
        """Register an agency or change it."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO agencies (agency_id, name, kind, state) VALUES (%s, %s, %s, %s) "
                "ON CONFLICT (agency_id) DO UPDATE SET name = excluded.name, kind = excluded.kind, state = excluded.state",
                (agency_id, name, kind, state),
            )
            await announce(connection, "agency", agency_id, agency_id)

    async def agency(self, agency_id: str) -> DictRow | None:
        """Return an agency of the register, or None."""
        return await self._one(
            "SELECT agency_id, name, kind, state FROM agencies WHERE agency_id = %s", (agency_id,)
        )

    async def member(self, agency_id: str, member_id: str, now: datetime) -> DictRow | None:
        """Return a member with the account's state at a moment, or None."""
        return await self._one(
            f"SELECT {_MEMBER} FROM members WHERE agency_id = %s AND member_id = %s",
            (now - INACTIVE, agency_id, member_id),
        )

    async def members(self, agency_id: str, after: str, limit: int, now: datetime) -> list[DictRow]:
        """Return members of an agency in order of their IDs."""
        return await self._all(
            f"SELECT {_MEMBER} FROM members WHERE agency_id = %s AND member_id > %s ORDER BY member_id LIMIT %s",
            (now - INACTIVE, agency_id, after, limit),
        )

    async def put_member(self, member: dict[str, Any], active_at: datetime | None = None) -> None:
        """Add a member, or change name, job title, roles, state and task force; training is recorded apart.

        ``active_at`` begins the count of unused days anew; None leaves it.
        """
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO members AS m (agency_id, member_id, name, job_title, roles, state, federal_task_force, last_active_at) "
                "VALUES (%(agency_id)s, %(member_id)s, %(name)s, %(job_title)s, %(roles)s, %(state)s, %(federal_task_force)s, "
                "coalesce(%(active_at)s, now())) "
                "ON CONFLICT (agency_id, member_id) DO UPDATE SET name = excluded.name, job_title = excluded.job_title, "
                "roles = excluded.roles, state = excluded.state, federal_task_force = excluded.federal_task_force, "
                "last_active_at = coalesce(%(active_at)s, m.last_active_at)",
                member | {"active_at": active_at},
            )
            await announce(connection, "member", member["member_id"], member["agency_id"])

    async def record_training(
        self, agency_id: str, member_id: str, training: str, expires_at: datetime
    ) -> bool:
        """Record a training; return whether there is such a member."""
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "UPDATE members SET training = %s, training_expires_at = %s WHERE agency_id = %s AND member_id = %s RETURNING 1 AS done",
                (training, expires_at, agency_id, member_id),
            )
            row = await found.fetchone()
            await announce(connection, "member", member_id, agency_id)
        return row is not None

    async def touch(self, agency_id: str, member_id: str, now: datetime) -> None:
        """Write down that a member was active; never backwards."""
        await self._run(
            "UPDATE members SET last_active_at = %s WHERE agency_id = %s AND member_id = %s AND last_active_at < %s",
            (now, agency_id, member_id, now),
        )

    async def unused(self, now: datetime) -> list[DictRow]:
        """Return the members whose accounts are locked by disuse and not yet written down as such."""
        return await self._all(
            f"SELECT {_MEMBER} FROM members WHERE state = %s AND last_active_at <= %s ORDER BY agency_id, member_id",
            (now - INACTIVE, ACTIVE_ACCOUNT, now - INACTIVE),
        )

    async def lock_unused(self, agency_id: str, member_id: str, now: datetime) -> None:
        """Write down that an account is locked by disuse, unless it was used or opened meanwhile."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE members SET state = 'ACCOUNT_STATE_LOCKED' "
                "WHERE agency_id = %s AND member_id = %s AND state = %s AND last_active_at <= %s",
                (agency_id, member_id, ACTIVE_ACCOUNT, now - INACTIVE),
            )
            await announce(connection, "member", member_id, agency_id)

    async def put_agreement(self, agreement: dict[str, Any]) -> None:
        """Store an agreement."""
        await self._run(
            "INSERT INTO agreements (agreement_id, owner_agency_id, partner_agency_id, camera_ids, offences, window_s, expires_at, state, justification, decided_by) "
            "VALUES (%(agreement_id)s, %(owner)s, %(partner)s, %(camera_ids)s, %(offences)s, %(window_s)s, %(expires_at)s, %(state)s, %(justification)s, %(decided_by)s)",
            agreement,
        )

    async def put_case(self, case: dict[str, Any]) -> None:
        """Register a case, or change it."""
        await self._run(
            "INSERT INTO cases (agency_id, case_number, offence, unit, opened_at, closed_at) "
            "VALUES (%(agency_id)s, %(case_number)s, %(offence)s, %(unit)s, %(opened_at)s, %(closed_at)s) "
            "ON CONFLICT (agency_id, case_number) DO UPDATE SET offence = excluded.offence, unit = excluded.unit, "
            "opened_at = excluded.opened_at, closed_at = excluded.closed_at",
            case,
        )

    async def case(self, agency_id: str, case_number: str) -> DictRow | None:
        """Return a case, or None."""
        return await self._one(CASE, (agency_id, case_number))

    async def _one(self, query: str, values: Any) -> DictRow | None:
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, values)).fetchone()

    async def _all(self, query: str, values: Any) -> list[DictRow]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def _run(self, query: str, values: Any) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(query, values)
