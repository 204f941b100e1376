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


def answers() -> dict[str, object]:
    rows = [
        hotlist_pb2.MatchStatistic(group="list", name="ncic-stolen", raised=40, confirmed=31),
        hotlist_pb2.MatchStatistic(group="list", name="local", raised=2, confirmed=0),
        hotlist_pb2.MatchStatistic(group="camera", name="cam-laguna-1", raised=42, confirmed=31),
        hotlist_pb2.MatchStatistic(group="characters", name="8/B", raised=5, confirmed=1),
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
    page = render(bundle, (), counts_of(answers()), NOW)
    assert "<script" not in page
    assert not re.search(r"(src|href)\s*=|url\(|@import", page)
    assert bundle.version in page
    for offence in bundle.document["purposes"]["offences"].values():
        assert offence["title"] in page.replace("&#39;", "'")


def test_figures_are_sums_over_lists_and_name_no_camera_or_list() -> None:
    page = render(load_bundle(sample_document("elk-grove-pd")), ("Sacramento PD",), counts_of(answers()), NOW)
    for shown in ("131,849", ">90<", ">42<", "31 confirmed", ">140<", "6 refused", "2026-10-01", "Sacramento PD", "audit+7a1b2c3d", "30 days", "365 days"):  # fmt: skip
        assert shown in page, shown
    assert "cam-laguna-1" not in page
    assert "ncic-stolen" not in page


def test_what_does_not_answer_is_not_available_and_never_nothing_at_all() -> None:
    bundle = load_bundle(sample_document("elk-grove-pd"))
    page = render(bundle, (), counts_of({"events": None, "checkpoint": None, "reads": None}), NOW)
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
