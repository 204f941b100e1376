"""The service's methods: proto to model and back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from psycopg.rows import DictRow

from plateward.access.v1 import access_pb2
from plateward.common.v1 import errors_pb2
from servicekit.clock import Clock
from servicekit.context import current
from servicekit.errors import PlatewardError
from services.access.decide import Core
from services.access.store import Store

_DEFAULT_PAGE, _MOST_PAGE = 100, 500


class AccessServicer:
    """Decisions, policy, members, agreements."""

    def __init__(self, core: Core, store: Store, clock: Clock) -> None:
        self._core = core
        self._store = store
        self._clock = clock

    async def Decide(self, request: access_pb2.DecideRequest, context: Any) -> access_pb2.DecideResponse:
        return access_pb2.DecideResponse(decision=await self._core.decide(request))

    async def ExplainDecision(
        self, request: access_pb2.ExplainDecisionRequest, context: Any
    ) -> access_pb2.ExplainDecisionResponse:
        subject = current().subject
        asked = access_pb2.DecideRequest(
            subject=subject,
            action=request.action,
            owner_agency_ids=request.owner_agency_ids or [subject.agency_id],
        )
        if request.HasField("purpose"):
            asked.purpose.CopyFrom(request.purpose)
        return access_pb2.ExplainDecisionResponse(decision=await self._core.decide(asked))

    async def GetPolicy(
        self, request: access_pb2.GetPolicyRequest, context: Any
    ) -> access_pb2.GetPolicyResponse:
        bundle = self._core.bundle
        document = bundle.document
        if request.agency_id not in ("", document["agency"]):
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND, "this installation has no policy of that agency"
            )
        policy = access_pb2.Policy(
            agency_id=document["agency"],
            version=bundle.version,
            document=bundle.text,
            packs=document["packs"],
        )
        policy.effective_at.FromDatetime(_midnight(document["effective"]))
        for code, offence in document["purposes"]["offences"].items():
            policy.offences.add(code=code, title=offence["title"], needs_case=offence["needs_case"])
        for entry in document["purposes"]["prohibited"].values():
            policy.prohibited.add(id=entry["rule"], text=entry["text"])
        for kind in ("read", "crop", "hit"):
            kept = document["retention"][kind]
            policy.retention.add(kind=kind, keep_s=int(kept["days"] * 86_400), basis=kept["basis"])
        return access_pb2.GetPolicyResponse(policy=policy)

    async def ListMembers(
        self, request: access_pb2.ListMembersRequest, context: Any
    ) -> access_pb2.ListMembersResponse:
        size = min(request.page.size or _DEFAULT_PAGE, _MOST_PAGE)
        rows = await self._store.members(current().subject.agency_id, request.page.token, size + 1)
        current().returned(row["member_id"] for row in rows[:size])
        token = rows[size - 1]["member_id"] if len(rows) > size else ""
        return access_pb2.ListMembersResponse(
            members=[_member(row) for row in rows[:size]], next_page_token=token
        )

    async def PutMember(
        self, request: access_pb2.PutMemberRequest, context: Any
    ) -> access_pb2.PutMemberResponse:
        member, own = request.member, current().subject
        if member.member_id == own.member_id:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
                "nobody changes their own roles or state: ask another administrator",
                metadata={"rule": "agency.own-membership"},
            )
        before = await self._store.member(own.agency_id, member.member_id)
        await self._store.put_member({
            "agency_id": own.agency_id, "member_id": member.member_id, "name": member.name, "job_title": member.job_title,
            "roles": list(member.roles), "state": access_pb2.AccountState.Name(member.state or access_pb2.ACCOUNT_STATE_ACTIVE),
            "federal_task_force": member.federal_task_force,
        })  # fmt: skip
        stored = await self._stored(member.member_id)
        summary = f"roles {', '.join(stored.roles)}; {access_pb2.AccountState.Name(stored.state)}"
        current().changed(
            "member",
            member.member_id,
            summary,
            before=_bytes(before),
            after=stored.SerializeToString(deterministic=True),
        )
        return access_pb2.PutMemberResponse(member=stored)

    async def RecordTraining(
        self, request: access_pb2.RecordTrainingRequest, context: Any
    ) -> access_pb2.RecordTrainingResponse:
        own = current().subject
        if request.member_id == own.member_id:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
                "nobody records their own training: ask another administrator",
                metadata={"rule": "agency.own-membership"},
            )
        before = await self._store.member(own.agency_id, request.member_id)
        expires = request.expires_at.ToDatetime(UTC)
        if not await self._store.record_training(own.agency_id, request.member_id, request.training, expires):
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND,
                "there is no such member in your agency: add the member first",
            )
        stored = await self._stored(request.member_id)
        current().changed(
            "member",
            request.member_id,
            f"training {request.training}, expires {expires.date()}",
            before=_bytes(before),
            after=stored.SerializeToString(deterministic=True),
        )
        return access_pb2.RecordTrainingResponse(member=stored)

    async def PutAgency(
        self, request: access_pb2.PutAgencyRequest, context: Any
    ) -> access_pb2.PutAgencyResponse:
        agency = request.agency
        if agency.agency_id == current().subject.agency_id:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
                "an agency does not change its own kind",
                metadata={"rule": "agency.own-membership"},
            )
        await self._store.put_agency(
            agency.agency_id, agency.name, access_pb2.AgencyKind.Name(agency.kind), agency.state
        )
        current().changed(
            "agency",
            agency.agency_id,
            access_pb2.AgencyKind.Name(agency.kind),
            after=agency.SerializeToString(deterministic=True),
        )
        return access_pb2.PutAgencyResponse(agency=agency)

    async def ListAgreements(
        self, request: access_pb2.ListAgreementsRequest, context: Any
    ) -> access_pb2.ListAgreementsResponse:
        rows = await self._store.agreements(
            current().subject.agency_id, min(request.page.size or _DEFAULT_PAGE, _MOST_PAGE)
        )
        current().returned(str(row["agreement_id"]) for row in rows)
        return access_pb2.ListAgreementsResponse(agreements=[_agreement(row) for row in rows])

    async def RevokeAgreement(
        self, request: access_pb2.RevokeAgreementRequest, context: Any
    ) -> access_pb2.RevokeAgreementResponse:
        row = await self._store.revoke_agreement(request.agreement_id, current().subject.agency_id)
        if row is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND, "your agency has no active agreement with this ID"
            )
        agreement = _agreement(row)
        current().changed(
            "agreement",
            request.agreement_id,
            f"revoked for {agreement.partner_agency_id}",
            after=agreement.SerializeToString(deterministic=True),
        )
        return access_pb2.RevokeAgreementResponse(agreement=agreement)

    async def _stored(self, member_id: str) -> access_pb2.Member:
        row = await self._store.member(current().subject.agency_id, member_id)
        assert row is not None
        return _member(row)


def _member(row: DictRow) -> access_pb2.Member:
    member = access_pb2.Member(
        member_id=row["member_id"], agency_id=row["agency_id"], name=row["name"], job_title=row["job_title"], roles=row["roles"],
        state=access_pb2.AccountState.Value(row["state"]), training=row["training"], federal_task_force=row["federal_task_force"],
    )  # fmt: skip
    if row["training_expires_at"] is not None:
        member.training_expires_at.FromDatetime(row["training_expires_at"])
    return member


def _bytes(row: DictRow | None) -> bytes:
    return b"" if row is None else _member(row).SerializeToString(deterministic=True)


def _agreement(row: DictRow) -> access_pb2.Agreement:
    agreement = access_pb2.Agreement(
        agreement_id=str(row["agreement_id"]), owner_agency_id=row["owner_agency_id"], partner_agency_id=row["partner_agency_id"],
        camera_ids=row["camera_ids"], offences=row["offences"], window_s=row["window_s"], justification=row["justification"],
        state=access_pb2.AgreementState.Value(row["state"]), decided_by=row["decided_by"],
    )  # fmt: skip
    agreement.expires_at.FromDatetime(row["expires_at"])
    return agreement


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
