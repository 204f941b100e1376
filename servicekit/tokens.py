"""Member tokens: JWT (RFC 7519) of an OIDC issuer, checked against its keys (RFC 7517).

Rules
-----
1. Only asymmetric algorithms of ``ALGORITHMS``; ``none`` and HMAC are never accepted.
2. Issuer, audience, subject, agency, expiry, issue time and methods (``amr``, RFC 8176) must be there.
3. The token's agency must be the certificate's agency.
4. A second factor must show in ``amr``, or the token's ``acr`` must be one that the settings say stands for one.
5. A token counts for ``max_age_s`` from its issue, however long its issuer lets it live.
6. Whose token it is not is seen before any key is asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, TypeGuard

from joserfc import jws, jwt
from joserfc.errors import JoseError

from plateward.common.v1 import errors_pb2
from servicekit.clock import Clock
from servicekit.errors import PlatewardError
from servicekit.issuer_keys import KeySource

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
    """Checks tokens of one issuer."""

    def __init__(
        self, issuer: str, audience: str, keys: KeySource, clock: Clock | None = None, *,
        agency_claim: str = "agency", mfa_acr: Collection[str] = (), max_age_s: int = 3600,
    ) -> None:  # fmt: skip
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._clock = clock or Clock()
        self._agency_claim = agency_claim
        self._mfa_acr = frozenset(mfa_acr)
        self._max_age_s = max_age_s

    async def verify(self, token: str, agency_id: str) -> Claims:
        """Return the claims of a token for a connection of an agency.

        Raises:
            PlatewardError: TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_WRONG_AGENCY, MFA_REQUIRED or ISSUER_UNAVAILABLE.
        """
        claims = await self._signed(token)
        self._check_times(claims)
        result = self._checked(claims, token)
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

    async def _signed(self, token: str) -> dict[str, Any]:
        if len(token) > _MOST_BYTES:
            raise _invalid("it is too long")
        try:
            unproved = jws.extract_compact(token.encode())
            header, said = unproved.headers(), json.loads(unproved.payload)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _invalid("its signature, algorithm or form is wrong") from error
        if not isinstance(said, dict) or said.get("iss") != self._issuer:
            raise _invalid("it was issued by, or for, someone else")
        key_id = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str) or not key_id:
            raise _invalid("its signature, algorithm or form is wrong, or it names no key")
        keys = await self._keys.keys(key_id)
        try:
            return dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _invalid("its signature, algorithm or form is wrong") from error

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = self._clock.now().timestamp()
        expiry, issued = claims.get("exp"), claims.get("iat")
        start = claims.get("nbf", issued)
        if not (_is_time(expiry) and _is_time(issued) and _is_time(start)):
            raise _invalid("it has no expiry or issue time")
        if now > min(expiry, issued + self._max_age_s) + LEEWAY_S or now < max(start, issued) - LEEWAY_S:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_TOKEN_EXPIRED,
                "the token has expired or is not valid yet: sign in again",
            )

    def _checked(self, claims: dict[str, Any], token: str) -> Claims:
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self._issuer or self._audience not in audiences:
            raise _invalid("it was issued by, or for, someone else")
        amr = claims.get("amr", [])
        texts = [claims.get(key) for key in ("sub", self._agency_claim)]
        if not all(isinstance(text, str) and text for text in texts) or not _strings(amr):
            raise _invalid(f"a claim is missing: sub and {self._agency_claim} are needed, and amr is a list")
        methods = (*amr, "mfa") if claims.get("acr") in self._mfa_acr else tuple(amr)
        # Not every issuer numbers its tokens; the record needs to tell one from another.
        token_id = str(claims.get("jti") or hashlib.sha256(token.encode()).hexdigest()[:32])
        signed_in = claims.get("auth_time")
        if not _is_time(signed_in) or not 0 < signed_in <= claims["iat"] + LEEWAY_S:
            signed_in = claims["iat"]
        return Claims(
            member_id=str(claims["sub"]),
            name=str(claims.get("name", "")),
            agency_id=str(claims[self._agency_claim]),
            amr=methods,
            token_id=token_id,
            signed_in_at=datetime.fromtimestamp(int(signed_in), UTC),
            expires_at=datetime.fromtimestamp(
                min(int(claims["exp"]), int(claims["iat"]) + self._max_age_s) + LEEWAY_S, UTC
            ),
            federal_task_force=claims.get("federal_task_force", False) is not False,
        )


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _strings(value: object) -> bool:
    return (
        isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value)
    )


def _invalid(why: str) -> PlatewardError:
    return PlatewardError(
        errors_pb2.ERROR_REASON_TOKEN_INVALID, f"the token is not accepted, {why}: sign in again"
    )
