"""What Rego is given: the call and the facts about it, as plain objects. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, types_pb2
from services.access.store import ACTIVE_ACCOUNT, Facts

_WORD = re.compile(r"[a-z][a-z'-]*")
_OWN, _AGREEMENT, _NONE = "own", "agreement", "none"
_NO_LIMIT_S = 10 * 365 * 86_400
UNKNOWN_KIND = "AGENCY_KIND_UNSPECIFIED"


def words(text: str) -> dict[str, bool]:
    """Return the words of a text, lower-cased, as an object."""
    return dict.fromkeys(_WORD.findall(text.lower()), True)


def rego_input(
    request: access_pb2.DecideRequest, facts: Facts, training: str, now: datetime
) -> dict[str, Any]:
    """Return the input of a decision."""
    subject = request.subject
    owners = _owners(request, facts)
    shared = [a for a in _covering(request, facts) if owners.get(a["owner_agency_id"]) == _AGREEMENT]
    return {
        "action": action_pb2.Action.Name(request.action),
        "subject": {
            "agency": subject.agency_id, "kind": action_pb2.CallerKind.Name(subject.kind), "member_id": subject.member_id,
            "amr": list(subject.amr),
        },
        "agency": {"kind": _agency_kind(subject, facts)},
        "member": _member(facts, training, now) | _federal(subject, facts),
        "purpose": _purpose(request.purpose if request.HasField("purpose") else None),
        "owners": owners,
        "camera_limit": _camera_limit(shared),
        "agreement_window_s": min((int(a["window_s"]) for a in shared), default=_NO_LIMIT_S),
        "approved": facts.approved,
    }  # fmt: skip


def _agency_kind(subject: types_pb2.Subject, facts: Facts) -> str:
    # The platform's own services are no agency: they are never out of state.
    if subject.kind == action_pb2.CALLER_KIND_SERVICE:
        return "PLATFORM"
    return facts.agency_kind or UNKNOWN_KIND


def _covering(request: access_pb2.DecideRequest, facts: Facts) -> list[dict[str, Any]]:
    """Return the agreements that hold for the offence of the call; one that names none holds for all."""
    offence = request.purpose.offence
    return [a for a in facts.agreements if not a["offences"] or offence in a["offences"]]


def _owners(request: access_pb2.DecideRequest, facts: Facts) -> dict[str, str]:
    """Return owner → own, agreement or none."""
    covered = {a["owner_agency_id"] for a in _covering(request, facts)}
    own = request.subject.agency_id
    return {o: _OWN if o == own else _AGREEMENT if o in covered else _NONE for o in request.owner_agency_ids}


def _camera_limit(agreements: Sequence[dict[str, Any]]) -> list[str]:
    limited = [set(a["camera_ids"]) for a in agreements if a["camera_ids"]]
    return sorted(set().union(*limited)) if limited else []


def _member(facts: Facts, training: str, now: datetime) -> dict[str, Any]:
    member = facts.member
    if member is None:
        return {
            "known": False,
            "active": False,
            "roles": {},
            "training_current": False,
        }
    expires = member["training_expires_at"]
    return {
        "known": True,
        "active": member["state"] == ACTIVE_ACCOUNT,
        "roles": dict.fromkeys(member["roles"], True),
        "training_current": member["training"] == training and expires is not None and expires > now,
    }


def _federal(subject: types_pb2.Subject, facts: Facts) -> dict[str, bool]:
    # The list's word or the token's: either is enough, and a partner's members stand on no list here.
    listed = facts.member is not None and bool(facts.member["federal_task_force"])
    return {"federal_task_force": listed or subject.federal_task_force}


def _purpose(purpose: types_pb2.Purpose | None) -> dict[str, Any]:
    purpose = purpose or types_pb2.Purpose()
    return {
        "given": bool(purpose.offence and purpose.reason),
        "offence": purpose.offence,
        "case_number": purpose.case_number,
        "event_number": purpose.event_number,
        "words": words(purpose.reason),
        "onward_use_attested": purpose.onward_use_attested,
    }
