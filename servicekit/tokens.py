"""Member tokens: JWT (RFC 7519) of an OIDC issuer, checked against its keys (RFC 7517).

Rules
-----
1. Only asymmetric algorithms of ``ALGORITHMS``; ``none`` and HMAC are never accepted.
2. Issuer, audience, subject, agency, expiry, issue time and methods (``amr``, RFC 8176) must be there.
3. The token's agency must be the certificate's agency.
4. A second factor must show in ``amr``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from plateward.common.v1 import errors_pb2
from servicekit.clock import Clock
from servicekit.errors import PlatewardError

ALGORITHMS = ("ES256", "EdDSA", "Ed25519", "RS256", "PS256")
SECOND_FACTORS = frozenset({"otp", "mfa", "hwk", "swk", "fido", "totp", "pop", "sc"})
LEEWAY_S = 30
MFA_RULE = "platform.mfa-required"
_MOST_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says."""

    member_id: str
    name: str
    agency_id: str
    amr: tuple[str, ...]
    token_id: str
    signed_in_at: datetime
    expires_at: datetime
    federal_task_force: bool = False


class TokenVerifier:
    """Checks tokens of one issuer; reads its JWKS file again when it has changed."""

    def __init__(self, issuer: str, audience: str, jwks: Path, clock: Clock | None = None) -> None:
        self._issuer = issuer
        self._audience = audience
        self._jwks = jwks
        self._clock = clock or Clock()
        self._stamp: tuple[int, int] | None = None
        self._keys: KeySet | None = None

    def verify(self, token: str, agency_id: str) -> Claims:
        """Return the claims of a token for a connection of an agency.

        Raises:
            PlatewardError: TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_WRONG_AGENCY or MFA_REQUIRED.
        """
        claims = self._signed(token)
        self._check_times(claims)
        result = self._checked(claims)
        if result.agency_id != agency_id:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_TOKEN_WRONG_AGENCY,
                "the token belongs to another agency than the certificate: sign in with your own agency's portal",
            )
        if not SECOND_FACTORS.intersection(result.amr):
            raise PlatewardError(
                errors_pb2.ERROR_REASON_MFA_REQUIRED,
                "a second factor is required: sign in again with your authenticator or security key (R-ACC-5)",
                metadata={"rule": MFA_RULE},
            )
        return result

    def _signed(self, token: str) -> dict[str, Any]:
        if len(token) > _MOST_BYTES:
            raise _invalid("it is too long")
        try:
            return dict(jwt.decode(token, self._current_keys(), algorithms=list(ALGORITHMS)).claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _invalid("its signature, algorithm or form is wrong") from error

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = self._clock.now().timestamp()
        expiry, start = claims.get("exp"), claims.get("nbf", claims.get("iat"))
        if not isinstance(expiry, int | float) or not isinstance(start, int | float):
            raise _invalid("it has no expiry or issue time")
        if now > expiry + LEEWAY_S or now < start - LEEWAY_S:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_TOKEN_EXPIRED,
                "the token has expired or is not valid yet: sign in again",
            )

    def _checked(self, claims: dict[str, Any]) -> Claims:
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self._issuer or self._audience not in audiences:
            raise _invalid("it was issued by, or for, someone else")
        amr = claims.get("amr", [])
        texts = [claims.get(key) for key in ("sub", "agency", "jti")]
        if not all(isinstance(text, str) and text for text in texts) or not _strings(amr):
            raise _invalid("a claim is missing: sub, agency, jti and amr are needed")
        return Claims(
            member_id=str(claims["sub"]),
            name=str(claims.get("name", "")),
            agency_id=str(claims["agency"]),
            amr=tuple(amr),
            token_id=str(claims["jti"]),
            signed_in_at=datetime.fromtimestamp(int(claims.get("auth_time", claims["iat"])), UTC),
            expires_at=datetime.fromtimestamp(int(claims["exp"]) + LEEWAY_S, UTC),
            federal_task_force=claims.get("federal_task_force", False) is not False,
        )

    def _current_keys(self) -> KeySet:
        stat = self._jwks.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        if self._keys is None or stamp != self._stamp:
            self._keys = KeySet.import_key_set(json.loads(self._jwks.read_text(encoding="utf-8")))
            self._stamp = stamp
        return self._keys


def _strings(value: object) -> bool:
    return (
        isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value)
    )


def _invalid(why: str) -> PlatewardError:
    return PlatewardError(
        errors_pb2.ERROR_REASON_TOKEN_INVALID, f"the token is not accepted, {why}: sign in again"
    )
