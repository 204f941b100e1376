"""What has gone wrong elsewhere, told again: each ends here as it should have ended there."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, decision_pb2, types_pb2
from services.access.budgets import plate_digest
from tests.common.access import NOW, OWNER, PARTNER, Access, member, opened

ALLOW, DENY = decision_pb2.EFFECT_ALLOW, decision_pb2.EFFECT_DENY
REASON = "silver Accord taken from Laguna Blvd"


def look(plate: str = "8ABC123", *, who: Any = None, case: str = "26-004312", reason: str = REASON, offence: str = "vehicle-theft",
         days: int = 1, page: bool = False, action: int = action_pb2.ACTION_SEARCH, attested: bool = False) -> access_pb2.DecideRequest:  # fmt: skip
    request = access_pb2.DecideRequest(
        subject=who or member("m-1042"),
        action=action,
        owner_agency_ids=[OWNER],
        plate=plate,
        next_page=page,  # type: ignore[arg-type]
    )
    request.purpose.CopyFrom(
        types_pb2.Purpose(offence=offence, case_number=case, reason=reason, onward_use_attested=attested)
    )
    request.window.start.FromDatetime(NOW - timedelta(days=days))
    request.window.end.FromDatetime(NOW)
    return request


async def rules(access: Access, *requests: access_pb2.DecideRequest) -> list[str]:
    return [(await access.core.decide(r)).rule for r in requests]


@pytest.mark.req("R-ACC-1")
@pytest.mark.req("R-AUD-3")
async def test_milwaukee_179_searches_of_two_plates_in_a_month(database_url: str) -> None:
    async with opened(database_url) as access:
        without_case = await rules(
            access, *[look(f"MINE{n % 2}", case="", reason="investigation") for n in range(179)]
        )
        assert set(without_case) == {"agency.case-number"}
        with_case = Counter(await rules(access, *[look(f"MINE{n % 2}") for n in range(179)]))
        assert with_case == {"platform.allowed": 40, "agency.repeat-budget": 139}


@pytest.mark.req("R-ACC-1")
async def test_orange_city_a_household_looked_up_69_24_and_15_times(database_url: str) -> None:
    async with opened(database_url) as access:
        answers = Counter(
            await rules(
                access,
                *[look("EX1") for _ in range(69)],
                *[look("MOM2") for _ in range(24)],
                *[look("DAD3") for _ in range(15)],
            )
        )
        assert answers == {"platform.allowed": 20 + 20 + 15, "agency.repeat-budget": 49 + 4}


@pytest.mark.req("R-ACC-1")
async def test_the_budget_is_the_members_whatever_case_or_spelling_and_lapses(database_url: str) -> None:
    async with opened(database_url) as access:
        for n in range(20):
            spelling = ("8abc123", "8ABC-123", "8 ABC 123")[n % 3]
            assert await rules(access, look(spelling)) == ["platform.allowed"]
        other_case = look(
            case="26-004401", offence="hit-and-run", reason="grey truck struck a cyclist, plate from witness"
        )
        assert await rules(access, look(), other_case) == ["agency.repeat-budget"] * 2
        assert await rules(access, look("8ABC124"), look(page=True)) == ["platform.allowed"] * 2
        access.clock.time = NOW + timedelta(days=31)
        assert await rules(access, look()) == ["platform.allowed"]


@pytest.mark.req("R-ACC-1")
async def test_looks_that_come_all_at_once_share_the_budget(database_url: str) -> None:
    async with opened(database_url) as access:
        answers = Counter(
            d.rule for d in await asyncio.gather(*(access.core.decide(look()) for _ in range(40)))
        )
        assert answers == {"platform.allowed": 20, "agency.repeat-budget": 20}


@pytest.mark.req("R-ACC-1")
async def test_a_case_that_is_used_for_everything(database_url: str) -> None:
    async with opened(database_url) as access:
        members = [member("m-1042"), member("m-1077")]
        answers = await rules(access, *[look(f"7AAA{n:03}", who=members[n % 2]) for n in range(65)])
        assert Counter(answers) == {"platform.allowed": 60, "agency.case-budget": 5}
        assert await rules(access, look("7AAA000")) == ["platform.allowed"], (
            "a plate that the case has already"
        )


async def test_the_table_of_looks_names_no_plate(database_url: str) -> None:
    async with opened(database_url) as access:
        await rules(access, look())
        async with access.pool.connection() as connection:
            rows = await (await connection.execute("SELECT * FROM case_looks")).fetchall()
        assert len(rows) == 1
        assert "8ABC123" not in str(rows)
        await access.store.forget_looks(NOW.date() - timedelta(days=400))
        assert await rules(access, *[look() for _ in range(20)]) == ["platform.allowed"] * 19 + [
            "agency.repeat-budget"
        ]
        await access.store.forget_looks(NOW.date() + timedelta(days=1))
        assert await rules(access, look()) == ["platform.allowed"]
        assert plate_digest(b"k", OWNER, "8ABC123") != plate_digest(b"k", PARTNER, "8ABC123")
        assert plate_digest(b"k", OWNER, " - ") == b""


@pytest.mark.req("R-ACC-3")
@pytest.mark.parametrize(
    ("reason", "rule"),
    [
        ("had an abortion, search for female", "ca.reproductive-care"),
        ("ICE WARRANT", "ca.immigration-enforcement"),
        ("immigration violation", "ca.immigration-enforcement"),
        ("No Kings", "egpd.protected-class"),
        ("Other - Not Applicable", "agency.reason-specific"),
        ("investigation", "agency.reason-specific"),
        (".", "agency.reason-specific"),
        ("", "agency.purpose-required"),
    ],
)
async def test_johnson_county_and_the_dropdowns(database_url: str, reason: str, rule: str) -> None:
    async with opened(database_url) as access:
        decision = await access.core.decide(look(reason=reason))
        assert (decision.effect, decision.rule) == (DENY, rule)
        assert len(decision.message) > 30


@pytest.mark.req("R-SHR-1")
@pytest.mark.req("R-SHR-2")
async def test_partners_of_every_kind(database_url: str) -> None:
    async with opened(database_url) as access:
        kinds = {
            "galt-pd": ("LOCAL", "platform.allowed"), "ca-doj": ("STATE", "ca.sb34-no-agreement"), "sacramento-da": ("PROSECUTOR", "platform.allowed"),
            "reno-pd": ("OUT_OF_STATE", "ca.sb34-out-of-state"), "ice-ero": ("FEDERAL", "ca.sb34-federal"), "wilton-tribal-pd": ("TRIBAL", "ca.sb34-tribal"),
            "laguna-hoa": ("PRIVATE", "ca.sb34-private"), "nobody": (None, "ca.sb34-unknown"),
        }  # fmt: skip
        for agency, (kind, rule) in kinds.items():
            if kind is not None:
                await access.store.put_agency(agency, agency, f"AGENCY_KIND_{kind}", "US-CA")
            if agency not in {"galt-pd", "ca-doj"}:
                # As if one had been signed all the same.
                await access.store.put_agreement({
                    "agreement_id": f"01990e5c-7c2a-7d10-9a31-{abs(hash(agency)) % 10**12:012}", "owner": OWNER, "partner": agency, "camera_ids": [], "offences": [],
                    "window_s": 604_800, "state": "AGREEMENT_STATE_ACTIVE", "decided_by": "test", "expires_at": NOW + timedelta(days=9), "justification": "test",
                })  # fmt: skip
            decision = await access.core.decide(look(who=member("p-1", agency), attested=True))
            assert decision.rule == rule, agency
        federal = member("p-1", "galt-pd", federal=True)
        assert await rules(access, look(who=federal, attested=True)) == ["ca.sb54-task-force"]
        assert await rules(access, look(who=member("p-1", "galt-pd"))) == ["ca.onward-use"]


@pytest.mark.req("R-SHR-1")
async def test_mountain_view_sharing_drifts_to_nobody(database_url: str) -> None:
    """No setting opens reads to all: an agreement that was revoked or has expired is none."""
    async with opened(database_url) as access:
        asked = look(who=member("p-1", PARTNER), attested=True)
        assert await rules(access, asked) == ["platform.allowed"]
        async with access.pool.connection() as connection:
            await connection.execute("UPDATE agreements SET expires_at = %s", (NOW,))
        assert await rules(access, asked) == ["ca.sb34-no-agreement"]
        async with access.pool.connection() as connection:
            await connection.execute(
                "UPDATE agreements SET expires_at = %s, state = 'AGREEMENT_STATE_REVOKED'",
                (NOW + timedelta(days=9),),
            )
        assert await rules(access, asked) == ["ca.sb34-no-agreement"]


@pytest.mark.req("R-ACC-1")
async def test_all_time_in_the_given_area_is_no_default(database_url: str) -> None:
    async with opened(database_url) as access:
        wide = look("", who=member("m-1077"), action=action_pb2.ACTION_CANVASS, days=30)
        decision = await access.core.decide(wide)
        assert decision.rule == "agency.second-person"
        assert decision.obligations.second_approver
        wide.ClearField("window")
        assert await rules(access, wide) == ["agency.second-person"]
        assert await rules(
            access, look("", who=member("m-1077"), action=action_pb2.ACTION_CANVASS, days=7)
        ) == ["platform.allowed"]
