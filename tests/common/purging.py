"""A process that does nothing but destroy, to be killed: ``python -m tests.common.purging <database URL> <crops folder>``."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta

from obstore.store import LocalStore

from plateward.common.v1 import receipt_pb2
from servicekit.clock import Clock
from services.reads.crops import Crops
from services.reads.purge import Purger
from services.reads.records import Records
from services.reads.schedules import BEGINNING, Schedule, Schedules
from tests.common.databases import migrated
from tlog.note import KeyType, SignerKey

KEY = SignerKey("plateward/reads", KeyType.ED25519, bytes(32))


class Log:
    """Gives receipts."""

    async def append(self, _event: object) -> receipt_pb2.Receipt:
        return receipt_pb2.Receipt()


async def purge(url: str, folder: str, agency_id: str) -> None:
    """Destroy all that is older than thirty days."""
    rule = Schedule(timedelta(days=30), BEGINNING, "462.4", "1")
    async with migrated(url, "services.reads") as pool:
        crops, clock = Crops(LocalStore(folder), bytes(32)), Clock()
        print("begins", datetime.now(UTC), flush=True)
        await Purger(pool, clock, crops, Records(Log(), clock), KEY).run(Schedules(agency_id, rule, rule))


if __name__ == "__main__":
    asyncio.run(purge(*sys.argv[1:]))
