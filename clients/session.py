"""A member's sign-in on this machine: a file that only its owner reads, with tokens that are refreshed while they are used."""

from __future__ import annotations

import json
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

FILE = "session.json"
CLIENT_ID = "plateward-cli"
_EARLY_S = 30.0
_TIMEOUT_S = 15.0


class SessionError(Exception):
    """There is no sign-in that counts; the message says what to do."""


@dataclass(slots=True)
class Session:
    """Who is signed in here, and the tokens."""

    issuer: str
    ca: str
    member_id: str
    name: str
    access_token: str
    refresh_token: str
    expires_at: float

    @classmethod
    def load(cls, root: Path) -> Session | None:
        """Return the sign-in of a connection folder, or None."""
        try:
            return cls(**json.loads((root / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def save(self, root: Path) -> None:
        """Write the sign-in, for its owner alone; a reader sees the old file or the new one."""
        fresh = root / f"{FILE}.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        fresh.replace(root / FILE)

    def token(self, root: Path) -> str:
        """Return an access token that still counts, refreshed where it ends soon.

        Raises:
            SessionError: the session is over, or the issuer does not answer.
        """
        if time.time() > self.expires_at - _EARLY_S:
            fields = {
                "grant_type": "refresh_token",
                "refresh_token": self.refresh_token,
                "client_id": CLIENT_ID,
            }
            self.take(ask(self.issuer, self.ca, "/token", fields))
            self.save(root)
        return self.access_token

    def take(self, answer: Mapping[str, Any]) -> None:
        """Take the tokens of an answer of the token endpoint."""
        self.access_token, self.refresh_token = answer["access_token"], answer["refresh_token"]
        self.expires_at = time.time() + float(answer["expires_in"])


def ask(issuer: str, ca: str, path: str, fields: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON that an issuer answers; with fields it is sent a form.

    Raises:
        SessionError: it refuses or does not answer.
    """
    url = issuer.rstrip("/") + path
    if urlsplit(url).scheme != "https":
        raise SessionError(f"the issuer's address must begin with https: {issuer}")
    request = Request(url, data=urlencode(fields).encode() if fields is not None else None)  # noqa: S310 - https, above
    try:
        trust = ssl.create_default_context(cafile=ca or None)
        with urlopen(request, timeout=_TIMEOUT_S, context=trust) as response:  # noqa: S310
            answer = json.load(response)
    except HTTPError as error:
        raise SessionError(f"{_why(error)}: plateward login") from None
    except (URLError, OSError, ValueError) as error:
        raise SessionError(
            f"the issuer {issuer} does not answer ({type(error).__name__}): is it running?"
        ) from None
    if not isinstance(answer, dict):
        raise SessionError(f"{url} answered something else than JSON")
    return answer


def _why(error: HTTPError) -> str:
    try:
        return str(json.load(error)["error_description"])
    except (ValueError, KeyError, TypeError):
        return f"the issuer answered {error.code}"
