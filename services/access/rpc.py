"""The service's methods: proto to model and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plateward.access.v1 import access_pb2
from services.access.agreements import Agreements
from services.access.approvals import Approvals
from services.access.decide import Core
from services.access.members import Members
from services.access.publish import Publisher
from services.access.releases import Releases
from services.access.rpc_approvals import ApprovalMethods
from services.access.rpc_members import MemberMethods
from services.access.rpc_policy import PolicyMethods
from services.access.rpc_sharing import SharingMethods
from services.access.rpc_watch import WatchMethods
from services.access.store import Store
from services.access.transparency import TransparencyPage
from services.access.watch import Revocations


@dataclass(frozen=True, slots=True)
class Parts:
    """What the RPCs are made of."""

    members: Members
    agreements: Agreements
    releases: Releases
    approvals: Approvals
    store: Store
    publisher: Publisher
    revocations: Revocations
    page: TransparencyPage


class AccessServicer(PolicyMethods, MemberMethods, SharingMethods, ApprovalMethods, WatchMethods):
    """Decisions, policy, members, agreements, releases, approvals."""

    def __init__(self, core: Core, parts: Parts) -> None:
        self._core = core
        self._members, self._agreements = parts.members, parts.agreements
        self._releases, self._approvals = parts.releases, parts.approvals
        self._store, self._publisher = parts.store, parts.publisher
        self._revocations, self._page = parts.revocations, parts.page

    async def Decide(self, request: access_pb2.DecideRequest, context: Any) -> access_pb2.DecideResponse:
        return access_pb2.DecideResponse(decision=await self._core.decide(request))
