"""Publishing: checked first, two persons, signed, kept; what is in force decides and retains."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, decision_pb2, errors_pb2, types_pb2
from servicekit.errors import PlatewardError
from services.access.bundles import BundleError
from services.access.policy import load_bundle, sample_document
from services.access.publish import Publisher
from services.access.rpc_policy import as_proto
from tests.common.access import NOW, OWNER, Access, member, opened

KEY = ec.generate_private_key(ec.SECP256R1())
GOOD = sample_document("elk-grove-pd")
SHORTER = GOOD.replace(
    'read: {days: 30, basis: "Department portal: 30 days; 462.4"}',
    'read: {days: 14, basis: "Department portal: 14 days"}',
).replace("crop: {days: 30", "crop: {days: 14")
FIRST, SECOND = member("m-3001"), member("m-4001")


def publisher(access: Access) -> Publisher:
    return Publisher(access.pool, KEY, access.clock)


async def search(access: Access) -> decision_pb2.Decision:
    request = access_pb2.DecideRequest(
        subject=member("m-1042"), action=action_pb2.ACTION_SEARCH, owner_agency_ids=[OWNER]
    )
    request.purpose.CopyFrom(
        types_pb2.Purpose(
            offence="vehicle-theft", case_number="26-004312", reason="silver Accord taken from Laguna Blvd"
        )
    )
    request.window.start.FromDatetime(NOW.replace(hour=1))
    request.window.end.FromDatetime(NOW)
    return await access.core.decide(request)


@pytest.mark.req("R-ACC-9")
@pytest.mark.req("R-RET-1")
async def test_a_version_takes_two_persons_and_then_decides(database_url: str) -> None:
    async with opened(database_url) as access:
        versions = publisher(access)
        first = await versions.begin(lambda: GOOD)
        assert (await search(access)).policy_version == first.version
        row = await versions.propose(SHORTER, FIRST)
        assert row["state"] == "PROPOSED"
        assert (await search(access)).policy_version == first.version, "a proposal decides nothing"
        with pytest.raises(PlatewardError) as own:
            await versions.activate(row["version"], FIRST, access.core)
        assert own.value.metadata["rule"] == "platform.two-persons"
        done, before = await versions.activate(row["version"], SECOND, access.core)
        assert (done["state"], done["activated_by"], before.version) == ("IN_FORCE", "m-4001", first.version)
        decision = await search(access)
        assert decision.policy_version == row["version"] == load_bundle(SHORTER).version
        assert (NOW - decision.obligations.not_before.ToDatetime(NOW.tzinfo)).days == 14
        kept = {rule.kind: rule.keep_s for rule in as_proto(access.core.bundle).retention}
        assert kept == {"read": 14 * 86_400, "crop": 14 * 86_400, "hit": 365 * 86_400}
        listed = await versions.page(OWNER, None, 10)
        assert {r["version"]: r["state"] for r in listed} == {
            first.version: "SUPERSEDED",
            row["version"]: "IN_FORCE",
        }


@pytest.mark.req("R-ACC-9")
async def test_what_the_linter_or_the_tables_refuse_is_not_proposed(database_url: str) -> None:
    async with opened(database_url) as access:
        versions = publisher(access)
        await versions.begin(lambda: GOOD)
        for text, field in (
            (sample_document("elk-grove-pd-as-written"), "portal.retention ↔ 462.4"),
            (GOOD.replace("[girlfriend,", "[silver, girlfriend,"), "tables"),
            (
                GOOD.replace("egpd.harassment", "ca.sb34-federal"),
                "purposes.prohibited.harassment ↔ ca.sb34-federal",
            ),
            (GOOD.replace("agency: elk-grove-pd", "agency: galt-pd"), "agency"),
            ("a: [", "document"),
        ):
            with pytest.raises(PlatewardError) as refused:
                await versions.propose(text, FIRST)
            assert refused.value.reason == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
            assert field in {name for name, _ in refused.value.violations}, refused.value.violations
        with pytest.raises(PlatewardError) as same:
            await versions.propose(GOOD, FIRST)
        assert same.value.reason == errors_pb2.ERROR_REASON_ALREADY_EXISTS
        assert [r["state"] for r in await versions.page(OWNER, None, 10)] == ["IN_FORCE"]


async def test_a_version_is_activated_once_and_an_earlier_one_by_a_new_proposal(database_url: str) -> None:
    async with opened(database_url) as access:
        versions = publisher(access)
        first = await versions.begin(lambda: GOOD)
        row = await versions.propose(SHORTER, FIRST)
        await versions.activate(row["version"], SECOND, access.core)
        for version, reason in (
            (row["version"], "WRONG_STATE"),
            (first.version, "WRONG_STATE"),
            ("0123456789abcdef", "NOT_FOUND"),
        ):
            with pytest.raises(PlatewardError) as refused:
                await versions.activate(version, SECOND, access.core)
            assert errors_pb2.ErrorReason.Name(refused.value.reason) == f"ERROR_REASON_{reason}"
        again = await versions.propose(GOOD, SECOND)
        await versions.activate(again["version"], FIRST, access.core)
        assert access.core.bundle.version == first.version


@pytest.mark.req("R-ACC-8")
@pytest.mark.req("R-ACC-9")
async def test_a_policy_altered_in_the_database_is_not_used(database_url: str) -> None:
    async with opened(database_url) as access:
        versions = publisher(access)
        await versions.begin(lambda: GOOD)
        stranger = Publisher(access.pool, ec.generate_private_key(ec.SECP256R1()), access.clock)
        with pytest.raises(BundleError):
            await stranger.current()
        async with access.pool.connection() as connection:
            await connection.execute("UPDATE policies SET bundle = substring(bundle for 100)")
        with pytest.raises(BundleError):
            await versions.begin(lambda: GOOD)


@pytest.mark.req("R-ACC-9")
async def test_the_database_itself_demands_two_persons(database_url: str) -> None:
    async with opened(database_url) as access:
        versions = publisher(access)
        await versions.begin(lambda: GOOD)
        row = await versions.propose(SHORTER, FIRST)
        async with access.pool.connection() as connection:
            with pytest.raises(psycopg.errors.CheckViolation):
                await connection.execute(
                    "UPDATE policies SET activated_by = proposed_by WHERE version = %s", (row["version"],)
                )


async def test_another_replica_follows_and_people_outlast_the_settings(database_url: str) -> None:
    async with opened(database_url) as access, opened(database_url, sample=False) as replica:
        versions, others = publisher(access), publisher(replica)
        await versions.begin(lambda: GOOD)
        assert not await others.follow(replica.core)
        row = await versions.propose(SHORTER, FIRST)
        await versions.activate(row["version"], SECOND, access.core)
        assert await others.follow(replica.core)
        assert replica.core.bundle.version == row["version"]
        assert (await versions.begin(lambda: GOOD)).version == row["version"], (
            "the settings' document holds until people publish"
        )


async def test_no_decision_is_made_by_a_version_that_its_input_was_not_made_for(database_url: str) -> None:
    async with opened(database_url) as access:
        versions = publisher(access)
        await versions.begin(lambda: GOOD)
        row = await versions.propose(SHORTER, FIRST)
        stop = asyncio.Event()
        seen: set[tuple[str, int]] = set()

        async def ask() -> None:
            while not stop.is_set():
                decision = await search(access)
                assert decision.effect == decision_pb2.EFFECT_ALLOW
                seen.add(
                    (
                        decision.policy_version,
                        (NOW - decision.obligations.not_before.ToDatetime(NOW.tzinfo)).days,
                    )
                )

        asking = [asyncio.create_task(ask()) for _ in range(3)]
        await asyncio.sleep(0.1)
        await versions.activate(row["version"], SECOND, access.core)
        await asyncio.sleep(0.1)
        stop.set()
        await asyncio.gather(*asking)
        assert seen == {(load_bundle(GOOD).version, 30), (row["version"], 14)}
