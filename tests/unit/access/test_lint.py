"""The linter: the seed's own policy first, then one contradiction at a time."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.access.conformance import samples_of_packs
from services.access.lint import ELEMENTS, lint
from services.access.policy import PolicyError, load_bundle, parse, sample_document

SEED = sample_document("elk-grove-pd-as-written")
GOOD = sample_document("elk-grove-pd")


def found(document: dict[str, Any] | str) -> dict[str, list[tuple[str, ...]]]:
    text = document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False)
    rules: dict[str, list[tuple[str, ...]]] = {}
    for finding in lint(text):
        assert finding.clauses, finding
        assert len(finding.message) > 20, finding
        rules.setdefault(finding.rule, []).append(finding.clauses)
    return rules


@pytest.mark.req("R-ACC-7")
@pytest.mark.req("R-RET-1")
@pytest.mark.parametrize(
    ("rule", "clauses"),
    [
        ("retention-contradicts", ("portal.retention", "462.4")),
        ("verification-contradicts", ("portal.hotlist", "462.3(f)")),
        ("log-too-thin", ("462.5(a)", "Civil Code 1798.90.52(a)")),
        ("sharing-contradicts", ("portal.sharing", "462.7")),
        ("element-missing", ("Civil Code 1798.90.51(b)(2)(F)", "accuracy")),
        ("element-missing", ("Civil Code 1798.90.51(b)(2)(E)", "custodian")),
        ("audit-contradicts", ("462.5(c)", "portal.access")),
        ("case-number-loose", ("portal.access", "purposes.offences")),
        ("factors-contradict", ("portal.mfa", "462.5(a)")),
        ("clauses-mixed", ("462", "463")),
    ],
)
def test_the_seed_contradicts_itself(rule: str, clauses: tuple[str, ...]) -> None:
    assert any(set(clauses) == set(named) for named in found(SEED).get(rule, [])), found(SEED).get(rule)


@pytest.mark.req("R-ACC-7")
def test_the_seed_as_written_cannot_be_published() -> None:
    with pytest.raises(PolicyError):
        load_bundle(SEED)


@pytest.mark.parametrize("sample", samples_of_packs(), ids=lambda b: b.document["agency"])
def test_the_shipped_documents_can_be_published(sample: Any) -> None:
    refused = [f for f in lint(sample.text) if f.refused]
    assert not refused or {(f.rule, f.clauses[0]) for f in refused} == {
        ("use-unmapped", "purposes.offences.abandoned-vehicle")
    }


@pytest.mark.req("R-ACC-7")
@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("emptied", ["left out", "empty"])
def test_each_of_the_seven_elements_must_be_there(element: str, emptied: str) -> None:
    document = parse(GOOD)
    if emptied == "left out":
        del document[element]
    else:
        document[element] = {}
    letter = ELEMENTS[element][0]
    assert (f"Civil Code 1798.90.51(b)(2)({letter})", element) in found(document)["element-missing"]


def changed(**parts: Any) -> dict[str, Any]:
    document = parse(GOOD)
    for path, value in parts.items():
        *way, last = path.split("__")
        place = document
        for step in way:
            place = place.setdefault(step.replace("_", "-") if step.replace("_", "-") in place else step, {})
        place[last] = value
    return document


@pytest.mark.req("R-RET-1")
@pytest.mark.parametrize(
    ("rule", "document"),
    [
        ("retention-over-cap", changed(agency_type="chp", retention__read={"days": 365, "basis": "records schedule"})),
        ("crop-outlives-read", changed(retention__crop={"days": 60, "basis": "records schedule"})),
        ("hit-shorter-than-read", changed(retention__hit={"days": 3, "basis": "records schedule"})),
        ("basis-against-value", changed(retention__read={"days": 30, "basis": "one year, Gov. Code 34090.6"})),
        ("text-against-value", changed(statements=[{"clause": "x.1", "text": "kept 30 days", "retention": {"kind": "read", "exactly_days": 365}}])),
        ("retention-contradicts", changed(statements=[{"clause": "x.1", "text": "at most a week", "retention": {"kind": "read", "most_days": 7}}])),
        ("sharing-refused-by-law", changed(sharing__kinds=["AGENCY_KIND_FEDERAL"])),
        ("pack-missing", changed(state="US-WA")),
        ("pack-foreign", changed(packs=["ca", "va"])),
        ("use-unmapped", changed(packs=["ca", "nh"])),
        ("use-contradicts", changed(purposes__offences={"personal-use": {"title": "Personal use", "needs_case": True}})),
        ("use-not-enforced", changed(statements=[{"clause": "x.1", "text": "no debt collection", "prohibits": ["debt-collection"]}])),
        ("offence-vague", changed(purposes__offences={"other": {"title": "Other", "needs_case": False}})),
        ("words-collide", changed(purposes__prohibited={"x": {"rule": "egpd.x", "text": "nothing of this kind", "words": ["stolen"]}})),
        ("prohibited-without-words", changed(purposes__prohibited={"x": {"rule": "egpd.x", "text": "nothing of this kind", "words": []}})),
        ("training-too-long", changed(access__training_valid_days=1000)),
        ("audit-too-seldom", changed(monitoring__audit_every_days=365)),
        ("audit-contradicts", changed(statements=[{"clause": "x.1", "text": "every 180 days", "audit": 180}])),
        ("verification-contradicts", changed(statements=[{"clause": "x.1", "text": "if they can", "verification": "if-practicable"}])),
        ("weak-words", changed(statements=[{"clause": "x.1", "text": "where possible"}])),
        ("clause-twice", changed(statements=[{"clause": "x.1", "text": "one thing"}, {"clause": "x.1", "text": "another"}])),
        ("effective-no-date", changed(effective="soon")),
        ("shape", changed(surprise=1)),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_one_contradiction_at_a_time(rule: str, document: dict[str, Any]) -> None:
    assert rule in found(document)
    assert rule not in found(GOOD)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=6), c, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([*ELEMENTS, "statements", "packs", "state", "agency_type", "effective"]), JUNK
    )
)
def test_whatever_is_written_is_looked_at(document: dict[str, Any]) -> None:
    for finding in lint(yaml.safe_dump(parse(GOOD) | document)):
        assert finding.clauses
        assert finding.message


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    lint(text)
