"""Codes, tokens and refreshes: each once, for who asked, and not after thirty idle minutes."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from clients.issuer.flows import Waiting
from servicekit.issuer_keys import DiscoveredKeys
from servicekit.tokens import TokenVerifier
from tests.unit.issuer.conftest import CALLBACK, PORTAL, Browser, Running

AGENCY = "elk-grove-pd"


@pytest.mark.req("R-ACC-5")
async def test_a_refresh_goes_on_until_thirty_idle_minutes(enrolled: Running, browser: Browser) -> None:
    _, tokens = await browser.exchange(await browser.sign_in())
    for _ in range(3):
        enrolled.later(minutes=29)
        status, tokens = await browser.refresh(tokens["refresh_token"])
        assert status == 200
    enrolled.later(minutes=30, seconds=1)
    status, refused = await browser.refresh(tokens["refresh_token"])
    assert (status, refused["error"]) == (400, "invalid_grant")
    assert "sign in again" in refused["error_description"]


@pytest.mark.req("R-ACC-5")
async def test_no_session_outlives_twelve_hours(enrolled: Running, browser: Browser) -> None:
    _, tokens = await browser.exchange(await browser.sign_in())
    for _ in range(28):
        enrolled.later(minutes=25)
        status, tokens = await browser.refresh(tokens["refresh_token"])
        assert status == 200
    enrolled.later(minutes=25)
    assert (await browser.refresh(tokens["refresh_token"]))[0] == 400


@pytest.mark.req("R-ACC-5")
async def test_a_refresh_token_that_comes_twice_ends_its_session(enrolled: Running, browser: Browser) -> None:
    _, tokens = await browser.exchange(await browser.sign_in())
    _, fresh = await browser.refresh(tokens["refresh_token"])
    assert (await browser.refresh(tokens["refresh_token"]))[0] == 400
    assert (await browser.refresh(fresh["refresh_token"]))[0] == 400, (
        "the thief and the owner both sign in anew"
    )


async def test_a_refresh_token_is_its_clients(enrolled: Running, browser: Browser) -> None:
    _, tokens = await browser.exchange(await browser.sign_in())
    assert (await browser.refresh(tokens["refresh_token"], "portal"))[0] == 400
    assert (await browser.refresh(tokens["refresh_token"], "nobody"))[0] == 401
    assert (await browser.refresh("x" * 43))[0] == 400
    assert (await browser.refresh(tokens["refresh_token"]))[0] == 200


async def test_signing_out_ends_the_session(enrolled: Running, browser: Browser) -> None:
    _, tokens = await browser.exchange(await browser.sign_in())
    assert (await browser.post("/revoke", token=tokens["refresh_token"])).status == 200
    assert (await browser.post("/revoke", token="never given out")).status == 200
    assert (await browser.refresh(tokens["refresh_token"]))[0] == 400


@pytest.mark.req("R-ACC-5")
async def test_a_code_counts_once_and_for_a_minute(enrolled: Running, browser: Browser) -> None:
    code = await browser.sign_in()
    status, tokens = await browser.exchange(code)
    assert status == 200
    assert (await browser.exchange(code))[0] == 400
    assert (await browser.refresh(tokens["refresh_token"]))[0] == 400, (
        "what a stolen code has opened is closed"
    )
    enrolled.later(seconds=31)
    await browser.begin(prompt="login")
    late = await browser.sign_in() if "Sign in" in browser.page else ""
    enrolled.later(seconds=61)
    assert (await browser.exchange(late))[0] == 400


@pytest.mark.req("R-ACC-5")
@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "x" * 43},
        {"code_verifier": ""},
        {"redirect_uri": "http://127.0.0.1:1/callback"},
        {"client_id": "portal"},
    ],
)
async def test_a_code_is_for_who_asked_for_it(
    enrolled: Running, browser: Browser, changes: dict[str, str]
) -> None:
    code = await browser.sign_in()
    assert (await browser.exchange(code, **changes))[0] == 400
    assert (await browser.exchange(code))[0] == 400, "and it is spent by the attempt"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
async def test_what_is_told_to_the_program(
    running: Running, browser: Browser, changes: dict[str, str], error: str
) -> None:
    answer = await browser.begin(**changes)
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert (query["error"], query["state"]) == ([error], ["st-1"])


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "https://elsewhere.test/callback"},
        {"redirect_uri": "http://127.0.0.1:99@elsewhere.test/callback"},
        {"redirect_uri": "http://127.0.0.1.elsewhere.test:80/callback"},
        {"redirect_uri": "http://127.0.0.1:8080/other"},
        {"redirect_uri": "http://127.0.0.1:8080/callback?next=https://elsewhere.test"},
        {"redirect_uri": "http://localhost:8080/callback"},
        {"redirect_uri": "https://127.0.0.1:8080/callback"},
        {"redirect_uri": "http://127.0.0.1:70000/callback"},
        {"client_id": "portal", "redirect_uri": f"{PORTAL}/"},
        {"client_id": "portal", "redirect_uri": CALLBACK},
    ],
)
async def test_what_is_never_sent_anywhere(
    running: Running, browser: Browser, changes: dict[str, str]
) -> None:
    answer = await browser.begin(**changes)
    assert answer.status == 400
    assert "Location" not in answer.headers


@pytest.mark.req("R-ACC-5")
async def test_keys_rotate_without_anybody_noticing(enrolled: Running, browser: Browser) -> None:
    _, before = await browser.exchange(await browser.sign_in())
    enrolled.issuer.keys.rotate(enrolled.issuer.now)
    _, after = await browser.refresh(before["refresh_token"])
    check = TokenVerifier(
        enrolled.url, "plateward", DiscoveredKeys(enrolled.url, enrolled.ca), enrolled.clock
    )
    for tokens in (before, after):
        assert (await check.verify(tokens["access_token"], AGENCY)).member_id == "m-1042"
    assert len(enrolled.issuer.keys.published(enrolled.issuer.now)["keys"]) == 2
    enrolled.later(days=3)
    assert len(enrolled.issuer.keys.published(enrolled.issuer.now)["keys"]) == 1


def test_what_is_under_way_never_grows_without_end() -> None:
    waiting = Waiting[int](600.0)
    names = [waiting.keep(number, 0.0) for number in range(10_050)]
    assert waiting.get(names[0], 0.0) is None
    assert waiting.get(names[-1], 0.0) == 10_049
    assert waiting.get(names[-1], 600.0) is None
    assert len(waiting._things) == 10_000
