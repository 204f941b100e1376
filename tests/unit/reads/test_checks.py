"""What is asked of a read before it is stored."""

from __future__ import annotations

from datetime import timedelta

import pytest

from plateward.common.v1 import errors_pb2
from services.reads.checks import RejectedError
from tests.unit.reads.builders import JPEG, KEEP, NOW, accepted, new_read

_TIME = errors_pb2.ERROR_REASON_TIME_OUT_OF_RANGE


def _reason(new) -> int:
    with pytest.raises(RejectedError) as refused:
        accepted(new, NOW)
    return refused.value.reason


def test_the_row_takes_agency_and_place_from_the_service_and_not_from_the_message() -> None:
    new = new_read(at=NOW, jpeg=JPEG)
    new.read.agency_id = "another-pd"
    new.read.place.latitude = 1.0
    row = accepted(new, NOW).row
    assert (row.agency_id, row.latitude) == ("elk-grove-pd", 38.4088)
    assert row.plate_crop == f"elk-grove-pd/2026/11/23/{new.read.read_id}-plate"
    assert row.vehicle_crop == ""


def test_a_clock_may_run_five_minutes_fast() -> None:
    accepted(new_read(at=NOW + timedelta(minutes=5)), NOW)
    assert _reason(new_read(at=NOW + timedelta(minutes=5, microseconds=1))) == _TIME


@pytest.mark.req("R-RET-1")
def test_what_retention_hides_at_once_is_not_stored() -> None:
    accepted(new_read(at=NOW - KEEP + timedelta(seconds=1)), NOW)
    assert _reason(new_read(at=NOW - KEEP)) == _TIME


def test_what_is_no_time_or_no_text_is_refused_alone() -> None:
    new = new_read(at=NOW)
    new.read.seen_at.seconds = 2**62
    assert _reason(new) == _TIME
    new = new_read(at=NOW)
    new.read.model_version = "1\0"
    assert _reason(new) == errors_pb2.ERROR_REASON_INVALID_ARGUMENT


def test_a_camera_must_be_registered_and_active() -> None:
    assert _reason(new_read(at=NOW, camera="cam-9")) == errors_pb2.ERROR_REASON_CAMERA_UNKNOWN
    assert _reason(new_read(at=NOW, camera="cam-off")) == errors_pb2.ERROR_REASON_CAMERA_UNKNOWN


def test_an_unreadable_plate_is_kept_and_not_searchable() -> None:
    row = accepted(new_read("8ABC123", at=NOW, readable=False, candidates={"8ABC128": 0.2}), NOW).row
    assert (row.plate, row.plate_key, row.candidates) == ("", "", [])


def test_text_and_characters_must_agree() -> None:
    new = new_read(at=NOW)
    del new.read.plate.characters[0]
    assert _reason(new) == errors_pb2.ERROR_REASON_INVALID_ARGUMENT


@pytest.mark.req("R-REC-3")
def test_only_pictures_are_kept_as_pictures() -> None:
    assert _reason(new_read(at=NOW, jpeg=b"%PDF-1.7")) == errors_pb2.ERROR_REASON_IMAGE_INVALID
