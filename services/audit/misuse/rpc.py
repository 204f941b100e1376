"""The methods of flags and protected plates, and of another vendor's audit export."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from plateward.audit.v1 import audit_pb2
from plateward.common.v1 import errors_pb2
from servicekit.clock import Clock
from servicekit.context import current
from servicekit.errors import PlatewardError
from servicekit.ids import derived_id, new_id
from services.audit.misuse.flags import Flag
from services.audit.misuse.follower import Follower
from services.audit.misuse.panel import Panel, detectors
from services.audit.misuse.store import FlagStore, StoredFlag
from services.audit.misuse.vendor import FORMATS, VendorError, VendorReader
from services.audit.model import Sealer

_PAGE = 100
_MOST_BYTES = 512 << 20


class MisuseMethods:
    """List and dispose of flags, protect plates, import."""

    _flags: FlagStore
    _follower: Follower
    _sealer: Sealer
    _clock: Clock

    async def ListFlags(
        self, request: audit_pb2.ListFlagsRequest, context: Any
    ) -> audit_pb2.ListFlagsResponse:
        size = request.page.size or _PAGE
        found = await self._flags.page(current().subject.agency_id, request.page.token, size + 1)
        shown = [f for f in found[:size] if request.with_disposed or not f.finding]
        current().returned(f.flag_id for f in shown)
        token = found[size - 1].flag_id if len(found) > size else ""
        return audit_pb2.ListFlagsResponse(flags=[_stored(f) for f in shown], next_page_token=token)

    async def DisposeFlag(
        self, request: audit_pb2.DisposeFlagRequest, context: Any
    ) -> audit_pb2.DisposeFlagResponse:
        agency, member = current().subject.agency_id, current().subject.member_id
        flag = await self._flags.one(agency, request.flag_id)
        if flag is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND, "your agency has no flag with this ID: `plateward audit flags` shows them"
            )  # fmt: skip
        if flag.flag.member_id == member:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DENIED_BY_POLICY, "nobody disposes of a flag on himself: another auditor must",
                metadata={"rule": "audit.separation-of-duties"},
            )  # fmt: skip
        finding = audit_pb2.FindingKind.Name(request.disposition).removeprefix("FINDING_KIND_").lower()
        data = {"finding": finding, "note": request.note, "by": member}
        await self._flags.dispose(new_id(self._clock), request.flag_id, self._clock.now(), data)
        current().changed("flag", request.flag_id, f"disposed: {finding}", after=json.dumps(data).encode())
        return audit_pb2.DisposeFlagResponse()

    async def ProtectPlates(
        self, request: audit_pb2.ProtectPlatesRequest, context: Any
    ) -> audit_pb2.ProtectPlatesResponse:
        agency = current().subject.agency_id
        for plate in request.plates:
            digest = self._sealer.term("plate", plate.upper().replace(" ", "").replace("-", ""))
            await self._flags.protect(new_id(self._clock), agency, digest, active=not request.remove)
        self._follower.rebuild()
        verb = "no longer protected" if request.remove else "protected"
        current().changed("protected-plates", agency, f"{len(request.plates)} plates {verb}")
        return audit_pb2.ProtectPlatesResponse(protected=len(await self._flags.protected(agency)))

    async def ImportVendorAudit(
        self, request: AsyncIterator[audit_pb2.ImportVendorAuditRequest], context: Any
    ) -> audit_pb2.ImportVendorAuditResponse:
        reader, panel, found, size = None, Panel(detectors()), list[Flag](), 0
        agency = current().subject.agency_id
        try:
            async for part in request:
                if reader is None:
                    reader = VendorReader(part.format, agency)
                size += len(part.chunk)
                if size > _MOST_BYTES:
                    raise PlatewardError(
                        errors_pb2.ERROR_REASON_INVALID_ARGUMENT, f"the export is larger than {_MOST_BYTES >> 20} MiB: send it month by month"
                    )  # fmt: skip
                found += await asyncio.to_thread(_seen, panel, reader, part.chunk)
            reader = reader or VendorReader("", agency)
            found += await asyncio.to_thread(_seen, panel, reader, None)
        except VendorError as error:
            formats = ", ".join(FORMATS)
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT, f"{error}. Formats that are read: {formats}"
            ) from error
        current().changed(
            "vendor-audit",
            reader.form,
            f"{reader.rows} rows read, {len(reader.malformed)} malformed, {len(found)} flags",
        )
        return audit_pb2.ImportVendorAuditResponse(
            rows=reader.rows, malformed=[f"line {n}: {why}" for n, why in reader.malformed[:100]],
            malformed_rows=len(reader.malformed), flags=[_made(f, derived_id(f.at, f.detector, f.member_id, f.subject)) for f in found[:1000]],
        )  # fmt: skip

    async def flagged(self, agency_id: str, start: datetime, end: datetime) -> list[int]:
        """Return the entries that flags of a span rest on: a periodic audit reviews them all."""
        return sorted({i for f in await self._flags.between(agency_id, start, end) for i in f.flag.indexes})


def _seen(panel: Panel, reader: VendorReader, chunk: bytes | None) -> list[Flag]:
    looks = reader.feed(chunk) if chunk is not None else reader.end()
    return [flag for look in looks for flag in panel.see(look)]


def _stored(stored: StoredFlag) -> audit_pb2.Flag:
    made = _made(stored.flag, stored.flag_id)
    if stored.finding:
        made.disposition = audit_pb2.FindingKind.Value(f"FINDING_KIND_{stored.finding.upper()}")
    return made


def _made(flag: Flag, flag_id: str) -> audit_pb2.Flag:
    made = audit_pb2.Flag(
        flag_id=flag_id,
        detector=flag.detector,
        member_id=flag.member_id,
        explanation=flag.explanation,
        indexes=flag.indexes,
    )
    made.raised_at.FromDatetime(flag.at)
    return made
