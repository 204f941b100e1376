"""What Rego is given: a call's words, owners and member, as plain objects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateward.access.v1 import access_pb2
from plateward.common.v1 import action_pb2, types_pb2
from servicekit.errors import PlatewardError
from servicekit.words import terms, words
from services.access.engines import checked
from services.access.facts import rego_input, telling
from services.access.policy import PolicyError, load_bundle, sample_document
from services.access.store import Facts

DATA = load_bundle(sample_document("elk-grove-pd")).data
NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


def request(**changes: Any) -> access_pb2.DecideRequest:
    made = access_pb2.DecideRequest(action=action_pb2.ACTION_SEARCH, owner_agency_ids=["elk-grove-pd"])
    made.subject.CopyFrom(
        types_pb2.Subject(agency_id="elk-grove-pd", kind=action_pb2.CALLER_KIND_PORTAL, member_id="m-1")
    )
    for name, value in changes.items():
        getattr(made, name).CopyFrom(value) if hasattr(value, "CopyFrom") else setattr(made, name, value)
    return made


def member(**changes: Any) -> dict[str, Any]:
    return {"state": "ACCOUNT_STATE_ACTIVE", "roles": ["officer"], "job_title": "detective", "training": "alpr-basic", "federal_task_force": False,
            "training_expires_at": NOW + timedelta(days=1)} | changes  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (".", []),
        ("ICE WARRANT", ["ice", "warrant"]),
        ("the owner's car, a red one", ["the", "owner's", "car", "red", "one"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert list(words(text)) == expected


@given(st.text())
def test_words_take_any_text(text: str) -> None:
    assert all(word == word.lower() for word in words(text))
    assert set(terms(text, DATA["terms"])) <= set(DATA["terms"])
    assert telling(text, DATA, "vehicle-theft") >= 0


@pytest.mark.req("R-ACC-3")
@pytest.mark.parametrize(
    "text",
    [
        "ICE",
        "i.c.e.",
        "I C E hold",
        "\u0406\u0421\u0415 hold",
        "1CE",
        "ｉｃｅ",
        "Ice-warrant",
        "deportee wanted",
        "border  patrol asks",
        "undocumented\u200b driver",
    ],
)
def test_a_refused_word_is_found_however_it_is_written(text: str) -> None:
    found = terms(text, DATA["terms"])
    assert {DATA["terms"][key] for key in found} == {"immigration-enforcement"}


@pytest.mark.parametrize(
    "text",
    [
        "rice truck",
        "office burglary",
        "price of justice",
        "icebox theft from garage",
        "Alienware laptop taken",
    ],
)
def test_words_that_only_contain_a_refused_one_are_not(text: str) -> None:
    assert terms(text, DATA["terms"]) == {}


@pytest.mark.req("R-ACC-1")
def test_what_facts_leave_out_changes_no_decision() -> None:
    """Terms that the index lacks are pruned; the rules look each up, so that more of them would change nothing."""
    for text in ("silver Accord taken", "ICE warrant", "had an abortion, search for female"):
        pruned = terms(text, DATA["terms"])
        assert pruned.keys() == {t for t in {*pruned, *words(text)} if t in DATA["terms"]}


@pytest.mark.req("R-ACC-4")
@pytest.mark.parametrize(
    ("changes", "current"),
    [
        ({}, True),
        ({"training_expires_at": NOW}, False),
        ({"training_expires_at": None}, False),
        ({"training": "other-course"}, False),
    ],
)
def test_training_holds_until_it_expires(changes: dict[str, Any], current: bool) -> None:
    made = rego_input(request(), Facts("AGENCY_KIND_LOCAL", member(**changes), []), DATA, NOW)
    assert made["member"]["training_current"] is current


@pytest.mark.req("R-SHR-1")
def test_an_agreement_holds_for_its_offences_cameras_and_window_only() -> None:
    agreement = {
        "owner_agency_id": "elk-grove-pd",
        "camera_ids": ["cam-1"],
        "offences": ["vehicle-theft"],
        "window_s": 3600,
    }
    partner = types_pb2.Subject(agency_id="galt-pd", kind=action_pb2.CALLER_KIND_PARTNER, member_id="g-1")
    for offence, state in (("vehicle-theft", "agreement"), ("homicide", "none")):
        purpose = types_pb2.Purpose(offence=offence, reason="silver Accord taken")
        made = rego_input(
            request(subject=partner, purpose=purpose),
            Facts("AGENCY_KIND_LOCAL", None, [agreement]),
            DATA,
            NOW,
        )
        assert made["owners"] == {"elk-grove-pd": state}
        assert made["camera_limit"] == (["cam-1"] if state == "agreement" else [])
        assert (made["agreement_window_s"] == 3600) is (state == "agreement")


@pytest.mark.req("R-SHR-2")
def test_an_agency_that_nobody_registered_is_of_no_kind() -> None:
    assert (
        rego_input(request(), Facts(None, None, []), DATA, NOW)["agency"]["kind"] == "AGENCY_KIND_UNSPECIFIED"
    )


@pytest.mark.req("R-ACC-1")
@pytest.mark.parametrize(
    "result",
    [
        None,
        {},
        [],
        "allow",
        {"effect": "allow"},
        {"effect": "maybe", "rule": "r"},
        {"effect": "allow", "rule": ""},
    ],
)
def test_whatever_is_no_decision_is_a_refusal(result: object) -> None:
    with pytest.raises(PlatewardError, match="nothing is allowed without a decision"):
        checked(result)


@pytest.mark.req("R-ACC-7")
def test_a_document_that_is_no_yaml_or_misspells_is_refused() -> None:
    with pytest.raises(PolicyError, match="YAML"):
        load_bundle("a: [")
    with pytest.raises(PolicyError, match="retention"):
        load_bundle(sample_document("elk-grove-pd").replace("days: 30,", "dayz: 30,"))
    with pytest.raises(PolicyError, match="no sample"):
        sample_document("atlantis")
