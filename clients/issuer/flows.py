"""What is under way: requests for authorization, sign-ins half done, codes that wait for their client. Kept in memory only.

Rules
-----
1. A client is registered, with its redirect addresses; a loopback address may have any port (RFC 8252). Anything else is told to
   the person, never to the address that was asked for (RFC 6749, 4.1.2.1).
2. Authorization code with PKCE, S256 only (RFC 7636, RFC 9700); a code holds for a minute, once.
3. What is under way is forgotten after ten minutes, and there is never more than ``MOST`` of it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import urlencode, urlsplit, urlunsplit

MOST = 10_000
FLOW_S, CODE_S = 600.0, 60.0
_CHALLENGE = re.compile(r"^[A-Za-z0-9_-]{43}$")
_VERIFIER = re.compile(r"^[A-Za-z0-9._~-]{43,128}$")
_LOOPBACK = frozenset({"127.0.0.1", "[::1]"})
_LONGEST = 512
_T = TypeVar("_T")


class RequestError(Exception):
    """The request is told to the person only; the message says what is wrong with it."""


class ClientError(Exception):
    """The request is answered to its client with an OAuth error code (RFC 6749)."""

    def __init__(self, code: str, description: str, redirect: str = "") -> None:
        super().__init__(description)
        self.code = code
        self.redirect = redirect


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for authorization that may be answered."""

    client_id: str
    redirect_uri: str
    state: str
    nonce: str
    challenge: str
    prompt: str

    def answer(self, issuer: str, **values: str) -> str:
        """Return the address that the browser is sent to, with values and the issuer's name (RFC 9207)."""
        return redirect_to(self.redirect_uri, {**values, "state": self.state, "iss": issuer})


@dataclass(slots=True)
class Flow:
    """A sign-in on its way."""

    asked: Asked
    member_id: str = ""
    challenge: bytes = b""


@dataclass(slots=True)
class Enrolment:
    """A member who sets password and second factor."""

    member_id: str
    secret: str
    challenge: bytes = b""


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code that waits for its client."""

    session: bytes
    asked: Asked


@dataclass(slots=True)
class Waiting(Generic[_T]):
    """Things under random names, each for a while."""

    lasts_s: float
    _things: dict[str, tuple[float, _T]] = field(default_factory=dict)

    def keep(self, thing: _T, now: float) -> str:
        """Keep a thing under a random name; return it."""
        name = secrets.token_urlsafe(32)
        self.put(name, thing, now)
        return name

    def put(self, name: str, thing: _T, now: float) -> None:
        """Keep a thing under a name."""
        self._forget(now)
        self._things[name] = (now + self.lasts_s, thing)

    def get(self, name: str, now: float) -> _T | None:
        """Return the thing of a name, or None."""
        until, thing = self._things.get(name, (0.0, None))
        return thing if until > now else None

    def take(self, name: str, now: float) -> _T | None:
        """Return the thing of a name, once."""
        thing = self.get(name, now)
        self._things.pop(name, None)
        return thing

    def _forget(self, now: float) -> None:
        # Insertion order is the order of ending: all last equally long.
        for name in list(self._things):
            if self._things[name][0] > now and len(self._things) < MOST:
                break
            del self._things[name]


def parse(query: Mapping[str, str], clients: Mapping[str, Sequence[str]]) -> Asked:
    """Return what a request asks for.

    Raises:
        RequestError: the client or its address is not registered.
        ClientError: anything else is wrong with it.
    """
    client_id, redirect = query.get("client_id", ""), query.get("redirect_uri", "")
    if client_id not in clients:
        raise RequestError("This program is not registered here: ask the administrator of your agency.")
    if not any(_matches(allowed, redirect) for allowed in clients[client_id]):
        raise RequestError(
            "The address to return to is not one of this program's: begin again from the program."
        )
    given = {key: query.get(key, "")[:_LONGEST] for key in ("state", "nonce", "prompt")}
    challenge = query.get("code_challenge", "")

    def refuse(code: str, description: str) -> ClientError:
        values = {"error": code, "error_description": description, "state": given["state"]}
        return ClientError(code, description, redirect_to(redirect, values))

    if query.get("response_type") != "code":
        raise refuse("unsupported_response_type", "response_type must be code")
    if "openid" not in query.get("scope", "").split():
        raise refuse("invalid_scope", "scope must contain openid")
    if query.get("code_challenge_method") != "S256" or not _CHALLENGE.match(challenge):
        raise refuse("invalid_request", "PKCE is needed: code_challenge with code_challenge_method=S256")
    return Asked(client_id, redirect, given["state"], given["nonce"], challenge, given["prompt"])


def proves(verifier: str, challenge: str) -> bool:
    """Return whether a code verifier is the one that a challenge was made from (S256)."""
    if not _VERIFIER.match(verifier):
        return False
    digest = hashlib.sha256(verifier.encode()).digest()
    return hmac.compare_digest(urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)


def redirect_to(uri: str, values: Mapping[str, str]) -> str:
    """Return an address with values added to its query; empty ones are left out."""
    parts = urlsplit(uri)
    query = "&".join(
        part for part in (parts.query, urlencode({k: v for k, v in values.items() if v})) if part
    )
    return urlunsplit(parts._replace(query=query))


def _matches(allowed: str, given: str) -> bool:
    try:
        wanted, parts = urlsplit(allowed), urlsplit(given)
        port = parts.port
    except ValueError:
        return False
    if wanted.hostname and f"{wanted.netloc}" in _LOOPBACK:
        same = (parts.scheme, parts.path, parts.query, parts.fragment) == (
            wanted.scheme,
            wanted.path,
            "",
            "",
        )
        return same and port is not None and parts.netloc == f"{wanted.netloc}:{port}"
    return given == allowed
