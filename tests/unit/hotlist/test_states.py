"""The state machine of a hit: actionable is reached through a person's comparison and the records check only."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateward.common.v1 import errors_pb2
from plateward.hotlist.v1 import hit_pb2
from servicekit.errors import PlatewardError
from services.hotlist import states
from services.hotlist.states import TRANSITIONS, Result, Standing

SAME, DIFFERENT, HIDDEN = (
    hit_pb2.COMPARISON_SAME,
    hit_pb2.COMPARISON_DIFFERENT,
    hit_pb2.COMPARISON_NOT_VISIBLE,
)
_ALL = [value for value in hit_pb2.HitState.values() if value]
_MEMBERS = ("m-1", "m-2")
_seen = st.sampled_from([SAME, DIFFERENT, HIDDEN])
_steps = st.one_of(
    st.tuples(st.just("claim"), st.sampled_from(_MEMBERS)),
    st.tuples(st.just("compare"), st.sampled_from(_MEMBERS), _seen, _seen, _seen),
    st.tuples(
        st.just("records"),
        st.sampled_from(_MEMBERS),
        st.sampled_from(hit_pb2.RecordsResult.values()),
        st.sampled_from(["", "  ", "dispatch is down"]),
        st.sampled_from(["", "  ", "desk 4"]),
    ),
    st.tuples(st.just("act"), st.sampled_from([v for v in hit_pb2.HitAction.values() if v])),
    st.tuples(st.just("close")),
    st.tuples(st.just("release"), st.sampled_from(_MEMBERS)),
)


def _take(hit: Standing, step: tuple) -> Result:
    match step:
        case ("claim", member):
            return states.claim(hit, member)
        case ("compare", member, plate, state, vehicle):
            return states.compare(hit, member, plate=plate, state=state, vehicle=vehicle)
        case ("records", member, result, reason, reference):
            return states.check_records(hit, member, result, reason, reference=reference)
        case ("act", action):
            return states.act(hit, action)
        case ("release", member):
            return states.release(hit, member, timedelta(hours=1))
        case _:
            return states.close(hit)


def _reason(call) -> int:
    with pytest.raises(PlatewardError) as refused:
        call()
    assert str(refused.value).endswith(".")
    return refused.value.reason


def _hit(
    state: int, verifier: str = "m-1", most: int = hit_pb2.MAX_ACTION_STOP, *, pictured: bool = True
) -> Standing:
    return Standing(state, verifier, most, pictured=pictured)


@pytest.mark.req("R-HOT-2")
@given(
    st.lists(_steps, max_size=25),
    st.sampled_from([v for v in hit_pb2.MaxAction.values() if v]),
    st.booleans(),
)
def test_whatever_is_tried_an_action_follows_claim_comparison_and_records_of_one_person(
    steps, most, pictured
) -> None:
    hit, taken = _hit(hit_pb2.HIT_STATE_RAISED, "", most, pictured=pictured), []
    for step in steps:
        try:
            result = _take(hit, step)
        except PlatewardError:
            continue
        if result.state == hit.state:
            continue
        assert hit.state not in states.FINAL
        assert (result.rejection != 0) == (result.state == hit_pb2.HIT_STATE_REJECTED)
        if result.state == hit_pb2.HIT_STATE_RAISED:
            assert step == ("release", hit.verifier_id)
            taken, verifier = [], ""
        else:
            taken.append(step)
            verifier = hit.verifier_id or step[1]
        hit = _hit(result.state, verifier, result.most(hit.max_action), pictured=pictured)
    names = [step[0] for step in taken]
    assert names == ["claim", "compare", "records", "act", "close"][: len(names)]
    assert len({step[1] for step in taken[:3]}) <= 1
    if "act" in names:
        assert taken[1][2] == SAME
        assert DIFFERENT not in taken[1][2:]
        assert taken[2][2] in (hit_pb2.RECORDS_RESULT_CONFIRMED, hit_pb2.RECORDS_RESULT_NOT_PRACTICABLE)
        assert taken[2][4 if taken[2][2] == hit_pb2.RECORDS_RESULT_CONFIRMED else 3].strip()
        assert taken[3][1] != hit_pb2.HIT_ACTION_STOP or (
            most == hit_pb2.MAX_ACTION_STOP and pictured and taken[1][2:] == (SAME, SAME, SAME)
        )


@pytest.mark.req("R-HOT-2")
@pytest.mark.parametrize(
    ("state", "next_step"),
    [
        (hit_pb2.HIT_STATE_RAISED, "ClaimHit"),
        (hit_pb2.HIT_STATE_CLAIMED, "CompareHit"),
        (hit_pb2.HIT_STATE_COMPARED, "CheckRecords"),
    ],
)
def test_acting_on_an_unverified_hit_is_refused_and_names_the_next_step(state: int, next_step: str) -> None:
    with pytest.raises(PlatewardError, match=next_step) as refused:
        states.act(_hit(state), hit_pb2.HIT_ACTION_INVESTIGATE)
    assert refused.value.reason == errors_pb2.ERROR_REASON_HIT_UNVERIFIED


def test_final_states_have_no_way_out() -> None:
    assert not {state for state, _ in TRANSITIONS} & states.FINAL
    assert {state for state, _ in TRANSITIONS} | states.FINAL == set(_ALL)


def test_one_verifier() -> None:
    raised = _hit(hit_pb2.HIT_STATE_RAISED, "")
    assert states.claim(raised, "m-1").state == hit_pb2.HIT_STATE_CLAIMED
    claimed = _hit(hit_pb2.HIT_STATE_CLAIMED)
    assert states.claim(claimed, "m-1").state == hit_pb2.HIT_STATE_CLAIMED
    assert _reason(lambda: states.claim(claimed, "m-2")) == errors_pb2.ERROR_REASON_HIT_CLAIMED
    compare = lambda: states.compare(claimed, "m-2", plate=SAME, state=SAME, vehicle=SAME)  # noqa: E731
    assert _reason(compare) == errors_pb2.ERROR_REASON_HIT_CLAIMED


@pytest.mark.req("R-HOT-2")
@pytest.mark.parametrize("state", _ALL)
def test_a_hit_is_handed_back_by_its_verifier_or_by_others_once_nothing_was_done(state: int) -> None:
    hour = timedelta(hours=1)
    waits = state in (hit_pb2.HIT_STATE_CLAIMED, hit_pb2.HIT_STATE_COMPARED)
    own = lambda: states.release(_hit(state), "m-1", hour)  # noqa: E731
    if not waits:
        assert _reason(own) == errors_pb2.ERROR_REASON_HIT_STATE
        return
    assert own() == Result(hit_pb2.HIT_STATE_RAISED)
    for idle, allowed in ((hour - timedelta(seconds=1), False), (hour, True)):
        stood = Standing(state, "m-1", hit_pb2.MAX_ACTION_STOP, idle=idle)
        other = lambda stood=stood: states.release(stood, "m-2", hour)  # noqa: E731
        if allowed:
            assert other() == Result(hit_pb2.HIT_STATE_RAISED)
        else:
            assert _reason(other) == errors_pb2.ERROR_REASON_HIT_CLAIMED


@pytest.mark.parametrize(
    ("seen", "rejection"),
    [
        ((DIFFERENT, DIFFERENT, DIFFERENT), hit_pb2.REJECTION_MISREAD),
        ((SAME, DIFFERENT, DIFFERENT), hit_pb2.REJECTION_WRONG_STATE),
        ((HIDDEN, HIDDEN, DIFFERENT), hit_pb2.REJECTION_WRONG_VEHICLE),
    ],
)
def test_anything_different_rejects_with_its_reason(seen, rejection) -> None:
    plate, state, vehicle = seen
    result = states.compare(_hit(hit_pb2.HIT_STATE_CLAIMED), "m-1", plate=plate, state=state, vehicle=vehicle)
    assert result == Result(hit_pb2.HIT_STATE_REJECTED, rejection)


def test_characters_that_cannot_be_seen_verify_nothing() -> None:
    claimed = _hit(hit_pb2.HIT_STATE_CLAIMED)
    compare = lambda: states.compare(claimed, "m-1", plate=HIDDEN, state=SAME, vehicle=SAME)  # noqa: E731
    assert _reason(compare) == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
    assert (
        states.compare(claimed, "m-1", plate=SAME, state=HIDDEN, vehicle=HIDDEN).state
        == hit_pb2.HIT_STATE_COMPARED
    )


@pytest.mark.req("R-HOT-3")
def test_records_are_confirmed_by_somebody_who_is_named() -> None:
    hit, confirmed = _hit(hit_pb2.HIT_STATE_COMPARED), hit_pb2.RECORDS_RESULT_CONFIRMED
    for nobody in ("", " ", "ok"):
        call = lambda told=nobody: states.check_records(hit, "m-1", confirmed, "", reference=told)  # noqa: E731
        assert _reason(call) == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
    done = states.check_records(hit, "m-1", confirmed, "", reference="CLETS 261123-1804")
    assert done.state == hit_pb2.HIT_STATE_CONFIRMED
    # The message switch has the answer and its reference.
    by_switch = Standing(hit.state, "m-1", hit.max_action, confirmed)
    assert states.check_records(by_switch, "m-1", confirmed, "", by_switch=True).state == done.state


def test_the_records_check_refutes_or_needs_its_reason() -> None:
    hit = _hit(hit_pb2.HIT_STATE_COMPARED)
    check = states.check_records
    assert check(hit, "m-1", hit_pb2.RECORDS_RESULT_NOT_IN_FORCE, "").rejection == hit_pb2.REJECTION_STALE
    other = check(hit, "m-1", hit_pb2.RECORDS_RESULT_OTHER_VEHICLE, "")
    assert other.rejection == hit_pb2.REJECTION_WRONG_VEHICLE
    practicable = hit_pb2.RECORDS_RESULT_NOT_PRACTICABLE
    assert _reason(lambda: check(hit, "m-1", practicable, " ")) == errors_pb2.ERROR_REASON_INVALID_ARGUMENT
    assert check(hit, "m-1", practicable, "dispatch is down").state == hit_pb2.HIT_STATE_CONFIRMED


def test_a_lead_never_leads_to_a_stop() -> None:
    lead = _hit(hit_pb2.HIT_STATE_CONFIRMED, most=hit_pb2.MAX_ACTION_LEAD)
    assert _reason(lambda: states.act(lead, hit_pb2.HIT_ACTION_STOP)) == errors_pb2.ERROR_REASON_HIT_STATE
    assert states.act(lead, hit_pb2.HIT_ACTION_INVESTIGATE).state == hit_pb2.HIT_STATE_ACTED


@given(st.sampled_from(_ALL))
def test_a_stale_entry_rejects_what_is_not_confirmed(state: int) -> None:
    hit = _hit(state)
    if state in (hit_pb2.HIT_STATE_CLAIMED, hit_pb2.HIT_STATE_COMPARED):
        assert states.stale(hit) == Result(hit_pb2.HIT_STATE_REJECTED, hit_pb2.REJECTION_STALE)
    else:
        assert _reason(lambda: states.stale(hit)) == errors_pb2.ERROR_REASON_HIT_STATE
