"""Signing in over real HTTPS: two factors, or nothing; and what the services make of the token."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from servicekit.issuer_keys import DiscoveredKeys
from servicekit.tokens import TokenVerifier
from tests.unit.issuer.conftest import CALLBACK, PASSWORD, PORTAL, Browser, Running, code_of

AGENCY = "elk-grove-pd"


def verifier(running: Running) -> TokenVerifier:
    return TokenVerifier(running.url, "plateward", DiscoveredKeys(running.url, running.ca), running.clock)


@pytest.mark.req("R-ACC-5")
async def test_from_the_first_page_to_a_token_that_services_believe(
    enrolled: Running, browser: Browser
) -> None:
    first = await browser.begin()
    assert first.status == 200
    second = await browser.password()
    assert second.status == 200
    assert "authenticator" in browser.page
    done = await browser.second(enrolled.code())
    back = urlsplit(done.headers["Location"])
    query = parse_qs(back.query)
    assert f"{back.scheme}://{back.netloc}{back.path}" == CALLBACK
    assert (query["state"], query["iss"]) == (["st-1"], [enrolled.url])
    status, tokens = await browser.exchange(query["code"][0])
    assert (status, tokens["expires_in"]) == (200, 600)
    claims = await verifier(enrolled).verify(tokens["access_token"], AGENCY)
    assert (claims.member_id, claims.name, claims.amr) == (
        "m-1042",
        "Ofc. Dana Reyes",
        ("pwd", "otp", "mfa"),
    )
    async with browser.http.get(f"{enrolled.url}/jwks") as answer:
        keys = KeySet.import_key_set(await answer.json())
    identity = jwt.decode(tokens["id_token"], keys).claims
    assert (identity["aud"], identity["nonce"]) == ("plateward-cli", "n-1")
    # An identity token is for the program, not for the services.
    with pytest.raises(Exception, match="someone else"):
        await verifier(enrolled).verify(tokens["id_token"], AGENCY)


@pytest.mark.req("R-ACC-5")
@pytest.mark.parametrize(
    ("member", "password"),
    [("m-1042", "not the password at all"), ("m-9999", PASSWORD), ("", PASSWORD), ("m-1042", "")],
)
async def test_who_is_not_let_past_the_password(
    enrolled: Running, browser: Browser, member: str, password: str
) -> None:
    await browser.begin()
    answer = await browser.password(member, password)
    assert answer.status == 401
    assert browser.error == "Member ID or password is wrong, or the account may not sign in."
    assert "authenticator" not in browser.page
    # The second page is not reached around the first.
    assert (await browser.second(enrolled.code())).status == 400


@pytest.mark.req("R-ACC-5")
async def test_five_tries_and_ten_minutes(enrolled: Running, browser: Browser) -> None:
    await browser.begin()
    for _ in range(4):
        assert (await browser.password(password="wrong, wrong, wrong")).status == 401
    assert (await browser.password(password="wrong, wrong, wrong")).status == 401
    assert browser.error.startswith("Too many failed tries: wait 10 minutes")
    assert (await browser.password()).status == 429, "the right password does not help either"
    enrolled.later(minutes=9, seconds=59)
    await browser.begin()
    assert (await browser.password()).status == 429
    enrolled.later(seconds=1)
    await browser.begin()
    assert (await browser.password()).status == 200


@pytest.mark.req("R-ACC-5")
async def test_wrong_codes_count_as_tries_and_passwords_do_not_reset_them(
    enrolled: Running, browser: Browser
) -> None:
    for _ in range(5):
        await browser.begin()
        assert (await browser.password()).status == 200
        assert (await browser.second("000000")).status == 401
    await browser.begin()
    assert (await browser.password()).status == 429


@pytest.mark.req("R-ACC-5")
async def test_a_lock_tells_nobody_who_exists(enrolled: Running, browser: Browser) -> None:
    await browser.begin()
    for _ in range(5):
        await browser.password("m-0000", "wrong, wrong, wrong")
    assert browser.error.startswith("Too many failed tries")


@pytest.mark.req("R-ACC-5")
async def test_a_code_counts_once_and_only_around_its_time(enrolled: Running, browser: Browser) -> None:
    code = enrolled.code()
    await browser.sign_in()
    for used, time in ((code, 0.0), (enrolled.code(), 0.0), (code, 120.0)):
        enrolled.later(seconds=time)
        await browser.begin(prompt="login")
        await browser.password()
        assert (await browser.second(used)).status == 401, "a code that was used, or is of another time"
    await browser.begin(prompt="login")
    await browser.password()
    assert (await browser.second(enrolled.code())).status == 303


@pytest.mark.req("R-ACC-5")
async def test_who_has_set_no_second_factor_gets_no_token(running: Running, browser: Browser) -> None:
    running.add()
    account = running.issuer.store.account("m-1042")
    assert account is not None
    await running.issuer.passwords.set(account, PASSWORD)
    await browser.begin()
    answer = await browser.password()
    assert answer.status == 403
    assert "no second factor" in browser.page


async def test_a_disabled_account_loses_its_session(enrolled: Running, browser: Browser) -> None:
    _, tokens = await browser.exchange(await browser.sign_in())
    enrolled.issuer.store.disable("m-1042", disabled=True)
    assert (await browser.refresh(tokens["refresh_token"]))[0] == 400
    await browser.begin()
    assert "Sign in" in browser.page, "the browser's session is over too"
    assert (await browser.password()).status == 401


async def test_a_session_that_is_used_goes_on_without_a_password(enrolled: Running, browser: Browser) -> None:
    await browser.sign_in()
    enrolled.later(minutes=29)
    again = await browser.begin()
    status, _ = await browser.exchange(code_of(again))
    assert status == 200
    enrolled.later(minutes=31)
    assert (await browser.begin()).status == 200
    assert "Sign in" in browser.page
    refused = await browser.begin(prompt="none")
    assert parse_qs(urlsplit(refused.headers["Location"]).query)["error"] == ["login_required"]


@pytest.mark.req("R-SHR-2")
async def test_a_federal_member_carries_it_in_the_token(running: Running, browser: Browser) -> None:
    await browser.enrol(running.add(federal=True))
    _, tokens = await browser.exchange(await browser.sign_in())
    assert (await verifier(running).verify(tokens["access_token"], AGENCY)).federal_task_force


async def test_a_sign_in_belongs_to_the_browser_that_began_it(enrolled: Running, browser: Browser) -> None:
    await browser.begin()
    other = Browser(enrolled)
    try:
        other.page = browser.page
        assert (await other.password()).status == 400
    finally:
        await other.http.close()
    enrolled.later(minutes=11)
    assert (await browser.password()).status == 400


async def test_the_portal_signs_in_too(enrolled: Running, browser: Browser) -> None:
    await browser.begin(client_id="portal", redirect_uri=PORTAL)
    await browser.password()
    done = await browser.second(enrolled.code())
    assert done.headers["Location"].startswith(PORTAL)
    status, _ = await browser.exchange(code_of(done), client_id="portal", redirect_uri=PORTAL)
    assert status == 200


async def test_pages_keep_to_themselves(enrolled: Running, browser: Browser) -> None:
    answer = await browser.begin()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert policy.endswith("form-action 'self' http://127.0.0.1:53187"), (
        "a form may end where the sign-in returns to"
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Server"] == "plateward"
    assert "<script>" not in browser.page
    assert "style=" not in browser.page
    flow = answer.cookies["__Host-flow"]
    assert flow["secure"]
    assert flow["httponly"]
    assert flow["samesite"] == "Lax"
    await browser.begin(client_id="portal", redirect_uri=PORTAL, state="<script>alert(1)</script>")
    await browser.password('"><script>alert(1)</script>', "wrong, wrong, wrong")
    assert "<script>alert" not in browser.page
    assert (await browser.get("/style.css")).status == 200
    assert (await browser.get("/store.py")).status == 404


@pytest.mark.req("R-ACC-5")
async def test_nothing_of_use_lies_in_the_file(enrolled: Running, browser: Browser, tmp_path: Path) -> None:
    _, tokens = await browser.exchange(await browser.sign_in())
    folder = tmp_path / "issuer"
    # All of it: the file itself, its log, its index.
    kept = b"".join(file.read_bytes() for file in folder.glob("issuer.sqlite*"))
    private = json.dumps(enrolled.issuer.keys.signing().as_dict(private=True))
    for secret in (
        PASSWORD,
        enrolled.secrets["m-1042"],
        tokens["refresh_token"],
        tokens["access_token"],
        json.loads(private)["d"],
    ):
        assert secret.encode() not in kept
    assert b"$argon2id$" in kept
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name


def test_a_code_of_the_future_is_none(tmp_path: Path) -> None:
    from clients.issuer.totp import _step_of

    secret, now = pyotp.random_base32(32), 1_800_000_000.0
    assert _step_of(secret, pyotp.TOTP(secret).at(int(now)), now, 0) == int(now) // 30
    assert _step_of(secret, pyotp.TOTP(secret).at(int(now) + 90), now, 0) is None
    assert _step_of(secret, "12345", now, 0) is None
    assert _step_of(secret, "１２３４５６", now, 0) is None
