"""The sign-in pages in a real browser: a passkey that is made and used, a form that may end at the program, no complaint."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pyotp
import pytest
from aiohttp import web

from clients.devkit.pki import DevelopmentPki
from tests.common.chromium import Tab, chromium, find_chromium
from tests.unit.issuer.conftest import PASSWORD, Browser, Running

CHROMIUM = find_chromium()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt-get install chromium")


@pytest.fixture
async def tab(pki: DevelopmentPki) -> AsyncIterator[Tab]:
    assert CHROMIUM is not None
    async with chromium(CHROMIUM, pki.cert("reads")) as opened:
        yield opened


@pytest.fixture
async def program() -> AsyncIterator[str]:
    """The program that the browser returns to; yields its address."""

    async def returned(request: web.Request) -> web.Response:
        return web.Response(text="<title>returned</title>signed in", content_type="text/html")

    app = web.Application()
    app.router.add_get("/callback", returned)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/callback"
    await runner.cleanup()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go; PLATEWARD_SCREENSHOTS names a folder to look at them in."""
    folder = Path(os.environ.get("PLATEWARD_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def with_authenticator(tab: Tab) -> str:
    await tab.call("WebAuthn.enable")
    answer = await tab.call(
        "WebAuthn.addVirtualAuthenticator",
        options={
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": True, "automaticPresenceSimulation": True,
        },
    )  # fmt: skip
    return str(answer["authenticatorId"])


@pytest.mark.req("R-ACC-5")
async def test_enrol_then_sign_in_by_passkey_and_by_password(
    running: Running, browser: Browser, tab: Tab, program: str, pictures: Path
) -> None:
    await with_authenticator(tab)
    await tab.open(running.add())
    await tab.picture(pictures / "enrol.png")
    await tab.click("[data-register]")
    await tab.until("document.querySelector('[data-note]').textContent.includes('passkey is added')")

    secret = (await tab.js("document.querySelector('[data-secret]').textContent")).replace(" ", "")
    running.secrets["m-1042"] = secret
    now = int(running.clock.time.timestamp())
    for name, value in (
        ("password", PASSWORD),
        ("again", PASSWORD),
        ("code", pyotp.TOTP(secret).at(now - 30)),
    ):
        await tab.fill(name, value)
    await tab.click("form button[type=submit]")
    await tab.until("document.querySelector('h1')?.textContent === 'All set'")
    await tab.picture(pictures / "enrolled.png")

    address = f"{running.url}/authorize?" + urlencode(browser.asking(redirect_uri=program))
    await tab.open(address)
    await tab.picture(pictures / "sign-in.png")
    await tab.click("[data-passkey]")
    await tab.until("document.title === 'returned'")
    code = await tab.js("new URL(location.href).searchParams.get('code')")
    status, tokens = await browser.exchange(code, redirect_uri=program)
    assert status == 200
    assert tokens["access_token"]

    # The other way: password and authenticator. The form's redirect leaves the issuer, and the policy of the page lets it.
    await tab.open(address + "&prompt=login")
    await tab.fill("member", "m-1042")
    await tab.fill("password", "something else entirely")
    await tab.click("form button[type=submit]")
    await tab.until("document.querySelector('[role=alert]') !== null")
    await tab.picture(pictures / "wrong.png")
    await tab.fill("password", PASSWORD)
    await tab.click("form button[type=submit]")
    await tab.until("document.querySelector('input[name=code]') !== null")
    await tab.picture(pictures / "second.png")
    await tab.fill("code", running.code())
    await tab.click("form button[type=submit]")
    await tab.until("document.title === 'returned'")
    # Chromium asks for an icon that no page names; a wrong password is a 401.
    complaints = [c for c in tab.complaints if "favicon" not in c and "401" not in c and "404" not in c]
    assert complaints == []


async def test_without_a_passkey_the_page_says_so(
    enrolled: Running, browser: Browser, tab: Tab, program: str
) -> None:
    await with_authenticator(tab)
    await tab.open(f"{enrolled.url}/authorize?" + urlencode(browser.asking(redirect_uri=program)))
    await tab.click("[data-passkey]")
    await tab.until("!document.querySelector('[data-note]').hidden")
    said = await tab.js("document.querySelector('[data-note]').textContent")
    assert "try again, or sign in with your password" in said
