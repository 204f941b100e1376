"""Whether policy would let another agency ask: its kind, and the words it asks with, judged by the same rules as a call.

An agreement or a release is decided long after it was asked for, and by somebody else. What was true of the asking agency
then may no longer be, so the question is put to the policy again, in that agency's place.
"""

from __future__ import annotations

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, decision_pb2, errors_pb2, types_pb2
from servicekit.errors import PlatewardError
from services.access.decide import Core

_MOST_REASON = 500
# The agency's standing is asked for, not a person's.
_NOBODY = "standing"


async def require_standing(
    core: Core, *, agency_id: str, owner: str, action: action_pb2.Action.ValueType, words: str
) -> decision_pb2.Decision:
    """Return the decision when policy lets an agency ask an owner with these words.

    Raises:
        PlatewardError: DENIED_BY_POLICY with the rule; DECISION_UNAVAILABLE.
    """
    decision = decision_pb2.Decision()
    # The words are judged in full, in pieces as long as a reason may be.
    for start in range(0, max(len(words), 1), _MOST_REASON - 100):
        decision = await core.decide(
            access_pb2.DecideRequest(
                subject=types_pb2.Subject(
                    agency_id=agency_id,
                    kind=action_pb2.CALLER_KIND_PARTNER,
                    member_id=_NOBODY,
                    amr=["mfa"],
                ),
                action=action,
                purpose=types_pb2.Purpose(reason=words[start : start + _MOST_REASON]),
                owner_agency_ids=[owner],
            )
        )
        if decision.effect != decision_pb2.EFFECT_ALLOW:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
                decision.message or "policy does not allow this",
                metadata={"rule": decision.rule, "policy_version": decision.policy_version},
            )
    return decision
