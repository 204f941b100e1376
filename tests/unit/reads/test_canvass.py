"""Canvass: everything at a scene, plates at several scenes, plates that travel along; step by step, each on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from plateward.common.v1 import errors_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.reads.cameras import Cameras
from services.reads.canvass import Canvass
from services.reads.checks import Camera, check
from tests.unit.reads.builders import AGENCY, JPEG, NOW, decision, new_read, query, schedules
from tlog.hashing import leaf_hash

MINUTE = timedelta(minutes=1)
PLACES = {
    "bank": types_pb2.Place(latitude=38.40, longitude=-121.40),
    "mall": types_pb2.Place(latitude=38.45, longitude=-121.45),
    "port": types_pb2.Place(latitude=38.50, longitude=-121.50),
}
CAMERAS = {name: Camera(place, active=True) for name, place in PLACES.items()}


@pytest.fixture
def canvass(pool, search, crops, records) -> Canvass:
    return Canvass(pool, search, crops, records)


@pytest.fixture
def seen(ingest):
    async def put(
        camera: str, *plates: str, ago: timedelta = MINUTE, jpeg: bytes = b"", agency: str = AGENCY
    ) -> None:
        news = [
            new_read(plate, at=NOW - ago + n * timedelta(seconds=1), camera=camera, jpeg=jpeg)
            for n, plate in enumerate(plates)
        ]
        await ingest.store(
            agency,
            [
                check(n, agency_id=agency, cameras=CAMERAS, schedules=schedules(agency=agency), now=NOW)
                for n in news
            ],
        )

    return put


def scene(camera: str, start: timedelta = 60 * MINUTE, end: timedelta = timedelta(0)) -> reads_pb2.Scene:
    made = reads_pb2.Scene(area=types_pb2.Area(circle=types_pb2.Circle(centre=PLACES[camera], radius_m=300)))
    made.window.start.FromDatetime(NOW - start)
    made.window.end.FromDatetime(NOW - end)
    return made


async def parts(canvass: Canvass, call: Any, step: Any, **fields: Any) -> list[reads_pb2.CanvassResponse]:
    request = reads_pb2.CanvassRequest(**{"scene": scene("bank")} | fields, step=step)
    return [part async for part in canvass.stream(request, call)]


@pytest.mark.req("R-SRC-2")
async def test_each_step_shows_no_more_than_it_asks_for_and_has_its_receipt(canvass, seen, call, log) -> None:
    await seen("bank", *(f"8ABC{n:03}" for n in range(60)), jpeg=JPEG)
    await seen("mall", "9XYZ111")
    [count] = await parts(canvass, call, reads_pb2.CANVASS_STEP_COUNT)
    assert (count.count, count.cameras, count.plates, len(count.reads)) == (60, 1, 60, 0)
    first, *rows = await parts(canvass, call, reads_pb2.CANVASS_STEP_ROWS)
    assert first.count == 60
    assert [len(part.reads) for part in rows] == [50, 10]
    assert not any(part.pictures for part in rows)
    assert "9XYZ111" not in {read.plate.text for part in rows for read in part.reads}
    _, *pictured = await parts(canvass, call, reads_pb2.CANVASS_STEP_PICTURES)
    assert {p.jpeg for part in pictured for p in part.pictures} == {JPEG}
    receipts = [part.receipt for part in (count, first, *rows, *pictured)]
    assert len({receipt.index for receipt in receipts}) == len(receipts)
    assert all(len(receipt.leaf_hash) == len(leaf_hash(b"")) for receipt in receipts)
    assert call.result_count == 60


@pytest.mark.req("R-SRC-2")
async def test_a_canvass_stays_within_the_decision(canvass, seen, call, access) -> None:
    await seen("bank", *(f"8ABC{n:03}" for n in range(9)))
    await seen("bank", "5OTH123", agency="galt-pd")
    call.decision = decision(AGENCY, max_rows=4)
    first, rows = await parts(canvass, call, reads_pb2.CANVASS_STEP_ROWS)
    assert (first.count, len(rows.reads)) == (9, 4)
    call.decision = decision(AGENCY, masked_fields=["place", "crops"])
    _, rows = await parts(canvass, call, reads_pb2.CANVASS_STEP_PICTURES)
    assert not rows.pictures
    assert not any(read.HasField("place") for read in rows.reads)
    access.publish(AGENCY, read=timedelta(seconds=58))
    call.decision = decision(AGENCY)
    [first, _] = await parts(canvass, call, reads_pb2.CANVASS_STEP_ROWS)
    assert first.count == 6
    call.decision = decision()
    [first] = await parts(canvass, call, reads_pb2.CANVASS_STEP_ROWS)
    assert first.count == 0


async def registered(pool: Any, count: int, agency: str = AGENCY) -> None:
    """Put cameras by the bank, and as many by the port."""
    cameras = Cameras(pool)
    for place in ("bank", "port"):
        for n in range(count):
            await cameras.put(
                reads_pb2.Camera(
                    camera_id=f"{place}-{n}", agency_id=agency, name="x", place=PLACES[place], active=True
                )
            )


@pytest.mark.req("R-SRC-2")
async def test_what_touches_many_cameras_needs_a_second_person(canvass, search, pool, call) -> None:
    await registered(pool, 3)
    await registered(pool, 9, "galt-pd")
    wide = types_pb2.Area(circle=types_pb2.Circle(centre=PLACES["mall"], radius_m=49_000))
    everywhere = scene("mall")
    everywhere.area.CopyFrom(wide)
    pages = {"lookalikes": True, "page": types_pb2.PageRequest(size=5)}

    def wide_ones() -> list[Any]:
        asked = query(NOW - 60 * MINUTE, NOW, area=wide)
        return [
            parts(canvass, call, reads_pb2.CANVASS_STEP_COUNT, scene=everywhere),
            canvass.compare(
                reads_pb2.CompareScenesRequest(scenes=[scene("bank"), scene("port")], at_least=2), call
            ),
            canvass.companions(
                reads_pb2.FindCompanionsRequest(plate="8ABC123", within_s=60, at_least=2), call
            ),
            search.find(asked, call.decision, call.subject),
            search.find(query(NOW - 60 * MINUTE, NOW, "8ABC123", **pages), call.decision, call.subject),
        ]

    call.decision = decision(AGENCY, most_cameras=5)
    for request in wide_ones():
        with pytest.raises(
            PlatewardError, match="touches 6 cameras, and one person may look at 5"
        ) as refused:
            await request
        assert refused.value.reason == errors_pb2.ERROR_REASON_DENIED_BY_POLICY
        assert refused.value.metadata["rule"] == "agency.second-person"
    # An approval's ID alone opens nothing: the decision says whether it holds.
    with pytest.raises(PlatewardError):
        await parts(canvass, call, reads_pb2.CANVASS_STEP_COUNT, scene=everywhere, approval_id="01990e5c")
    # What is narrow passes: an area, named cameras, or a decision that opens few.
    assert await parts(canvass, call, reads_pb2.CANVASS_STEP_COUNT)
    two = query(NOW - 60 * MINUTE, NOW, "8ABC123", camera_ids=["bank-1", "port-1"])
    await search.find(two, call.decision, call.subject)
    call.decision = decision(AGENCY, most_cameras=5, camera_ids=["bank-1"])
    for request in wide_ones():
        await request
    # Six are not more than six, and what was approved has no bound.
    for most in (6, 0):
        call.decision = decision(AGENCY, most_cameras=most)
        for request in wide_ones():
            await request
    # Each owner's cameras count, where they are asked for.
    call.decision = decision(AGENCY, "galt-pd", most_cameras=6)
    with pytest.raises(PlatewardError, match="touches 12 cameras"):
        await parts(canvass, call, reads_pb2.CANVASS_STEP_COUNT)
    call.decision = decision(AGENCY, second_approver=True)
    with pytest.raises(PlatewardError, match="second person"):
        await parts(canvass, call, reads_pb2.CANVASS_STEP_COUNT, approval_id="01990e5c")


@pytest.mark.req("R-SRC-2")
async def test_plates_at_two_or_more_scenes_look_alikes_as_one(canvass, seen, call) -> None:
    await seen("bank", "8ABC123", "7AAA111", "6DEF222")
    await seen("mall", "BABC123", "7AAA111", "5GHI333")
    await seen("port", "8ABC123", "5GHI333", ago=90 * MINUTE)
    three = [scene("bank"), scene("mall"), scene("port", 120 * MINUTE)]

    async def found(scenes: Any, at_least: int) -> list[tuple[str, int]]:
        plates = await canvass.compare(reads_pb2.CompareScenesRequest(scenes=scenes, at_least=at_least), call)
        return [(plate.plate, len(plate.reads)) for plate in plates]

    assert await found(three, 3) == [("8ABC123", 3)]
    two = await found(three, 2)
    assert two[0] == ("8ABC123", 3)
    assert sorted(two[1:]) == [("5GHI333", 2), ("7AAA111", 2)]
    with pytest.raises(PlatewardError) as refused:
        await found(three, 4)
    assert refused.value.reason == errors_pb2.ERROR_REASON_INVALID_ARGUMENT


@pytest.mark.req("R-SRC-2")
async def test_a_read_counts_for_one_of_the_scenes_that_overlap(canvass, seen, call) -> None:
    await seen("bank", "8ABC123", "7AAA111")
    await seen("bank", "7AAA111", ago=30 * MINUTE)
    await seen("mall", "6DEF222", "8ABC123")
    overlap, early = scene("bank"), scene("bank", 60 * MINUTE, 20 * MINUTE)
    three = [overlap, scene("bank"), early, scene("mall")]

    async def found(scenes: Any, at_least: int) -> list[tuple[str, int, list[int]]]:
        plates = await canvass.compare(reads_pb2.CompareScenesRequest(scenes=scenes, at_least=at_least), call)
        assert all(len({read.read_id for read in p.reads}) == len(p.reads) == p.count for p in plates)
        return [(plate.plate, len(plate.reads), list(plate.scenes)) for plate in plates]

    assert await found([overlap, scene("bank")], 2) == [("7AAA111", 2, [1, 2])]
    assert await found([overlap, early], 2) == [("7AAA111", 2, [1, 2])]
    assert sorted(await found(three, 2)) == [("7AAA111", 2, [1, 2, 3]), ("8ABC123", 2, [1, 2, 4])]
    assert await found(three, 3) == []
    # Three reads, of which two lie in one scene alone: two scenes.
    await seen("mall", "8ABC123", ago=2 * MINUTE)
    assert await found([overlap, scene("bank"), scene("mall")], 3) == []


@pytest.mark.req("R-SRC-2")
async def test_a_plates_reads_are_told_whole_or_not_at_all(canvass, seen, call) -> None:
    for camera in ("bank", "mall"):
        await seen(camera, "8ABC123", "8ABC123", "7AAA111")
    request = reads_pb2.CompareScenesRequest(scenes=[scene("bank"), scene("mall")], at_least=2)

    async def told(most: int) -> list[tuple[str, int, int]]:
        call.decision = decision(AGENCY, max_rows=most)
        return [(p.plate, len(p.reads), p.count) for p in await canvass.compare(request, call)]

    assert await told(6) == [("7AAA111", 2, 2), ("8ABC123", 4, 4)]
    assert await told(5) == [("7AAA111", 2, 2)]
    # One that alone has more than the limit says so.
    assert await told(1) == [("7AAA111", 1, 2)]


@pytest.mark.req("R-SRC-2")
async def test_a_convoy_is_plates_that_pass_the_same_cameras_within_seconds(canvass, seen, call) -> None:
    for n, camera in enumerate(("bank", "mall", "port")):
        await seen(camera, "8ABC123", "7AAA111", f"6DEF22{n}", ago=(30 - 10 * n) * MINUTE)
    await seen("bank", "5GHI333", ago=30 * MINUTE - timedelta(seconds=40))
    await seen("mall", "5GHI333", ago=20 * MINUTE - timedelta(seconds=120))
    # The same camera twice is no journey.
    await seen("bank", "4JKL444", "4JKL444", ago=30 * MINUTE)
    request = reads_pb2.FindCompanionsRequest(plate="8abc-123", within_s=60, at_least=2)
    request.window.start.FromDatetime(NOW - 60 * MINUTE)
    request.window.end.FromDatetime(NOW)
    plates = await canvass.companions(request, call)
    assert [(plate.plate, len(plate.reads)) for plate in plates] == [("7AAA111", 3)]
    request.within_s = 180
    assert [plate.plate for plate in await canvass.companions(request, call)] == ["7AAA111", "5GHI333"]
    request.window.end.FromDatetime(NOW - 15 * MINUTE)
    request.within_s, request.at_least = 60, 3
    assert await canvass.companions(request, call) == []
