"""The service's methods: proto to model and back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from plateward.access.v1 import access_pb2
from plateward.common.v1 import errors_pb2
from servicekit.context import current
from servicekit.errors import PlatewardError
from services.access.agreements import Agreements
from services.access.approvals import Approvals
from services.access.decide import Core
from services.access.members import Members
from services.access.releases import Releases
from services.access.rpc_approvals import ApprovalMethods
from services.access.rpc_members import MemberMethods
from services.access.rpc_sharing import SharingMethods


@dataclass(frozen=True, slots=True)
class Parts:
    """What the RPCs are made of."""

    members: Members
    agreements: Agreements
    releases: Releases
    approvals: Approvals


class AccessServicer(MemberMethods, SharingMethods, ApprovalMethods):
    """Decisions, policy, members, agreements, releases, approvals."""

    def __init__(self, core: Core, parts: Parts) -> None:
        self._core = core
        self._members, self._agreements = parts.members, parts.agreements
        self._releases, self._approvals = parts.releases, parts.approvals

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


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
