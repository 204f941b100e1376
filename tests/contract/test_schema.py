"""What the API can carry: nothing about the people in a vehicle, and a rule and an example for everything else."""

from __future__ import annotations

import re
from pathlib import Path

import protovalidate
import pytest

from plateward.common.v1 import action_pb2, options_pb2
from tests.common.api import every_message, every_method

ROOT = Path(__file__).resolve().parents[2]
# Words for what must not be recognised, as parts of a name. `member` and `verifier` are users of the platform.
PEOPLE = re.compile(
    r"(?:^|_)(?:face|facial|gender|sex|race|racial|ethnic\w*|skin|person|people|pedestrian|occupant|driver|passenger|pilot|human|man|woman|age_group|seat_?belt|smoking|phone|mask)(?:_|$)"
)
MESSAGES = list(every_message())
SIGHTED = {
    "PlateReading",
    "VehicleReading",
    "Read",
    "Sighting",
    "Crop",
    "CropKey",
    "RecognizeResponse",
    "Camera",
    "Hit",
    "HotlistEntry",
}


@pytest.mark.req("R-REC-2")
@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.full_name)
def test_no_field_names_a_person(message: object) -> None:
    assert [f.name for f in message.fields if PEOPLE.search(f.name)] == []


@pytest.mark.req("R-REC-2")
def test_the_word_list_finds_what_it_must() -> None:
    for name in ("driver_face", "occupant", "gender", "uphone_phone", "pilot_mask", "race"):
        assert PEOPLE.search(name), name
    for name in ("member_name", "embrace", "trace_id", "plate", "manner", "masked_fields"):
        assert not PEOPLE.search(name), name


@pytest.mark.req("R-REC-2")
def test_what_is_sighted_has_no_free_form_field() -> None:
    """A message of what a camera saw has no map, Struct, Any or JSON in which a person could hide."""
    for message in (m for m in MESSAGES if m.name in SIGHTED):
        for field in message.fields:
            carried = field.message_type.full_name if field.message_type else ""
            assert carried not in {
                "google.protobuf.Any",
                "google.protobuf.Struct",
                "google.protobuf.Value",
            }, field.full_name
            assert not (field.message_type and field.message_type.GetOptions().map_entry), field.full_name


@pytest.mark.req("R-REC-2")
@pytest.mark.parametrize("service", ["reads", "hotlist"])
def test_no_column_names_a_person(service: str) -> None:
    migrations = sorted((ROOT / "services" / service / "migrations").glob("*.sql"))
    seen = 0
    for migration in migrations:
        names = re.findall(
            r"^\s{2,}([a-z_]+)\s+(?:text|bytea|jsonb|uuid|bigint|real|double|integer|smallint|timestamptz)",
            migration.read_text(),
            re.MULTILINE,
        )
        assert [n for n in names if PEOPLE.search(n)] == [], migration.name
        seen += len(names)
    assert seen


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.full_name)
def test_every_rule_compiles(message: object) -> None:
    """A validation rule with a fault would show at the first call otherwise."""
    from google.protobuf.message_factory import GetMessageClass

    protovalidate.collect_violations(GetMessageClass(message)())


@pytest.mark.req("R-ACC-6")
def test_what_returns_data_is_always_recorded() -> None:
    plumbing = {
        action_pb2.ACTION_RECOGNIZE, action_pb2.ACTION_INGEST, action_pb2.ACTION_FOLLOW_READS, action_pb2.ACTION_DECIDE,
        action_pb2.ACTION_VIEW_POLICY, action_pb2.ACTION_VIEW_TRANSPARENCY, action_pb2.ACTION_APPEND_AUDIT, action_pb2.ACTION_PROVE_LOG,
    }  # fmt: skip
    for method in every_method():
        if method.rule.audit == options_pb2.AUDIT_MODE_REFUSALS:
            assert method.rule.action in plumbing, f"{method} returns data without a record"


@pytest.mark.req("R-ACC-1")
@pytest.mark.req("R-ACC-5")
def test_whoever_sees_reads_or_hits_is_signed_in_and_decided() -> None:
    for method in every_method():
        if method.rule.action in {
            action_pb2.ACTION_SEARCH,
            action_pb2.ACTION_CANVASS,
            action_pb2.ACTION_VIEW_IMAGE,
            action_pb2.ACTION_EXPORT,
            action_pb2.ACTION_VIEW_HITS,
        }:
            assert method.rule.needs_user, method
            assert method.rule.decided, method


@pytest.mark.req("R-ACC-1")
def test_whoever_queries_reads_names_a_purpose() -> None:
    for method in every_method():
        if method.rule.action in {
            action_pb2.ACTION_SEARCH,
            action_pb2.ACTION_CANVASS,
            action_pb2.ACTION_VIEW_IMAGE,
            action_pb2.ACTION_EXPORT,
        }:
            assert "purpose" in method.descriptor.input_type.fields_by_name, method


@pytest.mark.req("R-ACC-6")
def test_answers_with_data_have_room_for_a_receipt() -> None:
    """Streams that never end and plain lists without personal data carry their record at opening instead."""
    without = {"hotlist.StreamHits"}
    for method in every_method():
        if (
            method.rule.action
            in {
                action_pb2.ACTION_SEARCH,
                action_pb2.ACTION_CANVASS,
                action_pb2.ACTION_VIEW_IMAGE,
                action_pb2.ACTION_EXPORT,
                action_pb2.ACTION_VIEW_HITS,
            }
            and str(method) not in without
        ):
            assert "receipt" in method.descriptor.output_type.fields_by_name, method
