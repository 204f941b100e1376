"""Agreements: asked for by the partner, decided by the owner's designee, ended by time or by word, never deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, decision_pb2, types_pb2
from plateward.common.v1 import errors_pb2 as e
from servicekit.errors import PlatewardError
from tests.common.access import NOW, OWNER, PARTNER, Access, member, opened

DESIGNEE = member("m-4001")
ASKER = member("galt-1", PARTNER, name="Det. Sam Lowe")


@pytest.fixture
async def access(database_url: str) -> AsyncIterator[Access]:
    async with opened(database_url) as parts:
        # The sample's own agreement would answer for the one under test.
        async with parts.pool.connection() as connection:
            await connection.execute("UPDATE agreements SET state = 'AGREEMENT_STATE_REVOKED'")
        yield parts


def wanted(**changes: Any) -> access_pb2.Agreement:
    fields = {
        "owner_agency_id": OWNER, "window_s": 86_400, "justification": "Stolen vehicles that leave along Highway 99",
        "onward_use_attested": True,
    } | changes  # fmt: skip
    days = fields.pop("days", 90)
    made = access_pb2.Agreement(**fields)
    made.expires_at.FromDatetime(NOW + timedelta(days=days))
    return made


async def search(access: Access, subject: types_pb2.Subject = ASKER, **purpose: Any) -> decision_pb2.Decision:
    """What a partner's search would be answered."""
    given = {
        "offence": "vehicle-theft", "case_number": "G26-00117", "onward_use_attested": True,
        "reason": "silver Accord taken in Galt, last seen going north on 99",
    } | purpose  # fmt: skip
    request = access_pb2.DecideRequest(
        subject=subject, action=action_pb2.ACTION_SEARCH, owner_agency_ids=[OWNER], purpose=types_pb2.Purpose(**given)
    )  # fmt: skip
    return await access.core.decide(request)


async def refused(work: Any) -> PlatewardError:
    with pytest.raises(PlatewardError) as caught:
        await work
    return caught.value


@pytest.mark.req("R-SHR-1")
async def test_an_agreement_from_request_to_its_end(access: Access) -> None:
    assert (await search(access)).rule == "ca.sb34-no-agreement"
    asked = await access.agreements.request(
        wanted(camera_ids=["cam-laguna-1"], offences=["vehicle-theft"]), ASKER
    )
    assert asked.state == access_pb2.AGREEMENT_STATE_REQUESTED
    assert (asked.partner_agency_id, asked.requested_by) == (PARTNER, "galt-1")
    assert (await search(access)).rule == "ca.sb34-no-agreement", "asking opens nothing"

    before, after = await access.agreements.decide(
        asked.agreement_id, DESIGNEE, approve=True, reason="regional theft cases"
    )
    assert (before.state, after.state) == (
        access_pb2.AGREEMENT_STATE_REQUESTED,
        access_pb2.AGREEMENT_STATE_ACTIVE,
    )
    assert (after.decided_by, after.reason) == ("m-4001", "regional theft cases")
    found = await search(access)
    assert found.effect == decision_pb2.EFFECT_ALLOW, found
    assert list(found.obligations.agency_ids) == [OWNER]
    assert list(found.obligations.camera_ids) == ["cam-laguna-1"]
    assert found.obligations.not_before.ToDatetime() == (NOW - timedelta(days=1)).replace(tzinfo=None)
    assert (await search(access, offence="homicide")).rule == "ca.sb34-no-agreement"
    assert (await search(access, onward_use_attested=False)).rule == "ca.onward-use"

    _, ended = await access.agreements.revoke(asked.agreement_id, DESIGNEE, "passed on to a federal agency")
    assert (ended.state, ended.revoked_by) == (access_pb2.AGREEMENT_STATE_REVOKED, "m-4001")
    assert (await search(access)).rule == "ca.sb34-no-agreement"
    again = await refused(access.agreements.revoke(asked.agreement_id, DESIGNEE, "once more"))
    assert again.reason == e.ERROR_REASON_WRONG_STATE


@pytest.mark.req("R-SHR-1")
async def test_an_agreement_ends_by_itself(access: Access) -> None:
    asked = await access.agreements.request(wanted(days=10), ASKER)
    await access.agreements.decide(asked.agreement_id, DESIGNEE, approve=True, reason="ten days")
    access.clock.time = NOW + timedelta(days=10) - timedelta(seconds=1)
    assert (await search(access)).effect == decision_pb2.EFFECT_ALLOW
    access.clock.time = NOW + timedelta(days=10)
    assert (await search(access)).rule == "ca.sb34-no-agreement"
    found = await access.agreements.page(OWNER, "AGREEMENT_STATE_EXPIRED", None, 10)
    assert [a.agreement_id for a in found] == [asked.agreement_id]
    assert await access.agreements.page(OWNER, "AGREEMENT_STATE_ACTIVE", None, 10) == []


@pytest.mark.req("R-SHR-1")
async def test_a_refused_request_opens_nothing_and_is_decided_once(access: Access) -> None:
    asked = await access.agreements.request(wanted(), ASKER)
    assert (await refused(access.agreements.request(wanted(), ASKER))).reason == e.ERROR_REASON_ALREADY_EXISTS
    _, after = await access.agreements.decide(
        asked.agreement_id, DESIGNEE, approve=False, reason="no need shown"
    )
    assert after.state == access_pb2.AGREEMENT_STATE_REFUSED
    late = await refused(
        access.agreements.decide(asked.agreement_id, DESIGNEE, approve=True, reason="changed my mind")
    )
    assert late.reason == e.ERROR_REASON_WRONG_STATE
    assert (await search(access)).rule == "ca.sb34-no-agreement"
    await access.agreements.request(wanted(), ASKER)


@pytest.mark.req("R-SHR-1")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"onward_use_attested": False}, "attest that nothing"),
        ({"owner_agency_id": PARTNER}, "your own agency"),
        ({"window_s": 0}, "how far back"),
        ({"window_s": 10**12}, "how far back"),
        ({"days": 0}, "must be ahead"),
        ({"days": 5000}, "not endless"),
        ({"offences": ["vehicle-theft", "loitering"]}, "loitering is not in the owner's catalogue"),
    ],
)
async def test_what_a_request_must_say(access: Access, changes: dict[str, Any], said: str) -> None:
    error = await refused(access.agreements.request(wanted(**changes), ASKER))
    assert error.reason == e.ERROR_REASON_INVALID_ARGUMENT
    assert said in str(error)
    unknown = await refused(access.agreements.request(wanted(owner_agency_id="atlantis-pd"), ASKER))
    assert unknown.reason == e.ERROR_REASON_NOT_FOUND


@pytest.mark.req("R-SHR-2")
@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("AGENCY_KIND_OUT_OF_STATE", "ca.sb34-out-of-state"),
        ("AGENCY_KIND_FEDERAL", "ca.sb34-federal"),
        ("AGENCY_KIND_TRIBAL", "ca.sb34-tribal"),
        ("AGENCY_KIND_PRIVATE", "ca.sb34-private"),
        (None, "ca.sb34-unknown"),
    ],
)
async def test_who_can_never_have_one(access: Access, kind: str | None, rule: str) -> None:
    other = member("x-1", "other-agency")
    if kind:
        await access.store.put_agency("other-agency", "Somewhere Else", kind, "US-NV")
    error = await refused(access.agreements.request(wanted(), other))
    assert (error.reason, error.metadata["rule"]) == (e.ERROR_REASON_DENIED_BY_POLICY, rule)


@pytest.mark.req("R-SHR-2")
async def test_what_the_partner_is_counts_when_it_is_decided_and_ever_after(access: Access) -> None:
    asked = await access.agreements.request(wanted(), ASKER)
    await access.store.put_agency(PARTNER, "Galt Police Department", "AGENCY_KIND_FEDERAL", "US-CA")
    error = await refused(
        access.agreements.decide(asked.agreement_id, DESIGNEE, approve=True, reason="regional")
    )
    assert error.metadata["rule"] == "ca.sb34-federal"
    await access.store.put_agency(PARTNER, "Galt Police Department", "AGENCY_KIND_LOCAL", "US-CA")
    await access.agreements.decide(asked.agreement_id, DESIGNEE, approve=True, reason="regional")
    assert (await search(access)).effect == decision_pb2.EFFECT_ALLOW
    await access.store.put_agency(PARTNER, "Galt Police Department", "AGENCY_KIND_OUT_OF_STATE", "US-NV")
    assert (await search(access)).rule == "ca.sb34-out-of-state"


@pytest.mark.req("R-SHR-2")
async def test_a_partners_member_on_a_federal_task_force(access: Access) -> None:
    asked = await access.agreements.request(wanted(), ASKER)
    await access.agreements.decide(asked.agreement_id, DESIGNEE, approve=True, reason="regional")
    assert (await search(access, member("galt-9", PARTNER, federal=True))).rule == "ca.sb54-task-force"


@pytest.mark.req("R-SHR-1")
async def test_another_agency_neither_decides_nor_ends_nor_sees_it(access: Access) -> None:
    asked = await access.agreements.request(wanted(), ASKER)
    stranger = member("l-1", "lodi-pd")
    for work in (
        access.agreements.decide(asked.agreement_id, stranger, approve=True, reason="let them"),
        access.agreements.decide(asked.agreement_id, ASKER, approve=True, reason="we agree with us"),
        access.agreements.revoke(asked.agreement_id, stranger, "not ours"),
    ):
        assert (await refused(work)).reason == e.ERROR_REASON_NOT_FOUND
    assert await access.agreements.page("lodi-pd", "", None, 10) == []
    assert len(await access.agreements.page(PARTNER, "", None, 10)) == 2


@pytest.mark.req("R-SHR-1")
async def test_two_agreements_do_not_lend_each_other_their_scope(access: Access) -> None:
    for cameras, offence, days in (["cam-1"], "vehicle-theft", 1), (["cam-2"], "homicide", 7):
        asked = await access.agreements.request(
            wanted(camera_ids=cameras, offences=[offence], window_s=days * 86_400), ASKER
        )
        await access.agreements.decide(asked.agreement_id, DESIGNEE, approve=True, reason="scoped")
    theft, homicide = await search(access), await search(access, offence="homicide")
    assert list(theft.obligations.camera_ids) == ["cam-1"]
    assert list(homicide.obligations.camera_ids) == ["cam-2"]
    assert homicide.obligations.not_before.ToDatetime() == (NOW - timedelta(days=7)).replace(tzinfo=None)


@pytest.mark.req("R-SHR-1")
async def test_an_agreement_bounds_its_own_owner_only(access: Access) -> None:
    await access.store.put_agency("lodi-pd", "Lodi Police Department", "AGENCY_KIND_LOCAL", "US-CA")
    lodi = types_pb2.Subject(
        agency_id="lodi-pd",
        kind=action_pb2.CALLER_KIND_PORTAL,
        member_id="l-9",
        amr=["pwd", "otp"],
    )
    for owner, designee, cameras, days in ((OWNER, DESIGNEE, ["cam-1"], 1), ("lodi-pd", lodi, [], 7)):
        asked = await access.agreements.request(
            wanted(owner_agency_id=owner, camera_ids=cameras, window_s=days * 86_400), ASKER
        )
        await access.agreements.decide(asked.agreement_id, designee, approve=True, reason="scoped")
    purpose = types_pb2.Purpose(offence="vehicle-theft", case_number="G26-00117", onward_use_attested=True,
                                reason="silver Accord taken in Galt, last seen going north on 99")  # fmt: skip
    request = access_pb2.DecideRequest(
        subject=ASKER, action=action_pb2.ACTION_SEARCH, owner_agency_ids=[OWNER, "lodi-pd", PARTNER], purpose=purpose
    )  # fmt: skip
    found = (await access.core.decide(request)).obligations
    assert sorted(found.agency_ids) == sorted([OWNER, "lodi-pd", PARTNER])
    assert list(found.camera_ids) == [], "the partner's own reads are not bounded by what others agreed to"
    told = {
        scope.agency_id: (list(scope.camera_ids), scope.not_before.ToDatetime()) for scope in found.scopes
    }
    assert told == {
        OWNER: (["cam-1"], (NOW - timedelta(days=1)).replace(tzinfo=None)),
        "lodi-pd": ([], (NOW - timedelta(days=7)).replace(tzinfo=None)),
    }


@pytest.mark.req("R-SHR-1")
async def test_it_stays_on_file(access: Access) -> None:
    await access.agreements.request(wanted(), ASKER)
    with pytest.raises(psycopg.errors.RestrictViolation, match="stay on file"):
        async with access.pool.connection() as connection:
            await connection.execute("DELETE FROM agreements")


async def test_pages_are_newest_first_and_whole(access: Access) -> None:
    made = []
    for _ in range(4):
        asked = await access.agreements.request(wanted(), ASKER)
        await access.agreements.decide(asked.agreement_id, DESIGNEE, approve=False, reason="no need shown")
        made.append(asked.agreement_id)
        access.clock.time += timedelta(milliseconds=5)
    first = await access.agreements.page(PARTNER, "AGREEMENT_STATE_REFUSED", None, 3)
    rest = await access.agreements.page(PARTNER, "AGREEMENT_STATE_REFUSED", first[-1].agreement_id, 3)
    assert [a.agreement_id for a in first + rest] == made[::-1]
