"""The methods of flags and protected plates, and of another vendor's audit export."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from plateward.audit.v1 import audit_pb2
from plateward.common.v1 import errors_pb2
from servicekit.clock import Clock
from servicekit.context import current
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from services.audit.misuse.flags import Flag
from services.audit.misuse.follower import Follower
from services.audit.misuse.store import FlagStore, StoredFlag
from services.audit.misuse.vendor import FORMATS, VendorError, VendorReader
from services.audit.misuse.vendor_report import to_csv, to_html, to_json
from services.audit.misuse.vendor_run import summarise
from services.audit.model import Sealer

_PAGE, _MOST_PAGE = 100, 500
_MOST_BYTES = 512 << 20
# A message has 4 MiB: as many flags and positions as surely fit. The report has them all.
_MOST_FLAGS, _MOST_INDEXES = 1000, 300
_IMPORTING = asyncio.Semaphore(1)
_RENDER = {
    audit_pb2.REPORT_FORMAT_HTML: to_html, audit_pb2.REPORT_FORMAT_JSON: to_json, audit_pb2.REPORT_FORMAT_CSV: to_csv,
}  # fmt: skip


class MisuseMethods:
    """List and dispose of flags, protect plates, import."""

    _flags: FlagStore
    _follower: Follower
    _sealer: Sealer
    _clock: Clock

    async def ListFlags(
        self, request: audit_pb2.ListFlagsRequest, context: Any
    ) -> audit_pb2.ListFlagsResponse:
        size = min(request.page.size or _PAGE, _MOST_PAGE)
        agency, before = current().subject.agency_id, _cursor(request.page.token)
        found = await self._flags.page(agency, before, size + 1, with_disposed=request.with_disposed)
        shown = found[:size]
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
        if _IMPORTING.locked():
            raise PlatewardError(
                errors_pb2.ERROR_REASON_OVERLOADED, "another import is running: try again when it has ended"
            )
        async with _IMPORTING:
            return await self._imported(request)

    async def _imported(
        self, parts: AsyncIterator[audit_pb2.ImportVendorAuditRequest]
    ) -> audit_pb2.ImportVendorAuditResponse:
        reader, size, form = None, 0, audit_pb2.REPORT_FORMAT_UNSPECIFIED
        try:
            async for part in parts:
                if reader is None:
                    form = part.report_format
                    reader = VendorReader(part.format, current().subject.agency_id, _zone(part.time_zone))
                size = _allowed(size + len(part.chunk))
                await asyncio.to_thread(reader.feed, part.chunk)
            reader = reader or VendorReader(FORMATS[0], "")
            await asyncio.to_thread(reader.end)
            summary = await asyncio.to_thread(summarise, reader, self._follower.limits)
        except VendorError as error:
            raise PlatewardError(errors_pb2.ERROR_REASON_INVALID_ARGUMENT, str(error)) from error
        finally:
            if reader is not None:
                reader.close()
        current().changed(
            "vendor-audit", summary.form, f"{summary.rows} rows read, {summary.malformed_rows} malformed, {len(summary.flags)} flags"
        )  # fmt: skip
        return audit_pb2.ImportVendorAuditResponse(
            rows=summary.rows, malformed=[f"line {row.line}: {row.why}" for row in summary.malformed], malformed_rows=summary.malformed_rows,
            flags=[_made(f, self._flags.flag_id(f)) for f in summary.flags[:_MOST_FLAGS]],
            report=_RENDER[form](summary) if form in _RENDER else b"",
        )  # fmt: skip

    async def flagged(self, agency_id: str, start: datetime, end: datetime) -> list[int]:
        """Return the entries that flags of a span rest on: a periodic audit reviews them all."""
        return sorted({i for f in await self._flags.between(agency_id, start, end) for i in f.flag.indexes})


def _allowed(size: int) -> int:
    if size > _MOST_BYTES:
        raise VendorError(f"the export is larger than {_MOST_BYTES >> 20} MiB: send it month by month")
    return size


def _cursor(token: str) -> str:
    try:
        return str(UUID(token)) if token else ""
    except ValueError:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_CURSOR_INVALID, "the page token is not one of this service's: start without one"
        ) from None  # fmt: skip


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise VendorError(
            f"the time zone {name[:40]!r} is not known: use a name such as America/Los_Angeles"
        ) from None


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
        indexes=flag.indexes[:_MOST_INDEXES],
    )
    made.raised_at.FromDatetime(flag.at)
    return made
