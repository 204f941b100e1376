"""The RPCs that keep and destroy: holds, evidence, destruction, certificates, the address-confidentiality list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc

from plateward.common.v1 import action_pb2, errors_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.certificates import CertificateStore
from servicekit.context import current
from servicekit.errors import PlatewardError
from servicekit.times import instant
from services.reads.confidential import Confidential
from services.reads.evidence import Evidence
from services.reads.holds import Holds
from services.reads.purge import Purger
from services.reads.retention import Retention

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class KeepParts:
    """What the RPCs of this module are made of."""

    certificates: CertificateStore
    confidential: Confidential
    evidence: Evidence
    holds: Holds
    purger: Purger
    retention: Retention
    verifier_key: str


class KeepServicer:
    """Holds, evidence, destruction."""

    _keep: KeepParts

    async def PlaceHold(
        self, request: reads_pb2.PlaceHoldRequest, context: Context
    ) -> reads_pb2.PlaceHoldResponse:
        """Keep reads from destruction; see ``holds.py``."""
        call = current()
        hold = await self._keep.holds.place(request, call)
        call.changed(
            "hold",
            hold.hold_id,
            f"hold placed on {hold.reads} reads, case {hold.case_number}",
            after=_bytes(hold),
        )
        return reads_pb2.PlaceHoldResponse(hold=hold)

    async def ReleaseHold(
        self, request: reads_pb2.ReleaseHoldRequest, context: Context
    ) -> reads_pb2.ReleaseHoldResponse:
        """End a hold of the caller's agency."""
        call = current()
        hold = await self._keep.holds.release(request.hold_id, request.reason, call)
        call.changed("hold", hold.hold_id, f"hold released: {request.reason}", after=_bytes(hold))
        return reads_pb2.ReleaseHoldResponse(hold=hold)

    async def ReviewHold(
        self, request: reads_pb2.ReviewHoldRequest, context: Context
    ) -> reads_pb2.ReviewHoldResponse:
        """Give a hold of the caller's agency a new review date."""
        call = current()
        hold = await self._keep.holds.review(
            request.hold_id, instant(request.review_at), request.reason, call
        )
        call.changed("hold", hold.hold_id, f"hold reviewed: {request.reason}", after=_bytes(hold))
        return reads_pb2.ReviewHoldResponse(hold=hold)

    async def ListHolds(
        self, request: reads_pb2.ListHoldsRequest, context: Context
    ) -> reads_pb2.ListHoldsResponse:
        """Return the holds of the caller's agency, those to be looked at first."""
        call = current()
        holds = await self._keep.holds.listed(call.subject.agency_id, with_released=request.with_released)
        call.returned(hold.hold_id for hold in holds)
        return reads_pb2.ListHoldsResponse(holds=holds)

    async def ExportEvidence(
        self, request: reads_pb2.ExportEvidenceRequest, context: Context
    ) -> AsyncIterator[reads_pb2.ExportEvidenceResponse]:
        """Stream a package of what a hold keeps; see ``evidence.py``."""
        async for part in self._keep.evidence.export(request, current()):
            yield part

    async def DestroyExpired(
        self, request: reads_pb2.DestroyExpiredRequest, context: Context
    ) -> reads_pb2.DestroyExpiredResponse:
        """Destroy what is due: of the caller's agency, or of all for a service."""
        call, keep = current(), self._keep
        if call.subject.kind == action_pb2.CALLER_KIND_SERVICE:
            due = await keep.retention.refresh()
        elif not call.subject.member_id:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_TOKEN_MISSING,
                "a member must be signed in to destroy by hand: send a token",
            )
        else:
            version = call.decision.policy_version if call.decision is not None else ""
            due = [await keep.retention.schedules(call.subject.agency_id, version)]
        response = reads_pb2.DestroyExpiredResponse()
        for schedules in due:
            run = keep.purger.preview if request.dry_run else keep.purger.run
            response.certificates.extend(await run(schedules))
        call.returned(c.certificate_id for c in response.certificates if c.certificate_id)
        return response

    async def ListCertificates(
        self, request: reads_pb2.ListCertificatesRequest, context: Context
    ) -> reads_pb2.ListCertificatesResponse:
        """Return the certificates of the caller's agency, newest first."""
        call = current()
        certificates, token = await self._keep.certificates.page(
            call.subject.agency_id, request.page.size, request.page.token
        )
        call.returned(c.certificate_id for c in certificates)
        return reads_pb2.ListCertificatesResponse(
            certificates=certificates, next_page_token=token, verifier_key=self._keep.verifier_key
        )

    async def PutConfidentialPlates(
        self, request: reads_pb2.PutConfidentialPlatesRequest, context: Context
    ) -> reads_pb2.PutConfidentialPlatesResponse:
        """Replace the list of plates that are never stored; see ``confidential.py``."""
        call = current()
        count = await self._keep.confidential.replace(call.subject.agency_id, request.digests)
        call.changed("confidential-plates", call.subject.agency_id, f"list replaced: {count} plates")
        return reads_pb2.PutConfidentialPlatesResponse(count=count)


def _bytes(hold: reads_pb2.Hold) -> bytes:
    return hold.SerializeToString(deterministic=True)
