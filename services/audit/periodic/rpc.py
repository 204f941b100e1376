"""The methods of the periodic audits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from plateward.audit.v1 import audit_pb2
from plateward.common.v1 import errors_pb2
from servicekit.clock import Clock
from servicekit.context import current
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from servicekit.times import instant
from services.audit.looks import LOOKS
from services.audit.periodic.draw import draw
from services.audit.periodic.life import DRAWN, FOUND, PLANNED, SIGNED_OFF, PeriodicAudit, denied, fold
from services.audit.periodic.report import Reporter
from services.audit.periodic.store import AuditStore
from services.audit.sequencer import Sequencer
from tlog.checkpoint import Checkpoint
from tlog.note import parse_note

DUE_AFTER = timedelta(days=30)
LONGEST_SPAN = timedelta(days=400)
_PAGE = 50
Flagged = Callable[[str, datetime, datetime], Awaitable[list[int]]]


class PeriodicMethods:
    """Plan, draw, find, sign off, list, report."""

    _sequencer: Sequencer
    _clock: Clock
    _audits: AuditStore
    _flagged: Flagged
    _reporter: Reporter

    async def PlanAudit(
        self, request: audit_pb2.PlanAuditRequest, context: Any
    ) -> audit_pb2.PlanAuditResponse:
        asked, now = request.audit, self._clock.now()
        start, end = instant(asked.span.start), instant(asked.span.end)
        if asked.reviewer_id == asked.approver_id:
            raise denied("the reviewer does not approve: name two persons")
        if end > now or end - start > LONGEST_SPAN:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
                f"an audit covers a span that has ended, of {LONGEST_SPAN.days} days at most: give its first and last day",
            )
        due = instant(asked.due_at) if asked.HasField("due_at") else now + DUE_AFTER
        audit_id = new_id(self._clock)
        data = {
            "agency_id": current().subject.agency_id, "start": start.isoformat(), "end": end.isoformat(), "reviewer_id": asked.reviewer_id,
            "approver_id": asked.approver_id, "sample_rate": asked.sample_rate, "due_at": due.isoformat(), "seed": asked.seed.hex(),
        }  # fmt: skip
        audit = await self._step(
            audit_id, PLANNED, data,
            f"planned: {start:%Y-%m-%d} to {end:%Y-%m-%d}, at least {asked.sample_rate:.1%}, due {due:%Y-%m-%d}",
        )  # fmt: skip
        return audit_pb2.PlanAuditResponse(audit=to_proto(audit))

    async def DrawSample(
        self, request: audit_pb2.DrawSampleRequest, context: Any
    ) -> audit_pb2.DrawSampleResponse:
        audit = await self._audit(request.audit_id)
        audit.check_reviewer(current().subject.member_id)
        if audit.drawn_at is None:
            population = await self._audits.population(
                audit.agency_id, LOOKS, audit.start, audit.end, answered=True
            )
            flagged = await self._flagged(audit.agency_id, audit.start, audit.end)
            # A root that nobody knew when the audit was planned: neither planner nor reviewer can choose the sample.
            seed = audit.seed or _root(self._sequencer.note)
            sample = draw(population, seed, audit.sample_rate, flagged)
            data = {
                "seed": seed.hex(), "population": len(population), "tree_size": self._sequencer.size,
                "drawn": list(sample.drawn), "flagged": list(sample.flagged),
            }  # fmt: skip
            summary = f"sample drawn: {len(sample.drawn)} of {len(population)} and {len(sample.flagged)} flagged, seed {seed.hex()[:16]}"
            audit = await self._step(audit.audit_id, DRAWN, data, summary)
        current().returned(str(index) for index in audit.sample)
        return audit_pb2.DrawSampleResponse(indexes=audit.sample, seed=audit.seed)

    async def RecordFinding(
        self, request: audit_pb2.RecordFindingRequest, context: Any
    ) -> audit_pb2.RecordFindingResponse:
        audit = await self._audit(request.audit_id)
        audit.check_reviewer(current().subject.member_id)
        audit.check_finding(request.index, request.finding, request.corrective_action)
        name = audit_pb2.FindingKind.Name(request.finding).removeprefix("FINDING_KIND_").lower()
        due = instant(request.corrective_due_at).isoformat() if request.HasField("corrective_due_at") else ""
        data = {
            "index": request.index, "finding": name, "note": request.note, "corrective_action": request.corrective_action,
            "corrective_due_at": due, "reviewer_id": current().subject.member_id,
        }  # fmt: skip
        await self._step(audit.audit_id, FOUND, data, f"finding on entry {request.index}: {name}")
        return audit_pb2.RecordFindingResponse()

    async def SignOffAudit(
        self, request: audit_pb2.SignOffAuditRequest, context: Any
    ) -> audit_pb2.SignOffAuditResponse:
        audit = await self._audit(request.audit_id)
        audit.check_sign_off(current().subject.member_id)
        data = {"approver_id": current().subject.member_id, "checkpoint": self._sequencer.note}
        audit = await self._step(
            audit.audit_id, SIGNED_OFF, data, f"signed off: {len(audit.findings)} findings"
        )
        return audit_pb2.SignOffAuditResponse(audit=to_proto(audit))

    async def ListAudits(
        self, request: audit_pb2.ListAuditsRequest, context: Any
    ) -> audit_pb2.ListAuditsResponse:
        size = request.page.size or _PAGE
        agency = current().subject.agency_id
        ids = await self._audits.audit_ids(agency, request.page.token, size + 1)
        audits = [await self._audit(audit_id) for audit_id in ids[:size]]
        current().returned(ids[:size])
        return audit_pb2.ListAuditsResponse(
            audits=[to_proto(a) for a in audits], next_page_token=ids[size - 1] if len(ids) > size else ""
        )

    async def GetAuditReport(
        self, request: audit_pb2.GetAuditReportRequest, context: Any
    ) -> audit_pb2.GetAuditReportResponse:
        audit = await self._audit(request.audit_id)
        note = self._sequencer.note
        data = await self._reporter.report(audit, note, request.format)
        current().returned(str(index) for index in audit.sample)
        return audit_pb2.GetAuditReportResponse(data=data, checkpoint=note)

    async def _audit(self, audit_id: str) -> PeriodicAudit:
        audit = fold(await self._audits.records(audit_id, current().subject.agency_id))
        if audit is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND, "your agency has no audit with this ID: `plateward audit list` shows them"
            )  # fmt: skip
        return audit

    async def _step(self, audit_id: str, kind: str, data: dict[str, Any], summary: str) -> PeriodicAudit:
        agency, now = current().subject.agency_id, self._clock.now()
        stored = await self._audits.add(new_id(self._clock), audit_id, agency, kind, now, data)
        current().changed("audit", audit_id, summary, after=stored)
        return await self._audit(audit_id)


def to_proto(audit: PeriodicAudit) -> audit_pb2.Audit:
    """Return an audit as a message."""
    made = audit_pb2.Audit(
        audit_id=audit.audit_id, agency_id=audit.agency_id, reviewer_id=audit.reviewer_id, approver_id=audit.approver_id,
        sample_rate=audit.sample_rate, seed=audit.seed, state=audit.state, sampled=len(audit.sample), found=len(audit.findings),
        population=audit.population,
    )  # fmt: skip
    made.span.start.FromDatetime(audit.start.astimezone(UTC))
    made.span.end.FromDatetime(audit.end.astimezone(UTC))
    made.due_at.FromDatetime(audit.due_at.astimezone(UTC))
    if audit.signed_off_at is not None:
        made.signed_off_at.FromDatetime(audit.signed_off_at)
    return made


def _root(note: str) -> bytes:
    return Checkpoint.parse(parse_note(note).text).root
