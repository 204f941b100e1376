"""What Rego is given: the call and the facts about it, as plain objects. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, types_pb2
from servicekit.words import terms, words
from services.access.store import ACTIVE_ACCOUNT, Facts

_NUMBER = re.compile(r"[0-9]{2}")
_OWN, _AGREEMENT, _NONE = "own", "agreement", "none"
_SPAN_S = 3600
_MOST_TELLING = 9
_NO_LIMIT_S = 10 * 365 * 86_400
UNKNOWN_KIND = "AGENCY_KIND_UNSPECIFIED"


def rego_input(
    request: access_pb2.DecideRequest, facts: Facts, policy: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Return the input of a decision. ``policy`` is the data of the version that decides: it says what is worth sending."""
    subject = request.subject
    owners = _owners(request, facts)
    shared = scopes(request, facts)
    return {
        "action": action_pb2.Action.Name(request.action),
        "subject": {
            "kind": action_pb2.CallerKind.Name(subject.kind), "member": bool(subject.member_id),
            "amr": list(subject.amr),
        },
        "agency": {"kind": _agency_kind(subject, facts)},
        "member": _member(facts, policy["training"], now) | _federal(subject, facts),
        "purpose": _purpose(request, facts, policy, now),
        "owners": owners,
        "camera_limit": [] if _OWN in owners.values() else _camera_limit(shared),
        "agreement_window_s": _NO_LIMIT_S if _OWN in owners.values() else _window(shared),
        "cameras": list(request.camera_ids), "scope": _scope(request, policy), "approved": facts.approved,
        "budget": {"looks": facts.looks, "case_plates": facts.case_plates, "new_plate": facts.new_plate},
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


def scopes(request: access_pb2.DecideRequest, facts: Facts) -> list[dict[str, Any]]:
    """Return the agreements that hold for the call: each bounds what is seen of its own owner, and of nobody else."""
    owners = _owners(request, facts)
    return [a for a in _covering(request, facts) if owners.get(a["owner_agency_id"]) == _AGREEMENT]


def _camera_limit(agreements: Sequence[dict[str, Any]]) -> list[str]:
    """Return the cameras that any of the agreements opens, which bounds them all together; empty where one has no limit."""
    if not all(a["camera_ids"] for a in agreements):
        return []
    return sorted({camera for a in agreements for camera in a["camera_ids"]})


def _window(agreements: Sequence[dict[str, Any]]) -> int:
    return max((int(a["window_s"]) for a in agreements), default=_NO_LIMIT_S)


def _member(facts: Facts, training: str, now: datetime) -> dict[str, Any]:
    member = facts.member
    if member is None:
        return {
            "known": False,
            "active": False,
            "roles": {},
            "training_current": False,
            "job_title": "",
        }
    expires = member["training_expires_at"]
    return {
        "known": True,
        "active": member["state"] == ACTIVE_ACCOUNT,
        "roles": dict.fromkeys(member["roles"], True),
        "training_current": member["training"] == training and expires is not None and expires > now,
        "job_title": member["job_title"],
    }


def _federal(subject: types_pb2.Subject, facts: Facts) -> dict[str, bool]:
    # The list's word or the token's: either is enough, and a partner's members stand on no list here.
    listed = facts.member is not None and bool(facts.member["federal_task_force"])
    return {"federal_task_force": listed or subject.federal_task_force}


def _purpose(
    request: access_pb2.DecideRequest, facts: Facts, policy: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    purpose = request.purpose
    typed = f"{purpose.reason} . {purpose.case_number} . {purpose.event_number}"
    return {
        "given": bool(purpose.offence and purpose.reason),
        "offence": purpose.offence,
        "telling": telling(purpose.reason, policy, purpose.offence),
        "terms": terms(typed, policy["terms"]),
        "case": _case(request, facts, policy, now),
        "onward_use_attested": purpose.onward_use_attested,
    }


def telling(reason: str, policy: Mapping[str, Any], offence: str) -> int:
    """Return how many distinct words of a reason say something: not those of the policy's list, nor of the offence's title."""
    title = policy["offences"].get(offence, {}).get("words", {})
    said = sum(word not in policy["vague"] and word not in title for word in words(reason))
    return min(said, _MOST_TELLING)


def case_number(purpose: types_pb2.Purpose) -> str:
    """Return the number that a purpose names: of the case, else of the event; empty when neither holds two digits."""
    given = (n.strip() for n in (purpose.case_number, purpose.event_number))
    return next((n for n in given if _NUMBER.search(n)), "")


def _case(
    request: access_pb2.DecideRequest, facts: Facts, policy: Mapping[str, Any], now: datetime
) -> dict[str, str]:
    """Return how the number stands: none, given (not checked here), unavailable, unknown, closed or open."""
    case, number = facts.case, case_number(request.purpose)
    # A partner's case stands in the partner's system, which the owner cannot ask.
    if not number or not policy["verify_cases"] or request.subject.kind == action_pb2.CALLER_KIND_PARTNER:
        return {"state": "given" if number else "none", "offence": ""}
    if not facts.cases_answer:
        return {"state": "unavailable", "offence": ""}
    if case is None:
        return {"state": "unknown", "offence": ""}
    closed = case["opened_at"] > now or (case["closed_at"] is not None and case["closed_at"] <= now)
    return {"state": "closed" if closed else "open", "offence": case["offence"]}


def _scope(request: access_pb2.DecideRequest, policy: Mapping[str, Any]) -> dict[str, int]:
    """Return how wide the call is; one that names no span may show all that is kept."""
    action = action_pb2.Action.Name(request.action)
    window_s = policy["windows"].get(action, 0) if action in policy["wide"] else 0
    if request.HasField("window"):
        window_s = max(0, request.window.end.seconds - request.window.start.seconds)
    # Rounded up, never down, and identities left out: what policy does not look at would only make inputs differ.
    return {
        "window_s": -(-window_s // _SPAN_S) * _SPAN_S,
        "cameras": len(request.camera_ids),
        "agencies": len(set(request.owner_agency_ids)),
    }
