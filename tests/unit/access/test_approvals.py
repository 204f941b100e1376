"""Approvals: bound to one exact request, of one member, once, for an hour, and never by the requester."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, types_pb2
from plateward.common.v1 import errors_pb2 as e
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from servicekit.scopes import request_digest
from tests.common.access import NOW, OWNER, Access, member, opened

OFFICER, SUPERVISOR = member("m-1042", name="Ofc. Dana Reyes"), member("m-1077")
PURPOSE = types_pb2.Purpose(
    offence="homicide", case_number="26-000007", reason="two cars fled from Bruceville Road at 02:14"
)


@pytest.fixture
async def access(database_url: str) -> AsyncIterator[Access]:
    async with opened(database_url) as parts:
        yield parts


def wide(days: int = 25, **changes: Any) -> reads_pb2.SearchReadsRequest:
    request = reads_pb2.SearchReadsRequest(purpose=PURPOSE, plate="7K*", **changes)
    request.window.start.FromDatetime(NOW - timedelta(days=days))
    request.window.end.FromDatetime(NOW)
    return request


def asking(query: reads_pb2.SearchReadsRequest, **changes: Any) -> access_pb2.RequestApprovalRequest:
    fields = {
        "purpose": query.purpose, "action": action_pb2.ACTION_SEARCH, "request_digest": request_digest(query),
        "request_type": "plateward.reads.v1.SearchReadsRequest", "request": query.SerializeToString(),
    } | changes  # fmt: skip
    return access_pb2.RequestApprovalRequest(**fields)


def call(
    query: reads_pb2.SearchReadsRequest,
    approval_id: str,
    subject: types_pb2.Subject = OFFICER,
    **changes: Any,
) -> access_pb2.DecideRequest:
    fields = {
        "subject": subject, "action": action_pb2.ACTION_SEARCH, "approval_id": approval_id,
        "request_digest": request_digest(query), "request_id": "r-1", "owner_agency_ids": [OWNER],
        "purpose": query.purpose, "window": query.window,
    } | changes  # fmt: skip
    return access_pb2.DecideRequest(**fields)


async def granted(access: Access, query: reads_pb2.SearchReadsRequest) -> str:
    approval_id = await access.approvals.request(asking(query), OFFICER)
    await access.approvals.grant(approval_id, SUPERVISOR)
    return approval_id


async def refused(work: Any) -> PlatewardError:
    with pytest.raises(PlatewardError) as caught:
        await work
    return caught.value


@pytest.mark.req("R-ACC-1")
async def test_the_second_person_sees_the_exact_query(access: Access) -> None:
    approval_id = await access.approvals.request(asking(wide()), OFFICER)
    (shown,) = await access.approvals.page(OWNER, None, 10)
    assert shown.approval_id == approval_id
    assert (shown.requester_id, shown.requester_name) == ("m-1042", "Ofc. Dana Reyes")
    assert shown.state == access_pb2.APPROVAL_STATE_REQUESTED
    assert '"plate": "7K*"' in shown.request_json
    assert "2026-10-29" in shown.request_json
    assert shown.purpose == PURPOSE
    assert await access.approvals.page("galt-pd", None, 10) == []


@pytest.mark.req("R-ACC-1")
async def test_an_approval_is_for_one_query_once(access: Access) -> None:
    query = wide()
    approval_id = await granted(access, query)
    assert await access.approvals.holds(call(query, approval_id))
    assert await access.approvals.use(call(query, approval_id))
    assert not await access.approvals.holds(call(query, approval_id))
    assert not await access.approvals.use(call(query, approval_id))
    assert (await access.approvals.page(OWNER, None, 1))[0].state == access_pb2.APPROVAL_STATE_USED
    assert await access.approvals.holds(call(query, approval_id, next_page=True)), (
        "its pages belong to the query"
    )


@pytest.mark.req("R-ACC-1")
async def test_of_two_calls_at_once_one_has_it(access: Access) -> None:
    query = wide()
    approval_id = await granted(access, query)
    used = await asyncio.gather(*(access.approvals.use(call(query, approval_id)) for _ in range(5)))
    assert sorted(used) == [False] * 4 + [True]


@pytest.mark.req("R-ACC-1")
async def test_it_holds_for_nothing_else(access: Access) -> None:
    query = wide()
    approval_id = await granted(access, query)
    other = wide()
    other.plate = "8*"
    wider = wide(26)
    for attempt in (
        call(other, approval_id),
        call(wider, approval_id),
        call(query, approval_id, action=action_pb2.ACTION_EXPORT),
        call(query, approval_id, subject=SUPERVISOR),
        call(query, approval_id, subject=member("m-1042", "galt-pd")),
        call(query, "01990e5c-7c2a-7d10-9a31-0c1f6f6cf0aa"),
        call(query, "no-id-at-all"),
        call(query, approval_id, request_digest=b""),
    ):
        assert not await access.approvals.holds(attempt), attempt
    assert await access.approvals.holds(call(query, approval_id))


@pytest.mark.req("R-ACC-1")
async def test_it_waits_for_the_second_person_and_then_lapses(access: Access) -> None:
    query = wide()
    approval_id = await access.approvals.request(asking(query), OFFICER)
    assert not await access.approvals.holds(call(query, approval_id))
    own = await refused(access.approvals.grant(approval_id, OFFICER))
    assert own.metadata["rule"] == "platform.second-person"
    assert (
        await refused(access.approvals.grant(approval_id, member("g-1", "galt-pd")))
    ).reason == e.ERROR_REASON_NOT_FOUND
    _, after = await access.approvals.grant(approval_id, SUPERVISOR)
    assert after.expires_at.ToDatetime() == (NOW + timedelta(hours=1)).replace(tzinfo=None)
    again = await refused(access.approvals.grant(approval_id, member("m-4001")))
    assert again.reason == e.ERROR_REASON_WRONG_STATE
    access.clock.time = NOW + timedelta(hours=1)
    assert not await access.approvals.holds(call(query, approval_id))


@pytest.mark.req("R-ACC-1")
async def test_a_second_person_may_say_no_and_then_it_is_never_made(access: Access) -> None:
    query = wide()
    approval_id = await access.approvals.request(asking(query), OFFICER)
    own = await refused(access.approvals.refuse(approval_id, "not needed", OFFICER))
    assert own.reason == e.ERROR_REASON_DENIED_BY_POLICY
    before, after = await access.approvals.refuse(approval_id, "three days are enough", SUPERVISOR)
    assert (before.state, after.state) == (
        access_pb2.APPROVAL_STATE_REQUESTED,
        access_pb2.APPROVAL_STATE_REFUSED,
    )
    assert (after.refused_by, after.refusal) == ("m-1077", "three days are enough")
    for again in (access.approvals.grant(approval_id, SUPERVISOR), access.approvals.refuse(approval_id, "no", SUPERVISOR)):  # fmt: skip
        assert (await refused(again)).reason == e.ERROR_REASON_WRONG_STATE
    assert not await access.approvals.holds(call(query, approval_id))


async def test_what_was_granted_can_be_taken_back_until_it_is_used(access: Access) -> None:
    query = wide()
    taken_back, used = await granted(access, query), await granted(access, wide(24))
    assert await access.approvals.use(call(wide(24), used))
    await access.approvals.refuse(taken_back, "the case is closed", SUPERVISOR)
    assert not await access.approvals.holds(call(query, taken_back))
    assert not await access.approvals.use(call(query, taken_back))
    late = await refused(access.approvals.refuse(used, "too late", SUPERVISOR))
    assert late.reason == e.ERROR_REASON_WRONG_STATE


async def test_a_request_that_nobody_grants_lapses(access: Access) -> None:
    approval_id = await access.approvals.request(asking(wide()), OFFICER)
    access.clock.time = NOW + timedelta(hours=24)
    assert (
        await refused(access.approvals.grant(approval_id, SUPERVISOR))
    ).reason == e.ERROR_REASON_WRONG_STATE
    assert (await access.approvals.page(OWNER, None, 1))[0].state == access_pb2.APPROVAL_STATE_LAPSED


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"request": b""}, "request_digest is not"),
        ({"request_digest": bytes(32)}, "request_digest is not"),
        ({"request": b"\xff\xff\xff"}, "these bytes are no"),
        ({"request_type": "plateward.access.v1.PutMemberRequest"}, "request_type"),
        ({"purpose": types_pb2.Purpose(offence="robbery", reason="another one entirely")}, "purpose differs"),
    ],
)
async def test_a_request_that_cannot_be_shown_is_refused(
    access: Access, changes: dict[str, Any], said: str
) -> None:
    error = await refused(access.approvals.request(asking(wide(), **changes), OFFICER))
    assert error.reason == e.ERROR_REASON_INVALID_ARGUMENT
    assert said in str(error)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda q: setattr(q.window.start, "seconds", 10**15),
        lambda q: setattr(q.window.end, "seconds", 0),
        lambda q: setattr(q, "colour", "SILVER"),
        lambda q: q.owner_agency_ids.append("elk\0grove"),
        lambda q: q.ClearField("window"),
    ],
)
async def test_a_request_that_its_service_would_refuse_is_not_kept(access: Access, spoil: Any) -> None:
    query = wide()
    spoil(query)
    error = await refused(access.approvals.request(asking(query), OFFICER))
    assert error.reason == e.ERROR_REASON_INVALID_ARGUMENT
    assert await access.approvals.page(OWNER, None, 10) == []


async def test_the_table_itself_refuses_the_requester(access: Access) -> None:
    approval_id = await access.approvals.request(asking(wide()), OFFICER)
    with pytest.raises(psycopg.errors.CheckViolation):
        async with access.pool.connection() as connection:
            await connection.execute(
                "UPDATE approvals SET granted_by = requester_id WHERE approval_id = %s", (approval_id,)
            )


def test_the_digest_leaves_out_the_approval_and_the_page_and_nothing_else() -> None:
    query = wide()
    carried = reads_pb2.SearchReadsRequest()
    carried.CopyFrom(query)
    carried.approval_id, carried.page.size, carried.page.token = "a", 10, "t"
    assert request_digest(carried) == request_digest(query)
    carried.lookalikes = True
    assert request_digest(carried) != request_digest(query)
