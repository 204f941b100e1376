"""Deciding: facts from the database, the engine's word, and the obligations that the stores apply."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from plateward.access.v1 import access_pb2
from plateward.common.v1 import decision_pb2
from servicekit.clock import Clock
from servicekit.errors import PlatewardError
from servicekit.ids import new_id
from services.access.approvals import Approvals
from services.access.budgets import plate_digest
from services.access.cases import CaseRegistry, CaseSystemUnavailableError
from services.access.engines import Engine, unavailable
from services.access.facts import case_number, rego_input, scopes
from services.access.policy import PolicyBundle
from services.access.store import Facts, Look, Store

_TOUCH_EVERY = timedelta(hours=1)
# The version in force, the one that comes, and the one in force again.
_MOST_VERSIONS = 3
_SECOND_PERSON = "the approval was used by another call: it holds for one query; ask for a new one"


class Core:
    """Decides by one bundle on one engine. It is also the access service's own decider."""

    def __init__(
        self,
        store: Store,
        approvals: Approvals,
        engine: Engine,
        bundle: PolicyBundle,
        clock: Clock,
        *,
        look_key: bytes = b"",
        cases: CaseRegistry | None = None,
    ) -> None:
        self._store = store
        self._approvals = approvals
        self._touched: dict[tuple[str, str], datetime] = {}
        self._engine = engine
        self._clock = clock
        self._look_key = look_key
        # None: the embedded table, which is read together with the other facts.
        self._cases = cases
        self._looking: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self.bundle = bundle
        # While a version is being taken up, the engine may answer by it before it is the one in force.
        self._coming: PolicyBundle | None = None

    async def put_in_force(self, bundle: PolicyBundle) -> None:
        """Decide by another version from now on.

        Raises:
            PlatewardError: DECISION_UNAVAILABLE: the engine does not take it; the version in force stays.
        """
        self._coming = bundle
        try:
            await self._engine.load(bundle)
        except PlatewardError:
            await self._engine.load(self.bundle)
            raise
        finally:
            self._coming = None
        self.bundle = bundle

    async def decide(self, request: access_pb2.DecideRequest) -> decision_pb2.Decision:
        """Return the decision on a call.

        Raises:
            PlatewardError: DECISION_UNAVAILABLE: the engine has no answer.
        """
        look = self._look(request)
        if not look.plate_digest:
            return await self._decided(request, look)
        # One look of a member at a time: two at once could not see each other, and a budget would be overrun.
        async with self._looking.setdefault(
            (request.subject.agency_id, request.subject.member_id), asyncio.Lock()
        ):
            return await self._decided(request, look)

    def _look(self, request: access_pb2.DecideRequest) -> Look:
        """Return what the call looks for; the following pages of a query are no new look."""
        since = (self._clock.now() - timedelta(days=self.bundle.data["budgets"]["days"])).date()
        counted = request.plate and request.subject.member_id and not request.next_page
        digest = plate_digest(self._look_key, request.subject.agency_id, request.plate) if counted else b""
        return Look(case_number(request.purpose), digest, since)

    async def _facts(self, request: access_pb2.DecideRequest, look: Look, now: datetime) -> Facts:
        subject = request.subject
        facts = await self._store.facts(
            subject.agency_id, subject.member_id, request.owner_agency_ids, now, look
        )
        if self._cases is not None and look.case_number:
            try:
                facts = replace(facts, case=await self._cases.find(subject.agency_id, look.case_number))
            except CaseSystemUnavailableError:
                facts = replace(facts, case=None, cases_answer=False)
        if request.approval_id:
            facts = replace(facts, approved=await self._approvals.holds(request))
        return facts

    async def _decided(self, request: access_pb2.DecideRequest, look: Look) -> decision_pb2.Decision:
        now, subject = self._clock.now(), request.subject
        facts = await self._facts(request, look, now)
        result = await self._evaluated(request, facts, now)
        decision = decision_pb2.Decision(
            effect=decision_pb2.EFFECT_ALLOW if result["effect"] == "allow" else decision_pb2.EFFECT_DENY,
            rule=result["rule"],
            message=result["message"][:1024],
            grounds=list(dict.fromkeys(result["grounds"]))[:64],
            policy_version=result["version"],
            decision_id=new_id(self._clock),
            engine=self._engine.name,
        )
        if decision.effect == decision_pb2.EFFECT_ALLOW and facts.approved:
            await self._use_approval(request, decision)
        if decision.effect == decision_pb2.EFFECT_ALLOW:
            await self._touch(subject.agency_id, subject.member_id, now)
            if look.plate_digest:
                await self._store.looked(subject.agency_id, subject.member_id, look, now)
            self._oblige(decision.obligations, result["obligations"])
            self._add_scopes(decision.obligations, scopes(request, facts))
        else:
            decision.obligations.second_approver = result["obligations"]["second_approver"]
        return decision

    async def _evaluated(
        self, request: access_pb2.DecideRequest, facts: Facts, now: datetime
    ) -> dict[str, Any]:
        """Return what the engine decides by the version that the input was made for."""
        bundle = self.bundle
        for _ in range(_MOST_VERSIONS):
            result = await self._engine.evaluate(rego_input(request, facts, bundle.data, now))
            if result["version"] == bundle.version:
                return result
            known = (
                b for b in (self.bundle, self._coming) if b is not None and b.version == result["version"]
            )
            if (answering := next(known, None)) is None:
                break
            bundle = answering
        raise unavailable()

    async def _use_approval(self, request: access_pb2.DecideRequest, decision: decision_pb2.Decision) -> None:
        if not await self._approvals.use(request):
            decision.effect = decision_pb2.EFFECT_DENY
            decision.rule, decision.message = "agency.second-person", _SECOND_PERSON

    async def _touch(self, agency_id: str, member_id: str, now: datetime) -> None:
        """Keep when a member was last active, written once an hour: a decision must not cost a write."""
        key = (agency_id, member_id)
        if member_id and now - self._touched.get(key, now - _TOUCH_EVERY) >= _TOUCH_EVERY:
            self._touched[key] = now
            await self._store.touch(agency_id, member_id, now)

    def _add_scopes(
        self, obligations: decision_pb2.Obligations, agreements: Sequence[Mapping[str, Any]]
    ) -> None:
        """Bound each owner's reads by its own agreements: what one of them opens, another owner has not agreed to."""
        for agreement in agreements:
            scope = obligations.scopes.add(
                agency_id=agreement["owner_agency_id"], camera_ids=agreement["camera_ids"]
            )
            scope.not_before.FromDatetime(self._clock.now() - timedelta(seconds=int(agreement["window_s"])))

    def _oblige(self, obligations: decision_pb2.Obligations, wanted: dict[str, Any]) -> None:
        obligations.agency_ids.extend(wanted["agency_ids"])
        obligations.camera_ids.extend(wanted["camera_ids"])
        obligations.masked_fields.extend(wanted["masked_fields"])
        obligations.max_rows = int(wanted["max_rows"])
        obligations.most_cameras = int(wanted["most_cameras"])
        if area := wanted["area"]:
            obligations.area.circle.radius_m = float(area["radius_m"])
            obligations.area.circle.centre.latitude = float(area["latitude"])
            obligations.area.circle.centre.longitude = float(area["longitude"])
        obligations.not_before.FromDatetime(
            self._clock.now() - timedelta(seconds=float(wanted["keep_seconds"]))
        )
