"""The published tables hold the policy: without any one of its rules, or of the data that denies, a published case fails."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import regopy

from services.access.conformance import published, samples_of_packs
from services.access.engines import RegopyEngine
from services.access.policy import PolicyBundle, rego_rules

SAMPLES = {bundle.document["agency"]: bundle for bundle in samples_of_packs()}
HOME = SAMPLES["elk-grove-pd"]
OF_FILE = {"va": "example-va", "wa": "example-wa", "nh": "example-nh"}
CASES = {name: list(published(bundle)) for name, bundle in SAMPLES.items()}


def rules(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of every top-level rule of a module, each alternative of a rule apart."""
    for match in re.finditer(r"^(?!package|import|#)\S.*?(?=\n\n|\Z)", text, re.MULTILINE | re.DOTALL):
        yield match.span()


def mutants() -> list[Any]:
    found = []
    for name, text in rego_rules().items():
        for number, (start, end) in enumerate(rules(text)):
            kind = "deny" if text[start:].startswith("denies") else "rule"
            first = text[start:end].split("\n")[0]
            found.append(pytest.param(name, start, end, id=f"{kind}-{name}-{number}-{first[:60]}"))
    return found


MUTANTS = mutants()


async def survives(agency: str, bundle: PolicyBundle) -> bool:
    """Return whether every published case of an agency still holds on a changed bundle."""
    engine = RegopyEngine()
    try:
        await engine.load(bundle)
    except regopy.RegoError:
        return False
    try:
        for case in CASES[agency]:
            try:
                if case.fault(await engine.evaluate(case.facts)):
                    return False
            except Exception:
                return False
        return True
    finally:
        await engine.close()


def test_there_is_something_to_mutate() -> None:
    denies = [m for m in MUTANTS if str(m.id).startswith("deny")]
    assert len(denies) >= 40
    assert len(MUTANTS) >= 80


@pytest.mark.req("R-ACC-1")
@pytest.mark.req("R-ACC-2")
@pytest.mark.req("R-ACC-3")
@pytest.mark.parametrize(("name", "start", "end"), MUTANTS)
async def test_without_a_rule_a_published_case_fails(name: str, start: int, end: int) -> None:
    text = rego_rules()[name]
    changed = {**rego_rules(), name: text[:start] + text[end:]}
    stem = name.rpartition("/")[2].removesuffix(".rego")
    agencies = [OF_FILE[stem]] if stem in OF_FILE else list(SAMPLES) if stem == "main" else ["elk-grove-pd"]
    survivors = [a for a in agencies if await survives(a, replace(SAMPLES[a], rules=changed))]
    assert len(survivors) < len(agencies), f"nothing published fails without: {text[start:end]}"


def data_mutants() -> list[Any]:
    """What denies by data: each entry taken away or made harmless."""
    found: list[Any] = []
    for agency, bundle in SAMPLES.items():
        if agency == "example-chp":
            continue
        for pack, entry in bundle.data["pack"].items():
            for kind, clause in entry["kinds"].items():
                if clause:
                    found.append((agency, f"pack.{pack}.kinds.{kind}", ""))
        found += [(agency, f"prohibited.{use}", None) for use in bundle.data["prohibited"]]
    found += [("elk-grove-pd", f"case_states.{state}", None) for state in HOME.data["case_states"]]
    found += [("elk-grove-pd", f"actions.ACTION_SEARCH.roles.{role}", None) for role in ("officer",)]
    found += [("elk-grove-pd", f"actions.ACTION_SEARCH.{flag}", None) for flag in ("purposeful", "partner")]
    found += [
        ("elk-grove-pd", path, 10**9)
        for path in (
            "wide.ACTION_SEARCH.window_s",
            "wide.ACTION_CANVASS.window_s",
            "wide.ACTION_SEARCH.cameras",
            "wide.ACTION_CANVASS.cameras",
            "budgets.plates_per_case",
            "budgets.looks_per_plate",
        )
    ]
    found += [
        ("elk-grove-pd", "reason_least", 0),
        ("elk-grove-pd", "same_offence", False),
        ("elk-grove-pd", "windows.ACTION_SEARCH", 10**9),
    ]
    found += [("elk-grove-pd", "second_factors.sms", True), ("example-wa", "sensitive_cameras", {})]
    return [pytest.param(*m, id=f"{m[0]}-{m[1]}") for m in found]


@pytest.mark.req("R-ACC-2")
@pytest.mark.req("R-SHR-2")
@pytest.mark.parametrize(("agency", "path", "value"), data_mutants())
async def test_without_a_datum_that_denies_a_published_case_fails(agency: str, path: str, value: Any) -> None:
    data = copy.deepcopy(SAMPLES[agency].data)
    *way, last = path.split(".")
    place = data
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    assert not await survives(agency, replace(SAMPLES[agency], data=data))
