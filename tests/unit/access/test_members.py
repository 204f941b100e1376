"""Members: who may change whom, what training counts, and accounts that nobody uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, decision_pb2, types_pb2
from plateward.common.v1 import errors_pb2 as e
from servicekit.errors import PlatewardError
from tests.common.access import NOW, OWNER, Access, member, opened

ADMINISTRATOR = member("m-3001")


@pytest.fixture
async def access(database_url: str) -> AsyncIterator[Access]:
    async with opened(database_url) as parts:
        yield parts


async def search(access: Access, member_id: str = "m-1042") -> decision_pb2.Decision:
    purpose = types_pb2.Purpose(
        offence="vehicle-theft",
        case_number="26-004312",
        reason="silver Accord taken from Laguna Blvd at 03:10",
    )
    return await access.core.decide(
        access_pb2.DecideRequest(
            subject=member(member_id),
            action=action_pb2.ACTION_SEARCH,
            owner_agency_ids=[OWNER],
            purpose=purpose,
        )
    )


async def refused(work: Any) -> PlatewardError:
    with pytest.raises(PlatewardError) as caught:
        await work
    return caught.value


async def stored(access: Access, member_id: str) -> access_pb2.Member:
    return next(m for m in await access.members.page(OWNER, "", 100) if m.member_id == member_id)


def new_member(**changes: Any) -> access_pb2.Member:
    fields = {
        "member_id": "m-9",
        "name": "Ofc. New",
        "job_title": "patrol-officer",
        "roles": ["officer"],
    } | changes
    return access_pb2.Member(**fields)


async def train(access: Access, member_id: str, days: float = 300, course: str = "alpr-basic") -> Any:
    request = access_pb2.RecordTrainingRequest(member_id=member_id, training=course)
    request.expires_at.FromDatetime(access.clock.now() + timedelta(days=days))
    return await access.members.train(request, ADMINISTRATOR)


@pytest.mark.req("R-ACC-4")
async def test_a_new_member_has_access_only_after_training(access: Access) -> None:
    before, after = await access.members.put(new_member(), ADMINISTRATOR)
    assert before is None
    assert after.state == access_pb2.ACCOUNT_STATE_ACTIVE
    assert (await search(access, "m-9")).rule == "agency.training-current"
    await train(access, "m-9", days=2)
    assert (await search(access, "m-9")).effect == decision_pb2.EFFECT_ALLOW
    access.clock.time = NOW + timedelta(days=2)
    assert (await search(access, "m-9")).rule == "agency.training-current"


@pytest.mark.req("R-ACC-4")
async def test_training_is_the_policys_and_no_longer_than_it_says(access: Access) -> None:
    assert "the policy asks for alpr-basic" in str(await refused(train(access, "m-1042", course="first-aid")))
    assert "365 days" in str(await refused(train(access, "m-1042", days=400)))
    assert (await refused(train(access, "nobody"))).reason == e.ERROR_REASON_NOT_FOUND
    own = await refused(train(access, "m-3001"))
    assert own.metadata["rule"] == "agency.own-membership"


@pytest.mark.req("R-ACC-4")
@pytest.mark.req("R-ACC-9")
async def test_nobody_changes_themselves(access: Access) -> None:
    error = await refused(
        access.members.put(new_member(member_id="m-3001", roles=["designee"]), ADMINISTRATOR)
    )
    assert (error.reason, error.metadata["rule"]) == (
        e.ERROR_REASON_DENIED_BY_POLICY,
        "agency.own-membership",
    )
    assert list((await stored(access, "m-3001")).roles) == ["administrator"]


@pytest.mark.req("R-ACC-7")
async def test_a_job_title_is_one_of_the_policys(access: Access) -> None:
    error = await refused(access.members.put(new_member(job_title="volunteer"), ADMINISTRATOR))
    assert error.reason == e.ERROR_REASON_INVALID_ARGUMENT
    assert "patrol-officer" in str(error)


@pytest.mark.req("R-ACC-4")
async def test_a_suspended_account_stays_so_until_somebody_says_otherwise(access: Access) -> None:
    kept = {"member_id": "m-1042", "name": "Ofc. Dana Reyes"}
    await access.members.put(new_member(state=access_pb2.ACCOUNT_STATE_SUSPENDED, **kept), ADMINISTRATOR)
    assert (await search(access)).rule == "agency.account-inactive"
    _, after = await access.members.put(new_member(job_title="detective", **kept), ADMINISTRATOR)
    assert (after.state, after.job_title) == (access_pb2.ACCOUNT_STATE_SUSPENDED, "detective")
    assert (await search(access)).rule == "agency.account-inactive"
    await access.members.put(new_member(state=access_pb2.ACCOUNT_STATE_ACTIVE, **kept), ADMINISTRATOR)
    assert (await search(access)).effect == decision_pb2.EFFECT_ALLOW


@pytest.mark.req("R-ACC-4")
async def test_an_account_unused_for_90_days_is_locked(access: Access) -> None:
    await access.pool_set_active("m-1042", NOW - timedelta(days=90) + timedelta(seconds=1))
    assert (await stored(access, "m-1042")).state == access_pb2.ACCOUNT_STATE_ACTIVE
    await access.pool_set_active("m-1042", NOW - timedelta(days=90))
    assert (await search(access)).rule == "agency.account-inactive"
    assert (await stored(access, "m-1042")).state == access_pb2.ACCOUNT_STATE_LOCKED
    # Another change does not open it; the administrator's word does, and the count begins anew.
    kept = {"member_id": "m-1042", "name": "Ofc. Dana Reyes"}
    _, after = await access.members.put(new_member(job_title="detective", **kept), ADMINISTRATOR)
    assert after.state == access_pb2.ACCOUNT_STATE_LOCKED
    _, after = await access.members.put(
        new_member(state=access_pb2.ACCOUNT_STATE_ACTIVE, **kept), ADMINISTRATOR
    )
    assert after.state == access_pb2.ACCOUNT_STATE_ACTIVE
    assert (await search(access)).effect == decision_pb2.EFFECT_ALLOW


@pytest.mark.req("R-ACC-4")
async def test_use_keeps_an_account_open(access: Access) -> None:
    await train(access, "m-1042", days=300)
    for days in (60, 120, 180):
        access.clock.time = NOW + timedelta(days=days)
        assert (await search(access)).effect == decision_pb2.EFFECT_ALLOW
        assert (await stored(access, "m-1042")).last_active_at.ToDatetime() == access.clock.time.replace(
            tzinfo=None
        )
    access.clock.time = NOW + timedelta(days=270)
    assert (await search(access)).rule == "agency.account-inactive"


@pytest.mark.req("R-ACC-4")
async def test_the_sweep_writes_down_and_records_each_locked_account_once(access: Access) -> None:
    await access.pool_set_active("m-1042", NOW - timedelta(days=91))
    recorded: list[access_pb2.Member] = []

    async def record(member: access_pb2.Member) -> None:
        recorded.append(member)

    assert await access.members.lock_unused(record) == 1
    assert [(m.member_id, m.state) for m in recorded] == [("m-1042", access_pb2.ACCOUNT_STATE_LOCKED)]
    assert await access.members.lock_unused(record) == 0

    async def fail(member: access_pb2.Member) -> None:
        raise PlatewardError(e.ERROR_REASON_AUDIT_UNAVAILABLE, "the log is away")

    await access.pool_set_active("m-1077", NOW - timedelta(days=91))
    assert (await refused(access.members.lock_unused(fail))).reason == e.ERROR_REASON_AUDIT_UNAVAILABLE
    assert await access.members.lock_unused(record) == 1, "what could not be recorded is tried again"


@pytest.mark.req("R-SHR-2")
@pytest.mark.parametrize(
    ("kind", "state", "good"),
    [
        (access_pb2.AGENCY_KIND_LOCAL, "US-CA", True),
        (access_pb2.AGENCY_KIND_LOCAL, "US-NV", False),
        (access_pb2.AGENCY_KIND_PROSECUTOR, "US-OR", False),
        (access_pb2.AGENCY_KIND_OUT_OF_STATE, "US-NV", True),
        (access_pb2.AGENCY_KIND_OUT_OF_STATE, "US-CA", False),
        (access_pb2.AGENCY_KIND_FEDERAL, "US-CA", True),
    ],
)
async def test_an_agency_elsewhere_is_never_local(access: Access, kind: Any, state: str, good: bool) -> None:
    agency = access_pb2.Agency(agency_id="other-pd", name="Other Police", kind=kind, state=state)
    if good:
        assert await access.members.put_agency(agency, ADMINISTRATOR) is None
    else:
        assert (
            await refused(access.members.put_agency(agency, ADMINISTRATOR))
        ).reason == e.ERROR_REASON_INVALID_ARGUMENT


@pytest.mark.req("R-SHR-2")
async def test_only_the_owner_keeps_the_register(access: Access) -> None:
    other = access_pb2.Agency(
        agency_id="ice-ero", name="ICE", kind=access_pb2.AGENCY_KIND_LOCAL, state="US-CA"
    )
    by_partner = await refused(access.members.put_agency(other, member("galt-1", "galt-pd")))
    assert by_partner.metadata["rule"] == "agency.register-keeper"
    own = access_pb2.Agency(agency_id=OWNER, name="EGPD", kind=access_pb2.AGENCY_KIND_STATE, state="US-CA")
    assert (await refused(access.members.put_agency(own, ADMINISTRATOR))).metadata[
        "rule"
    ] == "agency.own-membership"
