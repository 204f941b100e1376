"""Release requests (462.7): filed with agency, requester and purpose; reviewed by the designee; given; kept on file.

Rules
-----
1. Agency's name, requester's name and intended purpose are needed; blanks are no names.
2. A body that is neither law enforcement nor prosecution is routed to records release when it files: it is not answered
   here, not even with a refusal on the merits (Civil Code 1798.90.55, Gov. Code 7920.000). What the register says an
   agency is goes before what the request says.
3. Approval is the designee's, never by whom it was filed. The asking agency must be registered, and policy is asked in its
   place: an out-of-state, federal or immigration agency gets no approval from anyone.
4. Given only after approval, with the digest of what was given. Nothing is deleted.
"""

from __future__ import annotations

from typing import Any, LiteralString

from psycopg.rows import DictRow

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, errors_pb2, types_pb2
from servicekit.clock import Clock
from servicekit.database import Pool
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from services.access.decide import Core
from services.access.standing import require_standing

RECORDS_RELEASE = "Records release: public records request (Civil Code 1798.90.55, Gov. Code 7920.000)"
_UNREGISTERED = "AGENCY_KIND_UNSPECIFIED"
_OUTSIDE = frozenset({"AGENCY_KIND_PRIVATE"})
_FILED, _ROUTED = "RELEASE_STATE_FILED", "RELEASE_STATE_ROUTED"
_APPROVED, _REFUSED = "RELEASE_STATE_APPROVED", "RELEASE_STATE_REFUSED"
_INSERT = """
INSERT INTO releases (release_id, owner_agency_id, agency_id, agency_kind, agency_name, requester_name, intended_purpose,
    law_enforcement, state, filed_by, filed_by_agency, filed_at, routed_to)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING *
"""
_OWNED = "SELECT * FROM releases WHERE release_id = %s AND owner_agency_id = %s"
_DECIDE = """
UPDATE releases SET state = %s, decided_by = %s, decided_at = %s, decision_reason = %s, agency_kind = %s
WHERE release_id = %s AND state = 'RELEASE_STATE_FILED' RETURNING *
"""
_FULFIL = """
UPDATE releases SET state = 'RELEASE_STATE_FULFILLED', fulfilled_by = %s, fulfilled_at = %s, package_digest = %s
WHERE release_id = %s AND state = 'RELEASE_STATE_APPROVED' RETURNING *
"""
_PAGE = """
SELECT * FROM releases WHERE owner_agency_id = %s AND (%s = '' OR state = %s)
  AND (%s::uuid IS NULL OR release_id < %s::uuid) ORDER BY release_id DESC LIMIT %s
"""


class Releases:
    """The table of release requests."""

    def __init__(self, pool: Pool, core: Core, clock: Clock) -> None:
        self._pool = pool
        self._core = core
        self._clock = clock

    async def submit(
        self, asked: access_pb2.ReleaseRequest, subject: types_pb2.Subject
    ) -> access_pb2.ReleaseRequest:
        """File a request, for a partner of the caller's certificate or by the owner's front desk; return it as filed or routed.

        Raises:
            PlatewardError: INVALID_ARGUMENT by rule 1, or when a partner does not name an owner.
        """
        partner = subject.kind == action_pb2.CALLER_KIND_PARTNER
        agency_id = subject.agency_id if partner else asked.agency_id
        owner = asked.owner_agency_id or ("" if partner else subject.agency_id)
        _check(asked, owner, subject.agency_id, partner=partner)
        kind = await self._kind(agency_id)
        outside = kind in _OUTSIDE or not asked.law_enforcement
        state, routed_to = (_ROUTED, RECORDS_RELEASE) if outside else (_FILED, "")
        async with self._pool.connection() as connection:
            found = await connection.execute(
                _INSERT,
                (
                    new_id(self._clock), owner, agency_id, kind, asked.agency_name.strip(), asked.requester_name.strip(),
                    asked.intended_purpose.strip(), asked.law_enforcement, state, subject.member_id, subject.agency_id,
                    self._clock.now(), routed_to,
                ),
            )  # fmt: skip
            return release_of(await found.fetchone())

    async def decide(
        self, release_id: str, subject: types_pb2.Subject, *, approve: bool, reason: str
    ) -> tuple[access_pb2.ReleaseRequest, access_pb2.ReleaseRequest]:
        """Approve or refuse a request, as the owner's designee; return it before and after.

        Raises:
            PlatewardError: NOT_FOUND; WRONG_STATE; DENIED_BY_POLICY by rule 3.
        """
        row = await self._owned(release_id, subject.agency_id)
        if row["state"] == _ROUTED:
            raise _wrong_state("this request was routed to records release: the platform does not answer it")
        if row["filed_by"] == subject.member_id and row["filed_by_agency"] == subject.agency_id:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
                "who filed a request does not review it: ask another designee",
                metadata={"rule": "platform.second-person"},
            )
        kind = await self._kind(row["agency_id"])
        if approve:
            await require_standing(
                self._core, agency_id=row["agency_id"], owner=row["owner_agency_id"],
                action=action_pb2.ACTION_MANAGE_RELEASE,
                words=f"{row['agency_name']}: {row['intended_purpose']}",
            )  # fmt: skip
        state = _APPROVED if approve else _REFUSED
        values = (state, subject.member_id, self._clock.now(), reason, kind, release_id)
        after = await self._moved(_DECIDE, values)
        if after is None:
            raise _wrong_state("this request has been decided: see its state and reason")
        return release_of(row), release_of(after)

    async def fulfil(
        self, release_id: str, subject: types_pb2.Subject, package_digest: bytes
    ) -> tuple[access_pb2.ReleaseRequest, access_pb2.ReleaseRequest]:
        """Record that an approved request was answered, with the SHA-256 (32 bytes) of what was handed over.

        Raises:
            PlatewardError: NOT_FOUND; WRONG_STATE unless it is approved.
        """
        row = await self._owned(release_id, subject.agency_id)
        values = (subject.member_id, self._clock.now(), package_digest, release_id)
        after = await self._moved(_FULFIL, values)
        if after is None:
            raise _wrong_state("only an approved request is fulfilled, once: have the designee decide first")
        return release_of(row), release_of(after)

    async def page(
        self, owner: str, state: str, after: str | None, limit: int
    ) -> list[access_pb2.ReleaseRequest]:
        """Return the requests to an owner, newest first; ``state`` empty means all."""
        async with self._pool.connection() as connection:
            found = await connection.execute(_PAGE, (owner, state, state, after, after, limit))
            return [release_of(row) for row in await found.fetchall()]

    async def _kind(self, agency_id: str) -> str:
        async with self._pool.connection() as connection:
            found = await connection.execute("SELECT kind FROM agencies WHERE agency_id = %s", (agency_id,))
            row = await found.fetchone()
        return row["kind"] if row is not None else _UNREGISTERED

    async def _owned(self, release_id: str, owner: str) -> DictRow:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_OWNED, (release_id, owner))).fetchone()
        if row is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND,
                "your agency has no release request with this ID: list them to see the IDs",
            )
        return row

    async def _moved(self, statement: LiteralString, values: tuple[Any, ...]) -> DictRow | None:
        async with self._pool.connection() as connection:
            return await (await connection.execute(statement, values)).fetchone()


def release_of(row: DictRow | None) -> access_pb2.ReleaseRequest:
    """Return the request that a row holds."""
    if row is None:
        raise LookupError("a row that was written is not there")
    made = access_pb2.ReleaseRequest(
        release_id=str(row["release_id"]), agency_name=row["agency_name"], requester_name=row["requester_name"],
        intended_purpose=row["intended_purpose"], law_enforcement=row["law_enforcement"],
        state=access_pb2.ReleaseState.Value(row["state"]), decided_by=row["decided_by"], agency_id=row["agency_id"],
        agency_kind=access_pb2.AgencyKind.Value(row["agency_kind"]), owner_agency_id=row["owner_agency_id"],
        filed_by=row["filed_by"], decision_reason=row["decision_reason"], routed_to=row["routed_to"],
        fulfilled_by=row["fulfilled_by"], package_digest=row["package_digest"],
    )  # fmt: skip
    for name in ("filed_at", "decided_at", "fulfilled_at"):
        if row[name] is not None:
            getattr(made, name).FromDatetime(row[name])
    return made


def _check(asked: access_pb2.ReleaseRequest, owner: str, caller: str, *, partner: bool) -> None:
    blank = [
        name
        for name in ("agency_name", "requester_name", "intended_purpose")
        if not any(map(str.isalnum, getattr(asked, name)))
    ]
    if blank:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            f"{', '.join(blank)}: a release request names the agency, the person who asks and the intended purpose (462.7)",
            violations=[(name, "needs words") for name in blank],
        )
    if not owner:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            "owner_agency_id is missing: name the agency whose data is asked for",
        )
    if not partner and owner != caller:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            "owner_agency_id is another agency: your front desk files requests to your own agency",
        )


def _wrong_state(message: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_WRONG_STATE, message)
