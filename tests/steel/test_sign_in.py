"""Signing in as in production: the services believe nobody but the issuer that they discovered, and the browser does the rest."""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from aiohttp import ClientSession, CookieJar, TCPConnector
from typer.testing import CliRunner

from clients.cli.main import app
from clients.connection import Connection, ConnectionFileError
from clients.devkit.issuer import DevelopmentIssuer
from clients.devkit.opa import find_opa
from clients.devkit.stack import Stack
from clients.session import Session

PASSWORD = "nine quiet herons over the delta"
REFUSED, NOT_POSSIBLE = 3, 2


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Stack]]:
    root = tmp_path_factory.mktemp("signing")
    running = Stack(root, opa=find_opa(), embedded_issuer=True)
    try:
        running.start_all(lambda _step: None)
        yield root, running
    finally:
        running.stop()


class Person:
    """A member with a browser and an authenticator."""

    def __init__(self, member_id: str, ca: Path) -> None:
        self.member_id = member_id
        self.secret = ""
        self._ca = ca

    def _http(self) -> ClientSession:
        trust = ssl.create_default_context(cafile=self._ca)
        return ClientSession(cookie_jar=CookieJar(), connector=TCPConnector(ssl=trust))

    async def enrol(self, link: str) -> None:
        async with self._http() as http, http.get(link) as opened:
            page = await opened.text()
            found = re.search(r"data-secret>([A-Z2-7 ]+)<", page)
            assert found, page
            self.secret = found[1].replace(" ", "")
            # The code of the step before, so that the present one is left for signing in.
            code = pyotp.TOTP(self.secret).at(int(time.time()) - 30)
            fields = {
                "enrolment": _hidden(page, "enrolment"),
                "password": PASSWORD,
                "again": PASSWORD,
                "code": code,
            }
            async with http.post(link.partition("?")[0], data=fields) as done:
                assert done.status == 200, await done.text()

    async def sign_in(self, address: str) -> None:
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
        async with self._http() as http:
            async with http.get(address) as first:
                page = await first.text()
            fields = {
                "flow": _hidden(page, "flow"),
                "member": self.member_id,
                "password": PASSWORD,
            }
            async with http.post(f"{origin}/sign-in", data=fields) as second:
                page = await second.text()
            fields = {"flow": _hidden(page, "flow"), "code": pyotp.TOTP(self.secret).now()}
            async with http.post(f"{origin}/second", data=fields, allow_redirects=False) as done:
                back = done.headers["Location"]
            async with http.get(back) as closed:
                assert "You are signed in" in await closed.text()


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return found[1]


@pytest.mark.req("R-ACC-5")
def test_from_enrolment_to_a_search_and_out_again(
    signing: tuple[Path, Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, stack = signing
    links = stack.enrolment_links()
    assert "m-1042" in links
    person = Person("m-1042", root / "pki" / "ca.pem")
    asyncio.run(person.enrol(links["m-1042"]))
    assert "m-1042" not in stack.enrolment_links(), "who has enrolled gets no new link"

    def plateward(*words: str, ends: int = 0) -> str:
        result = CliRunner().invoke(app, [*words, "--connect", str(root)])
        assert result.exit_code == ends, f"{words}: {result.output}{result.exception}"
        return result.output

    search = ("search", "7K*", "--offence", "vehicle-theft", "--case", "26-004312",
              "--reason", "silver Accord taken from Laguna Blvd at 03:10")  # fmt: skip
    with pytest.raises(ConnectionFileError, match="plateward login"):
        Connection.load(root).token("m-1042")

    # A token that the development issuer signs is one of somebody else here.
    stranger = DevelopmentIssuer(root / "pki").mint("m-1042")
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "token", lambda self, member: stranger)
        assert "token-invalid" in plateward(*search, ends=REFUSED)

    threads = []

    def browse(address: str) -> bool:
        thread = threading.Thread(target=lambda: asyncio.run(person.sign_in(address)))
        thread.start()
        threads.append(thread)
        return True

    monkeypatch.setattr("webbrowser.open", browse)
    said = plateward("login")
    threads[0].join()
    assert "Signed in as Ofc. Dana Reyes (m-1042)" in said
    assert (root / "session.json").stat().st_mode & 0o077 == 0
    assert "Allowed" in plateward(*search)
    assert "platform.role" in plateward("members", "list", ends=REFUSED)

    session = Session.load(root)
    assert session is not None
    before, session.expires_at = session.access_token, 0.0
    session.save(root)
    assert "Allowed" in plateward(*search), "the token is refreshed while it is used"
    after = Session.load(root)
    assert after is not None
    assert after.access_token != before

    assert "is signed out" in plateward("logout")
    assert "Nobody is signed in" in plateward("logout")
    after.expires_at = 0.0
    after.save(root)
    with pytest.raises(ConnectionFileError, match="session is over"):
        Connection.load(root).token("m-1042")


def test_the_listener_takes_no_stranger_s_return() -> None:
    from http.server import HTTPServer
    from urllib.error import HTTPError
    from urllib.request import urlopen

    from clients.cli.login import _listener

    returned: dict[str, str] = {}
    with HTTPServer(("127.0.0.1", 0), _listener(returned, "the-state")) as server:
        threading.Thread(target=lambda: [server.handle_request() for _ in range(3)], daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        for path in ("/callback?code=stolen&state=another", "/elsewhere?code=x&state=the-state"):
            with pytest.raises(HTTPError):
                urlopen(base + path)
        assert returned == {}
        with urlopen(f"{base}/callback?code=good&state=the-state") as answer:
            assert "signed in" in answer.read().decode()
    assert parse_qs("code=good")["code"][0] == returned["code"]
