"""The parts of ``access`` on a real database and the in-process engine, as the service's wiring makes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from plateward.common.v1 import action_pb2, types_pb2
from servicekit.database import Pool
from services.access.agreements import Agreements
from services.access.approvals import Approvals
from services.access.decide import Core
from services.access.engines import RegopyEngine
from services.access.members import Members
from services.access.policy import load_bundle, sample_document
from services.access.releases import Releases
from services.access.seed import seed
from services.access.store import Store
from tests.common.databases import FixedClock, migrated

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
OWNER, PARTNER = "elk-grove-pd", "galt-pd"


@dataclass(frozen=True, slots=True)
class Access:
    """What tests take hold of."""

    pool: Pool
    clock: FixedClock
    store: Store
    core: Core
    members: Members
    agreements: Agreements
    releases: Releases
    approvals: Approvals

    async def pool_set_active(self, member_id: str, at: datetime) -> None:
        """Say when a member of the owner was last active."""
        async with self.pool.connection() as connection:
            await connection.execute(
                "UPDATE members SET last_active_at = %s WHERE agency_id = %s AND member_id = %s",
                (at, OWNER, member_id),
            )


@asynccontextmanager
async def opened(database_url: str, *, sample: bool = True) -> AsyncIterator[Access]:
    """The parts, with the sample's people and partners."""
    async with migrated(database_url, "services.access") as pool:
        clock, bundle, engine = (
            FixedClock(NOW),
            load_bundle(sample_document("elk-grove-pd")),
            RegopyEngine(),
        )
        await engine.load(bundle)
        store, approvals = Store(pool), Approvals(pool, clock)
        core = Core(store, approvals, engine, bundle, clock)
        if sample:
            await seed(store, bundle, "elk-grove-pd", clock)
        try:
            yield Access(
                pool, clock, store, core, Members(store, core, clock), Agreements(pool, core, clock),
                Releases(pool, core, clock), approvals,
            )  # fmt: skip
        finally:
            await engine.close()


def member(
    member_id: str, agency: str = OWNER, *, name: str = "", federal: bool = False
) -> types_pb2.Subject:
    """A signed-in member at the portal of an agency, or a partner's at its own system."""
    kind = action_pb2.CALLER_KIND_PORTAL if agency == OWNER else action_pb2.CALLER_KIND_PARTNER
    return types_pb2.Subject(
        agency_id=agency, kind=kind, member_id=member_id, member_name=name or member_id, amr=["pwd", "otp"],
        federal_task_force=federal,
    )  # fmt: skip
