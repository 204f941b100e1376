"""Puts ``access`` together: the only place that constructs things."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import structlog

from plateward.access.v1 import access_pb2
from plateward.audit.v1 import event_pb2
from plateward.common.v1 import action_pb2
from servicekit.clock import Clock
from servicekit.database import UNAVAILABLE, migrate, open_pool
from servicekit.errors import PlatewardError
from servicekit.interceptors.audit import SOFTWARE
from servicekit.kit import Kit
from servicekit.server import Service, Wired
from services.access.agreements import Agreements
from services.access.approvals import Approvals
from services.access.budgets import look_key
from services.access.bundles import load_or_create_signing_key
from services.access.cases import CaseRegistry, HttpCaseRegistry
from services.access.decide import Core
from services.access.engines import Engine, OpaEngine, RegopyEngine
from services.access.members import Members
from services.access.policy import PolicyBundle, sample_document
from services.access.publish import Publisher
from services.access.releases import Releases
from services.access.rpc import AccessServicer, Parts
from services.access.seed import seed
from services.access.settings import AccessSettings
from services.access.store import Store
from services.access.transparency import Channels, TransparencyPage
from services.access.upkeep import keep_up
from services.access.watch import Revocations

_LOG = structlog.get_logger(__name__)
_FOLLOW_S = 1.0
_FORGET_S = 6 * 3600.0
_LOOKS_KEPT = timedelta(days=400)
_DEFAULT_SAMPLE = "elk-grove-pd"


def _document(settings: AccessSettings) -> str:
    if settings.policy_document:
        return Path(settings.policy_document).read_text(encoding="utf-8")
    return sample_document(settings.seed or _DEFAULT_SAMPLE)


def _activated(kit: Kit, bundle: PolicyBundle, members: int) -> event_pb2.AuditEvent:
    """Return the event that says which policy decides from now on."""
    event = event_pb2.AuditEvent(
        event_id=kit.new_id(), phase=event_pb2.PHASE_CHANGE, service="access", action=action_pb2.ACTION_MANAGE_POLICY, software=SOFTWARE,
        owner_agency_id=bundle.document["agency"], outcome=event_pb2.Outcome(status="OK"),
        change=event_pb2.Change(kind="policy", target=bundle.version, summary=f"policy in force; {members} members entered from the sample"),
    )  # fmt: skip
    event.occurred_at.FromDatetime(kit.clock.now())
    return event


async def _follow(publisher: Publisher, core: Core, moved: asyncio.Event) -> None:
    """Take up within a second what another replica put in force, woken when it says so; runs until it is cancelled."""
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(moved.wait(), _FOLLOW_S)
        moved.clear()
        try:
            if await publisher.follow(core):
                _LOG.info("policy_in_force", version=core.bundle.version)
        except (PlatewardError, *UNAVAILABLE) as error:
            _LOG.warning("policy_follow_waits", error=type(error).__name__)


async def _forget(store: Store, clock: Clock) -> None:
    """Drop counts of looks that no budget reaches back to; runs until it is cancelled."""
    while True:
        try:
            await store.forget_looks((clock.now() - _LOOKS_KEPT).date())
        except UNAVAILABLE as error:
            _LOG.warning("forgetting_waits", error=type(error).__name__)
        await asyncio.sleep(_FORGET_S)


@asynccontextmanager
async def wire(settings: AccessSettings, kit: Kit) -> AsyncIterator[Wired]:
    """Open the database, load the policy into the engine, record which one decides."""
    key = load_or_create_signing_key(settings.signing_key_file)
    engine: Engine = RegopyEngine()
    if settings.opa_url:
        engine = OpaEngine(settings.opa_url, settings.bundle_listen, key)
    cases: CaseRegistry | None = None
    if settings.case_url:
        cases = HttpCaseRegistry(
            settings.case_url, timeout_s=settings.case_timeout_seconds, token_file=settings.case_token_file
        )
    pool, reading = await open_pool(settings), await open_pool(settings, for_reading=True)
    try:
        await migrate(pool, "services.access")
        store, publisher = Store(pool, reading), Publisher(pool, key, kit.clock)
        bundle = await publisher.begin(lambda: _document(settings))
        approvals = Approvals(pool, kit.clock)
        core = Core(store, approvals, engine, bundle, kit.clock, look_key=look_key(key), cases=cases)
        members = await seed(store, bundle, settings.seed, kit.clock) if settings.seed else 0
        audit = kit.remote_audit()

        async def on_ready() -> None:
            await engine.load(bundle)
            await audit.append(_activated(kit, bundle, members))
            kit.spawn(_follow(publisher, core, parts.revocations.policy_moved), "policy")
            kit.spawn(_forget(store, kit.clock), "looks")
            kit.spawn(keep_up(parts.members, audit, kit.clock), "upkeep")
            _LOG.info("policy_in_force", version=bundle.version, engine=engine.name)

        parts = Parts(
            members=Members(store, core, kit.clock),
            agreements=Agreements(pool, core, kit.clock),
            releases=Releases(pool, core, kit.clock),
            approvals=approvals,
            store=store,
            publisher=publisher,
            revocations=Revocations(
                settings.database_url.get_secret_value(), kit.clock, kit.draining, lambda: core.bundle.version
            ),
            page=TransparencyPage(
                Channels(
                    audit=kit.channel(settings.audit_target),
                    reads=kit.channel(settings.reads_target) if settings.reads_target else None,
                    hotlist=kit.channel(settings.hotlist_target) if settings.hotlist_target else None,
                ),
                kit.clock,
            ),
        )
        kit.spawn(parts.revocations.run(), "revocations")
        yield Wired(servicer=AccessServicer(core, parts), audit=audit, decider=core, on_ready=on_ready)
    finally:
        await engine.close()
        if cases is not None:
            await cases.close()
        await reading.close()
        await pool.close()


SERVICE = Service(
    name="access",
    descriptor=access_pb2.DESCRIPTOR.services_by_name["AccessService"],
    settings=AccessSettings,
    wire=wire,
)
