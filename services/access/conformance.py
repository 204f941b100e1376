"""The published tables: what the policy answers, case by case, as anyone may read it and run it.

Rules
-----
1. A table of *cases* lists calls with effect and clause. A *matrix* lists dimensions and rows; the first row that fits a
   cell is what the cell must answer, and a cell without a row is a failure: nothing is open by default.
2. Tables are part of the bundle: they are published, signed and versioned with the rules.
3. What is left out of a case is the good case: an own officer with training, a second factor, an open case and a reason.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, types_pb2
from services.access.engines import Engine
from services.access.facts import rego_input
from services.access.policy import PolicyBundle, load_bundle, sample_document, tables
from services.access.policy_data import prohibited
from services.access.store import ACTIVE_ACCOUNT, Facts

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
PARTNER = "partner-pd"
GOOD_REASON = "silver Accord taken from Laguna Blvd at night"
_OPEN_CAMERA = "cam-main-1"


@dataclass(frozen=True, slots=True)
class Case:
    """One published call with its answer."""

    table: str
    name: str
    facts: dict[str, Any]
    effect: str
    rule: str
    obligations: dict[str, Any]
    grounds: frozenset[str] = frozenset()

    def fault(self, decision: Mapping[str, Any]) -> str:
        """Return what a decision has that the case does not say; empty when they agree."""
        if (decision["effect"], decision["rule"]) != (self.effect, self.rule):
            return f"{self.table}: {self.name}: {self.effect} by {self.rule} is published, {decision['effect']} by {decision['rule']} is decided"
        if missing := self.grounds - set(decision["grounds"]):
            return f"{self.table}: {self.name}: the decision does not name its ground {', '.join(sorted(missing))}"
        for name, value in self.obligations.items():
            if decision["obligations"].get(name) != value:
                return f"{self.table}: {self.name}: obligation {name} is published as {value!r} and decided as {decision['obligations'].get(name)!r}"
        return ""


def request(bundle: PolicyBundle, call: Mapping[str, Any]) -> access_pb2.DecideRequest:
    """Return the call that a case describes."""
    own, data = bundle.document["agency"], bundle.data
    partner = bool(call.get("partner"))
    made = access_pb2.DecideRequest(
        action=action_pb2.Action.Value(call.get("action", "ACTION_SEARCH")),
        owner_agency_ids=call.get("owners", [own]),
        camera_ids=call.get("cameras", _cameras(call, data)),
    )
    kind = call.get("caller", "PARTNER" if partner else "PORTAL")
    made.subject.CopyFrom(
        types_pb2.Subject(
            agency_id=PARTNER if partner else own,
            kind=action_pb2.CallerKind.Value(f"CALLER_KIND_{kind}"),
            member_id=call.get("member", "m-1"),
            amr=call.get("amr", ["pwd", "otp"] if call.get("mfa", True) else ["pwd"]),
        )
    )
    if call.get("purpose", True):
        made.purpose.CopyFrom(
            types_pb2.Purpose(
                offence=call.get("offence", next(iter(data["offences"]))),
                case_number=call.get("case", "26-004312"),
                event_number=call.get("event", ""),
                reason=call.get("reason", GOOD_REASON),
                onward_use_attested=call.get("attested", True),
            )
        )
    if days := call.get("days", 1):
        made.window.end.FromDatetime(NOW)
        made.window.start.FromDatetime(NOW - timedelta(days=days))
    return made


def _cameras(call: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    if "many_cameras" in call:
        return [f"cam-{n}" for n in range(call["many_cameras"])]
    return [_OPEN_CAMERA] if data["sensitive_cameras"] else []


def facts(bundle: PolicyBundle, call: Mapping[str, Any], known: Mapping[str, Any]) -> Facts:
    """Return what the database knows in a case."""
    own = bundle.document["agency"]
    shared = known.get("agreement")
    agreement = {"owner_agency_id": own, "camera_ids": [], "offences": [], "window_s": 604_800}
    rows = [agreement | (shared if isinstance(shared, dict) else {})] if shared else []
    rows += [{**agreement, "owner_agency_id": owner} for owner in known.get("agreements_of", ())]
    offence = call.get("offence", next(iter(bundle.data["offences"])))
    case: dict[str, Any] | None = {
        "offence": known.get("case_offence", offence),
        "opened_at": NOW - timedelta(days=2),
        "closed_at": NOW - timedelta(days=1) if known.get("case") == "closed" else None,
    }
    return Facts(
        agency_kind=known.get("kind", "AGENCY_KIND_LOCAL"),
        member=_member(bundle, known, partner=bool(call.get("partner"))),
        agreements=rows,
        case=None if known.get("case") == "unknown" else case,
        cases_answer=known.get("case") != "unavailable",
        approved=known.get("approved", False),
        looks=known.get("looks", 0),
        case_plates=known.get("case_plates", 0),
        new_plate=known.get("new_plate", False),
    )


def _member(bundle: PolicyBundle, known: Mapping[str, Any], *, partner: bool) -> dict[str, Any] | None:
    if not known.get("member", not partner):
        return None
    training = known.get("training", "current")
    return {
        "state": known.get("state", ACTIVE_ACCOUNT),
        "roles": known.get("roles", ["officer"]),
        "job_title": known.get("job_title", next(iter(bundle.data["job_titles"]))),
        "training": "" if training == "none" else bundle.data["training"],
        "training_expires_at": NOW + timedelta(days=-1 if training == "expired" else 30),
        "federal_task_force": known.get("task_force", False),
    }


def engine_input(bundle: PolicyBundle, call: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input of the engines for a case."""
    return rego_input(request(bundle, call), facts(bundle, call, known), bundle.data, NOW)


def _applies(table: Mapping[str, Any], bundle: PolicyBundle) -> bool:
    agency = table.get("agency", bundle.document["agency"])
    return agency == bundle.document["agency"] and set(table.get("packs", ())) <= set(
        bundle.document["packs"]
    )


def published(bundle: PolicyBundle) -> Iterator[Case]:
    """Yield the cases of the tables that apply to a document, and those that follow from its own prohibited uses."""
    for name, text in tables().items():
        table = yaml.safe_load(text)
        if not _applies(table, bundle):
            continue
        for entry in table.get("cases", ()):
            call = {"action": entry["action"]} if "action" in entry else {}
            call |= entry.get("call", {})
            yield Case(
                name, entry["name"], engine_input(bundle, call, entry.get("facts", {})),
                entry["effect"], entry["rule"], entry.get("obligations", {}),
                frozenset(entry.get("grounds", ())),
            )  # fmt: skip
    for use, entry in prohibited(bundle.document, bundle.packs).items():
        made = engine_input(bundle, {"offence": use}, {})
        yield Case("document", f"{use} as the offence", made, "deny", entry["rule"], {})
        for word in entry["words"]:
            made = engine_input(bundle, {"reason": f"{GOOD_REASON}, {word.removesuffix('*')}"}, {})
            yield Case("document", f"{use}: {word!r} in the reason", made, "deny", entry["rule"], {})


def matrix(bundle: PolicyBundle) -> Iterator[Case]:
    """Yield every cell of the matrices that apply, with what the first row that fits it says.

    Raises:
        ValueError: a cell that no row decides.
    """
    for name, text in tables().items():
        table = yaml.safe_load(text)
        if "matrix" not in table or not _applies(table, bundle):
            continue
        rows = table["rows"]
        for block in table["matrix"]:
            dimensions = _dimensions(block, bundle)
            for values in itertools.product(*dimensions.values()):
                cell = dict(zip(dimensions, values, strict=True))
                yield _cell(bundle, name, cell, rows)


def _dimensions(block: Mapping[str, list[Any]], bundle: PolicyBundle) -> dict[str, list[Any]]:
    uses = prohibited(bundle.document, bundle.packs)
    every = {"$offences": list(bundle.data["offences"]), "$prohibited": list(uses)}
    return {
        name: [
            v for value in values for v in (every.get(value, [value]) if isinstance(value, str) else [value])
        ]
        for name, values in block.items()
    }


def _cell(bundle: PolicyBundle, table: str, cell: dict[str, Any], rows: list[dict[str, Any]]) -> Case:
    uses = prohibited(bundle.document, bundle.packs)
    offence = cell["purpose"]
    group = (
        "none"
        if offence == "none"
        else "prohibited"
        if offence in uses
        else "listed"
        if offence in bundle.data["offences"]
        else "unlisted"
    )
    seen = {**cell, "purpose": group}
    row = next((r for r in rows if all(seen.get(k) in v for k, v in r["when"].items())), None)
    name = ", ".join(f"{k} {v}" for k, v in cell.items())
    if row is None:
        raise ValueError(f"{table}: no row decides: {name}")
    rule = uses[offence]["rule"] if row.get("rule") == "$prohibited" else row.get("rule", "platform.allowed")
    return Case(table, name, cell_input(bundle, cell), "deny" if "rule" in row else "allow", rule, {})


_PARTIES = {
    "own": "AGENCY_KIND_LOCAL", "task-force": "AGENCY_KIND_LOCAL", "local": "AGENCY_KIND_LOCAL", "state": "AGENCY_KIND_STATE",
    "prosecutor": "AGENCY_KIND_PROSECUTOR", "out-of-state": "AGENCY_KIND_OUT_OF_STATE", "federal": "AGENCY_KIND_FEDERAL",
    "tribal": "AGENCY_KIND_TRIBAL", "private": "AGENCY_KIND_PRIVATE", "partner-task-force": "AGENCY_KIND_LOCAL", "unregistered": None,
}  # fmt: skip


def cell_input(bundle: PolicyBundle, cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input of the engines for a cell of a matrix."""
    party = cell["party"]
    partner = party not in {"own", "task-force"}
    call = {
        "action": f"ACTION_{cell['action']}", "partner": partner, "mfa": cell["mfa"], "purpose": cell["purpose"] != "none",
        "offence": cell["purpose"], "attested": cell.get("attested", True),
        "reason": "investigation" if cell.get("reason") == "vague" else GOOD_REASON,
    }  # fmt: skip
    other = [o for o in bundle.data["offences"] if o != cell["purpose"]][:1]
    agreements: dict[str, Any] = {
        "active": True, "cameras": {"camera_ids": ["cam-1"]}, "other-offence": {"offences": other}, "none": False,
    }  # fmt: skip
    known = {
        "kind": _PARTIES[party], "roles": [cell.get("role", "officer")], "training": cell.get("training", "current"),
        "task_force": party.endswith("task-force"), "member": not partner or party.endswith("task-force"),
        "agreement": agreements[cell.get("agreement", "none")],
    }  # fmt: skip
    return engine_input(bundle, call, known)


async def faults(engine: Engine, cases: Iterator[Case]) -> tuple[int, list[str]]:
    """Run cases on an engine that has the bundle; return how many, and what disagrees."""
    count, found = 0, []
    for case in cases:
        count += 1
        if fault := case.fault(await engine.evaluate(case.facts)):
            found.append(fault)
    return count, found


def samples_of_packs() -> list[PolicyBundle]:
    """Return a document for each pack: the shipped examples, on which their tables are run."""
    return [
        load_bundle(sample_document(name))
        for name in ("elk-grove-pd", "example-va", "example-wa", "example-nh", "example-chp")
    ]
