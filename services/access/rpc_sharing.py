"""The methods about agreements and release requests: proto to model and back."""

from __future__ import annotations

from typing import Any

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2
from servicekit.context import current
from services.access.agreements import Agreements
from services.access.pages import id_page
from services.access.releases import Releases


class SharingMethods:
    """Agreements and release requests."""

    _agreements: Agreements
    _releases: Releases

    async def RequestAgreement(
        self, request: access_pb2.RequestAgreementRequest, context: Any
    ) -> access_pb2.RequestAgreementResponse:
        call = current()
        # On the owner's record from the first word on, also when it is refused.
        call.concerns(request.agreement.owner_agency_id)
        made = await self._agreements.request(request.agreement, call.subject)
        call.changed("agreement", made.agreement_id, _told(made), after=_bytes(made))
        return access_pb2.RequestAgreementResponse(agreement=made)

    async def DecideAgreement(
        self, request: access_pb2.DecideAgreementRequest, context: Any
    ) -> access_pb2.DecideAgreementResponse:
        call = current()
        before, after = await self._agreements.decide(
            request.agreement_id, call.subject, approve=request.approve, reason=request.reason
        )
        call.changed(
            "agreement", after.agreement_id, _told(after), before=_bytes(before), after=_bytes(after)
        )
        return access_pb2.DecideAgreementResponse(agreement=after)

    async def RevokeAgreement(
        self, request: access_pb2.RevokeAgreementRequest, context: Any
    ) -> access_pb2.RevokeAgreementResponse:
        call = current()
        before, after = await self._agreements.revoke(request.agreement_id, call.subject, request.reason)
        call.changed(
            "agreement", after.agreement_id, _told(after), before=_bytes(before), after=_bytes(after)
        )
        return access_pb2.RevokeAgreementResponse(agreement=after)

    async def ListAgreements(
        self, request: access_pb2.ListAgreementsRequest, context: Any
    ) -> access_pb2.ListAgreementsResponse:
        size, after = id_page(request.page)
        state = access_pb2.AgreementState.Name(request.state) if request.state else ""
        found = await self._agreements.page(current().subject.agency_id, state, after, size + 1)
        current().returned(agreement.agreement_id for agreement in found[:size])
        token = found[size - 1].agreement_id if len(found) > size else ""
        return access_pb2.ListAgreementsResponse(agreements=found[:size], next_page_token=token)

    async def SubmitReleaseRequest(
        self, request: access_pb2.SubmitReleaseRequestRequest, context: Any
    ) -> access_pb2.SubmitReleaseRequestResponse:
        call = current()
        if call.subject.kind == action_pb2.CALLER_KIND_PARTNER:
            call.concerns(request.release.owner_agency_id)
        made = await self._releases.submit(request.release, call.subject)
        call.changed("release", made.release_id, _released(made), after=_bytes(made))
        return access_pb2.SubmitReleaseRequestResponse(release=made)

    async def DecideReleaseRequest(
        self, request: access_pb2.DecideReleaseRequestRequest, context: Any
    ) -> access_pb2.DecideReleaseRequestResponse:
        call = current()
        before, after = await self._releases.decide(
            request.release_id, call.subject, approve=request.approve, reason=request.reason
        )
        call.changed(
            "release", after.release_id, _released(after), before=_bytes(before), after=_bytes(after)
        )
        return access_pb2.DecideReleaseRequestResponse(release=after)

    async def FulfilReleaseRequest(
        self, request: access_pb2.FulfilReleaseRequestRequest, context: Any
    ) -> access_pb2.FulfilReleaseRequestResponse:
        call = current()
        before, after = await self._releases.fulfil(request.release_id, call.subject, request.package_digest)
        call.changed(
            "release", after.release_id, _released(after), before=_bytes(before), after=_bytes(after)
        )
        return access_pb2.FulfilReleaseRequestResponse(release=after)

    async def ListReleaseRequests(
        self, request: access_pb2.ListReleaseRequestsRequest, context: Any
    ) -> access_pb2.ListReleaseRequestsResponse:
        size, after = id_page(request.page)
        state = access_pb2.ReleaseState.Name(request.state) if request.state else ""
        found = await self._releases.page(current().subject.agency_id, state, after, size + 1)
        current().returned(release.release_id for release in found[:size])
        token = found[size - 1].release_id if len(found) > size else ""
        return access_pb2.ListReleaseRequestsResponse(releases=found[:size], next_page_token=token)


def _told(agreement: access_pb2.Agreement) -> str:
    state = access_pb2.AgreementState.Name(agreement.state).removeprefix("AGREEMENT_STATE_").lower()
    scope = f"cameras {', '.join(agreement.camera_ids) or 'all'}; offences {', '.join(agreement.offences) or 'all'}"
    until = f"{agreement.window_s} s back; until {agreement.expires_at.ToDatetime().date()}"
    why = f"; {agreement.reason}" if agreement.reason else ""
    return f"{state} for {agreement.partner_agency_id}; {scope}; {until}{why}"


def _released(release: access_pb2.ReleaseRequest) -> str:
    state = access_pb2.ReleaseState.Name(release.state).removeprefix("RELEASE_STATE_").lower()
    why = f"; {release.decision_reason}" if release.decision_reason else ""
    given = f"; SHA-256 {release.package_digest.hex()}" if release.package_digest else ""
    return f"{state}: {release.requester_name}, {release.agency_name}{why}{given}"


def _bytes(message: access_pb2.Agreement | access_pb2.ReleaseRequest) -> bytes:
    return message.SerializeToString(deterministic=True)
