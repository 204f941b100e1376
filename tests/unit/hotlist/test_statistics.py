"""How often hits were right: of one agency, never of two added up."""

from __future__ import annotations

from uuid import uuid4

import pytest

from plateward.common.v1 import action_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from servicekit import context
from servicekit.identity import Caller
from services.hotlist import states
from services.hotlist.hits import Hits, Writes
from services.hotlist.rpc_lists import ListParts, ListRpcs
from services.hotlist.statistics import Statistics
from tests.unit.hotlist.builders import AGENCY, NOW, OFFICER, decision, entry, read

OTHER = "galt-pd"


@pytest.fixture
async def raised(pool, entries) -> list[hit_pb2.Hit]:
    """Two hits of one agency, of which one is on a foreign list of the same ID, and one of another."""
    made = []
    for agency, owner in ((AGENCY, AGENCY), (AGENCY, OTHER), (OTHER, OTHER)):
        wanted = await entries.create(
            entry(), entry_id=str(uuid4()), agency_id=owner, member_id="m-1042"
        )  # fmt: skip
        await entries.approve(wanted.entry_id, [owner], "m-1077")
        hit = hit_pb2.Hit(
            hit_id=str(uuid4()), agency_id=agency, entry=wanted, read=read(agency=agency), match_kind="exact",
            state=hit_pb2.HIT_STATE_RAISED, max_action=hit_pb2.MAX_ACTION_LEAD,
        )  # fmt: skip
        hit.raised_at.FromDatetime(NOW)
        async with pool.connection() as connection:
            assert await Hits.insert(connection, hit)
        made.append(hit)
    return made


async def ask(statistics: Statistics, agency: str, kind: int) -> list[hotlist_pb2.MatchStatistic]:
    """Ask as a caller would."""
    rpcs = ListRpcs()
    rpcs._of_lists = ListParts(None, None, statistics)  # type: ignore[arg-type]
    subject = types_pb2.Subject(agency_id=agency, kind=kind)
    context.enter(context.CallContext("r", "GetMatchStatistics", Caller(agency, kind, "w"), subject, NOW))
    return list((await rpcs.GetMatchStatistics(hotlist_pb2.GetMatchStatisticsRequest(days=30), None)).rows)


@pytest.mark.req("R-TRN-2")
async def test_an_agency_sees_its_own_and_equal_list_ids_are_never_added_up(
    pool, clock, hits, raised
) -> None:
    for move in (
        lambda h: states.claim(h, "m-1042"),
        lambda h: states.compare(h, "m-1042", plate=2, state=1, vehicle=1),
    ):
        await hits.step(raised[0].hit_id, decision(), OFFICER, move, Writes())
    statistics = Statistics(pool, clock)
    own = await ask(statistics, AGENCY, action_pb2.CALLER_KIND_PORTAL)
    assert {row.agency_id for row in own} == {AGENCY}
    lists = {row.name: (row.raised, dict(row.rejected)) for row in own if row.group == "list"}
    assert lists == {"local": (1, {"REJECTION_MISREAD": 1}), "local of galt-pd": (1, {})}
    theirs = await ask(statistics, OTHER, action_pb2.CALLER_KIND_PORTAL)
    assert [(r.name, r.raised) for r in theirs if r.group == "list"] == [("local", 1)]
    every = await ask(statistics, "plateward", action_pb2.CALLER_KIND_SERVICE)
    assert [(r.agency_id, r.name, r.raised) for r in every if r.group == "list"] == [
        (AGENCY, "local", 1), (AGENCY, "local of galt-pd", 1), (OTHER, "local", 1),
    ]  # fmt: skip
