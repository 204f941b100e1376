"""What the issuer's handlers are made of, and how they find each other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from clients.issuer.flows import CODE_S, FLOW_S, Code, Enrolment, Flow, Waiting
from clients.issuer.grants import Grants
from clients.issuer.keys import SigningKeys
from clients.issuer.pages import HEADERS
from clients.issuer.passkeys import Passkeys
from clients.issuer.passwords import Passwords
from clients.issuer.store import IssuerStore
from clients.issuer.totp import Totp
from clients.issuer.tries import Tries
from servicekit.clock import Clock

LOG = structlog.get_logger("issuer")
# The command line returns to a port of its own machine (RFC 8252, 7.3).
CLI_CLIENT = "plateward-cli"
CLI_REDIRECT = "http://127.0.0.1/callback"
FLOW_COOKIE, SESSION_COOKIE = "__Host-flow", "__Host-session"


@dataclass(slots=True)
class Issuer:
    """One issuer: its address, its file, and what is under way."""

    url: str
    clients: Mapping[str, Sequence[str]]
    clock: Clock
    store: IssuerStore
    keys: SigningKeys
    tries: Tries
    passwords: Passwords
    totp: Totp
    passkeys: Passkeys
    grants: Grants
    flows: Waiting[Flow] = field(default_factory=lambda: Waiting(FLOW_S))
    codes: Waiting[Code] = field(default_factory=lambda: Waiting(CODE_S))
    spent: Waiting[bytes] = field(default_factory=lambda: Waiting(CODE_S))
    enrolments: Waiting[Enrolment] = field(default_factory=lambda: Waiting(FLOW_S))

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock.now().timestamp()


def build(url: str, folder: Path, clients: Mapping[str, Sequence[str]], clock: Clock | None = None) -> Issuer:
    """Return the issuer of a folder, with its keys made where they were missing."""
    clock, store = clock or Clock(), IssuerStore(folder)
    keys = SigningKeys(store)
    keys.ensure(clock.now().timestamp())
    return Issuer(
        url=url, clients={CLI_CLIENT: [CLI_REDIRECT], **clients}, clock=clock, store=store, keys=keys, tries=Tries(store),
        passwords=Passwords(store), totp=Totp(store), passkeys=Passkeys(store, url, urlsplit(url).hostname or ""),
        grants=Grants(store, keys, url),
    )  # fmt: skip


ISSUER: web.AppKey[Issuer] = web.AppKey("issuer", Issuer)


def of(request: web.Request) -> Issuer:
    """Return the issuer that a request came to."""
    return request.app[ISSUER]


def answer(content: dict[str, Any], status: int = 200) -> web.Response:
    """Return JSON that nobody keeps."""
    return web.json_response(content, status=status, headers=HEADERS)


async def body(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a request; an empty one for anything else."""
    # A page of another site can send a form, and no JSON without asking first (CORS).
    if request.content_type != "application/json":
        return {}
    try:
        content = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


async def form(request: web.Request) -> dict[str, str]:
    """Return the text fields of a form."""
    return {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
