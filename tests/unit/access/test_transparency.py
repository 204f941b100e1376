"""The public page: what the policy in force says and sums; nothing else, whatever is in the policy."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from plateward.audit.v1 import audit_pb2
from plateward.hotlist.v1 import hotlist_pb2
from plateward.reads.v1 import reads_pb2
from services.access.policy import load_bundle, sample_document
from services.access.transparency import Counts, counts_of, render, span

pytestmark = [pytest.mark.req("R-TRN-1"), pytest.mark.req("R-TRN-2")]
NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
SAMPLES = ("elk-grove-pd", "example-chp", "example-va", "example-wa", "example-nh")


OWN = "elk-grove-pd"


def _row(group: str, name: str, raised: int, confirmed: int, **rejected: int) -> hotlist_pb2.MatchStatistic:
    return hotlist_pb2.MatchStatistic(
        agency_id=OWN, group=group, name=name, raised=raised, confirmed=confirmed, rejected=rejected
    )


def answers() -> dict[str, object]:
    rows = [
        _row("list", "ncic-stolen", 40, 31, REJECTION_MISREAD=6, REJECTION_STALE=2),
        _row("list", "local", 2, 0, REJECTION_MISREAD=2),
        _row("camera", "cam-laguna-1", 30, 24, REJECTION_MISREAD=6),
        _row("camera", "cam-laguna-2", 12, 7, REJECTION_STALE=4),
        _row("camera", "cam-laguna-3", 1, 0, REJECTION_STALE=1),
        _row("characters", "8/B", 15, 3, REJECTION_MISREAD=9),
        _row("characters", "0/O", 5, 1),
        hotlist_pb2.MatchStatistic(
            agency_id="galt-pd", group="list", name="theirs", raised=900, confirmed=800
        ),
    ]
    events = audit_pb2.CountEventsResponse(searches=140, refused=6)
    events.last_audit_at.FromDatetime(datetime(2026, 10, 1, tzinfo=UTC))
    return {
        "reads": reads_pb2.CountReadsResponse(reads=131_849, cameras=90), "events": events,
        "hits": hotlist_pb2.GetMatchStatisticsResponse(rows=rows),
        "checkpoint": audit_pb2.GetCheckpointResponse(checkpoint="plateward.local/audit\n1043\nroot=\n", verifier_keys=["plateward.local/audit+7a1b2c3d+AX"]),
    }  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_each_policy_has_a_page_without_script_or_anything_fetched(name: str) -> None:
    bundle = load_bundle(sample_document(name))
    page = render(bundle, (), counts_of(answers(), OWN), NOW)
    assert "<script" not in page
    assert not re.search(r"(src|href)\s*=|url\(|@import", page)
    assert bundle.version in page
    for offence in bundle.document["purposes"]["offences"].values():
        assert offence["title"] in page.replace("&#39;", "'")


def test_figures_are_sums_of_the_agency_and_name_no_camera_and_no_small_list() -> None:
    page = render(
        load_bundle(sample_document("elk-grove-pd")), ("Sacramento PD",), counts_of(answers(), OWN), NOW
    )
    for shown in ("131,849", ">90<", ">42<", "31 confirmed", ">140<", "6 refused", "2026-10-01", "Sacramento PD", "audit+7a1b2c3d", "30 days", "365 days"):  # fmt: skip
        assert shown in page, shown
    assert "cam-laguna" not in page
    assert ">local<" not in page
    assert "theirs" not in page


def test_how_often_hits_were_right_is_told_by_list_and_characters_and_for_cameras_without_their_names() -> (
    None
):
    page = render(load_bundle(sample_document(OWN)), (), counts_of(answers(), OWN), NOW)
    words = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for shown in ("ncic-stolen 39 79 %", "8/B 12 25 %", "By camera: 2 cameras, between 64 % and 80 % confirmed", "fewer than 10 such hits are left out: 1 list at present"):  # fmt: skip
        assert shown in words, shown
    # Five hits of which one is settled tell nothing of 0 and O, and something of whose they were.
    assert "0/O" not in page


def test_what_does_not_answer_is_not_available_and_never_nothing_at_all() -> None:
    bundle = load_bundle(sample_document("elk-grove-pd"))
    page = render(bundle, (), counts_of({"events": None, "checkpoint": None, "reads": None}, OWN), NOW)
    assert page.count("not available now") == 6
    zero = render(bundle, (), Counts(reads=0, cameras=0, hits=0, confirmed=0, searches=0, refused=0, checkpoint="c"), NOW)  # fmt: skip
    assert "not available now" not in zero
    assert "none signed off yet" in zero


def test_words_of_a_policy_are_words_not_markup() -> None:
    text = sample_document("elk-grove-pd").replace(
        "Police Department", "Police <img src=x onerror=alert(1)>", 1
    )
    page = render(load_bundle(text), ("<b>Partner</b>",), Counts(), NOW)
    assert "<img" not in page
    assert "<b>Partner" not in page


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2_592_000, "30 days"),
        (86_400, "1 day"),
        (180, "3 minutes"),
        (90, "90 seconds"),
        (5400, "90 minutes"),
        (7200, "2 hours"),
    ],
)
def test_lengths_of_time_are_in_the_unit_people_use(seconds: int, words: str) -> None:
    assert span(seconds) == words
