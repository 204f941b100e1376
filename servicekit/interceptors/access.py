"""May the subject do this? `access` says; no answer is a refusal."""

from __future__ import annotations

from google.protobuf.message import Message

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, decision_pb2, errors_pb2
from servicekit.errors import PlatewardError
from servicekit.interceptors.call import Call
from servicekit.ports import Decider
from servicekit.scopes import is_next_page, request_digest

_COPIED = ("purpose", "window")
_LISTED = {"owner_agency_ids": 64, "camera_ids": 256}


def decide_request(call: Call, request: Message) -> access_pb2.DecideRequest:
    """Return what `access` is asked about a call: fields are taken by name, where the request has them."""
    fields = request.DESCRIPTOR.fields_by_name
    asked = access_pb2.DecideRequest(
        subject=call.context.subject, action=call.method.rule.action, request_id=call.context.request_id
    )
    if call.method.rule.action == action_pb2.ACTION_VIEW_POLICY:
        # A call that asks what would be decided is not made for the purpose that it asks about.
        asked.owner_agency_ids.append(call.context.subject.agency_id)
        return asked
    for name in _COPIED:
        if name in fields and request.HasField(name):
            getattr(asked, name).CopyFrom(getattr(request, name))
    _add_scenes(asked, request)
    for name, most in _LISTED.items():
        if name in fields:
            getattr(asked, name).extend(getattr(request, name)[:most])
    if "plate" in fields and fields["plate"].message_type is None:
        asked.plate = str(request.plate)[:64]  # type: ignore[attr-defined]
    if "approval_id" in fields:
        asked.approval_id = str(getattr(request, "approval_id", ""))[:64]
    if asked.approval_id:
        asked.request_digest = request_digest(request)
    asked.next_page = is_next_page(request)
    if not asked.owner_agency_ids:
        asked.owner_agency_ids.append(call.context.subject.agency_id)
    return asked


def _add_scenes(asked: access_pb2.DecideRequest, request: Message) -> None:
    """Add the span that the scenes of a request cover together."""
    fields = request.DESCRIPTOR.fields_by_name
    scenes = [request.scene] if "scene" in fields else getattr(request, "scenes", ())  # type: ignore[attr-defined]
    windows = [scene.window for scene in scenes if scene.HasField("window")]
    if windows:
        asked.window.start.CopyFrom(min((w.start for w in windows), key=lambda t: (t.seconds, t.nanos)))
        asked.window.end.CopyFrom(max((w.end for w in windows), key=lambda t: (t.seconds, t.nanos)))


async def decide(call: Call, request: Message, decider: Decider, *, again: bool = False) -> None:
    """Ask, and keep the decision in the call; ``again`` asks about one that goes on, whose approval it has used.

    Raises:
        PlatewardError: DENIED_BY_POLICY with the rule, or DECISION_UNAVAILABLE.
    """
    asked = decide_request(call, request)
    asked.next_page = asked.next_page or again
    decision = await decider.decide(asked)
    call.context.decision = decision
    if decision.effect != decision_pb2.EFFECT_ALLOW:
        raise PlatewardError(
            errors_pb2.ERROR_REASON_DENIED_BY_POLICY,
            decision.message or "policy does not allow this",
            metadata={
                "rule": decision.rule,
                "policy_version": decision.policy_version,
                "decision_id": decision.decision_id,
            },
        )
