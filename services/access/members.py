"""Members and agencies: who they are, what they are trained for, and whether their account is in use.

Rules
-----
1. Nobody changes their own membership or training; the agency of the installation's policy keeps the register of agencies,
   and does not change its own kind.
2. A job title is one that the policy authorises (Civil Code 1798.90.51(b)(2)(B)); training is the policy's course, and
   valid no longer than the policy says.
3. An account unused for 90 days (``store.INACTIVE``) is locked that second, by a predicate; a sweep writes it down and puts it on record.
   Only an administrator who says so opens it again.
4. An agency is local, state or prosecutor only in the owner's state: what is elsewhere is out of state.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from psycopg.rows import DictRow

from plateward.access.v1 import access_pb2
from plateward.common.v1 import errors_pb2, types_pb2
from servicekit.clock import Clock
from servicekit.errors import PlatewardError
from servicekit.times import instant
from services.access.decide import Core
from services.access.store import Store

_OWN_STATE = frozenset(
    {
        access_pb2.AGENCY_KIND_LOCAL,
        access_pb2.AGENCY_KIND_STATE,
        access_pb2.AGENCY_KIND_PROSECUTOR,
    }
)


class Members:
    """Members of agencies, and the register of agencies."""

    def __init__(self, store: Store, core: Core, clock: Clock) -> None:
        self._store = store
        self._core = core
        self._clock = clock

    async def page(self, agency_id: str, after: str, limit: int) -> list[access_pb2.Member]:
        """Return members of an agency in order of their IDs."""
        return [
            member_of(row) for row in await self._store.members(agency_id, after, limit, self._clock.now())
        ]

    async def put(
        self, member: access_pb2.Member, own: types_pb2.Subject
    ) -> tuple[access_pb2.Member | None, access_pb2.Member]:
        """Add a member or change one; return the member before (None when new) and after.

        Raises:
            PlatewardError: DENIED_BY_POLICY for oneself; INVALID_ARGUMENT for a job title that the policy does not have.
        """
        _refuse_oneself(member.member_id, own, "roles or state")
        titles = self._core.bundle.document["access"]["job_titles"]
        if member.job_title not in titles:
            raise _invalid(
                f"job_title: the policy authorises {', '.join(titles)}; correct it, or have the policy changed"
            )
        row = await self._store.member(own.agency_id, member.member_id, self._clock.now())
        before = member_of(row) if row is not None else None
        state = member.state or (before.state if before is not None else access_pb2.ACCOUNT_STATE_ACTIVE)
        opened_again = (
            before is not None
            and before.state == access_pb2.ACCOUNT_STATE_LOCKED
            and state == access_pb2.ACCOUNT_STATE_ACTIVE
        )
        await self._store.put_member(
            {
                "agency_id": own.agency_id, "member_id": member.member_id, "name": member.name, "job_title": member.job_title,
                "roles": sorted(set(member.roles)), "state": access_pb2.AccountState.Name(state),
                "federal_task_force": member.federal_task_force,
            },
            active_at=self._clock.now() if before is None or opened_again else None,
        )  # fmt: skip
        return before, await self._stored(own.agency_id, member.member_id)

    async def train(
        self, request: access_pb2.RecordTrainingRequest, own: types_pb2.Subject
    ) -> tuple[access_pb2.Member, access_pb2.Member]:
        """Record a completed training; return the member before and after.

        Raises:
            PlatewardError: DENIED_BY_POLICY for oneself; INVALID_ARGUMENT for another course, or one that is valid too long;
                NOT_FOUND.
        """
        _refuse_oneself(request.member_id, own, "training")
        rules, expires = self._core.bundle.document["access"], instant(request.expires_at)
        if request.training != rules["training"]:
            raise _invalid(f"training: the policy asks for {rules['training']}, and only that opens access")
        longest = timedelta(days=rules["training_valid_days"])
        if expires > self._clock.now() + longest + timedelta(days=1):
            raise _invalid(
                f"expires_at: the policy lets training count for {longest.days} days from its completion"
            )
        row = await self._store.member(own.agency_id, request.member_id, self._clock.now())
        if row is None or not await self._store.record_training(
            own.agency_id, request.member_id, request.training, expires
        ):
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND,
                "there is no such member in your agency: add the member first",
            )
        return member_of(row), await self._stored(own.agency_id, request.member_id)

    async def put_agency(self, agency: access_pb2.Agency, own: types_pb2.Subject) -> access_pb2.Agency | None:
        """Register an agency or change it; return what it was, or None.

        Raises:
            PlatewardError: DENIED_BY_POLICY by rule 1; INVALID_ARGUMENT by rule 4.
        """
        document = self._core.bundle.document
        if agency.agency_id == own.agency_id:
            raise _denied("an agency does not change its own kind", "agency.own-membership")
        if own.agency_id != document["agency"]:
            raise _denied(
                f"the register of agencies is kept by {document['agency']}: ask its administrator",
                "agency.register-keeper",
            )
        here = agency.state == document["state"]
        if agency.kind in _OWN_STATE and not here:
            raise _invalid(
                f"kind: an agency of {agency.state} is AGENCY_KIND_OUT_OF_STATE to one of {document['state']}"
            )
        if agency.kind == access_pb2.AGENCY_KIND_OUT_OF_STATE and here:
            raise _invalid(f"kind: {agency.state} is the owner's own state; correct kind or state")
        row = await self._store.agency(agency.agency_id)
        await self._store.put_agency(
            agency.agency_id, agency.name, access_pb2.AgencyKind.Name(agency.kind), agency.state
        )
        if row is None:
            return None
        return access_pb2.Agency(
            agency_id=row["agency_id"],
            name=row["name"],
            kind=access_pb2.AgencyKind.Value(row["kind"]),
            state=row["state"],
        )

    async def lock_unused(self, record: Callable[[access_pb2.Member], Awaitable[None]]) -> int:
        """Write down which accounts are locked because nobody used them; return how many.

        Each is put on record before it is written: what ``record`` raises leaves the account for the next sweep.
        """
        locked = 0
        for row in await self._store.unused(self._clock.now()):
            await record(member_of(row))
            await self._store.lock_unused(row["agency_id"], row["member_id"], self._clock.now())
            locked += 1
        return locked

    async def _stored(self, agency_id: str, member_id: str) -> access_pb2.Member:
        row = await self._store.member(agency_id, member_id, self._clock.now())
        if row is None:
            raise LookupError("a member that was written is not there")
        return member_of(row)


def member_of(row: DictRow) -> access_pb2.Member:
    """Return the member that a row holds."""
    member = access_pb2.Member(
        member_id=row["member_id"], agency_id=row["agency_id"], name=row["name"], job_title=row["job_title"],
        roles=row["roles"], state=access_pb2.AccountState.Value(row["state"]), training=row["training"],
        federal_task_force=row["federal_task_force"],
    )  # fmt: skip
    if row["training_expires_at"] is not None:
        member.training_expires_at.FromDatetime(row["training_expires_at"])
    member.last_active_at.FromDatetime(row["last_active_at"])
    return member


def _refuse_oneself(member_id: str, own: types_pb2.Subject, what: str) -> None:
    if member_id == own.member_id:
        raise _denied(f"nobody changes their own {what}: ask another administrator", "agency.own-membership")


def _denied(message: str, rule: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_DENIED_BY_POLICY, message, metadata={"rule": rule})


def _invalid(message: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, message)
