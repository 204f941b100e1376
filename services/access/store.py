"""The only SQL of ``access``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import DictRow

from servicekit.database import Pool
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

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def facts(
        self, agency_id: str, member_id: str, owners: Sequence[str], now: datetime, case_number: str = ""
    ) -> Facts:
        """Return the facts for a decision, read fresh: a revocation holds from the next call on."""
        async with self._pool.connection() as connection, connection.pipeline():
            agency = await connection.execute("SELECT kind FROM agencies WHERE agency_id = %s", (agency_id,))
            member = await connection.execute(
                f"SELECT {_MEMBER} FROM members WHERE agency_id = %s AND member_id = %s",
                (now - INACTIVE, agency_id, member_id),
            )
            agreements = await connection.execute(
                "SELECT owner_agency_id, camera_ids, offences, window_s FROM agreements "
                "WHERE partner_agency_id = %s AND owner_agency_id = ANY(%s) AND state = %s AND expires_at > %s",
                (agency_id, list(owners), ACTIVE_AGREEMENT, now),
            )
            case = await connection.execute(CASE, (agency_id, case_number)) if case_number else None
            kind = await agency.fetchone()
            return Facts(
                kind["kind"] if kind else None,
                await member.fetchone(),
                await agreements.fetchall(),
                await case.fetchone() if case else None,
            )

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
