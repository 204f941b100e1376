"""The message switch (CLETS, NLETS, NCIC): through it the originating agency is asked whether its entry is in force.

Every state has its own way to its switch, behind its own agreement; this is the seam. Whoever runs the connection answers a small
HTTP contract:

``POST <url>/confirmations`` with ``{"id", "attempt", "urgency": "urgent" | "routine", "due_at", "asked_by", "plate", "state", "category",
"case_number", "list", "ori", "nic", "vin", "seen_at"}`` → any 2xx: taken. The same ID and attempt again is the same request.

``GET <url>/confirmations/<id>`` → 404 or ``{"status": "waiting"}``: nothing yet; ``{"status": "in-process", "until"}``; or ``{"status": "confirmed" |
"not-in-force" | "other-vehicle", "by", "reference", "note"}``. Times are RFC 3339. When a token is set, ``Authorization: Bearer``.

What does not answer in time, or in another form, has not answered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from plateward.hotlist.v1 import hit_pb2

_MOST_BYTES = 64 * 1024
_MOST_WORDS = 200
_RESULTS = {
    "confirmed": hit_pb2.RECORDS_RESULT_CONFIRMED,
    "not-in-force": hit_pb2.RECORDS_RESULT_NOT_IN_FORCE,
    "other-vehicle": hit_pb2.RECORDS_RESULT_OTHER_VEHICLE,
}


class SwitchUnavailableError(Exception):
    """The message switch gave no answer that can be used."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is asked: the entry, not who drives; the switch passes it to the agency that made the entry."""

    confirmation_id: str
    attempt: int
    urgency: hit_pb2.Urgency.ValueType
    due_at: datetime
    asked_by: str
    entry: hit_pb2.HotlistEntry
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; ``until`` is set instead of a result where the other agency needs longer."""

    result: hit_pb2.RecordsResult.ValueType
    by: str = ""
    reference: str = ""
    note: str = ""
    until: datetime | None = None


class Switch(Protocol):
    """The way to the originating agency."""

    async def ask(self, inquiry: Inquiry) -> None:
        """Hand a request over; or raise SwitchUnavailableError."""
        ...

    async def reply(self, confirmation_id: str) -> Reply | None:
        """Return the answer, None while there is none; or raise SwitchUnavailableError."""
        ...

    async def close(self) -> None:
        """Let go of what is held."""
        ...


class HttpSwitch:
    """A message switch behind the HTTP contract."""

    def __init__(self, url: str, *, timeout_s: float = 5.0, token_file: Path | None = None) -> None:
        self._url = f"{url.rstrip('/')}/confirmations"
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._token_file = token_file
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, inquiry: Inquiry) -> None:
        """Hand a request over.

        Raises:
            SwitchUnavailableError: it was not taken.
        """
        entry = inquiry.entry
        body = {
            "id": inquiry.confirmation_id, "attempt": inquiry.attempt, "due_at": inquiry.due_at.isoformat(), "asked_by": inquiry.asked_by,
            "urgency": hit_pb2.Urgency.Name(inquiry.urgency).removeprefix("URGENCY_").lower(), "plate": entry.plate, "state": entry.state,
            "category": entry.category, "case_number": entry.case_number, "list": entry.list_id, "ori": entry.ori, "nic": entry.nic, "vin": entry.vin,
            "seen_at": inquiry.seen_at.isoformat(),
        }  # fmt: skip
        await self._call("POST", self._url, body)

    async def reply(self, confirmation_id: str) -> Reply | None:
        """Return the answer, None while there is none.

        Raises:
            SwitchUnavailableError: no answer in time, or none of the contract's form.
        """
        answer = await self._call("GET", f"{self._url}/{confirmation_id}", None)
        try:
            return None if answer is None else _reply(answer)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SwitchUnavailableError("the switch gave no answer of the contract's form") from error

    async def close(self) -> None:
        """Let go of what is held."""
        if self._session is not None:
            await self._session.close()

    async def _call(self, method: str, address: str, body: dict[str, Any] | None) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        headers = {"Accept": "application/json"}
        try:
            if self._token_file is not None:
                # Read for every call: a renewed token is taken up without a restart.
                token = await asyncio.to_thread(self._token_file.read_text, encoding="utf-8")
                headers["Authorization"] = f"Bearer {token.strip()}"
            async with self._session.request(
                method, address, json=body, headers=headers, allow_redirects=False
            ) as answer:
                if method == "POST" and 200 <= answer.status < 300:
                    return None
                if method == "GET" and answer.status == 404:
                    return None
                if answer.status != 200:
                    raise SwitchUnavailableError(f"the switch answered {answer.status}")
                if (answer.content_length or 0) > _MOST_BYTES:
                    raise SwitchUnavailableError("the switch's answer is too long")
                return await answer.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise SwitchUnavailableError("the switch did not answer") from error


def _reply(answer: dict[str, Any]) -> Reply | None:
    status = answer["status"]
    if status == "waiting":
        return None
    if status == "in-process":
        until = datetime.fromisoformat(answer["until"])
        if until.tzinfo is None:
            raise ValueError("a time without its offset")
        return Reply(hit_pb2.RECORDS_RESULT_UNSPECIFIED, until=until)
    words = (str(answer.get(name) or "")[:_MOST_WORDS] for name in ("by", "reference", "note"))
    by, reference, note = words
    return Reply(_RESULTS[status], by, reference, note)
