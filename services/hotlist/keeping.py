"""How long hits are kept: the agency's own schedule of hits, which is not that of reads.

Rules
-----
1. A hit lives from when its vehicle was seen, as long as the active policy keeps hits (kind ``hit``); it holds what it needs
   of its read, pictures too (``pictures.py``), so it outlives a read that goes earlier.
2. A policy that is shortened shortens hits that are raised already; one that is lengthened prolongs nothing.
3. While the policy was never learnt, a hit goes with its read: a guess could keep what must go.
4. What has expired is invisible at once (a predicate of every query) and destroyed with all that belongs to it (``destruction.py``).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc

from plateward.access.v1 import access_pb2, access_pb2_grpc

HIT = "hit"
_TIMEOUT_S = 5.0
_CACHE_S = 60.0
_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How long hits are kept, on what basis, by which version of the policy."""

    keep: timedelta
    basis: str
    policy_version: str


class Keeping:
    """The schedules of hits, asked of `access`."""

    def __init__(self, access: grpc.aio.Channel) -> None:
        self._stub: Any = access_pb2_grpc.AccessServiceStub(access)
        self._known: dict[str, tuple[Rule | None, float]] = {}

    async def keep(self, agency_id: str) -> timedelta | None:
        """Return how long an agency keeps hits; ``None`` where its policy was never learnt or names no such rule."""
        rule = await self.rule(agency_id)
        return rule.keep if rule is not None else None

    async def rule(self, agency_id: str) -> Rule | None:
        """Return an agency's rule for hits; ``None`` where its policy was never learnt or names none."""
        now = asyncio.get_running_loop().time()
        known, until = self._known.get(agency_id, (None, 0.0))
        if until > now:
            return known
        try:
            answer = await self._stub.GetPolicy(
                access_pb2.GetPolicyRequest(agency_id=agency_id), timeout=_TIMEOUT_S
            )
        except grpc.aio.AioRpcError:
            # The last answer stays in force while nobody can say.
            until = now + _RETRY_S
        else:
            found = [
                Rule(timedelta(seconds=rule.keep_s), rule.basis, answer.policy.version)
                for rule in answer.policy.retention
                if rule.kind == HIT
            ]
            known, until = (found[0] if found else None), now + _CACHE_S
        self._known[agency_id] = (known, until)
        return known
