"""The methods about members and agencies: proto to model and back."""

from __future__ import annotations

from typing import Any

from plateward.access.v1 import access_pb2
from servicekit.context import current
from services.access.members import Members
from services.access.pages import name_page


class MemberMethods:
    """Members, training, the register of agencies."""

    _members: Members

    async def ListMembers(
        self, request: access_pb2.ListMembersRequest, context: Any
    ) -> access_pb2.ListMembersResponse:
        size, after = name_page(request.page)
        found = await self._members.page(current().subject.agency_id, after, size + 1)
        current().returned(member.member_id for member in found[:size])
        token = found[size - 1].member_id if len(found) > size else ""
        return access_pb2.ListMembersResponse(members=found[:size], next_page_token=token)

    async def PutMember(
        self, request: access_pb2.PutMemberRequest, context: Any
    ) -> access_pb2.PutMemberResponse:
        before, after = await self._members.put(request.member, current().subject)
        force = "; federal task force" if after.federal_task_force else ""
        told = f"{after.job_title}; roles {', '.join(after.roles) or 'none'}; {access_pb2.AccountState.Name(after.state)}{force}"
        current().changed("member", after.member_id, told, before=_bytes(before), after=_bytes(after))
        return access_pb2.PutMemberResponse(member=after)

    async def RecordTraining(
        self, request: access_pb2.RecordTrainingRequest, context: Any
    ) -> access_pb2.RecordTrainingResponse:
        before, after = await self._members.train(request, current().subject)
        told = f"training {after.training}, expires {after.training_expires_at.ToDatetime().date()}"
        current().changed("member", after.member_id, told, before=_bytes(before), after=_bytes(after))
        return access_pb2.RecordTrainingResponse(member=after)

    async def PutAgency(
        self, request: access_pb2.PutAgencyRequest, context: Any
    ) -> access_pb2.PutAgencyResponse:
        agency = request.agency
        before = await self._members.put_agency(agency, current().subject)
        told = f"{access_pb2.AgencyKind.Name(agency.kind)}, {agency.state}"
        current().changed("agency", agency.agency_id, told, before=_bytes(before), after=_bytes(agency))
        return access_pb2.PutAgencyResponse(agency=agency)


def _bytes(message: access_pb2.Member | access_pb2.Agency | None) -> bytes:
    if message is None:
        return b""
    if isinstance(message, access_pb2.Member):
        # When someone was last active is no change that anybody made: with it, two states of one member would never meet.
        known, message = message, access_pb2.Member()
        message.CopyFrom(known)
        message.ClearField("last_active_at")
    return message.SerializeToString(deterministic=True)
