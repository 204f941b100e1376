"""Member tokens: what is accepted, and which reason each refusal has."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from plateward.common.v1 import errors_pb2 as e
from servicekit.errors import PlatewardError
from servicekit.issuer_keys import FileKeys
from servicekit.tokens import TokenVerifier

ISSUER, AUDIENCE, AGENCY = "https://issuer.test", "plateward", "elk-grove-pd"


@pytest.fixture
def key() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256"})


@pytest.fixture
def verifier(key: ECKey, tmp_path: Path) -> TokenVerifier:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return TokenVerifier(ISSUER, AUDIENCE, FileKeys(jwks))


def token(key: Any, alg: str = "ES256", **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "m-1", "name": "Dana", "agency": AGENCY, "amr": ["pwd", "otp"],
              "iat": now, "exp": now + 60, "jti": "t-1"} | changes  # fmt: skip
    return jwt.encode(
        {"alg": alg, "kid": "k1"}, {k: v for k, v in claims.items() if v is not None}, key, algorithms=[alg]
    )


def reason(verifier: TokenVerifier, text: str, agency: str = AGENCY) -> int:
    with pytest.raises(PlatewardError) as caught:
        asyncio.run(verifier.verify(text, agency))
    return caught.value.reason


def test_a_good_token(verifier: TokenVerifier, key: ECKey) -> None:
    claims = asyncio.run(verifier.verify(token(key), AGENCY))
    assert (claims.member_id, claims.agency_id, claims.amr) == ("m-1", AGENCY, ("pwd", "otp"))


@pytest.mark.req("R-ACC-5")
@pytest.mark.parametrize("amr", [["pwd"], [], ["pwd", "pin"]])
def test_without_a_second_factor(verifier: TokenVerifier, key: ECKey, amr: list[str]) -> None:
    assert reason(verifier, token(key, amr=amr)) == e.ERROR_REASON_MFA_REQUIRED


@pytest.mark.req("R-ACC-5")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"iss": "https://other.test"}, e.ERROR_REASON_TOKEN_INVALID),
        ({"aud": "somebody-else"}, e.ERROR_REASON_TOKEN_INVALID),
        ({"exp": 1_700_000_000}, e.ERROR_REASON_TOKEN_EXPIRED),
        ({"iat": int(time.time()) + 3600}, e.ERROR_REASON_TOKEN_EXPIRED),
        ({"nbf": int(time.time()) + 3600}, e.ERROR_REASON_TOKEN_EXPIRED),
        ({"exp": None}, e.ERROR_REASON_TOKEN_INVALID),
        ({"sub": None}, e.ERROR_REASON_TOKEN_INVALID),
        ({"sub": ""}, e.ERROR_REASON_TOKEN_INVALID),
        ({"iat": None}, e.ERROR_REASON_TOKEN_INVALID),
        ({"exp": True}, e.ERROR_REASON_TOKEN_INVALID),
        ({"iat": int(time.time()) - 7200, "exp": int(time.time()) + 7200}, e.ERROR_REASON_TOKEN_EXPIRED),
        ({"amr": "otp"}, e.ERROR_REASON_TOKEN_INVALID),
        ({"agency": "galt-pd"}, e.ERROR_REASON_TOKEN_WRONG_AGENCY),
    ],
)
def test_what_is_refused(verifier: TokenVerifier, key: ECKey, changes: dict[str, Any], expected: int) -> None:
    assert reason(verifier, token(key, **changes)) == expected


def test_a_forged_signature(verifier: TokenVerifier) -> None:
    other = ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256"})
    assert reason(verifier, token(other)) == e.ERROR_REASON_TOKEN_INVALID


def test_no_symmetric_algorithm_and_no_signature_at_all(verifier: TokenVerifier, key: ECKey) -> None:
    public = json.dumps(key.as_dict(private=False)).encode()
    with warnings.catch_warnings(action="ignore"):
        symmetric = token(OctKey.import_key(public), alg="HS256")
    assert reason(verifier, symmetric) == e.ERROR_REASON_TOKEN_INVALID
    _, body, _ = token(key).split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1"}').rstrip(b"=").decode()
    assert reason(verifier, f"{none}.{body}.") == e.ERROR_REASON_TOKEN_INVALID
    assert reason(verifier, "x" * 9000) == e.ERROR_REASON_TOKEN_INVALID


def test_changed_keys_are_read_again(verifier: TokenVerifier, key: ECKey, tmp_path: Path) -> None:
    asyncio.run(verifier.verify(token(key), AGENCY))
    fresh = ECKey.generate_key("P-256", {"kid": "k2", "alg": "ES256"})
    (tmp_path / "jwks.json").write_text(
        json.dumps({"keys": [fresh.as_dict(private=False)], "note": "rotated"})
    )
    assert reason(verifier, token(key)) == e.ERROR_REASON_TOKEN_INVALID
