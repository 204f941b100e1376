"""Events of Hikvision cameras (field survey, section 8): occupants left out and counted, confidence "0", rectangles of two kinds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import protovalidate
import pytest

from clients.gateway.sender import new_read
from clients.gateway.vendors.hikvision import EventError, Taken, Units, take
from plateward.common.v1 import recognition_pb2

JPEG = b"\xff\xd8\xff\xe0 a plate"
XML = """<?xml version="1.0" encoding="UTF-8"?>
<EventNotificationAlert version="2.0" xmlns="http://www.hikvision.com/ver20/XMLSchema">
<ipAddress>192.168.1.64</ipAddress><channelID>1</channelID><dateTime>2026-11-23T10:02:11-08:00</dateTime>
<eventType>ANPR</eventType><eventState>active</eventState><UUID>602cf998-1dd2-11b2-a842-be6ebc977415</UUID>
<ANPR><licensePlate>8ABC123</licensePlate><originalLicensePlate>BABC123</originalLicensePlate><line>1</line>
<confidenceLevel>87</confidenceLevel><plateCharBelieve>61,99,93,99,99,99,98</plateCharBelieve><country>30</country>
<pilotsafebelt>no</pilotsafebelt><vicepilotsafebelt>yes</vicepilotsafebelt><uphone>yes</uphone><smoking>no</smoking>
<pilotmask>unknown</pilotmask><vehicleType>SUVMPV</vehicleType><vehicleInfo><color>Silver</color><gender>male</gender></vehicleInfo>
<pictureInfoList><pictureInfo><fileName>licensePlatePicture.jpg</fileName></pictureInfo><pictureInfo>
<fileName>detectionPicture.jpg</fileName><plateRect><X>3380</X><Y>6000</Y><width>1000</width><height>400</height></plateRect>
</pictureInfo></pictureInfoList></ANPR></EventNotificationAlert>"""
ZERO = {
    "dateTime": "2021-12-14T19:23:52+08:00", "eventType": "ANPR", "eventState": "active", "UUID": "602cf998",
    "aNPR": {
        "licensePlate": "8ABC123", "confidenceLevel": "0", "plateCharBelieve": "0", "pilotsafebelt": "unknown", "uphone": "unknown",
        "vehicleType": "unknown", "vehicleInfo": {"color": "unknown"},
    },
}  # fmt: skip


def taken(event: Any, **options: Any) -> Taken:
    body = (
        event
        if isinstance(event, bytes)
        else (event if isinstance(event, str) else json.dumps(event)).encode()
    )
    found = take(body, camera_id="cam-laguna-1", **options)
    assert found is not None
    read = new_read(found.sighting.SerializeToString())
    protovalidate.validate(read)
    return found


@pytest.mark.req("R-REC-2")
def test_what_an_event_says_about_people_is_left_out_and_counted() -> None:
    found = taken(XML, plate_jpeg=JPEG)
    assert found.occupant_fields == 6
    read = new_read(found.sighting.SerializeToString())
    assert (read.plate_jpeg, read.vehicle_jpeg) == (JPEG, b"")
    told = str(read).lower()
    for word in ("belt", "phone", "smok", "mask", "male", "192.168"):
        assert word not in told


@pytest.mark.req("R-REC-4")
def test_the_plate_as_read_with_the_confidence_of_each_character() -> None:
    found = taken(XML).sighting
    assert (found.plate.text, round(found.plate.confidence, 2), found.plate.readable) == (
        "BABC123",
        0.87,
        True,
    )
    assert [round(c.confidence, 2) for c in found.plate.characters] == [
        0.61,
        0.99,
        0.93,
        0.99,
        0.99,
        0.99,
        0.98,
    ]
    assert (found.vehicle.type, found.vehicle.colour) == (recognition_pb2.VEHICLE_TYPE_CAR, "silver")
    assert found.seen_at.ToDatetime(UTC) == datetime(2026, 11, 23, 18, 2, 11, tzinfo=UTC)
    assert found.sighting_id == taken(XML).sighting.sighting_id
    assert found.sighting_id != take(XML.encode(), camera_id="cam-2").sighting.sighting_id  # type: ignore[union-attr]


@pytest.mark.req("R-REC-4")
def test_a_confidence_of_zero_is_none_and_the_plate_is_not_readable() -> None:
    found = taken(ZERO)
    assert (found.sighting.plate.text, found.sighting.plate.readable, found.occupant_fields) == ("", False, 2)
    assert (found.sighting.vehicle.type, found.sighting.vehicle.colour) == (0, "")
    # A number instead of text, and characters that have confidences of their own.
    some = {
        **ZERO,
        "aNPR": {"licensePlate": "8ABC123", "confidenceLevel": 0, "plateCharBelieve": "99,98,97,96,95,94,93"},
    }
    assert round(taken(some).sighting.plate.confidence, 2) == 0.93
    few = {**ZERO, "aNPR": {"licensePlate": "8ABC123", "confidenceLevel": 88, "plateCharBelieve": "99,98"}}
    assert {round(c.confidence, 2) for c in taken(few).sighting.plate.characters} == {0.88}
    for text in ("无车牌", "", "unknown plate text"):
        assert not taken(
            {**ZERO, "aNPR": {"licensePlate": text, "confidenceLevel": "90"}}
        ).sighting.plate.readable


@pytest.mark.req("R-REC-4")
def test_a_rectangle_in_ten_thousandths_becomes_pixels_and_one_that_may_be_either_is_left_out() -> None:
    def box(**options: Any) -> tuple[float, ...] | None:
        plate = taken(XML, **options).sighting.plate
        found = plate.box
        return (found.x, found.y, found.width, found.height) if plate.HasField("box") else None

    scaled = pytest.approx((648.96, 648.0, 192.0, 43.2), abs=0.01)
    # 6400 lies below a frame of 1080 lines, so this is no pixel.
    assert box(frame=(1920, 1080)) == scaled
    assert box(frame=(1920, 1080), units=Units.PARTS) == scaled
    assert box() is None
    assert box(frame=(8000, 8000)) is None
    assert box(units=Units.PIXELS) == (3380, 6000, 1000, 400)
    assert box(units=Units.PARTS) is None


def test_heartbeats_and_other_events_are_no_sightings() -> None:
    assert take(XML.replace("ANPR</eventType>", "videoloss</eventType>").encode(), camera_id="c") is None
    assert take(b'{"eventType": "ANPR"}', camera_id="c") is None


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (XML.replace("-08:00", ""), "no offset"),
        (XML.replace("2026-11-23T10:02:11-08:00", "yesterday"), "no time"),
        (XML.replace("<EventN", '<!DOCTYPE x [<!ENTITY a "aaa">]><EventN', 1), "document type"),
        ("<EventNotificationAlert>", "neither XML nor JSON"),
        ("[" * 5000, "neither XML nor JSON"),
        ('{"a":' * 5000, "neither XML nor JSON"),
        ('{"a":' * 30 + "1" + "}" * 30, "neither XML nor JSON"),
        ("<a>" * 30 + "</a>" * 30, "neither XML nor JSON"),
        ("<a>text</a>", "no EventNotificationAlert"),
        ("x" * 300_000, "bytes"),
    ],
)
def test_what_is_no_event_is_refused_with_a_sentence(event: str, said: str) -> None:
    with pytest.raises(EventError, match=said):
        take(event.encode(), camera_id="c")
