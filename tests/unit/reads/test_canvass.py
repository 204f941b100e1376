"""Canvass: everything at a scene, plates at several scenes, plates that travel along; step by step, each on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from plateward.common.v1 import errors_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.reads.canvass import Canvass
from services.reads.checks import Camera, check
from tests.unit.reads.builders import AGENCY, JPEG, NOW, decision, new_read, schedules
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
    request = reads_pb2.CanvassRequest(scene=scene("bank"), step=step, **fields)
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


@pytest.mark.req("R-SRC-2")
async def test_a_wide_one_needs_a_second_person(canvass, call) -> None:
    call.decision = decision(AGENCY, second_approver=True)
    requests = (
        parts(canvass, call, reads_pb2.CANVASS_STEP_COUNT),
        canvass.compare(
            reads_pb2.CompareScenesRequest(scenes=[scene("bank"), scene("mall")], at_least=2), call
        ),
        canvass.companions(reads_pb2.FindCompanionsRequest(plate="8ABC123", within_s=60, at_least=2), call),
    )
    for request in requests:
        with pytest.raises(PlatewardError) as refused:
            await request
        assert refused.value.metadata["rule"] == "agency.second-person"
    assert len(await parts(canvass, call, reads_pb2.CANVASS_STEP_COUNT, approval_id="01990e5c")) == 1


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
