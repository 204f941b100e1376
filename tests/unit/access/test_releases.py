"""Release requests: three fields, a review by another, an answer with its digest, and a file that keeps them all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from plateward.access.v1 import access_pb2
from plateward.common.v1 import errors_pb2 as e
from plateward.common.v1 import types_pb2
from servicekit.errors import PlatewardError
from tests.common.access import OWNER, PARTNER, Access, member, opened

CLERK, DESIGNEE = member("m-3001"), member("m-4001")
DIGEST = bytes(range(32))


@pytest.fixture
async def access(database_url: str) -> AsyncIterator[Access]:
    async with opened(database_url) as parts:
        await parts.store.put_agency(
            "sac-da", "Sacramento County District Attorney", "AGENCY_KIND_PROSECUTOR", "US-CA"
        )
        await parts.store.put_agency("hoa", "Laguna West Association", "AGENCY_KIND_PRIVATE", "US-CA")
        yield parts


def asked(**changes: Any) -> access_pb2.ReleaseRequest:
    fields = {
        "agency_name": "Sacramento County District Attorney", "agency_id": "sac-da", "requester_name": "DDA Lee Okafor",
        "intended_purpose": "People v. Marsh, 26FE004312: presence at the scene", "law_enforcement": True,
    } | changes  # fmt: skip
    return access_pb2.ReleaseRequest(**fields)


async def refused(work: Any) -> PlatewardError:
    with pytest.raises(PlatewardError) as caught:
        await work
    return caught.value


@pytest.mark.req("R-SHR-3")
async def test_a_request_from_filing_to_its_answer(access: Access) -> None:
    filed = await access.releases.submit(asked(), CLERK)
    assert filed.state == access_pb2.RELEASE_STATE_FILED
    assert (filed.filed_by, filed.owner_agency_id) == ("m-3001", OWNER)
    assert filed.agency_kind == access_pb2.AGENCY_KIND_PROSECUTOR
    early = await refused(access.releases.fulfil(filed.release_id, CLERK, DIGEST))
    assert early.reason == e.ERROR_REASON_WRONG_STATE
    before, approved = await access.releases.decide(
        filed.release_id, DESIGNEE, approve=True, reason="subpoena on file"
    )
    assert (before.state, approved.state) == (
        access_pb2.RELEASE_STATE_FILED,
        access_pb2.RELEASE_STATE_APPROVED,
    )
    assert (approved.decided_by, approved.decision_reason) == ("m-4001", "subpoena on file")
    _, given = await access.releases.fulfil(filed.release_id, CLERK, DIGEST)
    assert (given.state, given.package_digest) == (access_pb2.RELEASE_STATE_FULFILLED, DIGEST)
    assert given.fulfilled_by == "m-3001"
    for work in (
        access.releases.fulfil(filed.release_id, CLERK, DIGEST),
        access.releases.decide(filed.release_id, DESIGNEE, approve=False, reason="too late"),
    ):
        assert (await refused(work)).reason == e.ERROR_REASON_WRONG_STATE
    assert [r.release_id for r in await access.releases.page(OWNER, "", None, 10)] == [filed.release_id]


@pytest.mark.req("R-SHR-3")
@pytest.mark.parametrize("field", ["agency_name", "requester_name", "intended_purpose"])
@pytest.mark.parametrize("blank", ["", "   ", "...", "-"])
async def test_the_three_fields_are_needed(access: Access, field: str, blank: str) -> None:
    error = await refused(access.releases.submit(asked(**{field: blank}), CLERK))
    assert error.reason == e.ERROR_REASON_INVALID_ARGUMENT
    assert [v[0] for v in error.violations] == [field]


@pytest.mark.req("R-SHR-3")
async def test_who_filed_it_does_not_review_it(access: Access) -> None:
    filed = await access.releases.submit(asked(), DESIGNEE)
    error = await refused(access.releases.decide(filed.release_id, DESIGNEE, approve=True, reason="my own"))
    assert error.metadata["rule"] == "platform.second-person"
    assert (
        await access.releases.decide(filed.release_id, member("m-4002"), approve=True, reason="subpoena")
    )[1].decided_by == "m-4002"


@pytest.mark.req("R-SHR-3")
async def test_a_refused_request_is_not_fulfilled(access: Access) -> None:
    filed = await access.releases.submit(asked(), CLERK)
    await access.releases.decide(filed.release_id, DESIGNEE, approve=False, reason="no case named")
    error = await refused(access.releases.fulfil(filed.release_id, CLERK, DIGEST))
    assert error.reason == e.ERROR_REASON_WRONG_STATE


@pytest.mark.req("R-SHR-4")
@pytest.mark.parametrize(
    "changes",
    [
        {"law_enforcement": False, "agency_id": "", "agency_name": "The Elk Grove Citizen"},
        {"agency_id": "hoa", "agency_name": "Laguna West Association", "law_enforcement": True},
        {"law_enforcement": False},
    ],
    ids=["a newspaper", "an association that says it is law enforcement", "says so itself"],
)
async def test_who_is_routed_to_records_release(access: Access, changes: dict[str, Any]) -> None:
    filed = await access.releases.submit(asked(**changes), CLERK)
    assert filed.state == access_pb2.RELEASE_STATE_ROUTED
    assert "1798.90.55" in filed.routed_to
    error = await refused(
        access.releases.decide(filed.release_id, DESIGNEE, approve=True, reason="be helpful")
    )
    assert error.reason == e.ERROR_REASON_WRONG_STATE
    assert (
        await refused(access.releases.fulfil(filed.release_id, CLERK, DIGEST))
    ).reason == e.ERROR_REASON_WRONG_STATE


@pytest.mark.req("R-SHR-2")
@pytest.mark.parametrize(
    ("agency_id", "rule"),
    [("reno-pd", "ca.sb34-out-of-state"), ("ice-ero", "ca.sb34-federal"), ("", "ca.sb34-unknown")],
)
async def test_who_can_be_given_nothing_by_anyone(access: Access, agency_id: str, rule: str) -> None:
    filed = await access.releases.submit(asked(agency_id=agency_id, agency_name="A police agency"), CLERK)
    error = await refused(
        access.releases.decide(filed.release_id, DESIGNEE, approve=True, reason="they asked nicely")
    )
    assert (error.reason, error.metadata["rule"]) == (e.ERROR_REASON_DENIED_BY_POLICY, rule)
    _, after = await access.releases.decide(
        filed.release_id, DESIGNEE, approve=False, reason="not a California agency"
    )
    assert after.state == access_pb2.RELEASE_STATE_REFUSED


@pytest.mark.req("R-SHR-3")
async def test_a_partner_files_for_itself_only(access: Access) -> None:
    partner = types_pb2.Subject(
        agency_id=PARTNER,
        kind=member("x", PARTNER).kind,
        member_id="galt-1",
        member_name="Det. Sam Lowe",
        amr=["pwd", "otp"],
    )
    filed = await access.releases.submit(asked(owner_agency_id=OWNER, agency_id="sac-da"), partner)
    assert (filed.agency_id, filed.filed_by) == (PARTNER, "galt-1")
    missing = await refused(access.releases.submit(asked(), partner))
    assert "name the agency whose data" in str(missing)
    elsewhere = await refused(access.releases.submit(asked(owner_agency_id=PARTNER), CLERK))
    assert elsewhere.reason == e.ERROR_REASON_INVALID_ARGUMENT
    assert await access.releases.page(PARTNER, "", None, 10) == []


@pytest.mark.req("R-SHR-3")
async def test_it_is_retained(access: Access) -> None:
    filed = await access.releases.submit(asked(), CLERK)
    for statement in ("DELETE FROM releases", "TRUNCATE releases"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="stay on file"):
            async with access.pool.connection() as connection:
                await connection.execute(statement)
    with pytest.raises(psycopg.errors.CheckViolation):
        async with access.pool.connection() as connection:
            await connection.execute(
                "UPDATE releases SET state = 'RELEASE_STATE_FULFILLED' WHERE release_id = %s",
                (filed.release_id,),
            )
