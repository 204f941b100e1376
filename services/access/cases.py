"""Where case and event numbers are looked up: the agency's own table, or its CAD/RMS over HTTP.

Rules
-----
1. A registry answers with the case, with None for a number that it does not have, or not at all. What does not answer in
   time, or answers in another form, has not answered: a number that cannot be checked opens nothing.
2. The embedded table (PutCase) is the default; an address in the settings asks the agency's system instead.

The HTTP contract: ``GET <url>/cases/<number>?agency=<agency>`` with ``Accept: application/json`` and, when a token is set,
``Authorization: Bearer``. 200 with ``{"number", "offence", "unit", "opened_at", "closed_at"}`` (times RFC 3339, ``closed_at``
may be null or absent), or 404. The number answered must be the number asked for.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
from psycopg.rows import DictRow

_MOST_BYTES = 64 * 1024


class CaseSystemUnavailableError(Exception):
    """The case system gave no answer that can be used."""


class CaseRegistry(Protocol):
    """Finds a case by its number."""

    async def find(self, agency_id: str, number: str) -> DictRow | None:
        """Return offence, unit, opened_at and closed_at of a case; None when there is none; or raise CaseSystemUnavailableError."""
        ...

    async def close(self) -> None:
        """Let go of what is held."""
        ...


class HttpCaseRegistry:
    """The agency's CAD or RMS behind a small HTTP service."""

    def __init__(self, url: str, *, timeout_s: float, token_file: Path | None = None) -> None:
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._token_file = token_file
        self._session: aiohttp.ClientSession | None = None

    async def find(self, agency_id: str, number: str) -> DictRow | None:
        """Return a case, or None.

        Raises:
            CaseSystemUnavailableError: no answer in time, or none of the contract's form.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        headers = {"Accept": "application/json"}
        try:
            if self._token_file is not None:
                # Read for every call: a renewed token is taken up without a restart.
                token = await asyncio.to_thread(self._token_file.read_text, encoding="utf-8")
                headers["Authorization"] = f"Bearer {token.strip()}"
            address = f"{self._url}/cases/{quote(number, safe='')}"
            async with self._session.get(
                address, params={"agency": agency_id}, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status == 404:
                    return None
                if answer.status != 200:
                    raise CaseSystemUnavailableError(f"the case system answered {answer.status}")
                if (answer.content_length or 0) > _MOST_BYTES:
                    raise CaseSystemUnavailableError("the case system's answer is too long")
                return _case(await answer.json(), number)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            raise CaseSystemUnavailableError(
                "the case system gave no answer of the contract's form"
            ) from error

    async def close(self) -> None:
        """Let go of what is held."""
        if self._session is not None:
            await self._session.close()


def _case(answer: Any, number: str) -> DictRow:
    if answer["number"] != number:
        raise ValueError("the case system answered for another number")
    closed = answer.get("closed_at")
    return {
        "offence": str(answer["offence"]), "unit": str(answer.get("unit") or ""),
        "opened_at": _time(answer["opened_at"]), "closed_at": _time(closed) if closed else None,
    }  # fmt: skip


def _time(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        raise ValueError("a time without its offset")
    return parsed
