"""Where the keys of a token issuer come from: a JWKS file, or the issuer itself (OpenID Connect Discovery 1.0).

Rules
-----
1. The issuer is asked over HTTPS only, without following redirects, and its document must name itself exactly (4.3).
2. Keys are asked for again every ``REFRESH_S``, so that a key the issuer withdrew stops counting; and once, at most every
   ``UNKNOWN_S``, when a token names a key that is not known, so that a new one counts at once and garbage costs nothing.
3. While the issuer does not answer, its last keys count for ``KEEP_S``; then no token is believed.
4. Only public signature keys are taken; anything symmetric is dropped.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError

REFRESH_S = 300.0
UNKNOWN_S = 10.0
KEEP_S = 24 * 3600.0
_TIMEOUT_S = 5.0
_MOST_BYTES = 1 << 20
_DISCOVERY = "/.well-known/openid-configuration"
_ASYMMETRIC = frozenset({"EC", "RSA", "OKP"})
_LOG = structlog.get_logger(__name__)


class IssuerError(Exception):
    """The issuer does not answer, or what it answers is not what the standard says; the message says which."""


class KeySource(Protocol):
    """Gives the keys that a token may be signed with."""

    async def keys(self, key_id: str) -> KeySet:
        """Return the keys; ``key_id`` is the one that is looked for.

        Raises:
            PlatewardError: ISSUER_UNAVAILABLE.
        """
        ...


class FileKeys:
    """A JWKS file; read again when it has changed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._keys = KeySet([])

    async def keys(self, key_id: str) -> KeySet:  # noqa: ARG002 - the file is all there is
        """Return the keys of the file as it is."""
        try:
            stat = self._file.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp != self._stamp:
                self._keys = signature_keys(json.loads(self._file.read_text(encoding="utf-8")))
                self._stamp = stamp
        except (OSError, ValueError, IssuerError) as error:
            _LOG.warning("jwks_file_unusable", error=type(error).__name__)
            raise unavailable() from error
        return self._keys


class DiscoveredKeys:
    """The keys of an issuer, asked for over HTTPS. ``ca`` is a file of authorities (PEM); none takes the system's."""

    def __init__(self, issuer: str, ca: Path | None = None, now: Callable[[], float] = monotonic) -> None:
        self._issuer = issuer
        self._ca = ca
        self._now = now
        self._keys: KeySet | None = None
        self._ids: frozenset[str] = frozenset()
        self._fetched = self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def keys(self, key_id: str) -> KeySet:
        """Return the issuer's keys by rules 2 and 3.

        Raises:
            PlatewardError: ISSUER_UNAVAILABLE.
        """
        if self._wanting(key_id):
            async with self._lock:
                if self._wanting(key_id):
                    await self._fetch()
        if self._keys is None or self._now() - self._fetched > KEEP_S:
            raise unavailable()
        return self._keys

    def _wanting(self, key_id: str) -> bool:
        now = self._now()
        if now - self._tried < UNKNOWN_S:
            return False
        return self._keys is None or now - self._fetched >= REFRESH_S or key_id not in self._ids

    async def _fetch(self) -> None:
        self._tried = self._now()
        try:
            found = await fetch_keys(self._issuer, self._ca)
        except IssuerError as error:
            _LOG.warning("issuer_keys_not_fetched", issuer=self._issuer, error=str(error))
            return
        self._keys, self._fetched = found, self._now()
        self._ids = frozenset(key.kid or "" for key in found.keys)


async def fetch_keys(issuer: str, ca: Path | None) -> KeySet:
    """Return the signature keys of an issuer.

    Raises:
        IssuerError: by rule 1, or the issuer does not answer.
    """
    _require_https(issuer, "the issuer")
    try:
        trust = ssl.create_default_context(cafile=str(ca) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise IssuerError(f"the file of authorities {ca} cannot be used: {error}") from error
    connector = aiohttp.TCPConnector(ssl=trust)
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        document = await _get(session, issuer.rstrip("/") + _DISCOVERY)
        if document.get("issuer") != issuer:
            raise IssuerError(f"the document at {issuer} names another issuer: {document.get('issuer')!r}")
        where = document.get("jwks_uri")
        if not isinstance(where, str):
            raise IssuerError("the issuer's document has no jwks_uri")
        _require_https(where, "jwks_uri")
        return signature_keys(await _get(session, where))


def signature_keys(jwks: object) -> KeySet:
    """Return the public signature keys of a JWKS (RFC 7517).

    Raises:
        IssuerError: it is no JWKS, or has no such key.
    """
    if not isinstance(jwks, dict) or not isinstance(jwks.get("keys"), list):
        raise IssuerError("the answer is no JWKS: it has no list of keys")
    usable = [
        key
        for key in jwks["keys"]
        if isinstance(key, dict) and key.get("kty") in _ASYMMETRIC and key.get("use", "sig") == "sig"
    ]
    if not usable:
        raise IssuerError("the JWKS has no public signature key")
    try:
        return KeySet.import_key_set({"keys": usable})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise IssuerError(f"a key of the JWKS is malformed: {type(error).__name__}") from error


def unavailable() -> PlatewardError:
    """Return the refusal that stands for an issuer whose keys nobody has."""
    return PlatewardError(
        errors_pb2.ERROR_REASON_ISSUER_UNAVAILABLE,
        "the token issuer's keys cannot be had, and no token is believed without them: try again shortly",
        retry_after=UNKNOWN_S,
    )


async def _get(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    try:
        async with session.get(
            url, allow_redirects=False, headers={"Accept": "application/json"}
        ) as response:
            if response.status != 200:
                raise IssuerError(f"{url} answered {response.status}")
            body = await response.content.read(_MOST_BYTES + 1)
            while not response.content.at_eof() and len(body) <= _MOST_BYTES:
                body += await response.content.read(_MOST_BYTES + 1 - len(body))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise IssuerError(f"{url} does not answer: {type(error).__name__}") from error
    if len(body) > _MOST_BYTES:
        raise IssuerError(f"{url} answered more than {_MOST_BYTES} bytes")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise IssuerError(f"{url} answered no JSON") from error
    if not isinstance(document, dict):
        raise IssuerError(f"{url} answered no JSON object")
    return document


def _require_https(url: str, what: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise IssuerError(f"{what} must be an https address: {url!r}")
