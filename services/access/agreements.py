"""Sharing agreements: a partner asks, the owner's designee decides, it ends by time or at once by word.

Rules
-----
1. The partner is the agency of the certificate that asks; nobody asks for another, and nobody asks themselves.
2. The partner attests that nothing is passed on for a prohibited use (onward use); without that there is no request.
3. An agreement ends: at most ``MOST_DAYS`` ahead. It says how far back it reaches, and may name cameras and offences.
4. Who decides is the owner's designee (policy); what the partner is, and its words, are judged again at that moment.
5. Ending one takes effect with its commit: decisions read agreements fresh, and who listens is told (``announce.py``).
6. Nothing is deleted: refused, ended and expired agreements stay on file.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, LiteralString

from psycopg.rows import DictRow

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, errors_pb2, types_pb2
from servicekit.clock import Clock
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from servicekit.times import instant
from services.access.announce import announce
from services.access.decide import Core
from services.access.standing import require_standing

MOST_DAYS = 731
MOST_WINDOW_S = 731 * 86_400
_REQUESTED, _ACTIVE = "AGREEMENT_STATE_REQUESTED", "AGREEMENT_STATE_ACTIVE"
_REFUSED, _REVOKED = "AGREEMENT_STATE_REFUSED", "AGREEMENT_STATE_REVOKED"
_EXPIRED = "AGREEMENT_STATE_EXPIRED"
_INSERT = """
INSERT INTO agreements (agreement_id, owner_agency_id, partner_agency_id, camera_ids, offences, window_s, expires_at, state,
    justification, onward_use_attested, requested_by, requested_by_name, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (partner_agency_id, owner_agency_id) WHERE state = 'AGREEMENT_STATE_REQUESTED' DO NOTHING RETURNING *
"""
_OWNED = "SELECT * FROM agreements WHERE agreement_id = %s AND owner_agency_id = %s"
_DECIDE = """
UPDATE agreements SET state = %s, decided_by = %s, decided_at = %s, reason = %s
WHERE agreement_id = %s AND state = 'AGREEMENT_STATE_REQUESTED' RETURNING *
"""
_END = """
UPDATE agreements SET state = %s, revoked_by = %s, revoked_at = %s, reason = %s
WHERE agreement_id = %s AND state IN ('AGREEMENT_STATE_REQUESTED', 'AGREEMENT_STATE_ACTIVE') RETURNING *
"""
_PAGE = """
SELECT * FROM agreements WHERE (owner_agency_id = %(agency)s OR partner_agency_id = %(agency)s)
  AND (%(state)s = '' OR %(state)s = CASE WHEN state = 'AGREEMENT_STATE_ACTIVE' AND expires_at <= %(now)s
                                          THEN 'AGREEMENT_STATE_EXPIRED' ELSE state END)
  AND (%(after)s::uuid IS NULL OR agreement_id < %(after)s::uuid) ORDER BY agreement_id DESC LIMIT %(limit)s
"""
_PARTNERS = """
SELECT DISTINCT a.name FROM agreements g JOIN agencies a ON a.agency_id = g.partner_agency_id
WHERE g.owner_agency_id = %s AND g.state = 'AGREEMENT_STATE_ACTIVE' AND g.expires_at > %s ORDER BY a.name
"""


class Agreements:
    """The table of agreements."""

    def __init__(self, pool: Pool, core: Core, clock: Clock) -> None:
        self._pool = pool
        self._core = core
        self._clock = clock

    async def request(self, wanted: access_pb2.Agreement, subject: types_pb2.Subject) -> access_pb2.Agreement:
        """Ask an owner for an agreement; return it as it waits for the owner's designee.

        Raises:
            PlatewardError: INVALID_ARGUMENT by rules 1 to 3; NOT_FOUND for an owner that is not registered;
                ALREADY_EXISTS while a request waits; DENIED_BY_POLICY by what the partner is or says.
        """
        self._check(wanted, subject)
        partner = await self._agency(subject.agency_id)
        if await self._agency(wanted.owner_agency_id) is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND,
                "no agency with this ID is registered here: check the owner's ID",
            )
        await self._require_standing(subject.agency_id, wanted.owner_agency_id, partner, wanted.justification)
        async with self._pool.connection() as connection:
            found = await connection.execute(
                _INSERT,
                (
                    new_id(self._clock), wanted.owner_agency_id, subject.agency_id, list(wanted.camera_ids), list(wanted.offences),
                    wanted.window_s, instant(wanted.expires_at), _REQUESTED, wanted.justification, wanted.onward_use_attested,
                    subject.member_id, subject.member_name, self._clock.now(),
                ),
            )  # fmt: skip
            row = await found.fetchone()
        if row is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_ALREADY_EXISTS,
                "your agency has asked this owner already: wait for its designee's decision",
            )
        return self.agreement_of(row)

    async def decide(
        self, agreement_id: str, subject: types_pb2.Subject, *, approve: bool, reason: str
    ) -> tuple[access_pb2.Agreement, access_pb2.Agreement]:
        """Approve or refuse a request, as the owner's designee; return the agreement before and after.

        Raises:
            PlatewardError: NOT_FOUND; WRONG_STATE; DENIED_BY_POLICY by what the partner is now.
        """
        row = await self._owned(agreement_id, subject.agency_id)
        now, partner_id = self._clock.now(), row["partner_agency_id"]
        if approve:
            if row["expires_at"] <= now:
                raise _wrong_state(
                    "the time that was asked for is over: refuse it, and have the partner ask anew"
                )
            partner = await self._agency(partner_id)
            await self._require_standing(partner_id, subject.agency_id, partner, row["justification"])
        values = (_ACTIVE if approve else _REFUSED, subject.member_id, now, reason, agreement_id)
        after = await self._moved(_DECIDE, values, partner_id)
        if after is None:
            raise _wrong_state("this request has been decided: see the agreement's state and reason")
        return self.agreement_of(row), self.agreement_of(after)

    async def revoke(
        self, agreement_id: str, subject: types_pb2.Subject, reason: str
    ) -> tuple[access_pb2.Agreement, access_pb2.Agreement]:
        """End an agreement at once, or take a request off the table, as the owner; return it before and after.

        Raises:
            PlatewardError: NOT_FOUND; WRONG_STATE when it has ended before.
        """
        row = await self._owned(agreement_id, subject.agency_id)
        values = (_REVOKED, subject.member_id, self._clock.now(), reason, agreement_id)
        after = await self._moved(_END, values, row["partner_agency_id"])
        if after is None:
            raise _wrong_state("this agreement is not in force: there is nothing to end")
        return self.agreement_of(row), self.agreement_of(after)

    async def page(
        self, agency_id: str, state: str, after: str | None, limit: int
    ) -> list[access_pb2.Agreement]:
        """Return an agency's agreements, as owner and as partner, newest first; ``state`` empty means all."""
        values = {
            "agency": agency_id,
            "state": state,
            "now": self._clock.now(),
            "after": after,
            "limit": limit,
        }
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(_PAGE, values)).fetchall()
        return [self.agreement_of(row) for row in rows]

    async def partners(self, owner: str) -> tuple[str, ...]:
        """Return the names of the agencies that an owner's agreements let in at this moment, in order."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(_PARTNERS, (owner, self._clock.now()))).fetchall()
        return tuple(row["name"] for row in rows)

    def agreement_of(self, row: DictRow | None) -> access_pb2.Agreement:
        """Return the agreement that a row holds, with its state at this moment."""
        if row is None:
            raise LookupError("a row that was written is not there")
        expired = row["state"] == _ACTIVE and row["expires_at"] <= self._clock.now()
        made = access_pb2.Agreement(
            agreement_id=str(row["agreement_id"]), owner_agency_id=row["owner_agency_id"], partner_agency_id=row["partner_agency_id"],
            camera_ids=row["camera_ids"], offences=row["offences"], window_s=row["window_s"], justification=row["justification"],
            state=access_pb2.AgreementState.Value(_EXPIRED if expired else row["state"]), decided_by=row["decided_by"],
            onward_use_attested=row["onward_use_attested"], requested_by=row["requested_by"], reason=row["reason"],
            revoked_by=row["revoked_by"],
        )  # fmt: skip
        made.expires_at.FromDatetime(row["expires_at"])
        made.requested_at.FromDatetime(row["created_at"])
        for name in ("decided_at", "revoked_at"):
            if row[name] is not None:
                getattr(made, name).FromDatetime(row[name])
        return made

    def _check(self, wanted: access_pb2.Agreement, subject: types_pb2.Subject) -> None:
        now, expires = self._clock.now(), instant(wanted.expires_at)
        if wanted.owner_agency_id == subject.agency_id:
            raise _invalid("owner_agency_id is your own agency: name the agency whose reads you ask for")
        if not wanted.onward_use_attested:
            raise _invalid(
                "onward_use_attested is missing: attest that nothing you are shown is passed on for a prohibited use, "
                "or to an agency that could have no agreement itself (Civil Code 1798.90.55(b))"
            )
        if not now < expires <= now + timedelta(days=MOST_DAYS):
            raise _invalid(
                f"expires_at must be ahead and at most {MOST_DAYS} days: an agreement is renewed, not endless"
            )
        if not 0 < wanted.window_s <= MOST_WINDOW_S:
            raise _invalid(
                f"window_s must be above 0 and at most {MOST_WINDOW_S}: how far back, in seconds, do you need to see?"
            )
        document = self._core.bundle.document
        if wanted.owner_agency_id == document["agency"]:
            unknown = sorted(set(wanted.offences) - set(document["purposes"]["offences"]))
            if unknown:
                listed = ", ".join(sorted(document["purposes"]["offences"]))
                raise _invalid(
                    f"offences: {', '.join(unknown)} is not in the owner's catalogue; it has: {listed}"
                )

    async def _require_standing(
        self, partner: str, owner: str, registered: DictRow | None, words: str
    ) -> None:
        # The registered name is judged with the words: an immigration agency is one whatever kind it is registered as.
        name = registered["name"] if registered is not None else ""
        await require_standing(
            self._core, agency_id=partner, owner=owner, action=action_pb2.ACTION_MANAGE_SHARING,
            words=f"{name}: {words}",
        )  # fmt: skip

    async def _agency(self, agency_id: str) -> DictRow | None:
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT name, kind FROM agencies WHERE agency_id = %s", (agency_id,)
            )
            return await found.fetchone()

    async def _owned(self, agreement_id: str, owner: str) -> DictRow:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_OWNED, (agreement_id, owner))).fetchone()
        if row is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND,
                "your agency owns no agreement with this ID: list them to see the IDs",
            )
        return row

    async def _moved(self, statement: LiteralString, values: tuple[Any, ...], partner: str) -> DictRow | None:
        """Write a step and tell who listens, in one transaction; None when it was not in the step's state."""
        async with self._pool.connection() as connection:
            after = await (await connection.execute(statement, values)).fetchone()
            if after is not None:
                await announce(connection, "agreement", str(after["agreement_id"]), partner)
        return after


def _invalid(message: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, message)


def _wrong_state(message: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_WRONG_STATE, message)
