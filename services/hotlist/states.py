"""The states of a hit. Pure: what a person may do next, and what comes of it (R-HOT-2, R-HOT-3).

Rules
-----
1. The only way to ``CONFIRMED`` is raised, claimed, compared, checked; the table below holds every transition.
2. An action is possible on a confirmed hit only. On a hit that a person has not verified it is refused with
   the step that is missing.
3. Comparison and records check belong to the one member who claimed the hit.
4. Anything seen to be different rejects the hit. Characters that cannot be seen are no comparison.
5. "Not practicable" is an answer of the records check that needs its reason.
6. A stop needs that the hit may lead to a stop. ``REJECTED`` and ``CLOSED`` are final.
7. Where a message switch is set up, "confirmed" is what the originating agency answered through it, never a member's word alone.
   Without a switch, it needs who answered: the number of the reply, or a name.
8. A negative answer rejects; one that comes after a hit was confirmed as "not practicable" keeps anything from being done on it.
9. What nobody saw leads to no stop: where the issuing state or the vehicle was not visible, or no picture is kept that could be
   compared, the hit is a lead at most from the comparison on, and says so.
10. A hit that waits on its verifier is handed back: by the verifier at any time, by any other member once no step was taken for a set
   time. Whoever claims it next verifies from the start; what lowered it stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from plateward.common.v1 import errors_pb2
from plateward.hotlist.v1 import hit_pb2
from servicekit.errors import PlatewardError

State = hit_pb2.HitState


class Step(Enum):
    """What a person, or a fact, does to a hit."""

    CLAIM = "claim"
    RELEASE = "release"
    FIND_SAME = "find the same"
    FIND_DIFFERENT = "find different"
    CONFIRM = "confirm"
    REFUTE = "refute"
    ACT = "act"
    CLOSE = "close"


TRANSITIONS: dict[tuple[State.ValueType, Step], State.ValueType] = {
    (hit_pb2.HIT_STATE_RAISED, Step.CLAIM): hit_pb2.HIT_STATE_CLAIMED,
    (hit_pb2.HIT_STATE_CLAIMED, Step.RELEASE): hit_pb2.HIT_STATE_RAISED,
    (hit_pb2.HIT_STATE_COMPARED, Step.RELEASE): hit_pb2.HIT_STATE_RAISED,
    (hit_pb2.HIT_STATE_CLAIMED, Step.FIND_SAME): hit_pb2.HIT_STATE_COMPARED,
    (hit_pb2.HIT_STATE_CLAIMED, Step.FIND_DIFFERENT): hit_pb2.HIT_STATE_REJECTED,
    (hit_pb2.HIT_STATE_COMPARED, Step.CONFIRM): hit_pb2.HIT_STATE_CONFIRMED,
    (hit_pb2.HIT_STATE_COMPARED, Step.REFUTE): hit_pb2.HIT_STATE_REJECTED,
    (hit_pb2.HIT_STATE_CONFIRMED, Step.ACT): hit_pb2.HIT_STATE_ACTED,
    (hit_pb2.HIT_STATE_ACTED, Step.CLOSE): hit_pb2.HIT_STATE_CLOSED,
}
UNVERIFIED = frozenset({hit_pb2.HIT_STATE_RAISED, hit_pb2.HIT_STATE_CLAIMED, hit_pb2.HIT_STATE_COMPARED})
_REFUTED = {
    hit_pb2.RECORDS_RESULT_NOT_IN_FORCE: hit_pb2.REJECTION_STALE,
    hit_pb2.RECORDS_RESULT_OTHER_VEHICLE: hit_pb2.REJECTION_WRONG_VEHICLE,
}
FINAL = frozenset({hit_pb2.HIT_STATE_REJECTED, hit_pb2.HIT_STATE_CLOSED})

_NEXT = {
    hit_pb2.HIT_STATE_RAISED: "claim it first (ClaimHit), then compare the picture with the entry",
    hit_pb2.HIT_STATE_CLAIMED: "compare the picture with the entry (CompareHit)",
    hit_pb2.HIT_STATE_COMPARED: "ask the originating agency (RequestConfirmation) and record the records check (CheckRecords)",
    hit_pb2.HIT_STATE_CONFIRMED: "record the action (RecordAction)",
    hit_pb2.HIT_STATE_REJECTED: "nothing: it was rejected and nothing may be done on it",
    hit_pb2.HIT_STATE_ACTED: "record how it ended (RecordOutcome)",
    hit_pb2.HIT_STATE_CLOSED: "nothing: it is closed",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a hit the rules look at."""

    state: State.ValueType
    verifier_id: str
    max_action: hit_pb2.MaxAction.ValueType
    answer: hit_pb2.RecordsResult.ValueType = hit_pb2.RECORDS_RESULT_UNSPECIFIED
    pictured: bool = False
    """Whether a picture is kept with it."""
    idle: timedelta = timedelta(0)
    """How long ago the last step was taken."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a step leads to."""

    state: State.ValueType
    rejection: hit_pb2.Rejection.ValueType = hit_pb2.REJECTION_UNSPECIFIED
    doubts: tuple[str, ...] = ()
    """What was found that lowers the hit to a lead, in words."""

    def most(self, before: hit_pb2.MaxAction.ValueType) -> hit_pb2.MaxAction.ValueType:
        """Return the most that the hit may lead to from here on."""
        return min(before, hit_pb2.MAX_ACTION_LEAD) if self.doubts else before


def claim(hit: Standing, member_id: str) -> Result:
    """One member takes the hit; taking one's own again changes nothing.

    Raises:
        PlatewardError: HIT_CLAIMED, HIT_STATE.
    """
    if hit.state == hit_pb2.HIT_STATE_CLAIMED and hit.verifier_id == member_id:
        return Result(hit.state)
    if hit.state in UNVERIFIED and hit.verifier_id:
        raise _held()
    return Result(_next(hit.state, Step.CLAIM))


def release(hit: Standing, member_id: str, after: timedelta) -> Result:
    """The hit goes back to everybody (rule 10).

    Args:
        hit: as it stands.
        member_id: who hands it back, or takes it from a verifier who is gone.
        after: how long no step was taken before somebody other than the verifier may.

    Raises:
        PlatewardError: HIT_CLAIMED, HIT_STATE.
    """
    following = _next(hit.state, Step.RELEASE)
    if hit.verifier_id != member_id and hit.idle < after:
        raise _held(
            f", or release it (ReleaseHit) once nothing was done for {after // timedelta(minutes=1)} minutes"
        )
    return Result(following)


def compare(
    hit: Standing,
    member_id: str,
    *,
    plate: hit_pb2.Comparison.ValueType,
    state: hit_pb2.Comparison.ValueType,
    vehicle: hit_pb2.Comparison.ValueType,
) -> Result:
    """The verifier compared picture and entry; what could not be seen makes it a lead (rule 9).

    Raises:
        PlatewardError: HIT_CLAIMED, HIT_STATE, INVALID_ARGUMENT (rule 4).
    """
    _is_verifier(hit, member_id, Step.FIND_SAME)
    for seen, rejection in (
        (plate, hit_pb2.REJECTION_MISREAD),
        (state, hit_pb2.REJECTION_WRONG_STATE),
        (vehicle, hit_pb2.REJECTION_WRONG_VEHICLE),
    ):
        if seen == hit_pb2.COMPARISON_DIFFERENT:
            return Result(_next(hit.state, Step.FIND_DIFFERENT), rejection)
    if plate != hit_pb2.COMPARISON_SAME:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            "Characters that cannot be seen verify nothing: look at the plate's crop, or answer different to reject the hit.",
        )
    doubts = (
        "" if state == hit_pb2.COMPARISON_SAME else "issuing state not seen by the verifier",
        "" if vehicle == hit_pb2.COMPARISON_SAME else "vehicle not seen by the verifier",
        "" if hit.pictured else "no picture to compare is kept with the hit",
    )
    return Result(_next(hit.state, Step.FIND_SAME), doubts=tuple(doubt for doubt in doubts if doubt))


def ask(hit: Standing, member_id: str) -> Result:
    """The verifier asks the originating agency; the hit stays where it is.

    Raises:
        PlatewardError: HIT_CLAIMED, HIT_STATE.
    """
    _is_verifier(hit, member_id, Step.CONFIRM)
    return Result(hit.state)


def answered(hit: Standing, result: hit_pb2.RecordsResult.ValueType) -> Result:
    """The originating agency answered (rules 7 and 8)."""
    if result in _REFUTED and (hit.state, Step.REFUTE) in TRANSITIONS:
        return Result(_next(hit.state, Step.REFUTE), _REFUTED[result])
    return Result(hit.state)


def check_records(
    hit: Standing,
    member_id: str,
    result: hit_pb2.RecordsResult.ValueType,
    reason: str,
    *,
    reference: str = "",
    by_switch: bool = False,
) -> Result:
    """The verifier asked the records.

    Raises:
        PlatewardError: HIT_CLAIMED, HIT_STATE (also rule 7), INVALID_ARGUMENT (rules 5 and 7).
    """
    _is_verifier(hit, member_id, Step.CONFIRM)
    if result in _REFUTED:
        return Result(_next(hit.state, Step.REFUTE), _REFUTED[result])
    if by_switch and result == hit_pb2.RECORDS_RESULT_CONFIRMED and hit.answer != result:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_HIT_STATE,
            "The originating agency has not confirmed this entry: ask it (RequestConfirmation) and wait for its answer, or record why "
            "that was not practicable.",
        )
    if result == hit_pb2.RECORDS_RESULT_CONFIRMED and hit.answer != result and len(reference.strip()) < 3:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            "Say who confirmed it: the number of the reply, or the name of who answered, as the reference.",
        )
    if result == hit_pb2.RECORDS_RESULT_NOT_PRACTICABLE and len(reason.strip()) < 3:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT,
            "Say why the records check was not practicable: it goes on record with the hit.",
        )
    if result not in (hit_pb2.RECORDS_RESULT_CONFIRMED, hit_pb2.RECORDS_RESULT_NOT_PRACTICABLE):
        raise PlatewardError(
            errors_pb2.ERROR_REASON_INVALID_ARGUMENT, "Give the answer of the records check."
        )
    return Result(_next(hit.state, Step.CONFIRM))


def act(hit: Standing, action: hit_pb2.HitAction.ValueType) -> Result:
    """Something is done on the hit.

    Raises:
        PlatewardError: HIT_UNVERIFIED (rule 2), HIT_STATE.
    """
    if hit.state in UNVERIFIED:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_HIT_UNVERIFIED,
            f"The hit is unverified and nothing may be done on it: {_NEXT[hit.state]}.",
        )
    following = _next(hit.state, Step.ACT)
    if hit.answer in _REFUTED:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_HIT_STATE,
            "The originating agency has answered since: the entry is not in force, or of another vehicle. Nothing may be done on this hit.",
        )
    if action == hit_pb2.HIT_ACTION_STOP and hit.max_action < hit_pb2.MAX_ACTION_STOP:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_HIT_STATE,
            "This hit may not lead to a stop: it is a lead at most. Look into it without a stop and record that; "
            "the hit's demotions say why.",
        )
    return Result(following)


def close(hit: Standing) -> Result:
    """The outcome is known.

    Raises:
        PlatewardError: HIT_UNVERIFIED, HIT_STATE.
    """
    return Result(_next(hit.state, Step.CLOSE))


def stale(hit: Standing) -> Result:
    """The entry is no longer in force: whatever was found, the hit is rejected."""
    if (hit.state, Step.REFUTE) in TRANSITIONS or (hit.state, Step.FIND_DIFFERENT) in TRANSITIONS:
        return Result(hit_pb2.HIT_STATE_REJECTED, hit_pb2.REJECTION_STALE)
    raise _wrong(hit.state)


def _is_verifier(hit: Standing, member_id: str, step: Step) -> None:
    if (hit.state, step) not in TRANSITIONS:
        raise _wrong(hit.state)
    if hit.verifier_id != member_id:
        raise _held()


def _next(state: State.ValueType, step: Step) -> State.ValueType:
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise _wrong(state) from None


def _wrong(state: State.ValueType) -> PlatewardError:
    name = hit_pb2.HitState.Name(state).removeprefix("HIT_STATE_").lower()
    return PlatewardError(
        errors_pb2.ERROR_REASON_HIT_STATE, f"The hit is {name}; what comes next is: {_NEXT[state]}."
    )


def _held(besides: str = "") -> PlatewardError:
    return PlatewardError(
        errors_pb2.ERROR_REASON_HIT_CLAIMED,
        f"Another member has claimed this hit and verifies it: leave it to them, or take another hit{besides}.",
    )
