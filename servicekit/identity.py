"""Who is connected: agency and kind from the SPIFFE URI of the client certificate (SPIFFE-ID, RFC 3986)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from plateward.common.v1 import action_pb2, errors_pb2
from servicekit.errors import PlatewardError

PLATFORM = "plateward"
_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
_AGENCY = re.compile(
    rf"^spiffe://[a-z0-9.-]+/agency/(?P<agency>{_NAME})/(?P<kind>gateway|partner|portal)/(?P<name>{_NAME})$"
)
_OTHER = re.compile(rf"^spiffe://[a-z0-9.-]+/(?P<kind>service|operator|witness)/(?P<name>{_NAME})$")
_KINDS: Mapping[str, action_pb2.CallerKind.ValueType] = {
    "service": action_pb2.CALLER_KIND_SERVICE,
    "gateway": action_pb2.CALLER_KIND_GATEWAY,
    "partner": action_pb2.CALLER_KIND_PARTNER,
    "portal": action_pb2.CALLER_KIND_PORTAL,
    "operator": action_pb2.CALLER_KIND_OPERATOR,
    "witness": action_pb2.CALLER_KIND_WITNESS,
}


@dataclass(frozen=True, slots=True)
class Caller:
    """The workload at the other end of the connection."""

    agency_id: str
    kind: action_pb2.CallerKind.ValueType
    workload: str


def parse_spiffe(uris: Iterable[str]) -> Caller:
    """Return the caller that a certificate's URIs name.

    Raises:
        PlatewardError: UNKNOWN_CALLER: no URI, several, or one of another form.
    """
    found = [uri for uri in uris if uri.startswith("spiffe://")]
    if len(found) == 1:
        if match := _AGENCY.match(found[0]):
            return Caller(match["agency"], _KINDS[match["kind"]], found[0])
        if match := _OTHER.match(found[0]):
            return Caller(PLATFORM, _KINDS[match["kind"]], found[0])
    raise PlatewardError(
        errors_pb2.ERROR_REASON_UNKNOWN_CALLER,
        "the client certificate names no agency and kind: it needs exactly one URI of the form "
        "spiffe://<domain>/agency/<agency>/<gateway|partner|portal>/<name>; ask the platform's administrator for a new one",
    )


def caller_from_auth_context(auth: Mapping[str, Iterable[bytes]]) -> Caller:
    """Return the caller of a gRPC auth context (``context.auth_context()``).

    Raises:
        PlatewardError: UNKNOWN_CALLER.
    """
    names = [value.decode("utf-8", "replace") for value in auth.get("x509_subject_alternative_name", ())]
    return parse_spiffe(names)
