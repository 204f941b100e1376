"""A wide search and its second person, over running services: one query, once, by whom it was granted to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clients.connection import Connection
from plateward.access.v1 import access_pb2
from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, decision_pb2, types_pb2
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.channels import bearer
from servicekit.scopes import request_digest
from tests.steel.test_fail_closed import events
from tests.steel.test_sharing import ask, refusal

OFFICER, SUPERVISOR = "m-1042", "m-1077"


def wide(days: int = 45) -> reads_pb2.SearchReadsRequest:
    request = reads_pb2.SearchReadsRequest(plate="7KXR482")
    request.purpose.CopyFrom(
        types_pb2.Purpose(
            offence="vehicle-theft", case_number="26-004312", reason="silver Accord taken from Laguna Blvd at 03:10"
        )
    )  # fmt: skip
    request.window.end.FromDatetime(datetime.now(UTC))
    request.window.start.FromDatetime(datetime.now(UTC) - timedelta(days=days))
    return request


async def search(
    connection: Connection, request: reads_pb2.SearchReadsRequest, member: str = OFFICER
) -> reads_pb2.SearchReadsResponse:
    async with connection.channel("reads", "portal") as channel:
        return await reads_pb2_grpc.ReadsServiceStub(channel).SearchReads(
            request, metadata=bearer(connection.token(member)), timeout=15
        )


def asking(request: reads_pb2.SearchReadsRequest) -> access_pb2.RequestApprovalRequest:
    return access_pb2.RequestApprovalRequest(
        purpose=request.purpose, action=action_pb2.ACTION_SEARCH, request_digest=request_digest(request),
        request_type=request.DESCRIPTOR.full_name, request=request.SerializeToString(),
    )  # fmt: skip


@pytest.mark.req("R-ACC-1")
@pytest.mark.req("R-ACC-9")
async def test_a_wide_search_needs_its_second_person(connection: Connection) -> None:
    request = wide()
    assert (await refusal(search(connection, request))).metadata["rule"] == "agency.second-person"

    asked = await ask(connection, "RequestApproval", asking(request), OFFICER)
    request.approval_id = asked.approval_id
    assert (await refusal(search(connection, request))).metadata["rule"] == "agency.second-person"

    grant = access_pb2.GrantApprovalRequest(approval_id=asked.approval_id)
    assert (await refusal(ask(connection, "GrantApproval", grant, OFFICER))).metadata[
        "rule"
    ] == "platform.role"
    shown = await ask(connection, "ListApprovals", access_pb2.ListApprovalsRequest(), SUPERVISOR)
    mine = next(a for a in shown.approvals if a.approval_id == asked.approval_id)
    assert '"plate": "7KXR482"' in mine.request_json
    granted = await ask(connection, "GrantApproval", grant, SUPERVISOR)
    assert granted.receipt.leaf_hash

    other = wide()
    other.window.CopyFrom(request.window)
    other.plate, other.approval_id = "8*A1", asked.approval_id
    assert (await refusal(search(connection, other))).metadata["rule"] == "agency.second-person"
    assert (await refusal(search(connection, request, SUPERVISOR))).metadata["rule"] == "agency.second-person"

    answer = await search(connection, request)
    assert answer.decision.effect == decision_pb2.EFFECT_ALLOW
    assert "agency.second-person" in answer.decision.grounds
    assert (await refusal(search(connection, request))).metadata["rule"] == "agency.second-person", (
        "it holds once"
    )

    changes = await events(
        connection, action=action_pb2.ACTION_GRANT_APPROVAL, page=types_pb2.PageRequest(size=10)
    )
    told = next(
        c for c in changes if c.change.target == asked.approval_id and c.phase == event_pb2.PHASE_CHANGE
    )
    assert told.subject.member_id == SUPERVISOR
    assert request_digest(request).hex() in told.change.summary


@pytest.mark.req("R-ACC-1")
@pytest.mark.req("R-SRC-2")
async def test_a_wide_canvass_streams_once(connection: Connection) -> None:
    supervisor, designee = "m-1077", "m-4001"
    request = reads_pb2.CanvassRequest(purpose=wide().purpose, step=reads_pb2.CANVASS_STEP_ROWS)
    request.scene.window.CopyFrom(wide(12).window)
    request.scene.area.circle.radius_m = 500
    request.scene.area.circle.centre.latitude, request.scene.area.circle.centre.longitude = 38.4088, -121.3716

    async def canvass() -> list[reads_pb2.CanvassResponse]:
        async with connection.channel("reads", "portal") as channel:
            stub = reads_pb2_grpc.ReadsServiceStub(channel)
            call = stub.Canvass(request, metadata=bearer(connection.token(supervisor)), timeout=15)
            return [part async for part in call]

    assert (await refusal(canvass())).metadata["rule"] == "agency.second-person"
    asked = access_pb2.RequestApprovalRequest(
        purpose=request.purpose, action=action_pb2.ACTION_CANVASS, request_digest=request_digest(request),
        request_type=request.DESCRIPTOR.full_name, request=request.SerializeToString(),
    )  # fmt: skip
    approval = (await ask(connection, "RequestApproval", asked, supervisor)).approval_id
    grant = access_pb2.GrantApprovalRequest(approval_id=approval)
    own = await refusal(ask(connection, "GrantApproval", grant, supervisor))
    assert own.metadata["rule"] == "platform.second-person", (
        "a supervisor's role may grant, but not to oneself"
    )
    await ask(connection, "GrantApproval", grant, designee)
    request.approval_id = approval
    assert (await canvass())[0].receipt.leaf_hash
    assert (await refusal(canvass())).metadata["rule"] == "agency.second-person"


@pytest.mark.req("R-ACC-1")
@pytest.mark.req("R-SRC-2")
async def test_an_area_of_many_cameras_needs_a_second_person_though_it_names_none(
    connection: Connection,
) -> None:
    far = types_pb2.Place(latitude=39.52, longitude=-120.11)
    for n in range(41):
        camera = reads_pb2.Camera(camera_id=f"cam-far-{n}", name=f"Far {n}", place=far)
        async with connection.channel("reads", "portal") as channel:
            await reads_pb2_grpc.ReadsServiceStub(channel).PutCamera(
                reads_pb2.PutCameraRequest(camera=camera), metadata=bearer(connection.token("m-3001"))
            )
    request = reads_pb2.CanvassRequest(purpose=wide().purpose, step=reads_pb2.CANVASS_STEP_ROWS)
    request.scene.window.CopyFrom(wide(1).window)
    request.scene.area.circle.radius_m = 500
    request.scene.area.circle.centre.CopyFrom(far)

    async def canvass() -> list[reads_pb2.CanvassResponse]:
        async with connection.channel("reads", "portal") as channel:
            stub = reads_pb2_grpc.ReadsServiceStub(channel)
            call = stub.Canvass(request, metadata=bearer(connection.token(SUPERVISOR)), timeout=15)
            return [part async for part in call]

    refused = await refusal(canvass())
    assert refused.metadata["rule"] == "agency.second-person"
    assert "touches 41 cameras, and one person may look at 40" in str(refused)
    asked = access_pb2.RequestApprovalRequest(
        purpose=request.purpose, action=action_pb2.ACTION_CANVASS, request_digest=request_digest(request),
        request_type=request.DESCRIPTOR.full_name, request=request.SerializeToString(),
    )  # fmt: skip
    approval = (await ask(connection, "RequestApproval", asked, SUPERVISOR)).approval_id
    await ask(connection, "GrantApproval", access_pb2.GrantApprovalRequest(approval_id=approval), "m-4001")
    request.approval_id = approval
    assert (await canvass())[0].receipt.leaf_hash
    assert (await refusal(canvass())).metadata["rule"] == "agency.second-person"


@pytest.mark.req("R-ACC-1")
async def test_asking_is_judged_like_the_search_itself(connection: Connection) -> None:
    request = wide()
    request.purpose.reason = "ICE asked for it, silver Accord from Laguna Blvd"
    fault = await refusal(ask(connection, "RequestApproval", asking(request), OFFICER))
    assert fault.metadata["rule"] == "ca.immigration-enforcement"
