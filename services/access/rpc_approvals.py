"""The methods about second-person approvals: proto to model and back."""

from __future__ import annotations

from typing import Any

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2
from servicekit.context import current
from services.access.approvals import Approvals
from services.access.pages import id_page


class ApprovalMethods:
    """A wide query and its second person."""

    _approvals: Approvals

    async def RequestApproval(
        self, request: access_pb2.RequestApprovalRequest, context: Any
    ) -> access_pb2.RequestApprovalResponse:
        call = current()
        approval_id = await self._approvals.request(request, call.subject)
        told = (
            f"asked for {action_pb2.Action.Name(request.action)} with SHA-256 {request.request_digest.hex()}"
        )
        call.changed("approval", approval_id, told, after=request.SerializeToString(deterministic=True))
        return access_pb2.RequestApprovalResponse(approval_id=approval_id)

    async def GrantApproval(
        self, request: access_pb2.GrantApprovalRequest, context: Any
    ) -> access_pb2.GrantApprovalResponse:
        call = current()
        before, after = await self._approvals.grant(request.approval_id, call.subject)
        told = (
            f"granted to {after.requester_id}: {action_pb2.Action.Name(after.action)} "
            f"with SHA-256 {after.request_digest.hex()}"
        )
        call.changed(
            "approval",
            request.approval_id,
            told,
            before=before.SerializeToString(deterministic=True),
            after=after.SerializeToString(deterministic=True),
        )
        return access_pb2.GrantApprovalResponse(expires_at=after.expires_at)

    async def RefuseApproval(
        self, request: access_pb2.RefuseApprovalRequest, context: Any
    ) -> access_pb2.RefuseApprovalResponse:
        call = current()
        before, after = await self._approvals.refuse(request.approval_id, request.reason, call.subject)
        call.changed(
            "approval",
            request.approval_id,
            f"refused to {after.requester_id}: {request.reason}",
            before=before.SerializeToString(deterministic=True),
            after=after.SerializeToString(deterministic=True),
        )
        return access_pb2.RefuseApprovalResponse(approval=after)

    async def ListApprovals(
        self, request: access_pb2.ListApprovalsRequest, context: Any
    ) -> access_pb2.ListApprovalsResponse:
        size, after = id_page(request.page)
        found = await self._approvals.page(current().subject.agency_id, after, size + 1)
        current().returned(approval.approval_id for approval in found[:size])
        token = found[size - 1].approval_id if len(found) > size else ""
        return access_pb2.ListApprovalsResponse(approvals=found[:size], next_page_token=token)
