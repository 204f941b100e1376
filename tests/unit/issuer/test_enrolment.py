"""Enrolment by a link that counts once, and passkeys: made by a device in software, over the issuer's real address."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from clients.issuer.parts import build
from servicekit.issuer_keys import DiscoveredKeys
from servicekit.tokens import TokenVerifier
from tests.common.authenticator import Authenticator
from tests.unit.issuer.conftest import PASSWORD, Browser, Running


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["token"][0]


async def with_passkey(running: Running, browser: Browser, device: Authenticator) -> None:
    """Enrol a member with password, authenticator and a passkey."""
    link = running.add()
    await browser.get("/enrol", token=token_of(link))
    enrolment = browser.hidden("enrolment")
    status, options = await browser.json("/enrol/passkey/question", enrolment=enrolment)
    assert status == 200
    status, answer = await browser.json(
        "/enrol/passkey/answer", enrolment=enrolment, credential=device.make(options)
    )
    assert (status, answer) == (200, {"added": True})
    assert (await browser.enrol(link)).status == 200


async def by_passkey(browser: Browser, device: Authenticator, **changes: str) -> tuple[int, dict[str, str]]:
    flow = browser.hidden("flow")
    status, options = await browser.json("/passkey/question", flow=flow)
    assert status == 200, options
    return await browser.json("/passkey/answer", flow=flow, credential=device.sign(options, **changes))


@pytest.mark.req("R-ACC-5")
async def test_a_link_counts_once_and_for_a_day(running: Running, browser: Browser) -> None:
    link = running.add()
    newer = running.add()
    assert (await browser.get("/enrol", token=token_of(link))).status == 404, "a newer link replaces it"
    assert (await browser.enrol(newer)).status == 200
    assert (await browser.get("/enrol", token=token_of(newer))).status == 404
    late = running.add()
    running.later(hours=24)
    assert (await browser.get("/enrol", token=token_of(late))).status == 404
    assert (await browser.get("/enrol")).status == 404


@pytest.mark.req("R-ACC-5")
@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("short", "15 to 128 characters"),
        ("x" * 129, "15 to 128 characters"),
        ("passwordpassword", "guessed quickly"),
        ("aaaaaaaaaaaaaaaa", "guessed quickly"),
        ("m-1042 m-1042 m-1042", "guessed quickly"),
        ("DanaReyesReyesDana", "guessed quickly"),
    ],
)
async def test_passwords_that_are_refused(
    running: Running, browser: Browser, password: str, said: str
) -> None:
    answer = await browser.enrol(running.add(), password=password)
    assert answer.status == 400
    assert said in browser.error
    assert running.issuer.store.account("m-1042").password_hash == ""  # type: ignore[union-attr]


async def test_what_must_fit_at_enrolment(running: Running, browser: Browser) -> None:
    link = running.add()
    await browser.get("/enrol", token=token_of(link))
    enrolment = browser.hidden("enrolment")
    differ = await browser.post(
        "/enrol", enrolment=enrolment, password=PASSWORD, again="another one entirely", code="000000"
    )
    assert (differ.status, browser.error) == (400, "The two passwords differ.")
    wrong = await browser.post(
        "/enrol", enrolment=enrolment, password=PASSWORD, again=PASSWORD, code="000000"
    )
    assert wrong.status == 400
    assert "check the clock" in browser.error
    assert (
        await browser.post("/enrol", enrolment="made up", password=PASSWORD, again=PASSWORD, code="000000")
    ).status == 400


@pytest.mark.req("R-ACC-5")
@pytest.mark.parametrize(("synced", "method"), [(False, "hwk"), (True, "swk")])
async def test_a_passkey_that_verifies_its_user_is_both_factors(
    running: Running, browser: Browser, synced: bool, method: str
) -> None:
    device = Authenticator(running.url, synced=synced)
    await with_passkey(running, browser, device)
    await browser.begin()
    status, answer = await by_passkey(browser, device)
    assert status == 200, answer
    code = parse_qs(urlsplit(answer["location"]).query)["code"][0]
    _, tokens = await browser.exchange(code)
    check = TokenVerifier(running.url, "plateward", DiscoveredKeys(running.url, running.ca), running.clock)
    claims = await check.verify(tokens["access_token"], "elk-grove-pd")
    assert claims.amr == (method, "user", "mfa")


@pytest.mark.req("R-ACC-5")
async def test_a_passkey_that_verifies_nobody_is_only_the_second_factor(
    running: Running, browser: Browser
) -> None:
    device = Authenticator(running.url)
    await with_passkey(running, browser, device)
    device.verifies = False
    await browser.begin()
    assert (await by_passkey(browser, device))[0] == 401
    await browser.begin()
    await browser.password()
    assert "passkey" in browser.page
    status, _ = await by_passkey(browser, device)
    assert status == 200


@pytest.mark.req("R-ACC-5")
async def test_a_passkey_of_somebody_else_or_for_somewhere_else(running: Running, browser: Browser) -> None:
    device = Authenticator(running.url)
    await with_passkey(running, browser, device)
    await browser.begin()
    assert (await by_passkey(browser, Authenticator(running.url)))[0] == 401
    device.origin = "https://elk-grove.phish.test"
    assert (await by_passkey(browser, device))[0] == 401
    device.origin = running.url
    assert (await by_passkey(browser, device, host="phish.test"))[0] == 401
    # A passkey of another member does not stand in after this member's password.
    running.issuer.store.add_account(
        "m-1077", "elk-grove-pd", "Sgt. Priya Nair", federal=False, now=running.issuer.now
    )
    other = await _second_member(running, browser)
    await browser.begin()
    await browser.password("m-1077")
    assert (await by_passkey(browser, device))[0] == 401
    assert (await by_passkey(browser, other))[0] == 200


async def _second_member(running: Running, browser: Browser) -> Authenticator:
    from clients.issuer.enrol import new_link

    device, link = Authenticator(running.url), new_link(running.issuer, "m-1077")
    await browser.get("/enrol", token=token_of(link))
    enrolment = browser.hidden("enrolment")
    _, options = await browser.json("/enrol/passkey/question", enrolment=enrolment)
    await browser.json("/enrol/passkey/answer", enrolment=enrolment, credential=device.make(options))
    await browser.enrol(link, "m-1077")
    return device


@pytest.mark.req("R-ACC-5")
async def test_a_signature_counts_once(running: Running, browser: Browser) -> None:
    device = Authenticator(running.url)
    await with_passkey(running, browser, device)
    await browser.begin()
    flow = browser.hidden("flow")
    _, options = await browser.json("/passkey/question", flow=flow)
    credential = device.sign(options)
    assert (await browser.json("/passkey/answer", flow=flow, credential=credential))[0] == 200
    await browser.begin(prompt="login")
    fresh = browser.hidden("flow")
    assert (await browser.json("/passkey/answer", flow=fresh, credential=credential))[0] == 400
    await browser.json("/passkey/question", flow=fresh)
    assert (await browser.json("/passkey/answer", flow=fresh, credential=credential))[0] == 401
    for broken in ({}, {"id": 5}, {"id": "!!"}, {**credential, "response": {}}):
        await browser.json("/passkey/question", flow=fresh)
        assert (await browser.json("/passkey/answer", flow=fresh, credential=broken))[0] in (400, 401)


async def test_a_form_of_another_page_cannot_answer_for_a_passkey(running: Running, browser: Browser) -> None:
    await browser.begin()
    answer = await browser.post("/passkey/question", flow=browser.hidden("flow"))
    assert answer.status == 400


async def test_the_file_is_opened_again_with_all_that_it_holds(enrolled: Running, browser: Browser) -> None:
    again = build(enrolled.url, _folder(enrolled), {}, enrolled.clock)
    try:
        (account,) = again.store.accounts()
        assert (account.member_id, account.has_totp) == ("m-1042", True)
        assert again.totp.accepts("m-1042", enrolled.code(), again.now)
        assert again.keys.signing().kid == enrolled.issuer.keys.signing().kid
    finally:
        again.store.close()


def _folder(running: Running):
    from pathlib import Path

    (row,) = running.issuer.store.all("PRAGMA database_list")
    return Path(row["file"]).parent
