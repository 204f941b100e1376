"""The auditor's work on the running platform: search → flag → plan → sample → findings → sign-off → report; disclosure and sealing by two."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clients.cli.audit_disclosure import check, decrypt
from clients.connection import Connection
from clients.devkit.stack import Stack
from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.audit.v1 import audit_pb2, audit_pb2_grpc
from plateward.common.v1 import action_pb2, types_pb2
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.channels import bearer
from servicekit.errors import parse_rpc_error
from servicekit.scopes import request_digest

OFFICER, SUPERVISOR, AUDITOR, DESIGNEE = "m-1042", "m-1077", "m-2001", "m-4001"
PLATE = "8AUD111"


class Desk:
    """Calls as members of the sample department."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def audit(self, member: str, name: str, request: Any) -> Any:
        async with self.connection.channel("audit", "portal") as channel:
            call = getattr(audit_pb2_grpc.AuditServiceStub(channel), name)
            return await call(request, metadata=bearer(self.connection.token(member)))

    async def refused(self, member: str, name: str, request: Any) -> str:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.audit(member, name, request)
        fault = parse_rpc_error(caught.value)
        assert fault is not None
        return fault.metadata.get("rule") or str(fault)

    async def search(self, plate: str) -> None:
        request = reads_pb2.SearchReadsRequest(
            plate=plate, purpose=types_pb2.Purpose(offence="vehicle-theft", case_number="26-004312", reason="silver Accord taken from Laguna Blvd")
        )  # fmt: skip
        request.window.start.FromDatetime(datetime.now(UTC) - timedelta(days=1))
        request.window.end.FromDatetime(datetime.now(UTC))
        async with self.connection.channel("reads", "portal") as channel:
            await reads_pb2_grpc.ReadsServiceStub(channel).SearchReads(
                request, metadata=bearer(self.connection.token(OFFICER))
            )

    async def approved(self, request: Any) -> str:
        """Have a second person approve exactly this request."""
        asked = access_pb2.RequestApprovalRequest(
            purpose=types_pb2.Purpose(offence="vehicle-theft", case_number="26-004312", reason="subpoena of counsel, Accord of Laguna Blvd"),
            action=action_pb2.ACTION_DISCLOSE, request_digest=request_digest(request), request_type=request.DESCRIPTOR.full_name,
            request=request.SerializeToString(),
        )  # fmt: skip
        async with self.connection.channel("access", "portal") as channel:
            stub = access_pb2_grpc.AccessServiceStub(channel)
            answer = await stub.RequestApproval(asked, metadata=bearer(self.connection.token(DESIGNEE)))
            await stub.GrantApproval(
                access_pb2.GrantApprovalRequest(approval_id=answer.approval_id), metadata=bearer(self.connection.token(SUPERVISOR))
            )  # fmt: skip
        return answer.approval_id


@pytest.mark.req("R-AUD-2")
@pytest.mark.req("R-AUD-3")
async def test_an_audit_from_plan_to_report(stack: Stack, connection: Connection) -> None:
    desk = Desk(connection)
    await desk.audit(AUDITOR, "ProtectPlates", audit_pb2.ProtectPlatesRequest(plates=["8own999"]))
    for plate in (PLATE, PLATE, "8OWN999"):
        await desk.search(plate)
    for _ in range(60):
        flags = (await desk.audit(AUDITOR, "ListFlags", audit_pb2.ListFlagsRequest())).flags
        if any(f.detector == "own-or-colleague" for f in flags):
            break
    flag = next(f for f in flags if f.detector == "own-or-colleague")
    assert flag.member_id == OFFICER
    await desk.audit(
        AUDITOR, "DisposeFlag",
        audit_pb2.DisposeFlagRequest(flag_id=flag.flag_id, disposition=audit_pb2.FINDING_KIND_UNSUPPORTED, note="asked, no answer"),
    )  # fmt: skip

    audit = audit_pb2.Audit(reviewer_id=AUDITOR, approver_id=DESIGNEE, sample_rate=0.01)
    audit.span.start.FromDatetime(datetime.now(UTC) - timedelta(days=90))
    audit.span.end.FromDatetime(datetime.now(UTC))
    assert "role" in await desk.refused(OFFICER, "PlanAudit", audit_pb2.PlanAuditRequest(audit=audit))
    same = audit_pb2.Audit()
    same.CopyFrom(audit)
    same.approver_id = AUDITOR
    assert (
        await desk.refused(AUDITOR, "PlanAudit", audit_pb2.PlanAuditRequest(audit=same))
        == "audit.separation-of-duties"
    )
    planned = (await desk.audit(AUDITOR, "PlanAudit", audit_pb2.PlanAuditRequest(audit=audit))).audit
    sample = await desk.audit(AUDITOR, "DrawSample", audit_pb2.DrawSampleRequest(audit_id=planned.audit_id))
    assert set(flag.indexes) <= set(sample.indexes)
    again = await desk.audit(AUDITOR, "DrawSample", audit_pb2.DrawSampleRequest(audit_id=planned.audit_id))
    assert (again.indexes, again.seed) == (sample.indexes, sample.seed)
    sign_off = audit_pb2.SignOffAuditRequest(audit_id=planned.audit_id)
    assert "no finding yet" in await desk.refused(DESIGNEE, "SignOffAudit", sign_off)
    for index in sample.indexes:
        finding = audit_pb2.RecordFindingRequest(
            audit_id=planned.audit_id, index=index, finding=audit_pb2.FINDING_KIND_COMPLIANT, note="case exists, plate in the report"
        )  # fmt: skip
        await desk.audit(AUDITOR, "RecordFinding", finding)
    assert await desk.refused(AUDITOR, "SignOffAudit", sign_off) == "audit.separation-of-duties"
    done = (await desk.audit(DESIGNEE, "SignOffAudit", sign_off)).audit
    assert done.state == audit_pb2.AUDIT_STATE_SIGNED_OFF

    async def report(form: audit_pb2.ReportFormat.ValueType) -> bytes:
        answer = await desk.audit(
            AUDITOR, "GetAuditReport", audit_pb2.GetAuditReportRequest(audit_id=planned.audit_id, format=form)
        )
        return bytes(answer.data)

    told = json.loads(await report(audit_pb2.REPORT_FORMAT_JSON))
    assert [name for name in told if name[0].isdigit()] == [
        "1 scope", "2 population", "3 sample", "4 sampled looks", "5 flags", "6 accounts", "7 sharing", "8 hotlists", "9 hits", "10 retention",
        "11 destruction and classification", "12 sign-off",
    ]  # fmt: skip
    assert told["1 scope"]["consistency"].startswith("proven")
    assert told["2 population"]["looks answered"] == done.population
    assert {row["entry"] for row in told["4 sampled looks"]} == set(sample.indexes)
    assert any(
        row["detector"] == "own-or-colleague" and row["disposition"] == "unsupported"
        for row in told["5 flags"]
    )
    assert told["12 sign-off"]["approver"] == DESIGNEE
    assert (
        told["1 scope"]["root now"] in (await report(audit_pb2.REPORT_FORMAT_HTML)).decode()
        or told["1 scope"]["root now"]
    )
    assert b"root " in await report(audit_pb2.REPORT_FORMAT_CSV)


@pytest.mark.req("R-ACC-6")
@pytest.mark.req("R-AUD-1")
async def test_disclosure_and_sealing_need_two(stack: Stack, connection: Connection) -> None:
    desk = Desk(connection)
    await desk.search(PLATE)
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    request = audit_pb2.ExportDiscoveryRequest(
        plate=PLATE, process="subpoena 26CV00871", recipient_key=public
    )

    async def disclosed(request: audit_pb2.ExportDiscoveryRequest, member: str = DESIGNEE) -> bytes:
        async with connection.channel("audit", "portal") as channel:
            answers = audit_pb2_grpc.AuditServiceStub(channel).ExportDiscovery(
                request, metadata=bearer(connection.token(member))
            )
            return b"".join([part.chunk async for part in answers])

    with pytest.raises(grpc.aio.AioRpcError) as alone:
        await disclosed(request)
    assert parse_rpc_error(alone.value).metadata["rule"] == "agency.second-person"  # type: ignore[union-attr]
    request.approval_id = await desk.approved(request)
    with pytest.raises(grpc.aio.AioRpcError):
        await disclosed(request, OFFICER)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    told = decrypt(await disclosed(request), private.private_bytes(*form))
    assert check(told) == {}
    looks = [e for e in told["entries"] if e["event"].get("outcome", {}).get("status") == "OK"]
    assert looks
    assert {e["event"]["subject"]["member_id"] for e in looks} == {OFFICER}

    target = looks[-1]["index"]
    order = audit_pb2.SealEventRequest(index=target, order="Sacramento County Superior Court, 26CR1187")
    assert await desk.refused(DESIGNEE, "SealEvent", order) == "agency.second-person"
    order.approval_id = await desk.approved(order)
    sealed = await desk.audit(DESIGNEE, "SealEvent", order)
    assert sealed.order_receipt.index > target
    found = await desk.audit(AUDITOR, "SearchEvents", audit_pb2.SearchEventsRequest(plate=PLATE))
    (gone,) = [e for e in found.events if e.index == target]
    assert not gone.HasField("event")


@pytest.mark.req("R-AUD-1")
async def test_outsiders_see_the_same_log_over_http(
    stack: Stack, connection: Connection, tmp_path: Path
) -> None:
    from clients.witness.pull import pull
    from clients.witness.state import WitnessState
    from tlog.note import VerifierKey

    url = json.loads((connection.root / "stack.json").read_text())["public_log"]
    state = WitnessState(tmp_path / "newspaper.state")
    import asyncio

    desk = Desk(connection)
    for _ in range(2):
        await desk.search(PLATE)
        await asyncio.sleep(2.5)
        _, seen = await asyncio.to_thread(pull, url, [VerifierKey.parse(stack.witness.log_vkey)], state)
        assert seen.size > 0
