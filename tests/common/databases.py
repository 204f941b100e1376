"""A service's database for a test: opened and migrated, and a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from servicekit.clock import Clock
from servicekit.database import Pool, migrate, open_pool


class FixedClock(Clock):
    """A clock that stands until it is set."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time


@asynccontextmanager
async def migrated(database_url: str, package: str) -> AsyncIterator[Pool]:
    """An open pool on a database with a service's migrations."""
    settings: Any = SimpleNamespace(
        database_url=SimpleNamespace(get_secret_value=lambda: database_url), database_pool=6
    )
    pool = await open_pool(settings)
    try:
        await migrate(pool, package)
        yield pool
    finally:
        await pool.close()
