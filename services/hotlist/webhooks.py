"""Webhooks: an agency's hits are posted to one HTTPS address of its own, signed, at least once, in the order in which they were raised.

Rules
-----
1. The signature is HMAC-SHA-256 over the time, a full stop and the body; the receiver checks it and the time, and drops what is old.
2. A delivery is a batch of hits with the number of the last one. Only a 2xx answer moves the cursor; anything else is tried again with
   growing pauses, an hour at most. The delivery's ID stays the same, so that a receiver can drop what it has.
3. Nothing leaves without a record: the batch is an event of the audit log before it is sent.
4. Addresses are looked up once and the connection goes to what was looked up: not to a private, loopback or link-local network, unless the
   operator allows that network. No redirect is followed. So nobody who may set a webhook reaches into the platform's own network.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from google.protobuf import json_format
from yarl import URL

from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2, decision_pb2, errors_pb2, types_pb2
from plateward.hotlist.v1 import hit_pb2
from servicekit.clock import Clock
from servicekit.crypto import open_sealed, seal
from servicekit.database import UNAVAILABLE, Pool
from servicekit.errors import PlatewardError
from servicekit.ids import derived_id
from servicekit.interceptors.audit import SOFTWARE
from services.hotlist.hits import Hits

_LOG = structlog.get_logger(__name__)
BATCH = 25
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_LONGEST_PAUSE_S = 3600
Append = Callable[[event_pb2.AuditEvent], Awaitable[object]]
Network = IPv4Network | IPv6Network


def sign(secret: bytes, at: datetime, body: bytes) -> str:
    """The value of ``X-Plateward-Signature`` (rule 1)."""
    return "v1=" + hmac.digest(secret, f"{int(at.timestamp())}.".encode() + body, "sha256").hex()


class GuardedResolver(AbstractResolver):
    """Looks names up and gives only addresses that may be called (rule 4)."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = tuple(allowed)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: it has none that may be called.
        """
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM
        )
        open_to = [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=family_, proto=proto, flags=socket.AI_NUMERICHOST)
            for family_, _, proto, _, address in found
            if self.may_call(str(address[0]))
        ]  # fmt: skip
        if not open_to:
            raise OSError(
                f"{host} has no public address, and its network is not among those the operator allows"
            )
        return open_to

    def may_call(self, address: str) -> bool:
        """Whether an address is public, or of a network that is allowed."""
        parsed = ip_address(address)
        if any(parsed in network for network in self._allowed if network.version == parsed.version):
            return True
        return parsed.is_global and not parsed.is_multicast

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True)
class _Due:
    agency_id: str
    url: str
    secret: bytes
    sequence: int
    failures: int


class Webhooks:
    """Keeps the addresses and posts the hits."""

    def __init__(
        self, pool: Pool, hits: Hits, append: Append, clock: Clock, *, key: bytes | None, allowed: Sequence[Network], ca: Path | None
    ) -> None:  # fmt: skip
        self._pool = pool
        self._hits = hits
        self._append = append
        self._clock = clock
        self._key = key
        self._resolver = GuardedResolver(allowed)
        self._ca = ca

    async def put(self, agency_id: str, url: str, secret: bytes, member_id: str) -> None:
        """Set an agency's webhook; it begins with the next hit.

        Raises:
            PlatewardError: WRONG_STATE without a key; INVALID_ARGUMENT for an address that is none.
        """
        if self._key is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_WRONG_STATE, "webhooks are off: set PLATEWARD_HOTLIST_KEY_FILE, their secrets are sealed under it"
            )  # fmt: skip
        await self._check(url)
        now = self._clock.now()
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO webhooks (agency_id, url, sealed, seq, next_at, set_by, updated_at) "
                "VALUES (%s, %s, %s, (SELECT coalesce(max(seq), 0) FROM hits), %s, %s, %s) ON CONFLICT (agency_id) DO UPDATE SET "
                "url = excluded.url, sealed = excluded.sealed, failures = 0, next_at = excluded.next_at, set_by = excluded.set_by, "
                "updated_at = excluded.updated_at",
                (agency_id, url, seal(self._key, secret, agency_id.encode()), now, member_id, now),
            )

    async def remove(self, agency_id: str) -> None:
        """End an agency's webhook.

        Raises:
            PlatewardError: NOT_FOUND.
        """
        async with self._pool.connection() as connection:
            done = await connection.execute("DELETE FROM webhooks WHERE agency_id = %s", (agency_id,))
        if done.rowcount == 0:
            raise PlatewardError(errors_pb2.ERROR_REASON_NOT_FOUND, "your agency has no webhook to remove")

    async def run(self, poll_seconds: float) -> None:
        """Post what is due until cancelled."""
        if self._key is None:
            return
        context = ssl.create_default_context(cafile=self._ca)
        connector = aiohttp.TCPConnector(resolver=self._resolver, ssl=context, use_dns_cache=False)
        async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
            while True:
                try:
                    sent = await self.round(session)
                except UNAVAILABLE:
                    sent = 0
                if not sent:
                    await asyncio.sleep(poll_seconds)

    async def round(self, session: aiohttp.ClientSession) -> int:
        """Post one batch to each address that is due; return how many hits were taken."""
        return sum(await asyncio.gather(*(self._deliver(session, due) for due in await self._due())))

    async def _check(self, url: str) -> None:
        try:
            host = URL(url).host or ""
            await self._resolver.resolve(host)
        except (ValueError, OSError) as error:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_INVALID_ARGUMENT, f"this address cannot be a webhook: {error}"
            ) from error

    async def _due(self) -> list[_Due]:
        assert self._key is not None
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                "SELECT * FROM webhooks WHERE next_at <= %s", (self._clock.now(),)
            )
            return [
                _Due(r["agency_id"], r["url"], open_sealed(self._key, bytes(r["sealed"]), r["agency_id"].encode()), r["seq"], r["failures"])
                async for r in rows
            ]  # fmt: skip

    async def _deliver(self, session: aiohttp.ClientSession, due: _Due) -> int:
        own = decision_pb2.Decision(
            effect=decision_pb2.EFFECT_ALLOW, obligations=decision_pb2.Obligations(agency_ids=[due.agency_id])
        )
        batch = await self._hits.after(own, due.sequence, BATCH)
        if not batch:
            return 0
        last = batch[-1][0]
        hits = [hit for _, hit in batch]
        try:
            await self._append(self._event(due, hits, last))
            taken = await self._post(session, due, hits, last)
        except PlatewardError as error:
            _LOG.warning(
                "webhook_waits", agency=due.agency_id, error=errors_pb2.ErrorReason.Name(error.reason)
            )
            return 0
        await self._settle(due, last, taken=taken)
        return len(hits) if taken else 0

    async def _post(
        self, session: aiohttp.ClientSession, due: _Due, hits: Sequence[hit_pb2.Hit], last: int
    ) -> bool:
        shown = [json_format.MessageToDict(hit, preserving_proto_field_name=True) for hit in hits]
        body = json.dumps({"agency_id": due.agency_id, "cursor": str(last), "hits": shown}).encode()
        now = self._clock.now()
        headers = {
            "Content-Type": "application/json", "X-Plateward-Delivery": f"{due.agency_id}/{due.sequence}-{last}",
            "X-Plateward-Timestamp": str(int(now.timestamp())), "X-Plateward-Signature": sign(due.secret, now, body),
        }  # fmt: skip
        try:
            async with session.post(due.url, data=body, headers=headers, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:
                    return True
                _LOG.warning("webhook_refused", agency=due.agency_id, status=answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _LOG.warning("webhook_failed", agency=due.agency_id, error=type(error).__name__)
        return False

    async def _settle(self, due: _Due, last: int, *, taken: bool) -> None:
        now, failures = self._clock.now(), 0 if taken else due.failures + 1
        pause = timedelta(seconds=0 if taken else min(2.0**failures, _LONGEST_PAUSE_S))
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE webhooks SET seq = %s, failures = %s, next_at = %s WHERE agency_id = %s AND seq = %s AND url = %s",
                (
                    last if taken else due.sequence,
                    failures,
                    now + pause,
                    due.agency_id,
                    due.sequence,
                    due.url,
                ),
            )

    def _event(self, due: _Due, hits: Sequence[hit_pb2.Hit], last: int) -> event_pb2.AuditEvent:
        """The record of a batch: the same at each try, so that a retry is not a second disclosure."""
        first = min(hit.raised_at.ToDatetime() for hit in hits)
        event = event_pb2.AuditEvent(
            event_id=derived_id(first, "webhook", due.agency_id, due.url, str(due.sequence), str(last), str(len(hits))), phase=event_pb2.PHASE_SYSTEM,
            service="hotlist", software=SOFTWARE, action=action_pb2.ACTION_VIEW_HITS, owner_agency_id=due.agency_id,
            subject=types_pb2.Subject(agency_id=due.agency_id, workload="webhook"),
            query=[event_pb2.QueryElement(name="webhook", value=due.url)], outcome=event_pb2.Outcome(status="OK", result_count=len(hits)),
        )  # fmt: skip
        event.occurred_at.FromDatetime(first)
        return event
