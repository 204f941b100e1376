"""The comparison sheet: what a person needs to see, and that it never calls a hit more than it is."""

from __future__ import annotations

import pytest

from clients.cli.hit_sheet import sheet
from plateward.hotlist.v1 import hit_pb2
from services.hotlist.matching import characters
from tests.unit.hotlist.builders import entry, read


def made(**fields: object) -> hit_pb2.Hit:
    seen, wanted = read("BABC123", confidences=[0.61] + [0.95] * 6), entry("8ABC123", reason="<b>stolen</b>")
    return hit_pb2.Hit(
        hit_id="h-1", read=seen, entry=wanted, explanation=characters(seen, wanted), match_kind="lookalike",
        max_action=hit_pb2.MAX_ACTION_LEAD, list_age_s=7200, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.req("R-HOT-2")
def test_a_sheet_shows_picture_characters_state_type_colour_and_age() -> None:
    page = sheet(made(state=hit_pb2.HIT_STATE_RAISED, demotions=["list too old"]), b"\xff\xd8jpeg")
    for told in (
        "UNVERIFIED",
        "read B, entry",
        "61%",
        "US-CA",
        "car",
        "not named",
        "2.0 h",
        "list too old",
        "/9hqcGVn",
    ):
        assert told in page, told
    assert "<b>stolen" not in page


@pytest.mark.req("R-HOT-2")
def test_only_what_a_person_verified_is_called_so_and_a_missing_picture_is_told() -> None:
    for state in (1, 2, 3, 5):
        assert "UNVERIFIED" in sheet(made(state=state), b"")
    page = sheet(made(state=hit_pb2.HIT_STATE_CONFIRMED), b"")
    assert "VERIFIED BY A PERSON" in page
    assert "comparison cannot be made" in page


@pytest.mark.req("R-HOT-2")
def test_a_sheet_names_what_tells_the_vehicle_from_another() -> None:
    hit = made(state=hit_pb2.HIT_STATE_CLAIMED)
    plain = sheet(hit, b"")
    assert "entered by" not in plain
    hit.entry.MergeFrom(
        hit_pb2.HotlistEntry(
            make="GMC",
            model="K15",
            vehicle_style="PK",
            model_year="1992",
            vin="1GTEK14K<1>",
            ori="CA0341000",
            nic="V1",
        )
    )
    page = sheet(hit, b"")
    for told in ("GMC K15 PK", "1992", "1GTEK14K&lt;1&gt;", "entered by CA0341000, record V1"):
        assert told in page, told
