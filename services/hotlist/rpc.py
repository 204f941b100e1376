"""The RPCs of ``hotlist``: each says what it does in a few lines; identity, policy and audit are the kit's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc

from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from servicekit.certificates import CertificateStore
from servicekit.context import current
from services.hotlist import states
from services.hotlist.confirmations import Confirmations
from services.hotlist.entries import Entries
from services.hotlist.hits import Hits, Writes
from services.hotlist.pictures import Pictures
from services.hotlist.rpc_lists import ListParts, ListRpcs, bytes_of, own_agencies
from services.hotlist.states import Result, Standing
from services.hotlist.streams import Streams
from services.hotlist.webhooks import Webhooks

Context = grpc.aio.ServicerContext[Any, Any]
_MOST_ENTRIES = 500


@dataclass(frozen=True, slots=True)
class Parts:
    """What the RPCs are made of."""

    entries: Entries
    hits: Hits
    streams: Streams
    confirmations: Confirmations
    new_id: Callable[[], str]
    of_lists: ListParts
    pictures: Pictures
    certificates: CertificateStore
    release_after: timedelta
    verifier_key: str


class HotlistServicer(ListRpcs):
    """Entries with a second person; hits that one named person verifies."""

    def __init__(self, parts: Parts, webhooks: Webhooks) -> None:
        self._parts = parts
        self._webhooks = webhooks
        self._of_lists = parts.of_lists

    def _new_offer_id(self) -> str:
        return self._parts.new_id()

    async def PutWebhook(
        self, request: hotlist_pb2.PutWebhookRequest, context: Context
    ) -> hotlist_pb2.PutWebhookResponse:
        """Set where the agency's hits are posted, or end it."""
        call = current()
        agency = call.subject.agency_id
        if request.remove:
            await self._webhooks.remove(agency)
            call.changed("webhook", agency, "webhook removed")
        else:
            await self._webhooks.put(agency, request.url, request.secret, call.subject.member_id)
            call.changed("webhook", agency, f"hits are posted to {request.url}", after=request.url.encode())
        return hotlist_pb2.PutWebhookResponse()

    async def CreateEntry(
        self, request: hotlist_pb2.CreateEntryRequest, context: Context
    ) -> hotlist_pb2.CreateEntryResponse:
        """Make an entry that waits for its second person."""
        call = current()
        entry = await self._parts.entries.create(
            request.entry,
            entry_id=self._parts.new_id(),
            agency_id=call.subject.agency_id,
            member_id=call.subject.member_id,
        )
        call.changed("hotlist-entry", entry.entry_id, "entry made, waits for approval", after=bytes_of(entry))
        return hotlist_pb2.CreateEntryResponse(entry=entry)

    async def ApproveEntry(
        self, request: hotlist_pb2.ApproveEntryRequest, context: Context
    ) -> hotlist_pb2.ApproveEntryResponse:
        """Put an entry in force."""
        call = current()
        before, after = await self._parts.entries.approve(
            request.entry_id, own_agencies(call), call.subject.member_id
        )
        call.changed(
            "hotlist-entry", after.entry_id, "entry approved", before=bytes_of(before), after=bytes_of(after)
        )
        return hotlist_pb2.ApproveEntryResponse(entry=after)

    async def RemoveEntry(
        self, request: hotlist_pb2.RemoveEntryRequest, context: Context
    ) -> hotlist_pb2.RemoveEntryResponse:
        """Take an entry out."""
        call = current()
        before = await self._parts.entries.remove(
            request.entry_id, own_agencies(call), call.subject.member_id, request.reason
        )
        call.changed("hotlist-entry", before.entry_id, "entry removed", before=bytes_of(before))
        return hotlist_pb2.RemoveEntryResponse()

    async def ListEntries(
        self, request: hotlist_pb2.ListEntriesRequest, context: Context
    ) -> hotlist_pb2.ListEntriesResponse:
        """Return the entries of the agency's own list."""
        call = current()
        size = min(request.page.size or _MOST_ENTRIES, _MOST_ENTRIES)
        entries, token = await self._parts.entries.page(
            own_agencies(call), request.list_id, request.page.token, size
        )
        call.returned(entry.entry_id for entry in entries)
        return hotlist_pb2.ListEntriesResponse(entries=entries, next_page_token=token)

    async def ListHits(
        self, request: hotlist_pb2.ListHitsRequest, context: Context
    ) -> hotlist_pb2.ListHitsResponse:
        """Return hits, newest first."""
        call = current()
        hits, token = await self._parts.hits.page(call.decision, request.state, request.page)
        call.returned(hit.read.read_id for hit in hits)
        return hotlist_pb2.ListHitsResponse(hits=hits, next_page_token=token)

    async def StreamHits(
        self, request: hotlist_pb2.StreamHitsRequest, context: Context
    ) -> AsyncIterator[hotlist_pb2.StreamHitsResponse]:
        """Stream hits as they are raised."""
        call = current()
        async for response in self._parts.streams.stream(call.decision, request.cursor):
            if response.HasField("hit"):
                call.returned([response.hit.read.read_id])
            yield response

    async def ClaimHit(
        self, request: hotlist_pb2.ClaimHitRequest, context: Context
    ) -> hotlist_pb2.ClaimHitResponse:
        """Take a hit: from now on one named person verifies it."""
        member_id = current().subject.member_id
        hit = await self._step(
            request.hit_id, lambda hit: states.claim(hit, member_id), Writes(note="claimed")
        )
        return hotlist_pb2.ClaimHitResponse(hit=hit)

    async def ReleaseHit(
        self, request: hotlist_pb2.ReleaseHitRequest, context: Context
    ) -> hotlist_pb2.ReleaseHitResponse:
        """Hand a hit back, or take it from a verifier who is gone."""
        member_id = current().subject.member_id
        hit = await self._step(
            request.hit_id,
            lambda hit: states.release(hit, member_id, self._parts.release_after),
            Writes(note=_note("released", request.reason)),
        )
        return hotlist_pb2.ReleaseHitResponse(hit=hit)

    async def GetHitPicture(
        self, request: hotlist_pb2.GetHitPictureRequest, context: Context
    ) -> hotlist_pb2.GetHitPictureResponse:
        """Return a picture that is kept with a hit."""
        call = current()
        jpeg, read_id = await self._parts.pictures.get(request.hit_id, request.kind, call.decision)
        call.returned([read_id])
        return hotlist_pb2.GetHitPictureResponse(jpeg=jpeg)

    async def CompareHit(
        self, request: hotlist_pb2.CompareHitRequest, context: Context
    ) -> hotlist_pb2.CompareHitResponse:
        """Record what the comparison of picture and entry showed."""
        member_id = current().subject.member_id
        hit = await self._step(
            request.hit_id,
            lambda hit: states.compare(
                hit, member_id, plate=request.plate, state=request.state, vehicle=request.vehicle
            ),
            Writes(note=_note(_compared(request), request.note)),
        )
        return hotlist_pb2.CompareHitResponse(hit=hit)

    async def RequestConfirmation(
        self, request: hotlist_pb2.RequestConfirmationRequest, context: Context
    ) -> hotlist_pb2.RequestConfirmationResponse:
        """Ask the originating agency."""
        call = current()
        stepped = await self._parts.confirmations.request(
            request.hit_id, call.decision, call.subject, request.urgency
        )
        asked = stepped.after.confirmation
        urgency = hit_pb2.Urgency.Name(asked.urgency).removeprefix("URGENCY_").lower()
        call.changed(
            "hit", request.hit_id, f"originating agency asked, {urgency}, answer due {asked.due_at.ToDatetime():%Y-%m-%d %H:%M:%S} UTC",
            before=bytes_of(stepped.before), after=bytes_of(stepped.after),
        )  # fmt: skip
        call.returned([stepped.after.read.read_id])
        return hotlist_pb2.RequestConfirmationResponse(hit=stepped.after)

    async def CheckRecords(
        self, request: hotlist_pb2.CheckRecordsRequest, context: Context
    ) -> hotlist_pb2.CheckRecordsResponse:
        """Record the records check."""
        member_id = current().subject.member_id
        result = hit_pb2.RecordsResult.Name(request.result).removeprefix("RECORDS_RESULT_")
        told = f"records {result.lower().replace('_', ' ')}"
        hit = await self._step(
            request.hit_id,
            lambda hit: states.check_records(
                hit,
                member_id,
                request.result,
                request.reason,
                reference=request.reference,
                by_switch=self._parts.confirmations.by_switch,
            ),
            Writes(note=_note(told, request.reference, request.reason)),
        )
        return hotlist_pb2.CheckRecordsResponse(hit=hit)

    async def RecordAction(
        self, request: hotlist_pb2.RecordActionRequest, context: Context
    ) -> hotlist_pb2.RecordActionResponse:
        """Record an action on a confirmed hit."""
        told = hit_pb2.HitAction.Name(request.action).removeprefix("HIT_ACTION_").lower()
        hit = await self._step(
            request.hit_id,
            lambda hit: states.act(hit, request.action),
            Writes(note=_note(told, request.note), action=request.action),
        )
        return hotlist_pb2.RecordActionResponse(hit=hit)

    async def RecordOutcome(
        self, request: hotlist_pb2.RecordOutcomeRequest, context: Context
    ) -> hotlist_pb2.RecordOutcomeResponse:
        """Record how it ended."""
        hit = await self._step(
            request.hit_id,
            states.close,
            Writes(note=_note(request.outcome, request.note), outcome=request.outcome),
        )
        return hotlist_pb2.RecordOutcomeResponse(hit=hit)

    async def ListHitCertificates(
        self, request: hotlist_pb2.ListHitCertificatesRequest, context: Context
    ) -> hotlist_pb2.ListHitCertificatesResponse:
        """Return the certificates of destroyed hits of the caller's agency, newest first."""
        call = current()
        certificates, token = await self._parts.certificates.page(
            call.subject.agency_id, request.page.size, request.page.token
        )
        call.returned(c.certificate_id for c in certificates)
        return hotlist_pb2.ListHitCertificatesResponse(
            certificates=certificates, next_page_token=token, verifier_key=self._parts.verifier_key
        )

    async def _step(self, hit_id: str, move: Callable[[Standing], Result], writes: Writes) -> hit_pb2.Hit:
        call = current()
        stepped = await self._parts.hits.step(hit_id, call.decision, call.subject, move, writes)
        after = hit_pb2.HitState.Name(stepped.after.state).removeprefix("HIT_STATE_").lower()
        call.changed("hit", hit_id, after, before=bytes_of(stepped.before), after=bytes_of(stepped.after))
        call.returned([stepped.after.read.read_id])
        return stepped.after


def _compared(request: hotlist_pb2.CompareHitRequest) -> str:
    return ", ".join(
        f"{what} {hit_pb2.Comparison.Name(seen).removeprefix('COMPARISON_').lower().replace('_', ' ')}"
        for what, seen in (("plate", request.plate), ("state", request.state), ("vehicle", request.vehicle))
    )


def _note(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
