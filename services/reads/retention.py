"""How long an agency's reads are kept, as its published policy says.

Rules
-----
1. The policy is asked of `access` and used for a minute. When `access` is away, the last answer stays in force.
2. An agency whose retention was never learnt stores nothing: its gateway spools and sends again. A guess could
   keep what must go.
3. The fallback setting counts only where a policy is there and names no retention of reads.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc

from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.common.v1 import errors_pb2
from servicekit.errors import PlatewardError

_TIMEOUT_S = 5.0
_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class _Known:
    keep: timedelta | None
    until: float


class Retention:
    """The retention of each agency, cached."""

    def __init__(self, access: grpc.aio.Channel, fallback_seconds: int, cache_seconds: float) -> None:
        self._stub: Any = access_pb2_grpc.AccessServiceStub(access)
        self._fallback_seconds = fallback_seconds
        self._cache_seconds = cache_seconds
        self._known: dict[str, _Known] = {}

    async def ready(self) -> None:
        """Return once `access` answers at all; what it answers does not matter."""
        while True:
            try:
                await self._stub.GetPolicy(access_pb2.GetPolicyRequest(), timeout=_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    await asyncio.sleep(_RETRY_S)
                    continue
            return

    async def keep(self, agency_id: str) -> timedelta:
        """Return how long reads of an agency are kept.

        Raises:
            PlatewardError: DECISION_UNAVAILABLE by rule 2.
        """
        now = asyncio.get_running_loop().time()
        known = self._known.get(agency_id)
        if known is None or known.until <= now:
            known = await self._ask(agency_id, now, known)
            self._known[agency_id] = known
        if known.keep is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE,
                'The agency\'s policy names no retention of reads: publish one with a rule of kind "read".',
            )
        return known.keep

    async def _ask(self, agency_id: str, now: float, last: _Known | None) -> _Known:
        try:
            answer = await self._stub.GetPolicy(
                access_pb2.GetPolicyRequest(agency_id=agency_id), timeout=_TIMEOUT_S
            )
        except grpc.aio.AioRpcError as error:
            if last is not None:
                return _Known(last.keep, now + _RETRY_S)
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE,
                "The agency's retention is not known yet, and nothing is stored without it: send the batch again later.",
                retry_after=2.0,
            ) from error
        seconds = next((rule.keep_s for rule in answer.policy.retention if rule.kind == "read"), 0)
        seconds = seconds or self._fallback_seconds
        return _Known(timedelta(seconds=seconds) if seconds else None, now + self._cache_seconds)
