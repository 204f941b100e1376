"""Search: what was asked, within what was allowed, of what is still alive."""

from __future__ import annotations

from datetime import timedelta

import protovalidate
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from plateward.common.v1 import errors_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit.errors import PlatewardError
from services.reads.search import Search, mask
from tests.unit.reads.builders import AGENCY, NOW, accepted, decision, new_read, query

OFFICER = types_pb2.Subject(agency_id=AGENCY, member_id="m-1042")
WHY = types_pb2.Purpose(offence="vehicle-theft", reason="stolen car", case_number="26-004312")
DAY_AGO = NOW - timedelta(days=1)


@pytest.fixture
async def store(ingest):
    async def put(*reads: reads_pb2.NewRead, agency: str = AGENCY) -> None:
        await ingest.store(agency, [accepted(new, NOW, agency=agency) for new in reads])

    return put


def ask(plate: str = "", **fields: object) -> reads_pb2.SearchReadsRequest:
    return query(DAY_AGO, NOW + timedelta(minutes=1), plate, **fields)


async def plates(search: Search, request, allowed=None) -> list[str]:
    found = await search.find(request, allowed if allowed is not None else decision(AGENCY), OFFICER)
    return [ranked.read.plate.text for ranked in found.reads]


@pytest.mark.req("R-SRC-1")
async def test_partial_plates_find_their_candidates(search, store) -> None:
    await store(*(new_read(plate, at=NOW) for plate in ("8ABC123", "8ABD123", "8ABC129", "9XYZ111")))
    assert await plates(search, ask("8ab-c123")) == ["8ABC123"]
    assert sorted(await plates(search, ask("8AB?123"))) == ["8ABC123", "8ABD123"]
    assert sorted(await plates(search, ask("8A*"))) == ["8ABC123", "8ABC129", "8ABD123"]
    assert sorted(await plates(search, ask("*ABC12?"))) == ["8ABC123", "8ABC129"]


@pytest.mark.req("R-SRC-1")
async def test_the_text_comes_before_look_alikes_and_these_before_other_candidates(search, store) -> None:
    await store(
        new_read("8ABC123", at=NOW - timedelta(hours=2)),
        new_read("BABC123", at=NOW - timedelta(hours=1), confidences=[0.61] + [0.95] * 6),
        new_read("8ABC173", at=NOW, candidates={"8ABC123": 0.2}),
    )
    found = await search.find(ask("8ABC123", lookalikes=True), decision(AGENCY), OFFICER)
    assert [r.read.plate.text for r in found.reads] == ["8ABC123", "BABC123", "8ABC173"]
    assert [r.why for r in found.reads] == [
        "same text",
        "B read where 8 was asked, confidence 0.61",
        "read 8ABC173; the reader also held 8ABC123 possible, confidence 0.20",
    ]
    assert [round(r.score, 2) for r in found.reads] == [0.9, 0.31, 0.2]
    assert await plates(search, ask("8ABC123")) == ["8ABC123", "8ABC173"]


@pytest.mark.req("R-SRC-1")
async def test_patterns_find_look_alikes_and_other_candidates_too(search, store) -> None:
    await store(new_read("BABC123", at=NOW), new_read("7ABC173", at=NOW, candidates={"8ABC123": 0.2}))
    assert await plates(search, ask("8AB*", lookalikes=True)) == ["BABC123", "7ABC173"]
    assert await plates(search, ask("8AB*")) == ["7ABC173"]


@pytest.mark.req("R-SRC-1")
@pytest.mark.parametrize(
    ("asked", "read"),
    [("8ABC127", "8ABC122"), ("8ABC123", "3ABC123"), ("8AEC123", "8AFC123"), ("8APC123", "8ARC123"), ("8AMC123", "8ANC123"),
     ("8AVC123", "8AYC123"), ("8ACC123", "8AGC123"), ("8AUC123", "8AVC123"), ("8AWC123", "8AMC123")],
)  # fmt: skip
async def test_a_plate_misread_at_one_character_of_the_wider_likeness_is_found(
    search, store, asked: str, read: str
) -> None:
    at = next(n for n, (one, other) in enumerate(zip(asked, read, strict=True)) if one != other)
    sure = [0.95] * at + [0.55] + [0.95] * (6 - at)
    await store(new_read(read, at=NOW, confidences=sure), new_read("5DEF555", at=NOW))
    [found] = (await search.find(ask(asked, lookalikes=True), decision(AGENCY), OFFICER)).reads
    assert found.read.plate.text == read
    assert found.why == f"{read[at]} read where {asked[at]} was asked, confidence 0.55"
    assert 0 < found.score < 0.31
    assert await plates(search, ask(asked)) == []
    # And the other way round.
    await store(new_read(asked, at=NOW))
    assert await plates(search, ask(read, lookalikes=True)) == [read, asked]


@pytest.mark.req("R-SRC-1")
async def test_a_wider_likeness_comes_last_and_its_pages_go_on(search, store) -> None:
    await store(
        new_read("3ABC123", at=NOW),
        new_read("8ABC123", at=NOW - timedelta(hours=4)),
        new_read("7XYZ777", at=NOW, candidates={"8A8C123": 0.3}),
        new_read("BABC123", at=NOW - timedelta(hours=2)),
        new_read("3A8C123", at=NOW - timedelta(hours=1)),
        new_read("33BC123", at=NOW),
    )
    order = ["8ABC123", "BABC123", "7XYZ777", "3ABC123", "3A8C123"]
    assert await plates(search, ask("8ABC123", lookalikes=True)) == order
    found = await search.find(ask("8ABC123", lookalikes=True), decision(AGENCY), OFFICER)
    assert [r.why for r in found.reads[2:]] == [
        "read 7XYZ777; the reader also held 8A8C123 possible, confidence 0.30: 8 held where B was asked",
        "3 read where 8 was asked, confidence 0.95",
        "3 read where 8 was asked, confidence 0.95; 8 read where B was asked, confidence 0.95",
    ]
    assert await plates(search, ask("8ABC123")) == ["8ABC123"]
    paged, token = [], ""
    while token or not paged:
        request = ask("8ABC123", lookalikes=True, page=types_pb2.PageRequest(size=1, token=token))
        page = await search.find(request, decision(AGENCY), OFFICER)
        paged += [r.read.plate.text for r in page.reads]
        token = page.next_page_token
    assert paged == order


@pytest.mark.req("R-SRC-1")
async def test_a_look_alike_of_a_pattern_says_which_character_differs(search, store) -> None:
    await store(
        new_read("BABC123", at=NOW, confidences=[0.61] + [0.95] * 6),
        new_read("7DEF8Q8", at=NOW, confidences=[0.95] * 5 + [0.4, 0.95]),
        new_read("5XYZ555", at=NOW, candidates={"7DEF0O8": 0.3}),
    )

    async def why(pattern: str) -> list[str]:
        found = await search.find(ask(pattern, lookalikes=True), decision(AGENCY), OFFICER)
        assert all(0 < r.score < 1 for r in found.reads)
        return [r.why for r in found.reads]

    assert await why("8AB*") == ["looks like the pattern 8AB*: B read where 8 was asked, confidence 0.61"]
    assert await why("*E?[BC]08") == [
        (
            "looks like the pattern *E?[BC]08: 8 read where B or C was asked, confidence 0.95; "
            "Q read where 0 was asked, confidence 0.40"
        )
    ]
    assert await why("7DE?0?8") == ["read 5XYZ555; the reader also held 7DEF0O8 possible, confidence 0.30"]
    assert await why("7*O08") == [
        (
            "read 5XYZ555; the reader also held 7DEF0O8 possible, confidence 0.30: "
            "0 held where O was asked; O held where 0 was asked"
        )
    ]


@pytest.mark.req("R-SRC-1")
async def test_one_of_several_characters_can_be_asked_for(search, store) -> None:
    await store(*(new_read(f"8ABC12{n}", at=NOW) for n in "3479"))
    assert sorted(await plates(search, ask("8abc12[37]"))) == ["8ABC123", "8ABC127"]
    assert sorted(await plates(search, ask("8AB[A-D]12[1-4]"))) == ["8ABC123", "8ABC124"]
    with pytest.raises(PlatewardError, match="needs its"):
        await plates(search, ask("8AB[C"))
    protovalidate.validate(ask("8AB[A-D]12?", purpose=WHY))


async def test_unreadable_plates_are_found_by_place_only(search, store) -> None:
    await store(new_read("8ABC123", at=NOW, readable=False))
    assert await plates(search, ask("8ABC123", lookalikes=True)) == []
    assert len(await plates(search, ask(camera_ids=["cam-1"]))) == 1


async def test_state_colour_and_type_narrow(search, store) -> None:
    await store(new_read("8ABC123", at=NOW), new_read("8ABC124", at=NOW, state="US-NV", colour="red"))
    assert await plates(search, ask("8ABC*", state="US-NV")) == ["8ABC124"]
    assert await plates(search, ask("8ABC*", colour="silver")) == ["8ABC123"]
    assert await plates(search, ask("8ABC*", vehicle_type=2)) == []


async def test_an_area_is_a_circle_or_a_polygon(search, store) -> None:
    await store(new_read("8ABC123", at=NOW), new_read("8ABC124", at=NOW, camera="cam-2"))
    near = types_pb2.Area(
        circle=types_pb2.Circle(centre=types_pb2.Place(latitude=38.41, longitude=-121.37), radius_m=300)
    )
    assert await plates(search, ask(area=near)) == ["8ABC123"]
    near.circle.radius_m = 100
    assert await plates(search, ask(area=near)) == []
    ring = [(38.49, -121.51), (38.51, -121.51), (38.51, -121.49), (38.49, -121.49)]
    corners = [types_pb2.Place(latitude=latitude, longitude=longitude) for latitude, longitude in ring]
    assert await plates(search, ask(area=types_pb2.Area(polygon=types_pb2.Polygon(corners=corners)))) == [
        "8ABC124"
    ]


async def test_a_search_names_something(search) -> None:
    for plate in ("", "*", " - "):
        with pytest.raises(PlatewardError, match="names nothing"):
            await plates(search, ask(plate))
    # Beside something else a sign that is no plate is refused too: dropped, it would show all that the camera saw.
    for plate in ("-", " . ", "-.-"):
        with pytest.raises(PlatewardError, match="names nothing"):
            await plates(search, ask(plate, camera_ids=["cam-1"]))
    with pytest.raises(PlatewardError, match="at least 2"):
        await plates(search, ask("8*"))


async def test_a_window_that_no_calendar_has_is_refused(search) -> None:
    request = ask("8ABC123")
    request.window.end.seconds = 2**62
    with pytest.raises(PlatewardError) as refused:
        await plates(search, request)
    assert refused.value.reason == errors_pb2.ERROR_REASON_INVALID_ARGUMENT


@pytest.mark.req("R-RET-1")
async def test_an_expired_read_is_never_returned(search, store, clock, access) -> None:
    await store(new_read("8ABC123", at=NOW))
    access.publish(AGENCY, read=timedelta(minutes=3))
    clock.time = NOW + timedelta(minutes=3) - timedelta(microseconds=1)
    assert await plates(search, ask("8ABC123")) == ["8ABC123"]
    clock.time = NOW + timedelta(minutes=3)
    assert await plates(search, ask("8ABC123")) == []


async def test_obligations_bound_what_is_seen(search, store) -> None:
    await store(new_read("8ABC121", at=NOW), new_read("8ABC122", at=NOW - timedelta(hours=3), camera="cam-2"))
    await store(new_read("8ABC123", at=NOW), agency="galt-pd")
    wide = ask("8ABC12*", owner_agency_ids=[AGENCY, "galt-pd"])

    def stamp(at) -> Timestamp:
        stamp = Timestamp()
        stamp.FromDatetime(at)
        return stamp

    hours_ago = stamp(NOW - timedelta(hours=1))
    assert await plates(search, wide, decision()) == []
    assert sorted(await plates(search, wide, decision(AGENCY, "galt-pd"))) == [
        "8ABC121",
        "8ABC122",
        "8ABC123",
    ]
    assert await plates(search, wide, decision("galt-pd")) == ["8ABC123"]
    assert await plates(search, ask("8ABC12*", owner_agency_ids=["galt-pd"]), decision(AGENCY)) == []
    assert await plates(search, wide, decision(AGENCY, camera_ids=["cam-2"])) == ["8ABC122"]
    assert await plates(search, wide, decision(AGENCY, not_before=hours_ago)) == ["8ABC121"]
    assert await plates(search, wide, decision(AGENCY, not_after=hours_ago)) == ["8ABC122"]
    assert len(await plates(search, wide, decision(AGENCY, max_rows=1))) == 1
    found = await search.find(wide, None, OFFICER)
    assert not found.reads


async def test_masked_fields_are_left_out_and_an_unknown_mask_refuses(search, store) -> None:
    await store(new_read("8ABC123", at=NOW))
    hidden = decision(AGENCY, masked_fields=["place", "vehicle.colour"])
    [ranked] = (await search.find(ask("8ABC123"), hidden, OFFICER)).reads
    assert not ranked.read.HasField("place")
    assert ranked.read.vehicle.colour == ""
    assert ranked.read.vehicle.type
    for unknown in ("driver", "place.height", "crops.key", "read_id.x"):
        with pytest.raises(PlatewardError):
            mask(ranked.read, [unknown])


async def test_pages_hold_each_read_once_newest_first(search, store) -> None:
    await store(*(new_read(f"8ABC{n:03}", at=NOW - timedelta(minutes=n // 3)) for n in range(20)))
    await store(*(new_read("3ABC777", at=NOW, candidates={f"8ABC{n:03}": 0.1}) for n in range(5)))
    seen, token = [], ""
    while True:
        request = ask("8ABC*", page=types_pb2.PageRequest(size=7, token=token))
        found = await search.find(request, decision(AGENCY), OFFICER)
        seen += [ranked.read for ranked in found.reads]
        token = found.next_page_token
        if not token:
            break
    assert len(seen) == len({read.read_id for read in seen}) == 25
    times = [read.seen_at.ToDatetime() for read in seen[:20]]
    assert times == sorted(times, reverse=True)
    assert all(read.plate.text == "3ABC777" for read in seen[20:])


async def test_a_page_token_belongs_to_its_query_and_member(search, store) -> None:
    await store(*(new_read(f"8ABC{n:03}", at=NOW) for n in range(3)))
    page = types_pb2.PageRequest(size=1)
    token = (await search.find(ask("8ABC*", page=page), decision(AGENCY), OFFICER)).next_page_token
    page.token = token
    assert (await search.find(ask("8ABC*", page=page), decision(AGENCY), OFFICER)).reads
    other = types_pb2.Subject(agency_id=AGENCY, member_id="m-1077")
    flipped = types_pb2.PageRequest(size=1, token=("B" if token[0] == "A" else "A") + token[1:])
    garbage = types_pb2.PageRequest(size=1, token="né")
    for request, subject in (
        (ask("8ABD*", page=page), OFFICER),
        (ask("8ABC*", page=page), other),
        (ask("8ABC*", page=flipped), OFFICER),
        (ask("8ABC*", page=garbage), OFFICER),
    ):
        with pytest.raises(PlatewardError) as refused:
            await search.find(request, decision(AGENCY), subject)
        assert refused.value.reason == errors_pb2.ERROR_REASON_CURSOR_INVALID


async def test_a_camera_is_changed_and_listed_within_bounds(cameras) -> None:
    camera = reads_pb2.Camera(
        camera_id="cam-1",
        agency_id=AGENCY,
        name="Laguna",
        place=types_pb2.Place(latitude=38, longitude=-121),
        active=True,
    )
    assert await cameras.put(camera) is None
    moved = reads_pb2.Camera()
    moved.CopyFrom(camera)
    moved.active = False
    assert await cameras.put(moved) == camera
    assert await cameras.listed(AGENCY, decision(AGENCY)) == [moved]
    assert await cameras.listed(AGENCY, decision()) == []
    assert await cameras.listed(AGENCY, decision(AGENCY, camera_ids=["cam-9"])) == []
    assert not (await cameras.known(AGENCY, ["cam-1", "cam-2"]))["cam-1"].active
