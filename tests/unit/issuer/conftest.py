"""An issuer over real HTTPS with a clock of its own, and a browser that keeps cookies."""

from __future__ import annotations

import re
import secrets
import ssl
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar, TCPConnector, web

from clients.devkit.pki import DevelopmentPki
from clients.issuer.app import application
from clients.issuer.enrol import new_link
from clients.issuer.parts import CLI_CLIENT, Issuer, build
from tests.common.databases import FixedClock

PASSWORD = "nine quiet herons over the delta"
CALLBACK = "http://127.0.0.1:53187/callback"
PORTAL = "https://portal.egpd.test/callback"


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentPki:
    made = DevelopmentPki(tmp_path_factory.mktemp("pki"))
    made.ensure()
    return made


class Running:
    """The issuer under test."""

    def __init__(self, issuer: Issuer, clock: FixedClock, ca: Path) -> None:
        self.issuer = issuer
        self.clock = clock
        self.ca = ca
        self.url = issuer.url
        self.secrets: dict[str, str] = {}

    def code(self, member_id: str = "m-1042") -> str:
        """What the member's authenticator shows now."""
        return pyotp.TOTP(self.secrets[member_id]).at(int(self.clock.time.timestamp()))

    def later(self, **time: float) -> None:
        self.clock.time += timedelta(**time)

    def add(self, member_id: str = "m-1042", *, federal: bool = False) -> str:
        self.issuer.store.add_account(
            member_id, "elk-grove-pd", "Ofc. Dana Reyes", federal=federal, now=self.issuer.now
        )
        return new_link(self.issuer, member_id)


class Browser:
    """A browser and the program that it returns to."""

    def __init__(self, running: Running) -> None:
        self.running = running
        trust = ssl.create_default_context(cafile=running.ca)
        self.http = ClientSession(cookie_jar=CookieJar(), connector=TCPConnector(ssl=trust))
        self.verifier = secrets.token_urlsafe(48)
        self.page = ""

    async def get(self, path: str, **query: str) -> ClientResponse:
        return await self._kept(
            await self.http.get(f"{self.running.url}{path}", params=query, allow_redirects=False)
        )

    async def post(self, path: str, **fields: str) -> ClientResponse:
        return await self._kept(
            await self.http.post(f"{self.running.url}{path}", data=fields, allow_redirects=False)
        )

    async def json(self, path: str, **content: Any) -> tuple[int, dict[str, Any]]:
        answer = await self.http.post(f"{self.running.url}{path}", json=content)
        return answer.status, await answer.json()

    async def _kept(self, answer: ClientResponse) -> ClientResponse:
        self.page = await answer.text()
        return answer

    def hidden(self, name: str) -> str:
        """A hidden field of the page that is open."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page)
        assert found, self.page
        return found[1]

    @property
    def error(self) -> str:
        found = re.search(r'role="alert">([^<]*)<', self.page)
        return found[1] if found else ""

    def asking(self, **changes: str) -> dict[str, str]:
        challenge = urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        return {
            "response_type": "code", "client_id": CLI_CLIENT, "redirect_uri": CALLBACK, "scope": "openid", "state": "st-1",
            "nonce": "n-1", "code_challenge": challenge, "code_challenge_method": "S256",
        } | changes  # fmt: skip

    async def begin(self, **changes: str) -> ClientResponse:
        return await self.get("/authorize", **self.asking(**changes))

    async def password(self, member: str = "m-1042", password: str = PASSWORD) -> ClientResponse:
        return await self.post("/sign-in", flow=self.hidden("flow"), member=member, password=password)

    async def second(self, code: str) -> ClientResponse:
        return await self.post("/second", flow=self.hidden("flow"), code=code)

    async def sign_in(self, member: str = "m-1042") -> str:
        """Sign in from the first page to the last; return the code that the program is given."""
        await self.begin()
        await self.password(member)
        return code_of(await self.second(self.running.code(member)))

    async def exchange(self, code: str, **changes: str) -> tuple[int, dict[str, Any]]:
        fields = {
            "grant_type": "authorization_code", "code": code, "client_id": CLI_CLIENT, "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
        } | changes  # fmt: skip
        answer = await self.post("/token", **fields)
        return answer.status, await answer.json()

    async def refresh(self, token: str, client: str = CLI_CLIENT) -> tuple[int, dict[str, Any]]:
        answer = await self.post("/token", grant_type="refresh_token", refresh_token=token, client_id=client)
        return answer.status, await answer.json()

    async def enrol(self, link: str, member: str = "m-1042", password: str = PASSWORD) -> ClientResponse:
        """Open an enrolment link and fill the page in."""
        await self.get("/enrol", token=parse_qs(urlsplit(link).query)["token"][0])
        found = re.search(r"data-secret>([A-Z2-7 ]+)<", self.page)
        assert found, self.page
        self.running.secrets[member] = found[1].replace(" ", "")
        # The code that proves the authenticator must be older than the one that signs in.
        code = pyotp.TOTP(self.running.secrets[member]).at(int(self.running.clock.time.timestamp()) - 30)
        return await self.post(
            "/enrol", enrolment=self.hidden("enrolment"), password=password, again=password, code=code
        )


def code_of(answer: ClientResponse) -> str:
    assert answer.status == 303, answer.status
    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


@pytest.fixture
async def running(tmp_path: Path, pki: DevelopmentPki) -> AsyncIterator[Running]:
    clock = FixedClock(datetime.now(UTC).replace(microsecond=0))
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(pki.cert("reads"), pki.key("reads"))
    app = web.Application()
    runner = web.AppRunner(app)
    # The address is part of every token: take the port first, then build the issuer on it.
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0, ssl_context=trust)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]
    await runner.cleanup()
    issuer = build(f"https://localhost:{port}", tmp_path / "issuer", {"portal": [PORTAL]}, clock)
    runner = web.AppRunner(application(issuer))
    await runner.setup()
    await web.TCPSite(runner, "localhost", port, ssl_context=trust).start()
    yield Running(issuer, clock, pki.ca)
    await runner.cleanup()
    issuer.store.close()


@pytest.fixture
async def browser(running: Running) -> AsyncIterator[Browser]:
    made = Browser(running)
    yield made
    await made.http.close()


@pytest.fixture
async def enrolled(running: Running, browser: Browser) -> Running:
    """The issuer with one member who has set password and authenticator."""
    answer = await browser.enrol(running.add())
    assert answer.status == 200, browser.error
    return running
