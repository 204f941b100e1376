"""Sharing over running services: an agreement's life, what each side's record shows, and revocation within a second."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from clients.connection import Connection
from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, decision_pb2, types_pb2
from plateward.common.v1 import errors_pb2 as e
from plateward.hotlist.v1 import hotlist_pb2, hotlist_pb2_grpc
from plateward.reads.v1 import reads_pb2, reads_pb2_grpc
from servicekit.channels import bearer
from servicekit.errors import PlatewardError, parse_rpc_error
from services.access.policy import sample_document
from tests.steel.test_fail_closed import events

OWNER, PARTNER = "elk-grove-pd", "galt-pd"
DESIGNEE, ADMINISTRATOR, ASKER = "m-4001", "m-3001", "galt-1"
WITHIN_S = 1.0


async def ask(
    connection: Connection, method: str, request: Any, member: str, identity: str = "portal"
) -> Any:
    async with connection.channel("access", identity) as channel:
        stub = access_pb2_grpc.AccessServiceStub(channel)
        return await getattr(stub, method)(request, metadata=bearer(connection.token(member)), timeout=15)


async def refusal(work: Awaitable[Any]) -> PlatewardError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await work
    fault = parse_rpc_error(caught.value)
    assert fault is not None, caught.value
    return fault


def wanted() -> access_pb2.RequestAgreementRequest:
    agreement = access_pb2.Agreement(
        owner_agency_id=OWNER, window_s=7 * 86_400, onward_use_attested=True,
        justification="Stolen vehicles that leave along Highway 99",
    )  # fmt: skip
    agreement.expires_at.FromDatetime(datetime.now(UTC) + timedelta(days=90))
    return access_pb2.RequestAgreementRequest(agreement=agreement)


async def agreed(connection: Connection) -> str:
    asked = await ask(connection, "RequestAgreement", wanted(), ASKER, PARTNER)
    agreement_id = str(asked.agreement.agreement_id)
    decided = access_pb2.DecideAgreementRequest(
        agreement_id=agreement_id, approve=True, reason="regional theft"
    )
    answer = await ask(connection, "DecideAgreement", decided, DESIGNEE)
    assert answer.receipt.leaf_hash
    return agreement_id


async def end_all(connection: Connection) -> None:
    """End every agreement in force, so that the one under test stands alone."""
    request = access_pb2.ListAgreementsRequest(state=access_pb2.AGREEMENT_STATE_ACTIVE)
    for agreement in (await ask(connection, "ListAgreements", request, DESIGNEE)).agreements:
        ended = access_pb2.RevokeAgreementRequest(
            agreement_id=agreement.agreement_id, reason="test begins anew"
        )
        await ask(connection, "RevokeAgreement", ended, DESIGNEE)


def query(plate: str = "7KXR482") -> reads_pb2.SearchReadsRequest:
    request = reads_pb2.SearchReadsRequest(plate=plate, owner_agency_ids=[OWNER])
    request.purpose.CopyFrom(
        types_pb2.Purpose(
            offence="vehicle-theft", case_number="G26-00117", onward_use_attested=True,
            reason="silver Accord taken in Galt, last seen going north on 99",
        )
    )  # fmt: skip
    request.window.end.FromDatetime(datetime.now(UTC))
    request.window.start.FromDatetime(datetime.now(UTC) - timedelta(days=1))
    return request


async def partner_search(connection: Connection) -> reads_pb2.SearchReadsResponse:
    async with connection.channel("reads", PARTNER) as channel:
        return await reads_pb2_grpc.ReadsServiceStub(channel).SearchReads(
            query(), metadata=bearer(connection.token(ASKER)), timeout=15
        )


@pytest.mark.req("R-SHR-1")
@pytest.mark.req("R-ACC-6")
@pytest.mark.req("R-ACC-9")
async def test_an_agreement_opens_what_it_says_and_the_owner_sees_who_looked(connection: Connection) -> None:
    await end_all(connection)
    assert (await refusal(partner_search(connection))).metadata["rule"] == "ca.sb34-no-agreement"
    agreement_id = await agreed(connection)
    answer = await partner_search(connection)
    assert answer.decision.effect == decision_pb2.EFFECT_ALLOW
    assert list(answer.decision.obligations.agency_ids) == [OWNER]

    # The owner's auditor finds the partner's member, agency, plate and purpose in the owner's own record.
    seen = await events(connection, action=action_pb2.ACTION_SEARCH, page=types_pb2.PageRequest(size=20))
    mine = next(s for s in seen if s.subject.agency_id == PARTNER and s.phase == event_pb2.PHASE_OUTCOME
                and s.outcome.status == "OK")  # fmt: skip
    assert (mine.owner_agency_id, mine.subject.member_id, mine.subject.member_name) == (
        OWNER,
        ASKER,
        "Det. Sam Lowe",
    )
    assert (mine.purpose.case_number, mine.purpose.onward_use_attested) == ("G26-00117", True)
    assert {q.name: q.value for q in mine.query}["plate"] == "7KXR482"

    changes = await events(
        connection, action=action_pb2.ACTION_DECIDE_SHARING, page=types_pb2.PageRequest(size=10)
    )
    decided = next(c for c in changes if c.change.target == agreement_id)
    assert decided.phase == event_pb2.PHASE_CHANGE
    assert decided.subject.member_id == DESIGNEE
    assert decided.change.before_digest != decided.change.after_digest
    asked = await events(
        connection, action=action_pb2.ACTION_MANAGE_SHARING, page=types_pb2.PageRequest(size=20)
    )
    assert any(a.change.target == agreement_id and a.subject.agency_id == PARTNER for a in asked), (
        "the owner's record has the request too"
    )


@pytest.mark.req("R-SHR-1")
async def test_only_the_designee_decides(connection: Connection) -> None:
    await end_all(connection)
    asked = await ask(connection, "RequestAgreement", wanted(), ASKER, PARTNER)
    decided = access_pb2.DecideAgreementRequest(
        agreement_id=asked.agreement.agreement_id, approve=True, reason="regional theft"
    )
    for member in (ADMINISTRATOR, "m-1042", "m-2001"):
        assert (await refusal(ask(connection, "DecideAgreement", decided, member))).metadata[
            "rule"
        ] == "platform.role"
    fault = await refusal(ask(connection, "DecideAgreement", decided, ASKER, PARTNER))
    assert fault.reason == e.ERROR_REASON_CALLER_NOT_ALLOWED
    await ask(connection, "DecideAgreement", decided, DESIGNEE)


@pytest.mark.req("R-SHR-2")
@pytest.mark.parametrize(
    ("identity", "member", "rule"),
    [("reno-pd", "reno-7", "ca.sb34-out-of-state"), ("ice-ero", "ice-1", "ca.sb34-federal")],
)
async def test_who_cannot_even_ask(connection: Connection, identity: str, member: str, rule: str) -> None:
    fault = await refusal(ask(connection, "RequestAgreement", wanted(), member, identity))
    assert (fault.reason, fault.metadata["rule"]) == (e.ERROR_REASON_DENIED_BY_POLICY, rule)


@pytest.mark.req("R-SHR-3")
@pytest.mark.req("R-SHR-4")
async def test_a_release_from_filing_to_answer_is_on_record(connection: Connection) -> None:
    await ask(
        connection, "PutAgency",
        access_pb2.PutAgencyRequest(agency=access_pb2.Agency(
            agency_id="sac-da", name="Sacramento County District Attorney", kind=access_pb2.AGENCY_KIND_PROSECUTOR, state="US-CA")),
        ADMINISTRATOR,
    )  # fmt: skip
    filing = access_pb2.ReleaseRequest(
        agency_name="Sacramento County District Attorney", agency_id="sac-da", requester_name="DDA Lee Okafor",
        intended_purpose="People v. Marsh, 26FE004312: presence at the scene", law_enforcement=True,
    )  # fmt: skip
    filed = await ask(
        connection,
        "SubmitReleaseRequest",
        access_pb2.SubmitReleaseRequestRequest(release=filing),
        ADMINISTRATOR,
    )
    release_id = filed.release.release_id
    decide = access_pb2.DecideReleaseRequestRequest(
        release_id=release_id, approve=True, reason="subpoena on file"
    )
    assert (await refusal(ask(connection, "DecideReleaseRequest", decide, ADMINISTRATOR))).metadata[
        "rule"
    ] == "platform.role"
    await ask(connection, "DecideReleaseRequest", decide, DESIGNEE)
    digest = hashlib.sha256(b"the package").digest()
    given = await ask(
        connection,
        "FulfilReleaseRequest",
        access_pb2.FulfilReleaseRequestRequest(release_id=release_id, package_digest=digest),
        ADMINISTRATOR,
    )
    assert given.release.state == access_pb2.RELEASE_STATE_FULFILLED
    newspaper = access_pb2.ReleaseRequest(
        agency_name="The Citizen", requester_name="R. Writer", intended_purpose="A story about cameras"
    )
    routed = await ask(
        connection,
        "SubmitReleaseRequest",
        access_pb2.SubmitReleaseRequestRequest(release=newspaper),
        ADMINISTRATOR,
    )
    assert routed.release.state == access_pb2.RELEASE_STATE_ROUTED
    listed = await ask(
        connection, "ListReleaseRequests", access_pb2.ListReleaseRequestsRequest(), ADMINISTRATOR
    )
    assert {release_id, routed.release.release_id} <= {r.release_id for r in listed.releases}
    told = [
        c.change.summary
        for a in (action_pb2.ACTION_MANAGE_RELEASE, action_pb2.ACTION_DECIDE_RELEASE)
        for c in await events(connection, action=a, page=types_pb2.PageRequest(size=20))
        if c.change.target == release_id
    ]
    assert {t.split(":")[0] for t in told} == {"filed", "approved", "fulfilled"}
    assert any(digest.hex() in t for t in told)


async def stream_hits(
    connection: Connection, identity: str, member: str, started: asyncio.Event, ended: list[Any]
) -> None:
    """Follow hits until the stream ends; note when and why."""
    async with connection.channel("hotlist", identity) as channel:
        stub = hotlist_pb2_grpc.HotlistServiceStub(channel)
        request = hotlist_pb2.StreamHitsRequest(owner_agency_ids=[OWNER])
        call = stub.StreamHits(request, metadata=bearer(connection.token(member)))
        started.set()
        try:
            async for _ in call:
                pass
        except grpc.aio.AioRpcError as error:
            ended.append((time.monotonic(), error))
        else:
            ended.append((time.monotonic(), None))


async def ends_after(
    connection: Connection, identity: str, member: str, revoke: Awaitable[Any]
) -> PlatewardError:
    started, ended = asyncio.Event(), list[Any]()
    following = asyncio.create_task(stream_hits(connection, identity, member, started, ended))
    await started.wait()
    await asyncio.sleep(2.0)
    assert not ended, f"the stream did not stand: {ended}"
    await revoke
    revoked_at = time.monotonic()
    await asyncio.wait_for(following, 10)
    when, error = ended[0]
    print(f"the stream ended {when - revoked_at:.3f} s after the revocation was answered")
    assert when - revoked_at < WITHIN_S, f"{when - revoked_at:.2f} s"
    fault = parse_rpc_error(error)
    assert fault is not None, error
    return fault


@pytest.mark.req("R-SHR-1")
async def test_an_agreement_that_ends_ends_the_partners_stream(connection: Connection) -> None:
    await end_all(connection)
    agreement_id = await agreed(connection)
    ended = access_pb2.RevokeAgreementRequest(
        agreement_id=agreement_id, reason="onward transfer to a federal agency"
    )
    fault = await ends_after(connection, PARTNER, ASKER, ask(connection, "RevokeAgreement", ended, DESIGNEE))
    assert (fault.reason, fault.metadata["rule"]) == (
        e.ERROR_REASON_DENIED_BY_POLICY,
        "ca.sb34-no-agreement",
    )
    assert (await refusal(partner_search(connection))).metadata["rule"] == "ca.sb34-no-agreement"
    seen = await events(connection, action=action_pb2.ACTION_VIEW_HITS, page=types_pb2.PageRequest(size=10))
    assert any(s.decision.rule == "ca.sb34-no-agreement" and s.subject.member_id == ASKER for s in seen)
    await agreed(connection)


@pytest.mark.req("R-ACC-4")
async def test_a_member_who_is_suspended_loses_the_stream(connection: Connection) -> None:
    member = access_pb2.Member(
        member_id="m-1077", name="Sgt. Priya Nair", job_title="sergeant", roles=["supervisor"],
        state=access_pb2.ACCOUNT_STATE_SUSPENDED,
    )  # fmt: skip
    change = ask(connection, "PutMember", access_pb2.PutMemberRequest(member=member), ADMINISTRATOR)
    try:
        fault = await ends_after(connection, "portal", "m-1077", change)
        assert fault.metadata["rule"] == "agency.account-inactive"
    finally:
        member.state = access_pb2.ACCOUNT_STATE_ACTIVE
        await ask(connection, "PutMember", access_pb2.PutMemberRequest(member=member), ADMINISTRATOR)


@pytest.mark.req("R-ACC-9")
async def test_a_policy_without_the_job_title_ends_the_stream(connection: Connection) -> None:
    sample = sample_document("elk-grove-pd")
    narrower = sample.replace("detective, sergeant, lieutenant", "detective, lieutenant")
    assert narrower != sample

    async def put_in_force(document: str) -> None:
        proposal = access_pb2.ProposePolicyRequest(document=document)
        version = (await ask(connection, "ProposePolicy", proposal, ADMINISTRATOR)).policy.version
        await ask(connection, "ActivatePolicy", access_pb2.ActivatePolicyRequest(version=version), DESIGNEE)

    try:
        fault = await ends_after(connection, "portal", "m-1077", put_in_force(narrower))
        assert fault.metadata["rule"] == "agency.job-title"
    finally:
        await put_in_force(sample)


@pytest.mark.req("R-ACC-4")
async def test_another_members_change_does_not_disturb(connection: Connection) -> None:
    started, ended = asyncio.Event(), list[Any]()
    following = asyncio.create_task(stream_hits(connection, "portal", "m-1077", started, ended))
    await started.wait()
    await asyncio.sleep(0.5)
    training = access_pb2.RecordTrainingRequest(member_id="m-1042", training="alpr-basic")
    training.expires_at.FromDatetime(datetime.now(UTC) + timedelta(days=200))
    await ask(connection, "RecordTraining", training, ADMINISTRATOR)
    training.member_id = "m-1077"
    await ask(connection, "RecordTraining", training, ADMINISTRATOR)
    await asyncio.sleep(1.0)
    assert not ended
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@pytest.mark.req("R-ACC-1")
async def test_a_stream_does_not_outlive_the_one_who_decides(stack: Any, connection: Connection) -> None:
    from tests.steel.test_fail_closed import without

    started, ended = asyncio.Event(), list[Any]()
    following = asyncio.create_task(stream_hits(connection, "portal", "m-1077", started, ended))
    await started.wait()
    await asyncio.sleep(1.0)
    assert not ended
    async with without(stack, "access"):
        await asyncio.wait_for(following, 15)
        fault = parse_rpc_error(ended[0][1])
        assert fault is not None
        assert fault.reason == e.ERROR_REASON_DECISION_UNAVAILABLE
