"""The schedules in force, as each agency's active policy says (``schedules.py`` holds what they mean).

Rules
-----
1. The policy is asked of `access` and used for a minute, or until a decision names another version of it. When `access`
   is away, the last answer stays in force, also over a restart.
2. An agency whose retention was never learnt stores nothing: its gateway spools and sends again. A guess could
   keep what must go.
3. The fallback setting counts only where a policy is there and names no retention of reads. Where it names none of
   crops, they are kept as the reads are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc

from plateward.access.v1 import access_pb2, access_pb2_grpc
from plateward.common.v1 import errors_pb2
from servicekit.clock import Clock
from servicekit.errors import PlatewardError
from services.reads.schedules import CROP, READ, Alive, Rule, Schedules, ScheduleStore

_TIMEOUT_S = 5.0
_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class _Known:
    schedules: Schedules | None
    until: float


class Retention:
    """The retention of each agency, cached."""

    def __init__(
        self,
        access: grpc.aio.Channel,
        store: ScheduleStore,
        clock: Clock,
        fallback_seconds: int,
        cache_seconds: float,
    ) -> None:
        self._stub: Any = access_pb2_grpc.AccessServiceStub(access)
        self._store = store
        self._clock = clock
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

    async def schedules(self, agency_id: str, policy_version: str = "") -> Schedules:
        """Return the schedules of an agency; a version that a decision names makes sure that they are not older.

        Raises:
            PlatewardError: DECISION_UNAVAILABLE by rule 2.
        """
        now = asyncio.get_running_loop().time()
        known = self._known.get(agency_id)
        if known is None or known.until <= now or _outdated(known, policy_version):
            known = await self._ask(agency_id, now, known)
            self._known[agency_id] = known
        if known.schedules is None:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE,
                'The agency\'s policy names no retention of reads: publish one with a rule of kind "read".',
            )
        return known.schedules

    async def alive(self, agency_ids: Iterable[str], policy_version: str = "") -> list[Alive]:
        """Return what may be shown of some agencies' reads now."""
        found = []
        for agency_id in agency_ids:
            try:
                schedules = await self.schedules(agency_id, policy_version)
            except PlatewardError:
                # Nothing of an agency without a schedule is stored here, so there is nothing to show.
                continue
            found.append(schedules.alive(self._clock.now()))
        return found

    async def refresh(self) -> list[Schedules]:
        """Ask again for every agency that stores reads; return the schedules now in force."""
        found = []
        for agency_id in await self._store.agencies():
            self._known.pop(agency_id, None)
            try:
                found.append(await self.schedules(agency_id))
            except PlatewardError:
                continue
        return found

    async def _ask(self, agency_id: str, now: float, last: _Known | None) -> _Known:
        try:
            answer = await self._stub.GetPolicy(
                access_pb2.GetPolicyRequest(agency_id=agency_id), timeout=_TIMEOUT_S
            )
        except grpc.aio.AioRpcError as error:
            kept = last.schedules if last is not None else await self._store.find(agency_id)
            if kept is not None:
                return _Known(kept, now + _RETRY_S)
            raise PlatewardError(
                errors_pb2.ERROR_REASON_DECISION_UNAVAILABLE,
                "The agency's retention is not known yet, and nothing is stored without it: send the batch again later.",
                retry_after=2.0,
            ) from error
        rules = self._rules(answer.policy)
        learnt = await self._store.learn(agency_id, rules, self._clock.now()) if rules else None
        return _Known(learnt, now + self._cache_seconds)

    def _rules(self, policy: access_pb2.Policy) -> dict[str, Rule]:
        named = {
            rule.kind: Rule(timedelta(seconds=rule.keep_s), rule.basis, policy.version)
            for rule in policy.retention
            if rule.keep_s
        }
        if READ not in named and self._fallback_seconds:
            named[READ] = Rule(timedelta(seconds=self._fallback_seconds), "fallback setting", policy.version)
        return {READ: named[READ], CROP: named.get(CROP, named[READ])} if READ in named else {}


def _outdated(known: _Known, policy_version: str) -> bool:
    if not policy_version or known.schedules is None:
        return False
    return known.schedules.read.policy_version not in ("", policy_version)
