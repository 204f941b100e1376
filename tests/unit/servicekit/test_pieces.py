"""The small pieces that every service stands on."""

from __future__ import annotations

import os
import stat
import uuid
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, errors_pb2, types_pb2
from plateward.reads.v1 import reads_pb2
from servicekit import crypto, errors, ids
from servicekit.context import CallContext
from servicekit.handshakes import _CORE, _REFUSED
from servicekit.identity import Caller, parse_spiffe
from servicekit.interceptors import validation
from servicekit.interceptors.audit import _purpose
from servicekit.methods import methods_of, query_elements
from servicekit.settings import SettingsError
from services.reads.settings import ReadsSettings

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


def test_every_reason_has_a_status() -> None:
    assert set(errors.STATUS) == set(errors_pb2.ErrorReason.values())


@pytest.mark.parametrize("reason", errors_pb2.ErrorReason.values())
def test_an_error_survives_the_wire(reason: errors_pb2.ErrorReason.ValueType) -> None:
    sent = errors.PlatewardError(
        reason, "what to do", retry_after=1.5, metadata={"rule": "r"}, violations=[("field", "is wrong")]
    )
    trailers = errors.trailers(errors.to_status(sent, "req-1"))

    class Failed(grpc.RpcError):
        def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
            return trailers

    got = errors.parse_rpc_error(Failed())
    assert got is not None
    assert (got.reason, str(got), got.retry_after, got.violations) == (
        reason,
        "what to do",
        1.5,
        (("field", "is wrong"),),
    )
    assert got.metadata == {"rule": "r", "request_id": "req-1"}


def test_a_peer_that_sent_no_reason_gives_none() -> None:
    assert errors.parse_rpc_error(grpc.RpcError()) is None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (
            "spiffe://plateward.local/agency/elk-grove-pd/portal/desk",
            Caller("elk-grove-pd", action_pb2.CALLER_KIND_PORTAL, ""),
        ),
        (
            "spiffe://plateward.local/agency/galt-pd/partner/rms",
            Caller("galt-pd", action_pb2.CALLER_KIND_PARTNER, ""),
        ),
        ("spiffe://plateward.local/service/reads", Caller("plateward", action_pb2.CALLER_KIND_SERVICE, "")),
        (
            "spiffe://plateward.local/operator/on-call",
            Caller("plateward", action_pb2.CALLER_KIND_OPERATOR, ""),
        ),
    ],
)
def test_a_certificate_names_agency_and_kind(uri: str, expected: Caller) -> None:
    caller = parse_spiffe(["localhost", uri])
    assert (caller.agency_id, caller.kind, caller.workload) == (expected.agency_id, expected.kind, uri)


@pytest.mark.req("R-SHR-1")
@pytest.mark.parametrize(
    "uris",
    [
        [], ["localhost"], ["spiffe://plateward.local/agency/elk-grove-pd/root/x"], ["spiffe://plateward.local/service/"],
        ["spiffe://plateward.local/agency/../portal/x"], ["spiffe://plateward.local/agency/a/portal/x/y"],
        ["spiffe://plateward.local/service/a", "spiffe://plateward.local/service/b"],
    ],
)  # fmt: skip
def test_any_other_certificate_is_unknown(uris: list[str]) -> None:
    with pytest.raises(errors.PlatewardError) as caught:
        parse_spiffe(uris)
    assert caught.value.reason == errors_pb2.ERROR_REASON_UNKNOWN_CALLER


@given(st.binary(), st.binary(), st.binary(max_size=40))
def test_what_is_sealed_opens_with_its_key_and_label_only(plain: bytes, label: bytes, other: bytes) -> None:
    key = bytes(32)
    sealed = crypto.seal(key, plain, label)
    assert crypto.open_sealed(key, sealed, label) == plain
    for k, s, a in (
        (b"\1" * 32, sealed, label),
        (key, sealed[:-1] + bytes([sealed[-1] ^ 1]), label),
        (key, other, label),
        (key, sealed, label + b"x"),
    ):
        with pytest.raises(crypto.UnsealError):
            crypto.open_sealed(k, s, a)


def test_a_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "k"
    key = crypto.load_or_create_key(path)
    assert crypto.load_or_create_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="backup"):
        crypto.load_or_create_key(path)


@pytest.mark.req("R-REC-4")
@given(
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1)),
    st.lists(st.text(max_size=10), max_size=3),
)
def test_a_derived_id_is_a_uuid7_of_its_time_and_always_the_same(at: datetime, parts: list[str]) -> None:
    at = at.replace(tzinfo=UTC)
    first = ids.derived_id(at, *parts)
    assert first == ids.derived_id(at, *parts)
    assert first != ids.derived_id(at, *parts, "more")
    parsed = uuid.UUID(first)
    assert parsed.version == 7
    assert parsed.int >> 80 == int(at.timestamp() * 1000)


def test_new_ids_differ_and_sort_by_time() -> None:
    made = [ids.new_id() for _ in range(200)]
    assert len(set(made)) == 200
    assert [i[:8] for i in made] == sorted(i[:8] for i in made)


@pytest.mark.req("R-ACC-6")
def test_query_elements_are_the_marked_fields() -> None:
    request = reads_pb2.SearchReadsRequest(
        plate="8ABC123", camera_ids=["a", "b"], vehicle_type=1, lookalikes=True, approval_id="x"
    )
    request.purpose.reason = "not an element"
    found = [(q.name, q.value) for q in query_elements(request)]
    assert found == [
        ("plate", "8ABC123"),
        ("camera_ids", "a"),
        ("camera_ids", "b"),
        ("vehicle_type", "VEHICLE_TYPE_CAR"),
        ("lookalikes", "True"),
    ]


@pytest.mark.req("R-ACC-6")
@given(st.text(max_size=600), st.text(max_size=200))
def test_recording_never_fails_on_what_a_caller_typed(reason: str, case: str) -> None:
    request = reads_pb2.SearchReadsRequest(
        purpose=types_pb2.Purpose(offence="x" * 100, case_number=case, reason=reason)
    )
    purpose = _purpose(request)
    assert purpose is not None
    event = event_pb2.AuditEvent(
        event_id=ids.new_id(), phase=event_pb2.PHASE_ATTEMPT, service="reads", purpose=purpose
    )
    event.occurred_at.FromDatetime(NOW)
    validation.validate(event)


@pytest.mark.req("R-ACC-6")
def test_the_digest_answers_whether_a_read_was_shown() -> None:
    def context() -> CallContext:
        return CallContext("r", "m", Caller("", 0, ""), types_pb2.Subject(), NOW)

    one, other, none = context(), context(), context()
    one.returned(["b", "a"])
    other.returned(["a"])
    other.returned(["b", "b"])
    assert one.result_digest == other.result_digest
    assert (one.result_count, none.result_count, none.result_digest) == (2, 0, b"")


@pytest.mark.parametrize("text", ["a\0b", "\0"])
def test_nul_is_refused_before_a_database_sees_it(text: str) -> None:
    request = reads_pb2.SearchReadsRequest()
    request.purpose.reason = text
    with pytest.raises(errors.PlatewardError, match="NUL"):
        validation.check_values(request)


@pytest.mark.parametrize("seconds", [-(2**63), 2**63 - 1, 253_402_300_800, -62_135_596_801])
def test_times_that_no_calendar_has_are_refused(seconds: int) -> None:
    request = reads_pb2.SearchReadsRequest()
    request.window.start.seconds = seconds
    request.window.end.seconds = 1

    def admit() -> None:
        validation.validate(request)
        validation.check_values(request)

    with pytest.raises(errors.PlatewardError) as caught:
        admit()
    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_ARGUMENT


def test_unparseable_bytes_are_a_typed_error() -> None:
    with pytest.raises(errors.PlatewardError) as caught:
        validation.parse(reads_pb2.SearchReadsRequest, b"\xff\xff\xff")
    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_ARGUMENT


def test_an_unknown_setting_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATEWARD_READS_LISTNE", "x")
    with pytest.raises(SettingsError, match="PLATEWARD_READS_LISTEN"):
        ReadsSettings.load()


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PLATEWARD_READS_"):
            monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match="PLATEWARD_READS_DATABASE_URL"):
        ReadsSettings.load()


def test_the_core_s_words_for_a_refused_handshake() -> None:
    line = b"I1123 15:30:43.818121   19936 ssl_transport_security.cc:2563] Handshake failed with error SSL_ERROR_SSL: error:100000c0:SSL routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE: Invalid"
    found = _REFUSED.search(line)
    assert found is not None
    assert found["why"] == b"PEER_DID_NOT_RETURN_A_CERTIFICATE"
    assert _CORE.match(line)
    assert not _CORE.match(b'{"event": "serving"}')


def test_forgetting_the_audit_option_records_everything() -> None:
    for method in methods_of(reads_pb2.DESCRIPTOR.services_by_name["ReadsService"]):
        assert method.always_recorded == (method.rule.audit != 2)
