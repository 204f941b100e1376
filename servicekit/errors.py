"""Errors that a caller may see, and the one table from reason to gRPC status.

Rules
-----
1. A domain error carries a reason of ``ErrorReason`` and a sentence for the caller that says what to do next.
2. The status follows from the reason by ``STATUS``; nowhere else is a status chosen.
3. Anything that is not a ``PlatewardError`` becomes INTERNAL with the request ID only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from plateward.common.v1 import errors_pb2 as e

DOMAIN = "plateward"
_DETAILS_KEY = "grpc-status-details-bin"
_S = grpc.StatusCode

STATUS: Mapping[int, grpc.StatusCode] = MappingProxyType({
    e.ERROR_REASON_UNSPECIFIED: _S.INTERNAL,
    e.ERROR_REASON_INTERNAL: _S.INTERNAL,
    e.ERROR_REASON_NOT_BUILT: _S.UNIMPLEMENTED,
    e.ERROR_REASON_INVALID_ARGUMENT: _S.INVALID_ARGUMENT,
    e.ERROR_REASON_UNKNOWN_CALLER: _S.UNAUTHENTICATED,
    e.ERROR_REASON_CALLER_NOT_ALLOWED: _S.PERMISSION_DENIED,
    e.ERROR_REASON_TOKEN_MISSING: _S.UNAUTHENTICATED,
    e.ERROR_REASON_TOKEN_INVALID: _S.UNAUTHENTICATED,
    e.ERROR_REASON_TOKEN_EXPIRED: _S.UNAUTHENTICATED,
    e.ERROR_REASON_TOKEN_WRONG_AGENCY: _S.UNAUTHENTICATED,
    e.ERROR_REASON_MFA_REQUIRED: _S.PERMISSION_DENIED,
    e.ERROR_REASON_DENIED_BY_POLICY: _S.PERMISSION_DENIED,
    e.ERROR_REASON_DECISION_UNAVAILABLE: _S.UNAVAILABLE,
    e.ERROR_REASON_AUDIT_UNAVAILABLE: _S.UNAVAILABLE,
    e.ERROR_REASON_NOT_FOUND: _S.NOT_FOUND,
    e.ERROR_REASON_ALREADY_EXISTS: _S.ALREADY_EXISTS,
    e.ERROR_REASON_OVERLOADED: _S.RESOURCE_EXHAUSTED,
    e.ERROR_REASON_DRAINING: _S.UNAVAILABLE,
    e.ERROR_REASON_STORAGE_UNAVAILABLE: _S.UNAVAILABLE,
    e.ERROR_REASON_DEADLINE_EXCEEDED: _S.DEADLINE_EXCEEDED,
    e.ERROR_REASON_IMAGE_INVALID: _S.INVALID_ARGUMENT,
    e.ERROR_REASON_IMAGE_TOO_LARGE: _S.INVALID_ARGUMENT,
    e.ERROR_REASON_TIME_OUT_OF_RANGE: _S.OUT_OF_RANGE,
    e.ERROR_REASON_HIT_STATE: _S.FAILED_PRECONDITION,
    e.ERROR_REASON_HIT_UNVERIFIED: _S.FAILED_PRECONDITION,
    e.ERROR_REASON_HIT_CLAIMED: _S.ABORTED,
    e.ERROR_REASON_CURSOR_INVALID: _S.INVALID_ARGUMENT,
    e.ERROR_REASON_CAMERA_UNKNOWN: _S.FAILED_PRECONDITION,
    e.ERROR_REASON_WRONG_STATE: _S.FAILED_PRECONDITION,
    e.ERROR_REASON_ISSUER_UNAVAILABLE: _S.UNAVAILABLE,
})  # fmt: skip


class PlatewardError(Exception):
    """A refusal or a fault with its reason.

    Attributes:
        reason: a value of ``ErrorReason``.
        retry_after: seconds to wait before trying again, or None.
        metadata: more for programs: ``rule``, ``policy_version``, ``field``.
        violations: (field, what is wrong) of a request that breaks its rules.
    """

    def __init__(
        self,
        reason: e.ErrorReason.ValueType,
        message: str,
        *,
        retry_after: float | None = None,
        metadata: Mapping[str, str] | None = None,
        violations: Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)

    @property
    def status(self) -> grpc.StatusCode:
        """The gRPC status that the reason stands for."""
        return STATUS[self.reason]


def to_status(error: PlatewardError, request_id: str) -> status_pb2.Status:
    """Return the rich status of an error: ErrorInfo, and RetryInfo and BadRequest where they apply."""
    info = error_details_pb2.ErrorInfo(
        reason=e.ErrorReason.Name(error.reason),
        domain=DOMAIN,
        metadata={**error.metadata, "request_id": request_id},
    )
    details = [_packed(info)]
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(error.retry_after * 1000))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    if error.violations:
        fields = [
            error_details_pb2.BadRequest.FieldViolation(field=f, description=d) for f, d in error.violations
        ]
        details.append(_packed(error_details_pb2.BadRequest(field_violations=fields)))
    code: int = error.status.value[0]
    return status_pb2.Status(code=code, message=str(error), details=details)


def trailers(status: status_pb2.Status) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata that carries a rich status."""
    return ((_DETAILS_KEY, status.SerializeToString()),)


def parse_rpc_error(error: grpc.RpcError) -> PlatewardError | None:
    """Return the typed error behind a failed call, or None when the peer sent none (a refused handshake, say)."""
    trailing: Any = error.trailing_metadata() if hasattr(error, "trailing_metadata") else None
    for key, value in trailing or ():
        if key == _DETAILS_KEY:
            return _typed(status_pb2.Status.FromString(value))
    return None


def _typed(status: status_pb2.Status) -> PlatewardError | None:
    info, retry, bad = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
        error_details_pb2.BadRequest(),
    )
    for detail in status.details:
        for message in (info, retry, bad):
            detail.Unpack(message)
    if info.domain != DOMAIN or info.reason not in e.ErrorReason.keys():  # noqa: SIM118 - an enum wrapper, no dict
        return None
    return PlatewardError(
        e.ErrorReason.Value(info.reason),
        status.message,
        retry_after=retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None,
        metadata=dict(info.metadata),
        violations=[(v.field, v.description) for v in bad.field_violations],
    )


def _packed(
    message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo | error_details_pb2.BadRequest,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
