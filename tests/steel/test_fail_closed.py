"""No record, no data; no decision, no data; and every change of what governs the platform is on record."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from clients.connection import Connection
from clients.devkit.stack import Stack
from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.audit.v1 import audit_pb2, audit_pb2_grpc, event_pb2
from plateward.common.v1 import action_pb2, errors_pb2, types_pb2
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.channels import bearer
from servicekit.errors import parse_rpc_error
from servicekit.ids import new_id


def query() -> reads_pb2.SearchReadsRequest:
    request = reads_pb2.SearchReadsRequest(plate="8ABC123")
    request.purpose.CopyFrom(
        types_pb2.Purpose(
            offence="vehicle-theft", case_number="26-004312", reason="silver Accord taken from Laguna Blvd"
        )
    )
    request.window.end.FromDatetime(datetime.now(UTC))
    request.window.start.FromDatetime(datetime.now(UTC) - timedelta(days=1))
    return request


async def search(connection: Connection, member: str = "m-1042") -> reads_pb2.SearchReadsResponse:
    async with connection.channel("reads", "portal") as channel:
        return await reads_pb2_grpc.ReadsServiceStub(channel).SearchReads(
            query(), metadata=bearer(connection.token(member)), timeout=15
        )


async def refused(connection: Connection) -> int:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await search(connection)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    fault = parse_rpc_error(caught.value)
    assert fault is not None
    return fault.reason


@asynccontextmanager
async def without(stack: Stack, name: str) -> AsyncIterator[None]:
    stack.kill(name, signal.SIGKILL)
    try:
        yield
    finally:
        await asyncio.to_thread(stack.start, name)


async def events(connection: Connection, **wanted: object) -> list[event_pb2.AuditEvent]:
    async with connection.channel("audit", "portal") as channel:
        stub = audit_pb2_grpc.AuditServiceStub(channel)
        answer = await stub.SearchEvents(
            audit_pb2.SearchEventsRequest(**wanted), metadata=bearer(connection.token("m-2001"))
        )
    return [item.event for item in answer.events]


@pytest.mark.req("R-ACC-6")
async def test_no_record_no_data(stack: Stack, connection: Connection) -> None:
    assert (await search(connection)).receipt.leaf_hash
    async with without(stack, "audit"):
        assert await refused(connection) == errors_pb2.ERROR_REASON_AUDIT_UNAVAILABLE
    assert (await search(connection)).receipt.leaf_hash


@pytest.mark.req("R-ACC-1")
async def test_no_decision_no_data(stack: Stack, connection: Connection) -> None:
    async with without(stack, "access"):
        assert await refused(connection) == errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE
    assert (await search(connection)).receipt.leaf_hash


@pytest.mark.req("R-ACC-6")
async def test_an_access_is_recorded_by_name_time_element_organisation_and_purpose(
    stack: Stack, connection: Connection
) -> None:
    begun = datetime.now(UTC)
    await search(connection)
    found = await events(connection, member_id="m-1042", plate="8ABC123", case_number="26-004312")
    outcome, attempt = found[0], found[1]
    assert (attempt.phase, outcome.phase) == (event_pb2.PHASE_ATTEMPT, event_pb2.PHASE_OUTCOME)
    assert attempt.request_id == outcome.request_id
    for event in (attempt, outcome):
        assert event.subject.member_name == "Ofc. Dana Reyes"
        assert event.subject.agency_id == "elk-grove-pd"
        assert event.occurred_at.ToDatetime(UTC) >= begun - timedelta(seconds=1)
        assert ("plate", "8ABC123") in [(q.name, q.value) for q in event.query]
        assert event.purpose.reason.startswith("silver Accord")
    assert outcome.decision.policy_version
    assert outcome.outcome.status == "OK"


@pytest.mark.req("R-ACC-9")
@pytest.mark.req("R-ACC-4")
async def test_a_change_of_membership_is_recorded_and_holds_from_the_next_call_on(
    stack: Stack, connection: Connection
) -> None:
    member = access_pb2.Member(
        member_id="m-5000",
        name="Ofc. New",
        job_title="patrol-officer",
        roles=["officer"],
        state=access_pb2.ACCOUNT_STATE_ACTIVE,
    )
    administrator = bearer(connection.token("m-3001"))
    async with connection.channel("access", "portal") as channel:
        stub = access_pb2_grpc.AccessServiceStub(channel)
        await stub.PutMember(access_pb2.PutMemberRequest(member=member), metadata=administrator)
        with pytest.raises(grpc.aio.AioRpcError) as untrained:
            await search(connection, "m-5000")
        assert "agency.training-current" in str(parse_rpc_error(untrained.value).metadata)
        training = access_pb2.RecordTrainingRequest(member_id="m-5000", training="alpr-basic")
        training.expires_at.FromDatetime(datetime.now(UTC) + timedelta(days=30))
        await stub.RecordTraining(training, metadata=administrator)
        await search(connection, "m-5000")
        member.state = access_pb2.ACCOUNT_STATE_SUSPENDED
        await stub.PutMember(access_pb2.PutMemberRequest(member=member), metadata=administrator)
        with pytest.raises(grpc.aio.AioRpcError) as suspended:
            await search(connection, "m-5000")
        assert "agency.account-inactive" in str(parse_rpc_error(suspended.value).metadata)
    changes = [
        e
        for e in await events(connection, action=action_pb2.ACTION_MANAGE_MEMBERS)
        if e.phase == event_pb2.PHASE_CHANGE
    ]
    assert [c.change.target for c in changes[:3]] == ["m-5000"] * 3
    assert changes[0].change.before_digest == changes[1].change.after_digest
    assert changes[0].subject.member_id == "m-3001"


@pytest.mark.req("R-ACC-6")
async def test_searching_the_log_is_itself_recorded(stack: Stack, connection: Connection) -> None:
    await events(connection, member_id="m-1042")
    found = await events(connection, action=action_pb2.ACTION_SEARCH_AUDIT)
    assert any(("member_id", "m-1042") in [(q.name, q.value) for q in e.query] for e in found)


@pytest.mark.req("R-ACC-2")
async def test_a_refusal_is_recorded_with_its_rule(stack: Stack, connection: Connection) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await search(connection, "m-1099")
    event = (await events(connection, member_id="m-1099"))[0]
    assert event.outcome.status == "PERMISSION_DENIED"
    assert event.decision.rule == "agency.training-current"


@pytest.mark.req("R-AUD-1")
@pytest.mark.parametrize("seconds", [2**63 - 1, -(2**63), 253_402_300_800])
async def test_an_event_of_no_calendar_s_time_does_not_stop_the_log(
    stack: Stack, connection: Connection, seconds: int
) -> None:
    event = event_pb2.AuditEvent(event_id=new_id(), phase=event_pb2.PHASE_ATTEMPT, service="reads")
    event.occurred_at.seconds = seconds
    async with connection.channel("audit", "service") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await audit_pb2_grpc.AuditServiceStub(channel).Append(
                audit_pb2.AppendRequest(event=event), timeout=5
            )
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert (await search(connection)).receipt.leaf_hash
