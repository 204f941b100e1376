"""People who were stopped wrongly, as cases: what the platform would have raised, and that it ends without a stop.

The cases are public record; survey of the mission, section 8.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plates.index import PlateIndex
from plateward.common.v1 import errors_pb2, recognition_pb2
from plateward.hotlist.v1 import hit_pb2
from servicekit.errors import PlatewardError
from services.hotlist import states
from services.hotlist.matching import Match, find, matches
from services.hotlist.states import Result, Standing
from tests.unit.hotlist.builders import NOW, entry, read

LEAD, STOP = hit_pb2.MAX_ACTION_LEAD, hit_pb2.MAX_ACTION_STOP
SAME, DIFFERENT, HIDDEN = (
    hit_pb2.COMPARISON_SAME, hit_pb2.COMPARISON_DIFFERENT, hit_pb2.COMPARISON_NOT_VISIBLE,
)  # fmt: skip


REFUSALS = (
    errors_pb2.ERROR_REASON_HIT_STATE, errors_pb2.ERROR_REASON_HIT_UNVERIFIED, errors_pb2.ERROR_REASON_HIT_CLAIMED,
    errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
)  # fmt: skip


def matched(wanted: hit_pb2.HotlistEntry, seen) -> list[Match]:
    return matches(find(PlateIndex([wanted.plate]), seen, 0.01), [wanted], seen, NOW)


def compared(most, *, plate=SAME, state=SAME, vehicle=SAME) -> Result:
    claimed = Standing(hit_pb2.HIT_STATE_CLAIMED, "m-1042", most, pictured=True)
    return states.compare(claimed, "m-1042", plate=plate, state=state, vehicle=vehicle)


@pytest.mark.req("R-HOT-2")
def test_green_a_misread_3_and_another_vehicle_ends_rejected_whatever_the_reader_was_sure_of() -> None:
    wanted = entry("5SOW750", vehicle_type=recognition_pb2.VEHICLE_TYPE_TRUCK, colour="grey")
    [hit] = matched(wanted, read("5SOW750"))
    assert (hit.max_action, hit.demotions) == (LEAD, ("other vehicle: seen car, entry truck",))
    assert compared(hit.max_action, plate=DIFFERENT).rejection == hit_pb2.REJECTION_MISREAD
    assert compared(hit.max_action, vehicle=DIFFERENT).rejection == hit_pb2.REJECTION_WRONG_VEHICLE
    # The truth of the plate, 5SOW350, raises nothing.
    assert matched(wanted, read("5SOW350")) == []


@pytest.mark.req("R-HOT-2")
def test_gilliam_another_state_and_a_motorcycle_is_a_lead_at_most() -> None:
    wanted = entry("ABC123", state="US-MT", vehicle_type=recognition_pb2.VEHICLE_TYPE_MOTORCYCLE)
    [hit] = matched(wanted, read("ABC123", state="US-CO"))
    assert hit.max_action == LEAD
    assert [d.split(":")[0] for d in hit.demotions] == ["wrong state", "other vehicle"]
    assert compared(hit.max_action, state=DIFFERENT).rejection == hit_pb2.REJECTION_WRONG_STATE


@pytest.mark.req("R-HOT-1")
def test_upchurch_digits_in_another_order_match_nothing() -> None:
    assert matched(entry("JLL7637"), read("JLL7362", confidences=[0.6] * 7)) == []


@pytest.mark.req("R-HOT-2")
def test_espanola_a_2_read_as_7_is_rejected_when_a_person_looks() -> None:
    [exact] = matched(entry("ABC127"), read("ABC127"))
    assert compared(exact.max_action, plate=DIFFERENT).state == hit_pb2.HIT_STATE_REJECTED
    # The other way round: the entry ends in 2, the reader doubted its 7: a look-alike, never exact.
    [alike] = matched(entry("ABC122"), read("ABC127", confidences=[0.99] * 5 + [0.6]))
    assert alike.kind == "lookalike"
    assert compared(alike.max_action, plate=DIFFERENT).rejection == hit_pb2.REJECTION_MISREAD


@pytest.mark.req("R-HOT-2")
def test_colorado_a_twin_of_o_and_0_is_a_lookalike_and_the_vehicle_ends_it() -> None:
    [twin] = matched(entry("BOX101", state="US-CO"), read("B0X101", state="US-CO"))
    assert twin.kind == "lookalike"
    assert compared(twin.max_action, vehicle=DIFFERENT).rejection == hit_pb2.REJECTION_WRONG_VEHICLE
    checked = Standing(hit_pb2.HIT_STATE_COMPARED, "m-1042", STOP)
    answer = states.check_records(checked, "m-1042", hit_pb2.RECORDS_RESULT_OTHER_VEHICLE, "")
    assert answer.rejection == hit_pb2.REJECTION_WRONG_VEHICLE


@pytest.mark.req("R-HOT-3")
def test_hofer_an_entry_recovered_upstream_ends_stale_in_the_records_check() -> None:
    checked = Standing(hit_pb2.HIT_STATE_COMPARED, "m-1042", LEAD)
    answer = states.check_records(checked, "m-1042", hit_pb2.RECORDS_RESULT_NOT_IN_FORCE, "")
    assert (answer.state, answer.rejection) == (hit_pb2.HIT_STATE_REJECTED, hit_pb2.REJECTION_STALE)


def _walk(draw, most) -> tuple[Standing, list[str]]:
    """Try any steps of any members in any order; keep what succeeded."""
    hit, done = Standing(hit_pb2.HIT_STATE_RAISED, "", most, pictured=True), list[str]()
    members = st.sampled_from(["m-1", "m-2"])
    seen = st.sampled_from([SAME, DIFFERENT, HIDDEN])
    for _ in range(draw(st.integers(1, 12))):
        step, member = draw(st.sampled_from(["claim", "compare", "check", "act", "close"])), draw(members)
        try:
            if step == "claim":
                result = states.claim(hit, member)
            elif step == "compare":
                result = states.compare(hit, member, plate=draw(seen), state=draw(seen), vehicle=draw(seen))
            elif step == "check":
                answer = draw(st.sampled_from([1, 2, 3, 4]))
                result = states.check_records(
                    hit, member, answer, draw(st.sampled_from(["", "dispatch is down"])), reference="desk 4"
                )
            elif step == "act":
                result = states.act(hit, draw(st.sampled_from([1, 2, 3, 4])))
            else:
                result = states.close(hit)
        except PlatewardError as refused:
            if refused.reason not in REFUSALS:
                raise
            continue
        if result.state != hit.state:
            done.append(f"{step} {member}")
        verifier = hit.verifier_id or (member if result.state == 2 else "")
        hit = Standing(result.state, verifier, result.most(hit.max_action), pictured=True)
    return hit, done


@pytest.mark.req("R-HOT-2")
@settings(max_examples=600)
@given(st.data(), st.text("08BO5S", min_size=4, max_size=6), st.text("08BO5S", min_size=4, max_size=6))
def test_no_tolerant_match_is_ever_acted_on_without_one_person_who_compared_and_checked(
    data, text, wanted
) -> None:
    for match in matched(entry(wanted), read(text, confidences=[0.5] * len(text))):
        hit, done = _walk(data.draw, match.max_action)
        if hit.state in (hit_pb2.HIT_STATE_CONFIRMED, hit_pb2.HIT_STATE_ACTED, hit_pb2.HIT_STATE_CLOSED):
            assert [step.split()[0] for step in done[:3]] == ["claim", "compare", "check"]
            assert len({step.split()[1] for step in done[:3]}) == 1
        assert all(step.split()[0] != "act" for step in done[:3])
