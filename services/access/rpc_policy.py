"""The methods about policy and cases: proto to model and back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from psycopg.rows import DictRow

from plateward.access.v1 import access_pb2
from plateward.common.v1 import errors_pb2
from servicekit.context import current
from servicekit.errors import PlatewardError
from services.access.agreements import Agreements
from services.access.decide import Core
from services.access.lint import lint
from services.access.pages import name_page
from services.access.policy import PolicyBundle
from services.access.publish import Publisher
from services.access.store import Store
from services.access.transparency import TransparencyPage


class PolicyMethods:
    """Policy: what it says, what it would decide, whether it contradicts itself. Cases that purposes may name."""

    _core: Core
    _store: Store
    _publisher: Publisher
    _agreements: Agreements
    _page: TransparencyPage

    async def ExplainDecision(
        self, request: access_pb2.ExplainDecisionRequest, context: Any
    ) -> access_pb2.ExplainDecisionResponse:
        subject = current().subject
        asked = access_pb2.DecideRequest(
            subject=subject,
            action=request.action,
            owner_agency_ids=request.owner_agency_ids or [subject.agency_id],
        )
        if request.HasField("purpose"):
            asked.purpose.CopyFrom(request.purpose)
        return access_pb2.ExplainDecisionResponse(decision=await self._core.decide(asked))

    async def GetPolicy(
        self, request: access_pb2.GetPolicyRequest, context: Any
    ) -> access_pb2.GetPolicyResponse:
        return access_pb2.GetPolicyResponse(policy=as_proto(self._bundle_of(request.agency_id)))

    async def GetTransparencyPage(
        self, request: access_pb2.GetTransparencyPageRequest, context: Any
    ) -> access_pb2.GetTransparencyPageResponse:
        bundle = self._bundle_of(request.agency_id)
        html = await self._page.html(bundle, await self._agreements.partners(bundle.document["agency"]))
        return access_pb2.GetTransparencyPageResponse(html=html, policy_version=bundle.version)

    def _bundle_of(self, agency_id: str) -> PolicyBundle:
        bundle = self._core.bundle
        if agency_id not in ("", bundle.document["agency"]):
            raise PlatewardError(
                errors_pb2.ERROR_REASON_NOT_FOUND, "this installation has no policy of that agency"
            )
        return bundle

    async def LintPolicy(
        self, request: access_pb2.LintPolicyRequest, context: Any
    ) -> access_pb2.LintPolicyResponse:
        answer = access_pb2.LintPolicyResponse()
        for finding in lint(request.document):
            answer.findings.add(
                clauses=finding.clauses, message=finding.message, rule=finding.rule, refused=finding.refused
            )
        return answer

    async def ListPolicyVersions(
        self, request: access_pb2.ListPolicyVersionsRequest, context: Any
    ) -> access_pb2.ListPolicyVersionsResponse:
        size, after = name_page(request.page)
        rows = await self._publisher.page(current().subject.agency_id, after or None, size + 1)
        current().returned(row["version"] for row in rows[:size])
        token = rows[size - 1]["version"] if len(rows) > size else ""
        return access_pb2.ListPolicyVersionsResponse(
            policies=[self._version(row) for row in rows[:size]], next_page_token=token
        )

    async def ProposePolicy(
        self, request: access_pb2.ProposePolicyRequest, context: Any
    ) -> access_pb2.ProposePolicyResponse:
        row = await self._publisher.propose(request.document, current().subject)
        current().changed(
            "policy",
            row["version"],
            "proposed",
            before=self._core.bundle.text.encode(),
            after=request.document.encode(),
        )
        return access_pb2.ProposePolicyResponse(policy=self._version(row))

    async def ActivatePolicy(
        self, request: access_pb2.ActivatePolicyRequest, context: Any
    ) -> access_pb2.ActivatePolicyResponse:
        row, before = await self._publisher.activate(request.version, current().subject, self._core)
        current().changed(
            "policy",
            request.version,
            f"in force; proposed by {row['proposed_by']}; before it {before.version}; {_differences(before, self._core.bundle)}",
            before=before.text.encode(),
            after=self._core.bundle.text.encode(),
        )
        return access_pb2.ActivatePolicyResponse(policy=self._version(row))

    def _version(self, row: DictRow) -> access_pb2.Policy:
        policy = as_proto(self._publisher.opened(row))
        policy.state = access_pb2.PolicyState.Value(f"POLICY_STATE_{row['state']}")
        policy.proposed_by, policy.activated_by = row["proposed_by"], row["activated_by"]
        policy.proposed_at.FromDatetime(row["proposed_at"])
        if row["activated_at"] is not None:
            policy.activated_at.FromDatetime(row["activated_at"])
        return policy

    async def PutCase(self, request: access_pb2.PutCaseRequest, context: Any) -> access_pb2.PutCaseResponse:
        if request.offence not in self._core.bundle.document["purposes"]["offences"]:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
                "the case's offence is not in the published catalogue: plateward policy show lists it",
                violations=[("offence", "not in the catalogue")],
            )
        closed = request.closed_at.ToDatetime(UTC) if request.HasField("closed_at") else None
        opened = request.opened_at.ToDatetime(UTC)
        if closed is not None and closed < opened:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
                "a case is not closed before it is opened: mend the times",
                violations=[("closed_at", "is before opened_at")],
            )
        own = current().subject.agency_id
        before = await self._store.case(own, request.case_number)
        await self._store.put_case({
            "agency_id": own, "case_number": request.case_number, "offence": request.offence, "unit": request.unit,
            "opened_at": opened, "closed_at": closed,
        })  # fmt: skip
        state = "closed" if closed else "open"
        current().changed(
            "case",
            request.case_number,
            f"{request.offence}, {state}",
            before=repr(sorted(before.items())).encode() if before else b"",
            after=request.SerializeToString(deterministic=True),
        )
        return access_pb2.PutCaseResponse()


def as_proto(bundle: PolicyBundle) -> access_pb2.Policy:
    """Return a version as the API shows it: with what packs add to it, and the retention that is really in force."""
    document = bundle.document
    policy = access_pb2.Policy(
        agency_id=document["agency"], version=bundle.version, document=bundle.text, packs=document["packs"]
    )
    policy.effective_at.FromDatetime(_midnight(document["effective"]))
    for code, offence in document["purposes"]["offences"].items():
        policy.offences.add(code=code, title=offence["title"], needs_case=offence["needs_case"])
    for entry in bundle.data["prohibited"].values():
        policy.prohibited.add(id=entry["rule"], text=entry["text"])
    for kept in bundle.kept.values():
        policy.retention.add(kind=kept.kind, keep_s=kept.seconds, basis=kept.basis)
    return policy


def _differences(before: PolicyBundle, after: PolicyBundle) -> str:
    """Return what matters most of a change in a few words; both documents are in the log by their digests."""
    told = [
        f"{kind} kept {old.seconds} s before, {after.kept[kind].seconds} s now"
        for kind, old in before.kept.items()
        if kind in after.kept and old.seconds != after.kept[kind].seconds
    ]
    for name in ("offences", "prohibited", "packs", "job_titles"):
        gone, new = (
            before.data[name].keys() - after.data[name].keys(),
            after.data[name].keys() - before.data[name].keys(),
        )
        told += [f"{name} without {', '.join(sorted(gone))}"] if gone else []
        told += [f"{name} with {', '.join(sorted(new))}"] if new else []
    return "; ".join(told) or "same bounds"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
