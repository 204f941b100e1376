"""Which entries a read may stand for, and how far each may lead."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.index import PlateIndex
from plateward.common.v1 import recognition_pb2
from plateward.hotlist.v1 import hit_pb2
from services.hotlist.matching import characters, find, matches
from services.hotlist.settings import HotlistSettings
from tests.unit.hotlist.builders import NOW, entry, read

STOP, LEAD = hit_pb2.MAX_ACTION_STOP, hit_pb2.MAX_ACTION_LEAD


def _match(entries, seen, min_weight: float = 0.01, now=NOW):
    found = find(PlateIndex(e.plate for e in entries), seen, min_weight)
    return matches(found, entries, seen, now)


@pytest.mark.req("R-HOT-1")
def test_exact_before_lookalike_before_candidate() -> None:
    wanted = [entry("BABC123"), entry("8ABC123"), entry("8ABC1W3")]
    seen = read("8ABC123", confidences=[0.4] + [0.95] * 6, candidates={"8ABC1W3": 0.05})
    assert [(m.entry.plate, m.kind) for m in _match(wanted, seen)] == [
        ("8ABC123", "exact"),
        ("BABC123", "lookalike"),
        ("8ABC1W3", "candidate"),
    ]


@pytest.mark.req("R-HOT-1")
def test_doubt_in_the_character_that_differs_weighs_a_lookalike() -> None:
    doubtful, sure = (read("8ABC123", confidences=[c] + [0.99] * 6) for c in (0.4, 0.99))
    [match] = _match([entry("BABC123")], doubtful)
    assert match.weight == pytest.approx(0.8 * 0.6)
    assert not _match([entry("BABC123")], sure, min_weight=0.05)
    assert not _match([entry("XABC123")], doubtful, min_weight=1e-9)


@pytest.mark.req("R-HOT-1")
@pytest.mark.parametrize(
    ("wanted", "seen", "sure", "told"),
    [
        ("US-CA", "", 0.0, "issuing state not read"),
        ("US-CA", "unknown", 0.0, "issuing state not read"),
        ("US-CA", "US", 0.9, "only the country"),
        ("US-CA", "US-NV", 0.9, "wrong state: read US-NV, entry US-CA"),
        ("US-CA", "US-CA", 0.3, "confidence 0.30 only"),
        ("", "US-CA", 0.9, "entry names no issuing state"),
    ],
)
def test_without_the_same_known_state_a_hit_is_a_lead(wanted, seen, sure, told) -> None:
    [match] = _match([entry(state=wanted)], read(state=seen, state_confidence=sure))
    assert match.max_action == LEAD
    assert told in match.demotions[0]


def test_a_match_never_leads_further_than_its_entry() -> None:
    [match] = _match([entry()], read())
    assert (match.max_action, match.demotions) == (STOP, ())
    [inform] = _match([entry(max_action=hit_pb2.MAX_ACTION_INFORM)], read(state="unknown"))
    assert inform.max_action == hit_pb2.MAX_ACTION_INFORM
    unset = entry()
    unset.ClearField("max_action")
    assert _match([unset], read())[0].max_action == hit_pb2.MAX_ACTION_INFORM


def test_another_kind_of_vehicle_makes_a_lead() -> None:
    [match] = _match([entry(vehicle_type=recognition_pb2.VEHICLE_TYPE_TRUCK)], read())
    assert (match.max_action, match.demotions) == (LEAD, ("other vehicle: seen car, entry truck",))


def test_only_entries_in_force_of_the_reads_own_agency_match() -> None:
    waiting = entry()
    waiting.approved_by = ""
    assert not _match([waiting], read())
    assert not _match([entry(days=1)], read(), now=NOW + timedelta(days=1))
    assert not _match([entry()], read(agency="galt-pd"))
    unreadable = read()
    unreadable.plate.readable = False
    assert not _match([entry()], unreadable)


def test_each_character_is_explained() -> None:
    told = characters(read("BABC123", confidences=[0.6] + [0.95] * 6), entry("8ABC123"))
    assert (told[0].read, told[0].entry, told[0].match) == ("B", "8", hit_pb2.CHARACTER_MATCH_LOOKALIKE)
    assert told[0].confidence == pytest.approx(0.6)
    assert {c.match for c in told[1:]} == {hit_pb2.CHARACTER_MATCH_SAME}


@given(st.text("0OQDB8S5", min_size=2, max_size=8), st.text("0OQDB8S5", min_size=2, max_size=8))
def test_whatever_matches_is_the_text_or_looks_alike_and_carries_a_weight(wanted: str, seen: str) -> None:
    found = _match([entry(wanted)], read(seen), min_weight=1e-9)
    for match in found:
        assert 0 < match.weight <= 1
        assert (match.kind == "exact") == (wanted == seen)
        assert len(wanted) == len(seen)
    assert found or wanted != seen


@pytest.mark.req("R-HOT-1")
def test_a_sure_misread_of_b_and_8_is_found_at_the_default_weight_and_is_a_lead() -> None:
    least = float(HotlistSettings.model_fields["match_min_weight"].default)
    seen, wanted = read("BABC123", confidences=[0.99] * 7), entry("8ABC123")
    [hit] = matches(find(PlateIndex([wanted.plate]), seen, least), [wanted], seen, NOW)
    assert (hit.kind, hit.max_action) == ("lookalike", hit_pb2.MAX_ACTION_LEAD)
    assert hit.demotions == ("read B at confidence 0.99, entry 8: plates print the two alike",)
    # A reader that doubted its B is a look-alike like any other.
    doubted = read("BABC123", confidences=[0.6] + [0.99] * 6)
    [hit] = matches(find(PlateIndex([wanted.plate]), doubted, least), [wanted], doubted, NOW)
    assert (hit.max_action, hit.demotions) == (hit_pb2.MAX_ACTION_STOP, ())
