"""Keys of an issuer over real HTTPS: discovery, rotation, what garbage costs, and an issuer that is away or lies."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from clients.devkit.pki import DevelopmentPki
from plateward.common.v1 import errors_pb2 as e
from servicekit import issuer_keys
from servicekit.errors import PlatewardError
from servicekit.issuer_keys import KEEP_S, REFRESH_S, UNKNOWN_S, DiscoveredKeys, IssuerError, fetch_keys
from servicekit.tokens import TokenVerifier

AUDIENCE, AGENCY = "plateward", "elk-grove-pd"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentPki:
    made = DevelopmentPki(tmp_path_factory.mktemp("pki"))
    made.ensure()
    return made


class Issuer:
    """An issuer on this machine, with a TLS certificate, that counts what it is asked."""

    def __init__(self, pki: DevelopmentPki) -> None:
        self.ca = pki.ca
        self._pki = pki
        self.signing = [key("k1")]
        self.asked = 0
        self.document: dict[str, Any] = {}
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        self.slow = 0.0
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def open(self) -> None:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/jwks", self._jwks)
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(self._pki.cert("reads"), self._pki.key("reads"))
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "localhost", int(self.url.rpartition(":")[2] or 0) if self.url else 0, ssl_context=trust)  # fmt: skip
        await site.start()
        assert site._server is not None
        self.url = f"https://localhost:{site._server.sockets[0].getsockname()[1]}"
        self.document = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _discovery(self, request: web.Request) -> web.StreamResponse:
        if self.answer is not None:
            return await self.answer(request)
        return web.json_response(self.document)

    async def _jwks(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        await asyncio.sleep(self.slow)
        return web.json_response({"keys": [k.as_dict(private=False) for k in self.signing]})

    def token(self, key: ECKey, **changes: Any) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "m-1", "agency": AGENCY, "amr": ["pwd", "otp"],
                  "iat": now, "exp": now + 60, "jti": "t-1"} | changes  # fmt: skip
        return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)


def key(key_id: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": key_id, "alg": "ES256", "use": "sig"})


@pytest.fixture
async def issuer(pki: DevelopmentPki) -> AsyncIterator[Issuer]:
    made = Issuer(pki)
    await made.open()
    yield made
    await made.close()


class Ticks:
    """A monotonic clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def source(issuer: Issuer, ticks: Ticks) -> DiscoveredKeys:
    return DiscoveredKeys(issuer.url, issuer.ca, ticks)


def verifier(issuer: Issuer, source: DiscoveredKeys, **options: Any) -> TokenVerifier:
    return TokenVerifier(issuer.url, AUDIENCE, source, **options)


async def reason(work: Awaitable[Any]) -> int:
    with pytest.raises(PlatewardError) as caught:
        await work
    return caught.value.reason


@pytest.mark.req("R-ACC-5")
async def test_a_token_of_an_issuer_that_was_discovered(issuer: Issuer, source: DiscoveredKeys) -> None:
    claims = await verifier(issuer, source).verify(issuer.token(issuer.signing[0]), AGENCY)
    assert (claims.member_id, claims.agency_id) == ("m-1", AGENCY)
    for _ in range(50):
        await verifier(issuer, source).verify(issuer.token(issuer.signing[0]), AGENCY)
    assert issuer.asked == 1


@pytest.mark.req("R-ACC-5")
async def test_a_new_key_counts_at_once_and_garbage_costs_one_question(
    issuer: Issuer, source: DiscoveredKeys, ticks: Ticks
) -> None:
    check = verifier(issuer, source)
    await check.verify(issuer.token(issuer.signing[0]), AGENCY)
    ticks.now += UNKNOWN_S
    fresh = key("k2")
    issuer.signing.append(fresh)
    assert (await check.verify(issuer.token(fresh), AGENCY)).member_id == "m-1"
    assert issuer.asked == 2
    for number in range(200):
        garbage = issuer.token(key(f"garbage-{number}"))
        assert await reason(check.verify(garbage, AGENCY)) == e.ERROR_REASON_TOKEN_INVALID
    assert issuer.asked == 2
    ticks.now += UNKNOWN_S
    await asyncio.gather(*(reason(check.verify(issuer.token(key(f"more-{n}")), AGENCY)) for n in range(20)))
    assert issuer.asked == 3


@pytest.mark.req("R-ACC-5")
async def test_a_withdrawn_key_stops_counting(issuer: Issuer, source: DiscoveredKeys, ticks: Ticks) -> None:
    check, old = verifier(issuer, source), issuer.signing[0]
    await check.verify(issuer.token(old), AGENCY)
    issuer.signing = [key("k2")]
    await check.verify(issuer.token(old), AGENCY)
    ticks.now += REFRESH_S
    assert await reason(check.verify(issuer.token(old), AGENCY)) == e.ERROR_REASON_TOKEN_INVALID


@pytest.mark.req("R-ACC-5")
async def test_an_issuer_that_is_away(issuer: Issuer, source: DiscoveredKeys, ticks: Ticks) -> None:
    check, old = verifier(issuer, source), issuer.signing[0]
    await check.verify(issuer.token(old), AGENCY)
    await issuer.close()
    ticks.now += REFRESH_S
    assert (await check.verify(issuer.token(old), AGENCY)).member_id == "m-1"
    ticks.now += KEEP_S
    assert await reason(check.verify(issuer.token(old), AGENCY)) == e.ERROR_REASON_ISSUER_UNAVAILABLE
    await issuer.open()
    ticks.now += UNKNOWN_S
    assert (await check.verify(issuer.token(old), AGENCY)).member_id == "m-1"


async def test_a_token_of_somebody_else_asks_nobody(issuer: Issuer, source: DiscoveredKeys) -> None:
    other = issuer.token(key("k9"), iss="https://elsewhere.test")
    assert await reason(verifier(issuer, source).verify(other, AGENCY)) == e.ERROR_REASON_TOKEN_INVALID
    assert issuer.asked == 0


@pytest.mark.req("R-ACC-5")
async def test_an_acr_that_stands_for_a_second_factor(issuer: Issuer, source: DiscoveredKeys) -> None:
    token = issuer.token(issuer.signing[0], amr=["pwd"], acr="urn:agency:aal2")
    assert await reason(verifier(issuer, source).verify(token, AGENCY)) == e.ERROR_REASON_MFA_REQUIRED
    strong = verifier(issuer, source, mfa_acr=["urn:agency:aal2"])
    assert (await strong.verify(token, AGENCY)).amr == ("pwd", "mfa")
    weak = issuer.token(issuer.signing[0], amr=["pwd"], acr="urn:agency:aal1")
    assert await reason(strong.verify(weak, AGENCY)) == e.ERROR_REASON_MFA_REQUIRED


async def test_another_name_for_the_agency(issuer: Issuer, source: DiscoveredKeys) -> None:
    token = issuer.token(issuer.signing[0], agency=None, **{"https://idp.test/agency": AGENCY})
    named = verifier(issuer, source, agency_claim="https://idp.test/agency")
    assert (await named.verify(token, AGENCY)).agency_id == AGENCY


async def test_the_token_says_that_its_member_is_federal(issuer: Issuer, source: DiscoveredKeys) -> None:
    check = verifier(issuer, source)
    assert not (await check.verify(issuer.token(issuer.signing[0]), AGENCY)).federal_task_force
    for said in (True, "yes", 1):
        token = issuer.token(issuer.signing[0], federal_task_force=said)
        assert (await check.verify(token, AGENCY)).federal_task_force


async def redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("https://elsewhere.test/")


async def not_json(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>sign in</html>")


async def a_list(request: web.Request) -> web.StreamResponse:
    return web.json_response([])


async def endless(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b" " * (2 << 20))


async def missing(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (redirect, "answered 302"),
        (missing, "answered 404"),
        (not_json, "no JSON"),
        (a_list, "no JSON object"),
        (endless, "more than"),
    ],
)
async def test_answers_that_are_none(issuer: Issuer, answer: Any, said: str) -> None:
    issuer.answer = answer
    with pytest.raises(IssuerError, match=said):
        await fetch_keys(issuer.url, issuer.ca)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": "https://elsewhere.test"}, "names another issuer"),
        ({"jwks_uri": None}, "has no jwks_uri"),
        ({"jwks_uri": "http://localhost/jwks"}, "jwks_uri must be an https address"),
    ],
)
async def test_documents_that_lie(issuer: Issuer, changes: dict[str, Any], said: str) -> None:
    issuer.document |= changes
    with pytest.raises(IssuerError, match=said):
        await fetch_keys(issuer.url, issuer.ca)


async def test_symmetric_and_encryption_keys_are_no_signature_keys(issuer: Issuer) -> None:
    issuer.signing = [OctKey.generate_key(256, {"kid": "k1"})]  # type: ignore[list-item]
    issuer.signing[0].as_dict = lambda private=False: {"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}  # type: ignore[method-assign,misc]
    with pytest.raises(IssuerError, match="no public signature key"):
        await fetch_keys(issuer.url, issuer.ca)
    issuer.signing = [ECKey.generate_key("P-256", {"kid": "k1", "use": "enc"})]
    with pytest.raises(IssuerError, match="no public signature key"):
        await fetch_keys(issuer.url, issuer.ca)


async def test_a_certificate_that_nobody_vouches_for(issuer: Issuer, tmp_path: Path) -> None:
    stranger = DevelopmentPki(tmp_path / "other")
    stranger.ensure()
    with pytest.raises(IssuerError, match="does not answer"):
        await fetch_keys(issuer.url, stranger.ca)
    with pytest.raises(IssuerError, match="does not answer"):
        await fetch_keys(issuer.url, None)
    with pytest.raises(IssuerError, match="cannot be used"):
        await fetch_keys(issuer.url, tmp_path / "missing.pem")
    with pytest.raises(IssuerError, match="must be an https address"):
        await fetch_keys("http://localhost", issuer.ca)


async def test_an_issuer_that_does_not_end(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "_TIMEOUT_S", 0.2)
    issuer.slow = 2.0
    with pytest.raises(IssuerError, match="does not answer"):
        await fetch_keys(issuer.url, issuer.ca)


async def test_a_file_that_is_broken_believes_nobody(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    source = issuer_keys.FileKeys(file)
    for text in (None, "no json", json.dumps({"keys": []}), json.dumps({"keys": [{"kty": "EC"}]})):
        if text is not None:
            file.write_text(text)
        assert await reason(source.keys("k1")) == e.ERROR_REASON_ISSUER_UNAVAILABLE
