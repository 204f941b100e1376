"""Lists on a real PostgreSQL: imported, swapped, told apart, offered, cleared."""

from __future__ import annotations

from datetime import timedelta

import pytest

from plateward.common.v1 import errors_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2, hotlist_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.hotlist import states
from services.hotlist.hits import Writes
from tests.unit.hotlist.builders import AGENCY, HEADER, NOW, OFFICER, decision, entry, ncic, read


@pytest.mark.req("R-HOT-1")
@pytest.mark.req("R-ACC-3")
async def test_an_extract_is_taken_in_and_immigration_rows_are_dropped_and_counted(take, raised) -> None:
    answer = await take(
        ncic("8ABC123"), ncic("7IMM001", "IV"), ncic("7IMM002", "EV", note="ICE WARRANT"), ncic("4AB?123"), ncic("UNK"),
        ncic("5XYZ111", "ZZ"), "too,few",
    )  # fmt: skip
    assert (answer.rows, answer.added, answer.removed, answer.changed) == (7, 1, 0, 0)
    assert dict(answer.dropped) == {"immigration": 2, "partial plate": 2, "unknown code": 1, "malformed": 1}
    [hit] = await raised(read("8ABC123"), read("7IMM001"), read("7IMM002"), read("4ABC123"))
    assert (hit.entry.plate, hit.max_action, hit.list_age_s) == ("8ABC123", hit_pb2.MAX_ACTION_STOP, 3600)


@pytest.mark.req("R-HOT-1")
@pytest.mark.parametrize("code", ["Stored", "Repossessed", "Lost", "ES", "ER", "EI", "ELP"])
async def test_stored_repossessed_and_lost_never_give_a_stop(take, raised, code) -> None:
    await take(ncic("8ABC123", code))
    [hit] = await raised(read())
    assert hit.max_action < hit_pb2.MAX_ACTION_STOP


@pytest.mark.req("R-HOT-3")
async def test_a_list_too_old_leads_to_a_lead_and_says_so(take, raised, clock) -> None:
    await take(ncic("8ABC123"))
    clock.time = NOW + timedelta(hours=23, seconds=1)
    [hit] = await raised(read())
    assert hit.max_action == hit_pb2.MAX_ACTION_LEAD
    assert "list too old" in hit.demotions[0]
    assert hit.list_age_s == 24 * 3600 + 1


@pytest.mark.req("R-HOT-3")
async def test_a_list_past_twice_its_age_raises_nothing_until_it_is_imported_again(
    take, lists, raised, clock
) -> None:
    await take(ncic("8ABC123"))
    [before] = await lists.all(AGENCY)
    clock.time = NOW + timedelta(hours=47, seconds=1)
    assert await raised(read()) == []
    [after] = await lists.all(AGENCY)
    assert (before.matching_off, after.matching_off) == (False, True)
    await take(ncic("8ABC123"), hours=-46)
    [hit] = await raised(read("8ABC123"))
    assert hit.max_action == hit_pb2.MAX_ACTION_STOP


@pytest.mark.req("R-HOT-3")
async def test_versions_are_told_apart_and_swapped(take, lists, raised) -> None:
    await take(ncic("8ABC123"), ncic("8ABC124"), ncic("8ABC125"), hours=3)
    answer = await take(ncic("8ABC123"), ncic("8ABC124", "Stored"), ncic("8ABC126"), hours=1)
    assert (answer.added, answer.removed, answer.changed) == (1, 1, 1)
    diff = await lists.diff(AGENCY, "ncic", None, None)
    assert [[e.plate for e in side] for side in (diff.added, diff.removed, diff.changed)] == [
        ["8ABC126"], ["8ABC125"], ["8ABC124"],
    ]  # fmt: skip
    whole = await lists.diff(AGENCY, "ncic", NOW - timedelta(days=1), NOW - timedelta(hours=2))
    assert len(whole.added) == 3
    hits = await raised(read("8ABC123"), read("8ABC124"), read("8ABC125"), read("8ABC126"))
    assert {h.entry.plate for h in hits if h.match_kind == "exact"} == {"8ABC123", "8ABC124", "8ABC126"}
    with pytest.raises(PlatewardError, match="newer"):
        await take(ncic("8ABC123"), hours=2)
    with pytest.raises(PlatewardError) as refused:
        await lists.diff("galt-pd", "ncic", None, None)
    assert refused.value.reason == errors_pb2.ERROR_REASON_NOT_FOUND


@pytest.mark.req("R-HOT-1")
async def test_an_interrupted_import_goes_on_and_changes_nothing_before_it_is_whole(
    importer, lists, take, raised
) -> None:
    await take(ncic("8OLD111"), hours=3)
    wanted = hotlist_pb2.Hotlist(list_id="ncic", source="NCIC")
    wanted.as_of.FromDatetime(NOW - timedelta(hours=1))
    data = "\n".join([HEADER, *(ncic(f"8ABC{n}") for n in range(100, 200))]).encode()

    async def broken():
        yield hotlist_pb2.ImportListRequest(list=wanted, chunk=data[:3000])
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await importer.take(broken(), AGENCY, "m-1042")
    [known] = await lists.all(AGENCY)
    assert (known.entries, 0 < known.import_offset <= 3000) == (1, True)
    assert [hit.entry.plate for hit in await raised(read("8OLD111"), read("8ABC100"))] == ["8OLD111"]

    async def rest(offset: int):
        yield hotlist_pb2.ImportListRequest(list=wanted, offset=offset, chunk=data[offset : offset + 500])
        yield hotlist_pb2.ImportListRequest(chunk=data[offset + 500 :])

    with pytest.raises(PlatewardError, match="goes on from byte"):
        await importer.take(rest(2999 + 200), AGENCY, "m-1042")
    answer = await importer.take(rest(known.import_offset - 70), AGENCY, "m-1042")
    assert (answer.rows, answer.added, answer.removed) == (100, 100, 1)
    assert not (await lists.all(AGENCY))[0].import_offset


@pytest.mark.req("R-HOT-1")
async def test_an_agencys_own_file_needs_reasons_ends_and_leads_at_most(take, raised) -> None:
    header = "plate,state,category,reason,case_number,vehicle_type,colour,id,expires"
    far = (NOW + timedelta(days=90)).isoformat()
    answer = await take(
        f"8ABC123,US-CA,stolen-vehicle,reported stolen,26-1,car,silver,1,{far}", "8ABC124,CA,watch,,26-2,,,2,",
        "8ABC125,CA,immigration,told so,26-3,,,3,", "8ABC126,CA,watch,seen twice,26-3,,,4,2026-11-01",
        header=header, mapping="agency", list_id="beat-4",
    )  # fmt: skip
    assert dict(answer.dropped) == {"no reason": 1, "immigration": 1, "expired": 1}
    [hit] = await raised(read())
    assert hit.max_action == hit_pb2.MAX_ACTION_LEAD
    assert hit.entry.expires_at.ToDatetime() == (NOW + timedelta(days=30)).replace(tzinfo=None)


@pytest.mark.req("R-HOT-1")
async def test_a_foreign_list_matches_once_accepted_and_leads_at_most(take, lists, raised) -> None:
    await take(ncic("8ABC123"), agency="galt-pd")
    offer = await lists.push(entry().entry_id, "galt-pd", "ncic", AGENCY, "g-1")
    assert await lists.push(entry().entry_id, "galt-pd", "ncic", AGENCY, "g-1") == offer
    assert await raised(read()) == []
    with pytest.raises(PlatewardError):
        await lists.accept(offer, "lodi-pd", "l-1")
    accepted = await lists.accept(offer, AGENCY, "m-1042")
    assert accepted.max_action == hit_pb2.MAX_ACTION_LEAD
    [hit] = await raised(read())
    assert (hit.agency_id, hit.entry.agency_id, hit.max_action) == (
        AGENCY,
        "galt-pd",
        hit_pb2.MAX_ACTION_LEAD,
    )
    assert hit.demotions == ["foreign list: ncic of galt-pd"]
    with pytest.raises(PlatewardError, match="no such list"):
        await lists.push(entry().entry_id, AGENCY, "ncic", "lodi-pd", "m-1042")


@pytest.mark.req("R-HOT-2")
async def test_a_cleared_vehicle_is_rejected_as_such_and_a_twin_is_a_lead(take, lists, raised, hits) -> None:
    await take(ncic("8ABC123"))
    seen = [read("BABC123", confidences=[0.5] + [0.9] * 6) for _ in range(2)]
    [hit] = await raised(seen[0])
    request = hotlist_pb2.ClearVehicleRequest(
        entry_id=hit.entry.entry_id, plate="BABC123", state="US-CA", reason="stopped in error"
    )
    with pytest.raises(PlatewardError):
        await lists.clear(request, ["lodi-pd"], "lodi-pd", "l-1")
    await lists.clear(request, [AGENCY], AGENCY, "m-1042")
    [again] = await raised(seen[1])
    assert (again.state, again.rejection) == (hit_pb2.HIT_STATE_REJECTED, hit_pb2.REJECTION_CLEARED)
    # The hit that was raised before is rejected at its next finding.
    await hits.step(hit.hit_id, decision(), OFFICER, lambda h: states.claim(h, "m-1042"), Writes())
    same = hit_pb2.COMPARISON_SAME
    moved = await hits.step(
        hit.hit_id, decision(), OFFICER, lambda h: states.compare(h, "m-1042", plate=same, state=same, vehicle=same), Writes()
    )  # fmt: skip
    assert moved.after.rejection == hit_pb2.REJECTION_CLEARED
    request.plate = "8ABC123"
    await lists.clear(request, [AGENCY], AGENCY, "m-1042")
    [twin] = await raised(read())
    assert (twin.state, twin.max_action) == (hit_pb2.HIT_STATE_RAISED, hit_pb2.MAX_ACTION_LEAD)


@pytest.mark.req("R-HOT-1")
async def test_a_partial_local_entry_is_a_lead(entries, raised) -> None:
    wanted = entry("8AB? ?23")
    made = await entries.create(wanted, entry_id=wanted.entry_id, agency_id=AGENCY, member_id="m-1042")
    await entries.approve(made.entry_id, [AGENCY], "m-1077")
    [hit] = await raised(read("8ABC123"), read("8ABC124"))
    assert (hit.match_kind, hit.max_action, hit.entry.plate) == (
        "partial",
        hit_pb2.MAX_ACTION_LEAD,
        "8AB??23",
    )
    assert [c.match for c in hit.explanation].count(hit_pb2.CHARACTER_MATCH_MISSING) == 2
    with pytest.raises(PlatewardError, match="known characters"):
        await entries.create(entry("8A????"), entry_id=entry().entry_id, agency_id=AGENCY, member_id="m-1042")


@pytest.mark.req("R-HOT-1")
async def test_a_large_swap_loads_beside_the_matching_and_misses_nothing(take, pool, clock, hits) -> None:
    from uuid import uuid4

    from services.hotlist.matcher import Matcher

    matcher = Matcher(pool, clock, lambda: str(uuid4()), 0.01, at_once=50)
    await matcher.cursor()
    await take(*(ncic(f"8ABC{n}") for n in range(100, 300)), cut=1 << 16)
    seen = read("8ABC200")
    first = reads_pb2.FollowReadsResponse(reads=[seen], cursor="1:1")
    await matcher.take("", first)
    loading = matcher._loading
    assert loading is not None
    await loading
    # The read came while the list was being loaded: it is followed again from where it was.
    assert await matcher.cursor() == ""
    await matcher.take("", first)
    page = types_pb2.PageRequest()
    found, _ = await hits.page(decision(), hit_pb2.HIT_STATE_UNSPECIFIED, page)
    assert [h.entry.plate for h in found if h.match_kind == "exact"] == ["8ABC200"]


@pytest.mark.req("R-TRN-1")
async def test_statistics_count_right_and_wrong_by_list_camera_and_characters_without_a_plate(
    take, pool, clock, raised, hits
) -> None:
    from services.hotlist.statistics import Statistics

    await take(ncic("8ABC123"))
    [hit] = await raised(read("BABC123", confidences=[0.5] + [0.9] * 6))
    await raised(read())
    await hits.step(hit.hit_id, decision(), OFFICER, lambda h: states.claim(h, "m-1042"), Writes())
    same, other = hit_pb2.COMPARISON_SAME, hit_pb2.COMPARISON_DIFFERENT
    await hits.step(
        hit.hit_id, decision(), OFFICER, lambda h: states.compare(h, "m-1042", plate=other, state=same, vehicle=same), Writes()
    )  # fmt: skip
    rows = {(row.group, row.name): row for row in await Statistics(pool, clock).rows(30, AGENCY)}
    assert (rows["list", "ncic"].raised, dict(rows["list", "ncic"].rejected)) == (2, {"REJECTION_MISREAD": 1})
    assert rows["characters", "B/8"].raised == rows["kind", "lookalike"].raised == 1
    assert rows["camera", "cam-1"].confirmed == 0
    assert "ABC123" not in str(rows)
    clock.time = NOW + timedelta(days=2)
    assert await Statistics(pool, clock).rows(1, AGENCY) == []
