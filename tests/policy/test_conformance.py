"""One policy, two engines: every published case and every cell of the matrix is decided as published, and alike."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.access.conformance import Case, matrix, published, samples_of_packs
from services.access.engines import Engine, OpaEngine, RegopyEngine
from services.access.policy import PolicyBundle, load_bundle, rego_rules, static_data

POLICY = Path(__file__).resolve().parents[2] / "services" / "access" / "policy"
SAMPLES = samples_of_packs()
AT_ONCE = 32


@pytest.fixture
async def regopy(bundle: PolicyBundle) -> AsyncIterator[Engine]:
    engine = RegopyEngine()
    await engine.load(bundle)
    yield engine
    await engine.close()


async def decided(engine: Engine, cases: list[Case]) -> list[dict[str, Any]]:
    """Decide all cases, some at once; in order."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> dict[str, Any]:
        async with gate:
            return await engine.evaluate(case.facts)

    return await asyncio.gather(*(one(case) for case in cases))


@pytest.mark.req("R-ACC-1")
@pytest.mark.req("R-ACC-2")
@pytest.mark.req("R-ACC-3")
@pytest.mark.req("R-ACC-4")
@pytest.mark.req("R-ACC-5")
@pytest.mark.req("R-SHR-2")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda b: b.document["agency"])
async def test_published_tables(sample: PolicyBundle) -> None:
    engine = RegopyEngine()
    try:
        await engine.load(sample)
        cases = list(published(sample))
        faults = [f for case in cases if (f := case.fault(await engine.evaluate(case.facts)))]
        assert not faults, "\n".join(faults)
        assert len(cases) > 40
    finally:
        await engine.close()


@pytest.mark.req("R-ACC-2")
@pytest.mark.req("R-ACC-3")
@pytest.mark.req("R-SHR-1")
@pytest.mark.req("R-SHR-2")
@pytest.mark.req("R-SHR-5")
async def test_every_cell_is_decided_as_published_and_alike(
    bundle: PolicyBundle, opa: OpaEngine, regopy: Engine
) -> None:
    unique: dict[str, Case] = {}
    for case in (*published(bundle), *matrix(bundle)):
        unique.setdefault(json.dumps(case.facts, sort_keys=True), case)
    cases = list(unique.values())
    assert len(cases) >= 20_000
    by_opa, by_regopy = await decided(opa, cases), await decided(regopy, cases)
    allowed = 0
    for case, one, other in zip(cases, by_opa, by_regopy, strict=True):
        assert one == other, case.name
        assert not case.fault(one)
        assert one["grounds"], case.name
        if one["effect"] == "allow":
            allowed += 1
            held_to_law(case.facts)
    assert 0 < allowed < len(cases) / 4


def held_to_law(cell: dict[str, Any]) -> None:
    """What no allowed cell may be, said apart from rules and tables."""
    assert cell["agency"]["kind"] in {
        "AGENCY_KIND_LOCAL",
        "AGENCY_KIND_STATE",
        "AGENCY_KIND_PROSECUTOR",
        "PLATFORM",
    }, cell
    assert {"otp", "hwk"} & set(cell["subject"]["amr"]) or cell["action"] == "ACTION_DESTROY", cell
    assert not cell["member"]["federal_task_force"], cell
    assert not cell["purpose"]["terms"], cell
    if cell["subject"]["kind"] == "CALLER_KIND_PORTAL":
        assert cell["member"]["active"], cell
        assert cell["member"]["training_current"], cell
        assert set(cell["owners"].values()) == {"own"}, cell
    elif cell["action"] not in {"ACTION_MANAGE_SHARING", "ACTION_MANAGE_RELEASE", "ACTION_DESTROY"}:
        assert "none" not in cell["owners"].values(), cell


@pytest.mark.parametrize("sample", SAMPLES[1:], ids=lambda b: b.document["agency"])
async def test_the_packs_of_other_states_on_both_engines(sample: PolicyBundle, opa_for: Any) -> None:
    opa, regopy = await opa_for(sample), RegopyEngine()
    try:
        await regopy.load(sample)
        cases = list(published(sample))
        assert await decided(opa, cases) == await decided(regopy, cases)
    finally:
        await regopy.close()


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
    assert load_bundle(bundle.text).version == bundle.version
    assert load_bundle(bundle.text + "\n# changed\n").version != bundle.version
    assert rego_rules() == bundle.rules


@pytest.mark.req("R-ACC-7")
@pytest.mark.parametrize(
    "element", ["purposes", "access", "monitoring", "sharing", "custodian", "accuracy", "retention"]
)
def test_a_document_without_one_of_the_seven_elements_is_refused(bundle: PolicyBundle, element: str) -> None:
    from services.access.policy import PolicyError

    document = {k: v for k, v in bundle.document.items() if k != element}
    with pytest.raises(PolicyError, match=element):
        load_bundle(yaml.safe_dump(document))


@pytest.mark.req("R-ACC-2")
def test_every_clause_that_a_rule_names_has_its_sentence_and_every_sentence_its_rule() -> None:
    import re

    named = {
        c
        for text in rego_rules().values()
        for c in re.findall(r'(?:denies|grounds) contains "([a-z]+\.[a-z0-9-]+)"', text)
    }
    static = static_data()
    written = {c for part in static.values() for c in part.get("clauses", {})}
    by_data = {rule for part in static.values() for rule in part.get("kinds", {}).values() if rule}
    by_data |= {"agency.case-unknown", "agency.case-closed", "agency.case-registry", "platform.default-deny"}
    by_data |= {cap["clause"] for part in static.values() for cap in part.get("caps", ())}
    grounds_only = {"platform.unattended", "agency.case-known", "ca.sb34-public-agency", "ca.sb34-agreement"}
    assert named - written == grounds_only
    assert written - named - by_data == set()
    for part in static.values():
        for clause, entry in part.get("clauses", {}).items():
            assert re.fullmatch(r"[0-9]{2}", entry["order"]), clause
            assert len(entry["text"]) > 30, clause
