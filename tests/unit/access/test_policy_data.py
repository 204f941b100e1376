"""What a document and its packs come to: caps, obligations, windows, words."""

from __future__ import annotations

import pytest
import yaml

from plateward.common.v1 import action_pb2
from services.access.conformance import engine_input, samples_of_packs
from services.access.engines import RegopyEngine
from services.access.policy import load_bundle, parse, sample_document
from services.access.policy_data import term_key
from services.access.rpc_policy import as_proto
from tests.common.access import OWNER, PARTNER, member, opened
from tests.unit.access.test_incidents import look

DAY = 86_400


@pytest.mark.req("R-RET-1")
@pytest.mark.parametrize(
    ("sample", "wanted_days", "kept_s", "clause"),
    [
        ("elk-grove-pd", 365, 365 * DAY, "retention.read"),
        ("example-chp", 365, 60 * DAY, "ca.chp-60-days"),
        ("example-va", 365, 21 * DAY, "va.retention-21-days"),
        ("example-wa", 30, 21 * DAY, "wa.retention-21-days"),
        ("example-nh", 30, 180, "nh.three-minutes"),
        ("example-va", 7, 7 * DAY, "retention.read"),
    ],
)
async def test_the_shorter_of_document_and_law_is_kept_and_named(
    sample: str, wanted_days: int, kept_s: int, clause: str
) -> None:
    document = parse(sample_document(sample))
    document["retention"]["read"] = {"days": wanted_days, "basis": "records schedule"}
    bundle = load_bundle(yaml.safe_dump(document, sort_keys=False))
    assert (bundle.kept["read"].seconds, bundle.kept["read"].clause) == (kept_s, clause)
    told = {rule.kind: rule for rule in as_proto(bundle).retention}
    assert told["read"].keep_s == kept_s
    assert told["read"].basis
    engine = RegopyEngine()
    await engine.load(bundle)
    decision = await engine.evaluate(engine_input(bundle, {}, {}))
    await engine.close()
    assert decision["obligations"]["keep_seconds"] == kept_s


@pytest.mark.req("R-SHR-1")
async def test_what_a_document_bounds_for_partners_reaches_the_decision(database_url: str) -> None:
    document = parse(sample_document("elk-grove-pd"))
    document["limits"]["partner"] = {
        "rows": 25, "masked_fields": ["place", "crops"], "area": {"latitude": 38.4088, "longitude": -121.3716, "radius_m": 5000},
    }  # fmt: skip
    bundle = load_bundle(yaml.safe_dump(document, sort_keys=False))
    async with opened(database_url) as access:
        await access.core.put_in_force(bundle)
        partner = (await access.core.decide(look(who=member("p-1", PARTNER), attested=True))).obligations
        assert (partner.max_rows, list(partner.masked_fields), list(partner.agency_ids)) == (
            25,
            ["place", "crops"],
            [OWNER],
        )
        assert (partner.area.circle.radius_m, partner.area.circle.centre.latitude) == (5000, 38.4088)
        own = (await access.core.decide(look())).obligations
        assert (own.max_rows, list(own.masked_fields), own.HasField("area")) == (200, [], False)


@pytest.mark.req("R-SRC-2")
async def test_how_many_cameras_one_person_may_look_at_reaches_the_decision(database_url: str) -> None:
    async with opened(database_url) as access:
        assert (await access.core.decide(look())).obligations.most_cameras == 100
        canvass = look("", who=member("m-1077"), action=action_pb2.ACTION_CANVASS, days=1)
        assert (await access.core.decide(canvass)).obligations.most_cameras == 40


@pytest.mark.req("R-ACC-3")
def test_a_document_of_california_cannot_leave_out_what_its_law_prohibits() -> None:
    document = parse(sample_document("elk-grove-pd"))
    assert "immigration-enforcement" not in document["purposes"]["prohibited"]
    bundle = load_bundle(yaml.safe_dump(document))
    assert bundle.data["prohibited"]["immigration-enforcement"]["rule"] == "ca.immigration-enforcement"
    assert {p.id for p in as_proto(bundle).prohibited} >= {
        "ca.immigration-enforcement",
        "ca.reproductive-care",
        "egpd.harassment",
    }
    document["purposes"]["prohibited"]["immigration-enforcement"] = {
        "rule": "egpd.immigration",
        "text": "ours, and softer than the law",
        "words": ["frontera"],
    }
    extended = load_bundle(yaml.safe_dump(document))
    assert extended.data["prohibited"]["immigration-enforcement"]["rule"] == "ca.immigration-enforcement"
    assert extended.data["terms"]["frontera"] == extended.data["terms"]["ice"] == "immigration-enforcement"


def test_terms_are_keys_of_what_people_type() -> None:
    assert [term_key(t) for t in ("I.C.E.", "Border  Patrol", "deport*", "ex-wife")] == [
        "ice",
        "border patrol",
        "deport*",
        "ex-wife",
    ]


def test_every_sample_has_a_sentence_for_every_clause_it_can_deny_by() -> None:
    for bundle in samples_of_packs():
        for clause, entry in bundle.data["clauses"].items():
            assert "{" not in entry["text"], clause
            assert len(entry["text"]) < 1024, clause
