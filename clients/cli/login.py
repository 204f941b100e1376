"""``plateward login`` and ``plateward logout``: sign in with the agency's issuer, in the browser (RFC 8252)."""

from __future__ import annotations

import json
import secrets
import webbrowser
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import monotonic
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import typer
from rich.console import Console

from clients.cli.calls import HERE, Connect
from clients.connection import Connection
from clients.session import CLIENT_ID, FILE, Session, SessionError, ask

_PATIENCE_S = 300.0
_DONE = "<!doctype html><title>Plateward</title><p>You are signed in. Close this page and go back to the command line."
_FAILED = "<!doctype html><title>Plateward</title><p>You are not signed in. The command line says why."


def login(
    connect: Connect = HERE,
    issuer: Annotated[
        str, typer.Option(help="Address of the issuer; that of the connection folder if left out.")
    ] = "",
    ca: Annotated[
        Path | None, typer.Option(help="Authorities that its certificate is checked against (PEM).")
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser, or only print the address.")
    ] = True,
) -> None:
    """Sign in as a member, in the browser; the commands that follow speak for that member.

    The sign-in is over after thirty idle minutes, after twelve hours, and with plateward logout.
    """
    connection = Connection.load(connect)
    url = issuer or connection.issuer.get("url", "")
    if not url:
        raise typer.BadParameter(
            "the connection folder names no issuer: give its address", param_hint="--issuer"
        )
    console = Console(highlight=False)

    def show(address: str) -> None:
        console.print("Sign in at:", address, sep="\n", soft_wrap=True)
        if browser:
            webbrowser.open(address)

    try:
        session = sign_in(url, str(ca or connection.issuer.get("ca", "")), show)
    except SessionError as error:
        console.print(f"[bold red]not signed in[/]: {error}")
        raise typer.Exit(3) from None
    session.save(connect)
    console.print(f"Signed in as [bold]{session.name}[/] ({session.member_id}).")


def logout(connect: Connect = HERE) -> None:
    """Sign out: the session ends at the issuer, and what is kept here is deleted."""
    session = Session.load(connect)
    if session is None:
        print("Nobody is signed in here.")
        return
    (connect / FILE).unlink(missing_ok=True)
    try:
        ask(session.issuer, session.ca, "/revoke", {"token": session.refresh_token})
    except SessionError as error:
        print(
            f"Signed out here; the issuer was not told ({error}). The session ends there after 30 idle minutes."
        )
        return
    print(f"{session.name} ({session.member_id}) is signed out.")


def sign_in(issuer: str, ca: str, show: Callable[[str], None]) -> Session:
    """Have a member sign in; ``show`` is given the address to open. Waits for the browser's return.

    Raises:
        SessionError: the member did not sign in, or what came back is not an answer to this request.
    """
    found = ask(issuer, ca, "/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise SessionError(f"{issuer} says that it is {found.get('issuer')!r}: give the address that it says")
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    returned: dict[str, str] = {}
    with HTTPServer(("127.0.0.1", 0), _listener(returned, state)) as server:
        redirect = f"http://127.0.0.1:{server.server_address[1]}/callback"
        show(f"{found['authorization_endpoint']}?" + urlencode({
            "response_type": "code", "client_id": CLIENT_ID, "redirect_uri": redirect, "scope": "openid", "state": state,
            "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256",
        }))  # fmt: skip
        server.timeout = 1.0
        begun = monotonic()
        while not returned:
            server.handle_request()
            if monotonic() - begun > _PATIENCE_S:
                raise SessionError("nobody signed in within five minutes: try again")
    if returned.get("error"):
        raise SessionError(f"the issuer refused: {returned.get('error_description') or returned['error']}")
    # Another issuer's answer to this request (RFC 9207).
    if returned.get("iss", issuer) != issuer or "code" not in returned:
        raise SessionError("what came back was not from this issuer: try again")
    answer = ask(issuer, ca, urlsplit(found["token_endpoint"]).path, {
        "grant_type": "authorization_code", "code": returned["code"], "client_id": CLIENT_ID, "redirect_uri": redirect,
        "code_verifier": verifier,
    })  # fmt: skip
    claims = _claims(str(answer.get("id_token", "")))
    if claims.get("nonce") != nonce or claims.get("iss") != issuer or claims.get("aud") != CLIENT_ID:
        raise SessionError("the identity token is not an answer to this sign-in: try again")
    session = Session(issuer, ca, str(claims["sub"]), str(claims.get("name", "")), "", "", 0.0)
    session.take(answer)
    return session


def _listener(returned: dict[str, str], state: str) -> type[BaseHTTPRequestHandler]:
    class Listener(BaseHTTPRequestHandler):
        """Takes the one return that carries this request's state."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            ours = parts.path == "/callback" and secrets.compare_digest(query.get("state", ""), state)
            if ours:
                returned.update(query)
            self.send_response(200 if ours else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write((_DONE if ours and "code" in query else _FAILED).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing: the address holds the code."""

    return Listener


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of a token that came from the issuer itself, over TLS (OpenID Connect Core, 3.1.3.7 (6))."""
    try:
        body = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError) as error:
        raise SessionError("the issuer sent no identity token") from error
    return claims if isinstance(claims, dict) else {}
