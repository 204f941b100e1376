"""Obligations are predicates of the query: what a decision does not allow never leaves the database.

Reads are planted that break one obligation each. All rows that PostgreSQL sends are watched, not only those that the service
keeps: filtering after the fetch would show here, and it would leave other people's reads in this process and its memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from plateward.common.v1 import decision_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from services.reads.canvass import Canvass
from services.reads.checks import Camera, check
from services.reads.search import Search
from tests.common.witness import Witness, witnessed
from tests.unit.reads.builders import AGENCY, NOW, PLACE, decision, new_read, query, schedules

OFFICER = types_pb2.Subject(agency_id=AGENCY, member_id="m-1042")
HOUR = timedelta(hours=1)
NEAR = {"cam-1": Camera(PLACE, active=True), "cam-2": Camera(PLACE, active=True),
        "cam-far": Camera(types_pb2.Place(latitude=38.6, longitude=-121.6), active=True)}  # fmt: skip


def stamp(at: Any) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made


def obligations(**dropped: bool) -> decision_pb2.Decision:
    """All obligations at once, less those that are dropped."""
    area = types_pb2.Area(circle=types_pb2.Circle(centre=PLACE, radius_m=500))
    everything: dict[str, Any] = {
        "camera_ids": ["cam-1", "cam-far"],
        "not_before": stamp(NOW - 10 * HOUR),
        "not_after": stamp(NOW - HOUR),
        "area": area,
    }
    kept = {name: value for name, value in everything.items() if not dropped.get(name)}
    return decision(AGENCY, *(["galt-pd"] if dropped.get("agency_ids") else []), **kept)


# The obligation that a planted read breaks → camera, hours ago, agency.
PLANTED = {
    "": ("cam-1", 2, AGENCY),
    "agency_ids": ("cam-1", 2, "galt-pd"),
    "camera_ids": ("cam-2", 2, AGENCY),
    "not_before": ("cam-1", 11, AGENCY),
    "not_after": ("cam-1", 0.5, AGENCY),
    "area": ("cam-far", 2, AGENCY),
}


@pytest.fixture
async def planted(ingest: Any, access: Any) -> dict[str, str]:
    """Obligation → ID of the read that breaks it, and nothing else; "" is the one that breaks none."""
    access.keep["galt-pd"] = {"read": timedelta(days=30)}
    ids = {}
    for broken, (camera, hours, agency) in PLANTED.items():
        new = new_read("8ABC123", at=NOW - hours * HOUR, camera=camera, candidates={"8ABC128": 0.1})
        await ingest.store(
            agency,
            [check(new, agency_id=agency, cameras=NEAR, schedules=schedules(agency=agency), now=NOW)],
        )
        ids[broken] = new.read.read_id
    return ids


def searches(owners: list[str]) -> dict[str, reads_pb2.SearchReadsRequest]:
    start, end = NOW - 24 * HOUR, NOW + HOUR
    around = types_pb2.Area(circle=types_pb2.Circle(centre=PLACE, radius_m=49_000))
    return {
        name: query(start, end, plate, owner_agency_ids=owners, **fields)
        for name, plate, fields in (
            ("the plate", "8ABC123", {}),
            ("a pattern", "8A*", {}),
            ("look-alikes", "BABC123", {"lookalikes": True}),
            ("another candidate", "8ABC128", {}),
            ("cameras", "", {"camera_ids": ["cam-1", "cam-2", "cam-far"]}),
            ("an area", "", {"area": around}),
            ("a colour", "", {"colour": "silver"}),
            ("one row a page", "8A*", {"page": types_pb2.PageRequest(size=1)}),
        )
    }


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Witness]:
    with witnessed(monkeypatch) as watching:
        yield watching


@pytest.mark.req("R-SHR-1")
@pytest.mark.req("R-ACC-3")
@pytest.mark.parametrize("how", searches([]))
async def test_nothing_forbidden_leaves_the_database(
    search: Search, planted: dict[str, str], witness: Witness, how: str
) -> None:
    owners = [AGENCY, "galt-pd"]
    found = await search.find(searches(owners)[how], obligations(), OFFICER)
    assert {ranked.read.read_id for ranked in found.reads} == {planted[""]}
    assert witness.about("FROM reads"), "no query was seen"
    assert witness.came(planted.values()) == {planted[""]}


@pytest.mark.req("R-SHR-1")
@pytest.mark.parametrize("broken", [b for b in PLANTED if b])
async def test_each_obligation_is_what_holds_its_read_back(
    search: Search, planted: dict[str, str], witness: Witness, broken: str
) -> None:
    """Without it the read comes: the test above can fail, and for this obligation."""
    await search.find(searches([AGENCY, "galt-pd"])["the plate"], obligations(**{broken: True}), OFFICER)
    assert witness.came(planted.values()) == {planted[""], planted[broken]}


@pytest.mark.req("R-SHR-1")
async def test_a_picture_is_looked_up_within_the_bounds_too(
    search: Search, planted: dict[str, str], witness: Witness
) -> None:
    for broken, read_id in planted.items():
        row = await search.one(read_id, obligations(), OFFICER, [AGENCY, "galt-pd"], "")
        assert (row is not None) is (broken == ""), broken
    assert witness.came(planted.values()) == {planted[""]}


@pytest.mark.req("R-SHR-1")
@pytest.mark.req("R-SRC-2")
async def test_a_canvass_and_its_count_stay_within_the_bounds(
    pool: Any, search: Search, crops: Any, records: Any, call: Any, planted: dict[str, str], witness: Witness
) -> None:
    canvass = Canvass(pool, search, crops, records)
    call.decision = obligations()
    request = reads_pb2.CanvassRequest(scene=wide_scene(), step=reads_pb2.CANVASS_STEP_ROWS)
    request.owner_agency_ids.extend([AGENCY, "galt-pd"])
    first, *rows = [part async for part in canvass.stream(request, call)]
    assert first.count == 1, "a count of what may not be seen tells that it is there"
    assert [read.read_id for part in rows for read in part.reads] == [planted[""]]
    assert witness.came(planted.values()) == {planted[""]}


@pytest.mark.req("R-SHR-1")
@pytest.mark.req("R-SRC-2")
async def test_scenes_are_compared_within_the_bounds(
    pool: Any,
    search: Search,
    crops: Any,
    records: Any,
    call: Any,
    planted: dict[str, str],
    witness: Witness,
    ingest: Any,
) -> None:
    canvass = Canvass(pool, search, crops, records)
    call.decision = obligations()
    second = new_read("8ABC123", at=NOW - 3 * HOUR)
    await ingest.store(
        AGENCY, [check(second, agency_id=AGENCY, cameras=NEAR, schedules=schedules(), now=NOW)]
    )
    allowed = {planted[""], second.read.read_id}
    request = reads_pb2.CompareScenesRequest(scenes=[wide_scene(), wide_scene()], at_least=2)
    (found,) = await canvass.compare(request, call)
    assert {read.read_id for read in found.reads} == allowed
    assert witness.came([*planted.values(), second.read.read_id]) == allowed


def wide_scene() -> reads_pb2.Scene:
    """A scene that every planted read lies in."""
    scene = reads_pb2.Scene(area=types_pb2.Area(circle=types_pb2.Circle(centre=PLACE, radius_m=49_000)))
    scene.window.start.FromDatetime(NOW - 24 * HOUR)
    scene.window.end.FromDatetime(NOW + HOUR)
    return scene


@pytest.mark.req("R-SHR-1")
async def test_what_one_owner_agreed_to_opens_nothing_of_another(
    search: Search, ingest: Any, access: Any, witness: Witness
) -> None:
    """Two owners with cameras of the same names, and agreements of different scope: each holds for its own owner."""
    access.keep["galt-pd"] = {"read": timedelta(days=30)}
    ids = {}
    for agency in (AGENCY, "galt-pd"):
        for camera in ("cam-1", "cam-2"):
            for hours in (2, 9):
                new = new_read("8ABC123", at=NOW - hours * HOUR, camera=camera)
                held = check(new, agency_id=agency, cameras=NEAR, schedules=schedules(agency=agency), now=NOW)
                await ingest.store(agency, [held])
                ids[agency, camera, hours] = new.read.read_id
    allowed = decision(AGENCY, "galt-pd", camera_ids=["cam-1", "cam-2"], not_before=stamp(NOW - 10 * HOUR))
    for agency, cameras, hours in ((AGENCY, ["cam-1"], 10), (AGENCY, ["cam-2"], 5), ("galt-pd", [], 5)):
        scope = allowed.obligations.scopes.add(agency_id=agency, camera_ids=cameras)
        scope.not_before.FromDatetime(NOW - hours * HOUR)
    await search.find(searches([AGENCY, "galt-pd"])["the plate"], allowed, OFFICER)
    assert witness.came(ids.values()) == {
        ids[AGENCY, "cam-1", 2],
        ids[AGENCY, "cam-1", 9],
        ids[AGENCY, "cam-2", 2],
        ids["galt-pd", "cam-1", 2],
        ids["galt-pd", "cam-2", 2],
    }


@pytest.mark.req("R-SHR-1")
async def test_no_more_rows_leave_than_the_decision_allows(
    search: Search, ingest: Any, witness: Witness
) -> None:
    reads = [new_read("8ABC123", at=NOW - HOUR * n / 10) for n in range(1, 30)]
    await ingest.store(
        AGENCY,
        [check(n, agency_id=AGENCY, cameras=NEAR, schedules=schedules(), now=NOW) for n in reads],
    )
    found = await search.find(searches([])["a pattern"], decision(AGENCY, max_rows=5), OFFICER)
    assert len(found.reads) == 5
    # One more tells that there is another page.
    assert len(witness.came(n.read.read_id for n in reads)) == 6


@pytest.mark.req("R-SHR-1")
async def test_no_decision_asks_for_nothing(
    search: Search, planted: dict[str, str], witness: Witness
) -> None:
    for allowed in (None, decision()):
        assert (await search.find(searches([])["the plate"], allowed, OFFICER)).reads == []
    assert witness.came(planted.values()) == set()
