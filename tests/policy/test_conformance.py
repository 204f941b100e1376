"""One policy, two engines: every cell of a generated matrix is decided, and decided alike."""

from __future__ import annotations

import itertools
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, types_pb2
from services.access.engines import OpaEngine, RegopyEngine
from services.access.facts import rego_input
from services.access.policy import PolicyBundle, rego_rules
from services.access.store import Facts

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
POLICY = Path(__file__).resolve().parents[2] / "services" / "access" / "policy"
ACTIONS = [v for v in action_pb2.Action.values() if v != action_pb2.ACTION_UNSPECIFIED]
KINDS = [
    f"AGENCY_KIND_{k}"
    for k in ("LOCAL", "STATE", "PROSECUTOR", "OUT_OF_STATE", "FEDERAL", "TRIBAL", "PRIVATE")
] + [None]
OFFENCES = ["vehicle-theft", "immigration-enforcement", "reproductive-care", "personal-use", "other"]
REASON = "silver Accord taken from Laguna Blvd at night"
MEMBERS = ["good", "unknown", "suspended", "untrained", "task-force", "auditor", "administrator"]
OWN, PARTNER = "elk-grove-pd", "galt-pd"


def member(kind: str) -> dict[str, Any] | None:
    if kind == "unknown":
        return None
    roles = {"auditor": ["auditor"], "administrator": ["administrator"]}.get(kind, ["officer", "supervisor"])
    return {
        "state": "ACCOUNT_STATE_SUSPENDED" if kind == "suspended" else "ACCOUNT_STATE_ACTIVE",
        "roles": roles, "training": "alpr-basic", "federal_task_force": kind == "task-force",
        "training_expires_at": NOW - timedelta(days=1) if kind == "untrained" else NOW + timedelta(days=30),
    }  # fmt: skip


def asked(action: int, *, offence: str = "vehicle-theft", reason: str = REASON, case: str = "26-004312", mfa: bool = True,
          partner: bool = False, attested: bool = True, purpose: bool = True) -> access_pb2.DecideRequest:  # fmt: skip
    request = access_pb2.DecideRequest(action=action, owner_agency_ids=[OWN])
    kind = action_pb2.CALLER_KIND_PARTNER if partner else action_pb2.CALLER_KIND_PORTAL
    request.subject.CopyFrom(
        types_pb2.Subject(
            agency_id=PARTNER if partner else OWN,
            kind=kind,
            member_id="m-1",
            amr=["pwd", "otp"] if mfa else ["pwd"],
        )
    )
    if purpose:
        request.purpose.CopyFrom(
            types_pb2.Purpose(offence=offence, case_number=case, reason=reason, onward_use_attested=attested)
        )
    return request


def facts(kind: str | None = "AGENCY_KIND_LOCAL", who: str = "good", agreement: bool = False) -> Facts:
    agreements = (
        [{"owner_agency_id": OWN, "camera_ids": [], "offences": [], "window_s": 604_800}] if agreement else []
    )
    return Facts(kind, member(who), agreements)


def matrix() -> list[dict[str, Any]]:
    cells = []
    for action, offence, who, mfa in itertools.product(ACTIONS, OFFENCES, MEMBERS, (True, False)):
        cells.append(rego_input(asked(action, offence=offence, mfa=mfa), facts(who=who), "alpr-basic", NOW))
    for action, kind, agreement, attested in itertools.product(ACTIONS, KINDS, (True, False), (True, False)):
        cells.append(
            rego_input(
                asked(action, partner=True, attested=attested),
                facts(kind, "unknown", agreement),
                "alpr-basic",
                NOW,
            )
        )
    return cells


@pytest.mark.req("R-ACC-2")
@pytest.mark.req("R-ACC-3")
@pytest.mark.req("R-SHR-1")
@pytest.mark.req("R-SHR-2")
async def test_every_cell_is_decided_alike(bundle: PolicyBundle, opa_url: str) -> None:
    opa, regopy = OpaEngine(opa_url), RegopyEngine()
    try:
        await opa.load(bundle)
        await regopy.load(bundle)
        allowed = 0
        cells = matrix()
        for cell in cells:
            decision = await opa.evaluate(cell)
            assert decision == await regopy.evaluate(cell), cell
            assert decision["rule"], cell
            assert decision["grounds"], cell
            if decision["effect"] == "allow":
                allowed += 1
                held_to_law(cell)
        assert len(cells) > 2500
        assert 0 < allowed < len(cells) / 4
    finally:
        await opa.close()
        await regopy.close()


def held_to_law(cell: dict[str, Any]) -> None:
    """What no allowed cell may be, said apart from the policy."""
    assert cell["agency"]["kind"] in {"AGENCY_KIND_LOCAL", "AGENCY_KIND_STATE", "AGENCY_KIND_PROSECUTOR"}, (
        cell
    )
    assert "otp" in cell["subject"]["amr"], cell
    assert not cell["member"]["federal_task_force"], cell
    assert cell["purpose"]["offence"] == "vehicle-theft", cell
    if cell["subject"]["kind"] == "CALLER_KIND_PORTAL":
        assert cell["member"]["active"], cell
        assert cell["member"]["training_current"], cell
    else:
        assert "none" not in cell["owners"].values() or cell["action"] in {
            "ACTION_MANAGE_SHARING",
            "ACTION_MANAGE_RELEASE",
        }, cell


TABLE = yaml.safe_load((POLICY / "tables" / "search.yaml").read_text(encoding="utf-8"))


@pytest.mark.req("R-ACC-1")
@pytest.mark.req("R-ACC-2")
@pytest.mark.req("R-ACC-3")
@pytest.mark.req("R-ACC-4")
@pytest.mark.req("R-ACC-5")
@pytest.mark.req("R-SHR-2")
@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda c: c["name"])
async def test_published_table(bundle: PolicyBundle, case: dict[str, Any]) -> None:
    engine = RegopyEngine()
    try:
        await engine.load(bundle)
        request = asked(action_pb2.Action.Value(case.get("action", "ACTION_SEARCH")), **case.get("call", {}))
        decision = await engine.evaluate(
            rego_input(request, facts(**case.get("facts", {})), "alpr-basic", NOW)
        )
        assert (decision["effect"], decision["rule"]) == (case["effect"], case["rule"]), decision
    finally:
        await engine.close()


@pytest.mark.req("R-ACC-7")
def test_the_bundle_is_strict_and_formatted(opa_binary: str) -> None:
    check = subprocess.run(
        [opa_binary, "check", "--strict", str(POLICY)], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr
    unformatted = subprocess.run(
        [opa_binary, "fmt", "--list", str(POLICY)], capture_output=True, text=True, check=True
    ).stdout
    assert unformatted == ""


@pytest.mark.req("R-ACC-7")
def test_the_version_follows_rules_and_document(bundle: PolicyBundle) -> None:
    from services.access.policy import load_bundle

    assert load_bundle(bundle.text).version == bundle.version
    assert load_bundle(bundle.text + "\n# changed\n").version != bundle.version
    assert rego_rules() == bundle.rules


@pytest.mark.req("R-ACC-7")
@pytest.mark.parametrize(
    "element", ["purposes", "access", "monitoring", "sharing", "custodian", "accuracy", "retention"]
)
def test_a_document_without_one_of_the_seven_elements_is_refused(bundle: PolicyBundle, element: str) -> None:
    from services.access.policy import PolicyError, load_bundle

    document = {k: v for k, v in bundle.document.items() if k != element}
    with pytest.raises(PolicyError, match=element):
        load_bundle(yaml.safe_dump(document))
