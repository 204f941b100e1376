"""The life of a policy on the running platform: proposed, put in force by a second person, decided by, survived."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from clients.connection import Connection
from clients.devkit.stack import Stack
from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.audit.v1 import audit_pb2, audit_pb2_grpc
from plateward.common.v1 import action_pb2, errors_pb2, types_pb2
from servicekit.channels import bearer
from servicekit.errors import PlatewardError, parse_rpc_error

SAMPLE = (Path(__file__).resolve().parents[2] / "services/access/samples/elk-grove-pd.yaml").read_text(
    encoding="utf-8"
)
SHORTER = (
    SAMPLE.replace("30 days; 462.4", "29 days")
    .replace("read: {days: 30", "read: {days: 29")
    .replace("crop: {days: 30", "crop: {days: 29")
)
PROPOSER, SECOND = "m-3001", "m-4001"


async def call(connection: Connection, method: str, request: Any, member: str = PROPOSER) -> Any:
    async with connection.channel("access", "portal") as channel:
        return await getattr(access_pb2_grpc.AccessServiceStub(channel), method)(
            request, metadata=bearer(connection.token(member)), timeout=30
        )


async def fault_of(connection: Connection, method: str, request: Any, member: str) -> PlatewardError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(connection, method, request, member)
    fault = parse_rpc_error(caught.value)
    assert fault is not None
    return fault


def explained() -> access_pb2.ExplainDecisionRequest:
    purpose = types_pb2.Purpose(
        offence="vehicle-theft", case_number="26-004312", reason="silver Accord taken from Laguna Blvd"
    )
    return access_pb2.ExplainDecisionRequest(action=action_pb2.ACTION_SEARCH, purpose=purpose)


@pytest.mark.req("R-ACC-9")
@pytest.mark.req("R-RET-1")
async def test_a_policy_is_published_by_two_persons_and_outlives_a_restart(
    stack: Stack, connection: Connection
) -> None:
    before = (await call(connection, "GetPolicy", access_pb2.GetPolicyRequest())).policy
    officer = await fault_of(
        connection, "ProposePolicy", access_pb2.ProposePolicyRequest(document=SHORTER), "m-1042"
    )
    assert officer.metadata["rule"] == "platform.role"
    proposed = await call(connection, "ProposePolicy", access_pb2.ProposePolicyRequest(document=SHORTER))
    version = proposed.policy.version
    assert proposed.receipt.inclusion_proof or proposed.receipt.index
    activate = access_pb2.ActivatePolicyRequest(version=version)
    alone = await fault_of(connection, "ActivatePolicy", activate, PROPOSER)
    assert alone.metadata["rule"] == "platform.two-persons"
    assert (
        await call(connection, "GetPolicy", access_pb2.GetPolicyRequest())
    ).policy.version == before.version
    began = time.monotonic()
    await call(connection, "ActivatePolicy", activate, SECOND)
    decision = (await call(connection, "ExplainDecision", explained(), "m-1042")).decision
    assert time.monotonic() - began < 5
    assert decision.policy_version == version
    policy = (await call(connection, "GetPolicy", access_pb2.GetPolicyRequest())).policy
    assert {r.keep_s for r in policy.retention if r.kind == "read"} == {29 * 86_400}
    async with connection.channel("audit", "portal") as channel:
        found = await audit_pb2_grpc.AuditServiceStub(channel).SearchEvents(
            audit_pb2.SearchEventsRequest(member_id=SECOND), metadata=bearer(connection.token("m-2001"))
        )
    changes = [e.event.change for e in found.events if e.event.change.kind == "policy"]
    assert [c.target for c in changes] == [version]
    assert "read kept 2592000 s before, 2505600 s now" in changes[0].summary
    assert changes[0].before_digest != changes[0].after_digest
    stack.kill("access", signal.SIGKILL)
    await asyncio.to_thread(stack.start, "access")
    assert (await call(connection, "GetPolicy", access_pb2.GetPolicyRequest())).policy.version == version
    versions = (await call(connection, "ListPolicyVersions", access_pb2.ListPolicyVersionsRequest())).policies
    states = {p.version: access_pb2.PolicyState.Name(p.state) for p in versions}
    assert states[version] == "POLICY_STATE_IN_FORCE"
    assert states[before.version] == "POLICY_STATE_SUPERSEDED"
    back = await call(connection, "ProposePolicy", access_pb2.ProposePolicyRequest(document=SAMPLE), SECOND)
    await call(
        connection, "ActivatePolicy", access_pb2.ActivatePolicyRequest(version=back.policy.version), PROPOSER
    )


@pytest.mark.req("R-ACC-7")
async def test_a_document_is_linted_over_the_wire(connection: Connection) -> None:
    answer = await call(
        connection,
        "LintPolicy",
        access_pb2.LintPolicyRequest(document=SAMPLE.replace("hit: {days: 365", "hit: {days: 3")),
    )
    assert {f.rule for f in answer.findings} == {"hit-shorter-than-read"}
    fault = await fault_of(
        connection, "ProposePolicy", access_pb2.ProposePolicyRequest(document="agency: x"), PROPOSER
    )
    assert fault.reason == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
    assert fault.violations


@pytest.mark.req("R-ACC-1")
async def test_a_case_is_registered_before_it_opens_anything(connection: Connection) -> None:
    asked = explained()
    asked.purpose.case_number = "26-990001"
    assert (await call(connection, "ExplainDecision", asked, "m-1042")).decision.rule == "agency.case-unknown"
    case = access_pb2.PutCaseRequest(case_number="26-990001", offence="vehicle-theft", unit="auto-theft")
    case.opened_at.FromSeconds(int(time.time()) - 3600)
    await call(connection, "PutCase", case)
    decision = (await call(connection, "ExplainDecision", asked, "m-1042")).decision
    assert decision.rule == "platform.allowed"
    assert "agency.case-known" in decision.grounds
    case.closed_at.FromSeconds(int(time.time()) - 60)
    await call(connection, "PutCase", case)
    assert (await call(connection, "ExplainDecision", asked, "m-1042")).decision.rule == "agency.case-closed"
    case.offence = "no-such-offence"
    wrong = await fault_of(connection, "PutCase", case, PROPOSER)
    assert wrong.reason == errors_pb2.ERROR_REASON_INVALID_ARGUMENT


@pytest.mark.req("R-ACC-1")
@pytest.mark.req("R-ACC-8")
async def test_without_the_policy_server_nothing_is_allowed(stack: Stack, connection: Connection) -> None:
    if stack.policy_engine != "OPA server":
        pytest.skip("the in-process engine ends with its service: OPA is missing (`make opa` installs it)")
    stack.kill("opa", signal.SIGKILL)
    try:
        fault = await fault_of(connection, "ExplainDecision", explained(), "m-1042")
        assert fault.reason == errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE
        assert fault.status == grpc.StatusCode.UNAVAILABLE
    finally:
        stack.start_policy_server()
    deadline = time.monotonic() + 15
    while True:
        try:
            decision = (await call(connection, "ExplainDecision", explained(), "m-1042")).decision
            break
        except grpc.aio.AioRpcError:
            assert time.monotonic() < deadline, "the OPA server came back and nothing is decided"
            await asyncio.sleep(0.2)
    assert decision.engine == "opa"


@pytest.mark.req("R-TRN-1")
@pytest.mark.req("R-TRN-2")
async def test_the_public_page_is_of_the_policy_in_force_with_counts_that_are_there(
    stack: Stack, connection: Connection
) -> None:
    """Asked without a member's token, as the web server that shows it to the public does."""

    async def page() -> access_pb2.GetTransparencyPageResponse:
        async with connection.channel("access", "portal") as channel:
            stub = access_pb2_grpc.AccessServiceStub(channel)
            return await stub.GetTransparencyPage(access_pb2.GetTransparencyPageRequest(), timeout=30)

    policy = (await call(connection, "GetPolicy", access_pb2.GetPolicyRequest())).policy
    shown = await page()
    assert shown.policy_version == policy.version
    assert "not available now" not in shown.html
    assert "plateward.local/audit" in shown.html
    async with connection.channel("access", "portal") as channel:
        stub = access_pb2_grpc.AccessServiceStub(channel)
        members = await stub.ListMembers(
            access_pb2.ListMembersRequest(), metadata=bearer(connection.token(PROPOSER)), timeout=30
        )
    assert members.members
    for member in members.members:
        assert member.name not in shown.html
        assert member.member_id not in shown.html
