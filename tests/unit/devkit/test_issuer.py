"""Tokens of the development issuer, good and bad, against the check that the services do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clients.devkit.issuer import AUDIENCE, ISSUER, MEMBERS, DevelopmentIssuer
from plateward.common.v1 import errors_pb2
from servicekit.clock import Clock
from servicekit.errors import PlatewardError
from servicekit.issuer_keys import FileKeys
from servicekit.tokens import TokenVerifier


@pytest.fixture
def issuer(tmp_path: Path) -> DevelopmentIssuer:
    made = DevelopmentIssuer(tmp_path)
    made.ensure()
    return made


def verifier(issuer: DevelopmentIssuer) -> TokenVerifier:
    return TokenVerifier(ISSUER, AUDIENCE, FileKeys(issuer.jwks), Clock())


def refused(issuer: DevelopmentIssuer, token: str, agency: str = "elk-grove-pd") -> int:
    with pytest.raises(PlatewardError) as error:
        asyncio.run(verifier(issuer).verify(token, agency))
    return error.value.reason


@pytest.mark.req("R-ACC-5")
@pytest.mark.parametrize("member", MEMBERS)
def test_members_are_who_they_are(issuer: DevelopmentIssuer, member: str) -> None:
    name, agency = MEMBERS[member]
    claims = asyncio.run(verifier(issuer).verify(issuer.mint(member), agency))
    assert (claims.member_id, claims.name) == (member, name)


@pytest.mark.req("R-ACC-5")
def test_bad_tokens_are_bad_in_the_way_asked_for(issuer: DevelopmentIssuer) -> None:
    assert refused(issuer, issuer.mint("m-1042", forged=True)) == errors_pb2.ERROR_REASON_TOKEN_INVALID
    assert refused(issuer, issuer.mint("m-1042", ttl_s=-3600)) == errors_pb2.ERROR_REASON_TOKEN_EXPIRED
    assert refused(issuer, issuer.mint("m-1042", amr=("pwd",))) == errors_pb2.ERROR_REASON_MFA_REQUIRED
    assert (
        refused(issuer, issuer.mint("m-1042", agency="galt-pd")) == errors_pb2.ERROR_REASON_TOKEN_WRONG_AGENCY
    )


def test_the_key_is_kept_and_private(issuer: DevelopmentIssuer, tmp_path: Path) -> None:
    token = issuer.mint("m-1042")
    DevelopmentIssuer(tmp_path).ensure()
    assert asyncio.run(verifier(issuer).verify(token, "elk-grove-pd")).member_id == "m-1042"
    assert (tmp_path / "issuer.key.json").stat().st_mode & 0o077 == 0
    assert '"d"' not in issuer.jwks.read_text()
