"""The methods of disclosure and sealing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from plateward.audit.v1 import audit_pb2, event_pb2
from plateward.common.v1 import action_pb2, errors_pb2
from servicekit.clock import Clock
from servicekit.context import current
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from servicekit.interceptors.audit import SOFTWARE
from services.audit.disclosure import Disclosure, Sealing, check_second_person, encrypt, recipient_key
from services.audit.sequencer import Sequencer
from services.audit.store import Store

_CHUNK = 1 << 20


class DisclosureMethods:
    """Who looked at this plate; sealing an entry."""

    _sequencer: Sequencer
    _store: Store
    _clock: Clock
    _disclosure: Disclosure
    _sealing: Sealing

    async def SealEvent(
        self, request: audit_pb2.SealEventRequest, context: Any
    ) -> audit_pb2.SealEventResponse:
        check_second_person()
        self._sealing.check()
        found = await self._store.payloads(request.index, request.index + 1)
        if not found:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND, f"the log has no entry {request.index}: `plateward audit search` shows indexes"
            )  # fmt: skip
        if found[0].wrapped_key is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_WRONG_STATE, f"entry {request.index} is sealed already"
            )
        subject = current().subject
        order = event_pb2.AuditEvent(
            event_id=new_id(self._clock), phase=event_pb2.PHASE_CHANGE, request_id=current().request_id, service="audit",
            method=current().method, subject=subject, owner_agency_id=subject.agency_id, action=action_pb2.ACTION_DISCLOSE,
            software=SOFTWARE, change=event_pb2.Change(kind="seal", target=str(request.index), summary=f"sealed by order: {request.order}"),
        )  # fmt: skip
        order.occurred_at.FromDatetime(self._clock.now())
        receipt = await self._sequencer.append(order, seals=request.index)
        await self._sealing.destroy(request.index)
        current().changed("seal", str(request.index), "the payload's key is destroyed")
        return audit_pb2.SealEventResponse(order_receipt=receipt)

    async def ExportDiscovery(
        self, request: audit_pb2.ExportDiscoveryRequest, context: Any
    ) -> AsyncIterator[audit_pb2.ExportDiscoveryResponse]:
        check_second_person()
        recipient = recipient_key(request.recipient_key)
        size, note = self._sequencer.size, self._sequencer.note
        keys = [str(key) for key in self._sequencer.verifiers]
        data, indexes = await self._disclosure.package(
            current().subject.agency_id, request.plate, request.process, size, note, keys
        )
        current().returned(str(index) for index in indexes)
        sealed = encrypt(data, recipient)
        for start in range(0, len(sealed), _CHUNK):
            yield audit_pb2.ExportDiscoveryResponse(chunk=sealed[start : start + _CHUNK])
