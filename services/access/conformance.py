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
from services.access.policy import PolicyBundle, load_bundle, packs_of, sample_document
from services.access.policy_data import DAY_S, prohibited
from services.access.store import ACTIVE_ACCOUNT, Facts

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
PARTNER = "partner-pd"
GOOD_REASON = "silver Accord taken from Laguna Blvd at night"
_OPEN_CAMERA = "cam-main-1"


class TableError(Exception):
    """A table cannot be read; the message names the case."""


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
        owner_agency_ids=_owners(call, own),
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


def _owners(call: Mapping[str, Any], own: str) -> list[str]:
    if "many_owners" in call:
        return [f"owner-{n}" for n in range(call["many_owners"])]
    return list(call.get("owners", [own]))


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
    if known.get("agreement_of_all"):
        rows = [{**agreement, "owner_agency_id": owner} for owner in _owners(call, own)]
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
    if any(bundle.data[flag] != wanted for flag, wanted in table.get("when", {}).items()):
        return False
    return agency == bundle.document["agency"] and set(table.get("packs", ())) <= set(
        bundle.document["packs"]
    )


def _numbers(bundle: PolicyBundle) -> dict[str, Any]:
    """Return what a table may name by ``$``: bounds of the document, and one more or less than them."""
    wide, budgets = bundle.data["wide"], bundle.data["budgets"]
    search, canvass = wide["ACTION_SEARCH"], wide["ACTION_CANVASS"]
    windows = bundle.data["windows"]
    unspanned = windows["ACTION_CANVASS"] > canvass["window_s"]
    found: dict[str, Any] = {
        "search_days": search["window_s"] / DAY_S, "canvass_days": canvass["window_s"] / DAY_S, "cameras": search["cameras"],
        "canvass_cameras": canvass["cameras"],
        "agencies": search["agencies"], "looks": budgets["looks_per_plate"], "plates": budgets["plates_per_case"],
    }  # fmt: skip
    found |= {f"{name}_more": value + 1 for name, value in found.items()} | {
        f"{name}_less": value - 1 for name, value in found.items()
    }
    found |= {
        "read": windows["ACTION_SEARCH"],
        "crop": windows["ACTION_VIEW_IMAGE"],
        "hit": windows["ACTION_VIEW_HITS"],
    }
    return found | {
        "unspanned_effect": "deny" if unspanned else "allow",
        "unspanned_rule": "agency.second-person" if unspanned else "platform.allowed",
    }


def _filled(value: Any, numbers: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {k: _filled(v, numbers) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, numbers) for v in value]
    return numbers[value[1:]] if isinstance(value, str) and value.startswith("$") else value


def _case(bundle: PolicyBundle, table: str, written: Mapping[str, Any], numbers: Mapping[str, Any]) -> Case:
    try:
        entry = _filled(written, numbers)
        call = ({"action": entry["action"]} if "action" in entry else {}) | entry.get("call", {})
        made = engine_input(bundle, call, entry.get("facts", {}))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TableError(f"{table}: {written.get('name')!r} cannot be read: {error}") from error
    return Case(
        table, entry["name"], made, entry["effect"], entry["rule"], entry.get("obligations", {}), frozenset(entry.get("grounds", ())),
    )  # fmt: skip


def published(bundle: PolicyBundle) -> Iterator[Case]:
    """Yield the cases of the tables that apply to a document, its own, and those that follow from its prohibited uses.

    Raises:
        TableError: a case cannot be read.
    """
    numbers = _numbers(bundle)
    parts = [(name, yaml.safe_load(text)) for name, text in bundle.tables.items()]
    parts.append(("document", {"cases": bundle.document.get("tests", ())}))
    for name, table in parts:
        if _applies(table, bundle):
            for entry in table.get("cases", ()):
                yield _case(bundle, name, entry, numbers)
    for use, entry in prohibited(bundle.document, packs_of(bundle.document)).items():
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
    for name, text in bundle.tables.items():
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
    uses = prohibited(bundle.document, packs_of(bundle.document))
    every = {"$offences": list(bundle.data["offences"]), "$prohibited": list(uses)}
    return {
        name: [
            v for value in values for v in (every.get(value, [value]) if isinstance(value, str) else [value])
        ]
        for name, values in block.items()
    }


def _cell(bundle: PolicyBundle, table: str, cell: dict[str, Any], rows: list[dict[str, Any]]) -> Case:
    uses = prohibited(bundle.document, packs_of(bundle.document))
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
