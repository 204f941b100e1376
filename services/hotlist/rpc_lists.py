"""The RPCs of lists: import, ages, differences, offers between agencies, cleared vehicles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from plateward.common.v1 import action_pb2, errors_pb2
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from servicekit.context import CallContext, current
from servicekit.errors import PlatewardError
from servicekit.times import instant
from services.hotlist.importing import Importer
from services.hotlist.lists import Lists
from services.hotlist.statistics import Statistics

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class ListParts:
    """What the RPCs of lists are made of."""

    importer: Importer
    lists: Lists
    statistics: Statistics


class ListRpcs:
    """Lists of an agency, beside its own entries."""

    _of_lists: ListParts

    async def ImportList(
        self, request_iterator: AsyncIterator[hotlist_pb2.ImportListRequest], context: Context
    ) -> hotlist_pb2.ImportListResponse:
        """Take a file in, swapped in at once."""
        call = current()
        agency_id = managing(call)
        agency_list = ""

        async def told() -> AsyncIterator[hotlist_pb2.ImportListRequest]:
            nonlocal agency_list
            async for request in request_iterator:
                agency_list = agency_list or request.list.list_id
                yield request

        response = await self._of_lists.importer.take(told(), agency_id, call.subject.member_id)
        for known in await self._of_lists.lists.all(agency_id):
            if (known.agency_id, known.list_id) == (agency_id, agency_list):
                response.list.CopyFrom(known)
        dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(response.dropped.items()))
        call.changed(
            "hotlist",
            response.list.list_id,
            f"list imported: {response.rows} rows, {response.added} added, {response.removed} removed, "
            f"{response.changed} changed, dropped: {dropped or 'none'}",
            after=response.SerializeToString(deterministic=True),
        )
        return response

    async def ListHotlists(
        self, request: hotlist_pb2.ListHotlistsRequest, context: Context
    ) -> hotlist_pb2.ListHotlistsResponse:
        """Return the lists in force for the caller's agency."""
        call = current()
        lists = await self._of_lists.lists.all(call.subject.agency_id) if own_agencies(call) else []
        return hotlist_pb2.ListHotlistsResponse(lists=lists)

    async def DiffList(
        self, request: hotlist_pb2.DiffListRequest, context: Context
    ) -> hotlist_pb2.DiffListResponse:
        """Return what changed between two versions."""
        call = current()
        older = instant(getattr(request, "from")) if request.HasField("from") else None
        newer = instant(request.to) if request.HasField("to") else None
        response = await self._of_lists.lists.diff(managing(call), request.list_id, older, newer)
        call.returned(e.entry_id for e in (*response.added, *response.removed, *response.changed))
        return response

    async def PushList(
        self, request: hotlist_pb2.PushListRequest, context: Context
    ) -> hotlist_pb2.PushListResponse:
        """Offer a list to another agency."""
        call = current()
        offer_id = await self._of_lists.lists.push(
            self._new_offer_id(),
            managing(call),
            request.list_id,
            request.to_agency_id,
            call.subject.member_id,
        )
        call.changed("hotlist-offer", offer_id, f"list {request.list_id} offered to {request.to_agency_id}")
        return hotlist_pb2.PushListResponse(offer_id=offer_id)

    async def AcceptForeignList(
        self, request: hotlist_pb2.AcceptForeignListRequest, context: Context
    ) -> hotlist_pb2.AcceptForeignListResponse:
        """Accept another agency's list; its hits are leads at most."""
        call = current()
        accepted = await self._of_lists.lists.accept(request.offer_id, managing(call), call.subject.member_id)
        call.changed(
            "hotlist-offer",
            request.offer_id,
            f"foreign list {accepted.list_id} of {accepted.agency_id} accepted, leads at most",
            after=accepted.SerializeToString(deterministic=True),
        )
        return hotlist_pb2.AcceptForeignListResponse(list=accepted)

    async def ClearVehicle(
        self, request: hotlist_pb2.ClearVehicleRequest, context: Context
    ) -> hotlist_pb2.ClearVehicleResponse:
        """Sign a vehicle off as not the one looked for."""
        call = current()
        await self._of_lists.lists.clear(request, own_agencies(call), managing(call), call.subject.member_id)
        call.changed(
            "hotlist-cleared",
            request.entry_id,
            f"vehicle cleared: {request.reason}",
            after=request.SerializeToString(deterministic=True),
        )
        return hotlist_pb2.ClearVehicleResponse()

    async def GetMatchStatistics(
        self, request: hotlist_pb2.GetMatchStatisticsRequest, context: Context
    ) -> hotlist_pb2.GetMatchStatisticsResponse:
        """Return how often hits were right: of the caller's agency, or of each for a service."""
        subject = current().subject
        everyone = subject.kind == action_pb2.CALLER_KIND_SERVICE
        rows = await self._of_lists.statistics.rows(request.days, None if everyone else subject.agency_id)
        return hotlist_pb2.GetMatchStatisticsResponse(rows=rows)

    def _new_offer_id(self) -> str:
        raise NotImplementedError


def own_agencies(call: CallContext) -> Sequence[str]:
    """Return the agencies whose lists the caller may handle: its own, where the decision allows it."""
    allowed = call.decision.obligations.agency_ids if call.decision is not None else ()
    return [agency for agency in allowed if agency == call.subject.agency_id]


def managing(call: CallContext) -> str:
    """Return the agency whose lists the caller manages.

    Raises:
        PlatewardError: DENIED_BY_POLICY where the decision gives none.
    """
    if not (agencies := own_agencies(call)):
        raise PlatewardError(
            errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
            "The policy lets you handle no list of your agency: ask your administrator.",
        )
    return agencies[0]


def bytes_of(message: hit_pb2.Hit | hit_pb2.HotlistEntry) -> bytes:
    """Return the bytes over which a change's digest is made."""
    return message.SerializeToString(deterministic=True)
