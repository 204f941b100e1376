"""The service's methods: proto to model and back. The 90-day audits and disclosures are in modules of their own."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

import structlog

from plateward.audit.v1 import audit_pb2, event_pb2
from plateward.common.v1 import action_pb2, errors_pb2
from servicekit.clock import Clock
from servicekit.context import current
from servicekit.crypto import UnsealError
from servicekit.errors import PlatewardError
from services.audit.disclosure import Disclosure, Sealing
from services.audit.export import export, tile_or_bundle
from services.audit.misuse.follower import Follower
from services.audit.misuse.rpc import MisuseMethods
from services.audit.misuse.store import FlagStore
from services.audit.model import SealedEntryError, Sealer
from services.audit.periodic.report import Reporter
from services.audit.periodic.rpc import PeriodicMethods
from services.audit.periodic.store import AuditStore
from services.audit.publishing import CosignatureError, Publisher
from services.audit.rpc_disclosure import DisclosureMethods
from services.audit.sequencer import Sequencer
from services.audit.store import Store
from tlog.hashing import leaf_hash
from tlog.prover import consistency_proof, inclusion_proof
from tlog.tiles import TileError, parse_tile_path

_LOG = structlog.get_logger(__name__)
_CHUNK = 1 << 20
_PUBLISH_PATIENCE_S = 5.0
_DEFAULT_PAGE, _MOST_PAGE = 50, 500
_PAYLOADS_FOR = (action_pb2.CALLER_KIND_PORTAL, action_pb2.CALLER_KIND_OPERATOR)
_ANSWERS = (event_pb2.PHASE_OUTCOME, event_pb2.PHASE_CHANGE)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the methods work with."""

    sequencer: Sequencer
    publisher: Publisher
    store: Store
    sealer: Sealer
    page_key: bytes
    clock: Clock
    audits: AuditStore
    reporter: Reporter
    flags: FlagStore
    follower: Follower
    disclosure: Disclosure
    sealing: Sealing


class AuditServicer(PeriodicMethods, MisuseMethods, DisclosureMethods):
    """Appends, proofs, tiles, export, search."""

    def __init__(self, parts: Parts) -> None:
        self._sequencer, self._publisher, self._store = parts.sequencer, parts.publisher, parts.store
        self._sealer, self._page_key, self._clock = parts.sealer, parts.page_key, parts.clock
        self._audits, self._reporter = parts.audits, parts.reporter
        self._flags, self._follower = parts.flags, parts.follower
        self._disclosure, self._sealing = parts.disclosure, parts.sealing
        self._flagged = self.flagged

    async def Append(self, request: audit_pb2.AppendRequest, context: Any) -> audit_pb2.AppendResponse:
        return audit_pb2.AppendResponse(receipt=await self._sequencer.append(request.event))

    async def GetCheckpoint(
        self, request: audit_pb2.GetCheckpointRequest, context: Any
    ) -> audit_pb2.GetCheckpointResponse:
        _, note = self._publisher.published
        return audit_pb2.GetCheckpointResponse(
            checkpoint=note or self._sequencer.note,
            verifier_keys=[str(key) for key in self._sequencer.verifiers],
            lag=self._publisher.lag,
        )

    async def GetInclusionProof(
        self, request: audit_pb2.GetInclusionProofRequest, context: Any
    ) -> audit_pb2.GetInclusionProofResponse:
        if not request.index < request.tree_size <= self._sequencer.size:
            raise _not_found(
                f"there is no entry {request.index} in a tree of {request.tree_size}; the log has {self._sequencer.size} entries"
            )
        found = await self._store.entries(request.index, request.index + 1)
        proof = await inclusion_proof(request.index, request.tree_size, self._sequencer.tiles)
        return audit_pb2.GetInclusionProofResponse(
            leaf_hash=leaf_hash(found[0][1]) if found else b"", proof=proof
        )

    async def GetConsistencyProof(
        self, request: audit_pb2.GetConsistencyProofRequest, context: Any
    ) -> audit_pb2.GetConsistencyProofResponse:
        if not request.old_size <= request.new_size <= self._sequencer.size:
            raise _not_found(f"sizes must rise and not exceed the log's {self._sequencer.size} entries")
        if request.old_size in (0, request.new_size):
            return audit_pb2.GetConsistencyProofResponse()
        proof = await consistency_proof(request.old_size, request.new_size, self._sequencer.tiles)
        return audit_pb2.GetConsistencyProofResponse(proof=proof)

    async def GetTile(self, request: audit_pb2.GetTileRequest, context: Any) -> audit_pb2.GetTileResponse:
        try:
            coord = parse_tile_path(request.path)
            data = await tile_or_bundle(self._store, self._sequencer.tiles, self._sequencer.size, coord)
        except TileError as error:
            raise _not_found(str(error)) from error
        return audit_pb2.GetTileResponse(data=data)

    async def ExportLog(
        self, request: audit_pb2.ExportLogRequest, context: Any
    ) -> AsyncIterator[audit_pb2.ExportLogResponse]:
        if request.with_payloads and current().caller.kind not in _PAYLOADS_FOR:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_CALLER_NOT_ALLOWED,
                "sealed payloads leave only to the portal and the operator: export without them",
            )
        await self._publisher.catch_up(_PUBLISH_PATIENCE_S)
        size, note = self._publisher.published
        if not note:
            size, note = self._sequencer.size, self._sequencer.note
        files = export(
            self._store,
            self._sequencer.tiles,
            size,
            note,
            self._sequencer.verifiers,
            payloads=request.with_payloads,
        )
        async for path, data in files:
            for start in range(0, max(1, len(data)), _CHUNK):
                yield audit_pb2.ExportLogResponse(path=path, data=data[start : start + _CHUNK])

    async def AddCosignature(
        self, request: audit_pb2.AddCosignatureRequest, context: Any
    ) -> audit_pb2.AddCosignatureResponse:
        try:
            return audit_pb2.AddCosignatureResponse(checkpoint=await self._publisher.add(request.note))
        except CosignatureError as error:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT, f"the cosignature is not taken: {error}"
            ) from error

    async def SearchEvents(
        self, request: audit_pb2.SearchEventsRequest, context: Any
    ) -> audit_pb2.SearchEventsResponse:
        # Whose events: one's own agency's, as searcher or as owner of the data (1798.90.52).
        wanted = [("agency", current().subject.agency_id), ("member", request.member_id), ("plate", request.plate),
                  ("case", request.case_number), ("by", request.agency_id),
                  ("action", str(request.action) if request.action else "")]  # fmt: skip
        terms = [(kind, self._sealer.term(kind, value)) for kind, value in wanted if value]
        size = min(request.page.size or _DEFAULT_PAGE, _MOST_PAGE)
        start = request.window.start.ToDatetime(UTC) if request.window.HasField("start") else None
        end = request.window.end.ToDatetime(UTC) if request.window.HasField("end") else None
        rows = await self._store.search(terms, start, end, self._before(request.page.token), size + 1)
        events = []
        for row in rows[:size]:
            item = audit_pb2.IndexedEvent(index=row.index)
            try:
                item.event.CopyFrom(self._sealer.open(row.entry, row.sealed, row.wrapped_key))
            except SealedEntryError:
                pass
            except UnsealError:
                _LOG.error("payload_altered", index=row.index)
            events.append(item)
        current().returned(str(item.index) for item in events)
        token = self._token(rows[size - 1].index) if len(rows) > size else ""
        return audit_pb2.SearchEventsResponse(events=events, next_page_token=token)

    async def CountEvents(
        self, request: audit_pb2.CountEventsRequest, context: Any
    ) -> audit_pb2.CountEventsResponse:
        since = self._clock.now() - timedelta(days=request.days)
        answered, refused = await self._store.count(action_pb2.ACTION_SEARCH, _ANSWERS, since)
        counts = audit_pb2.CountEventsResponse(searches=answered, refused=refused)
        if (last := await self._audits.last_signed_off()) is not None:
            counts.last_audit_at.FromDatetime(last)
        return counts

    def _token(self, index: int) -> str:
        mac = hmac.digest(self._page_key, str(index).encode(), "sha256")[:12].hex()
        return f"{index}.{mac}"

    def _before(self, token: str) -> int | None:
        if not token:
            return None
        text, _, _ = token.partition(".")
        if (
            not text.isdigit()
            or len(text) > 18
            or not hmac.compare_digest(self._token(int(text)).encode(), token.encode())
        ):
            raise PlatewardError(
                errors_pb2.ERROR_REASON_CURSOR_INVALID,
                "the page token is not one of this service's: start without one",
            )
        return int(text)


def _not_found(message: str) -> PlatewardError:
    return PlatewardError(errors_pb2.ERROR_REASON_NOT_FOUND, message)
