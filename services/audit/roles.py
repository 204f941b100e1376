"""Two roles of the database: the owner migrates and, by court order, destroys a key; the service adds and reads.

Without an owner's connection string the service runs as the owner: good for a first look, and said in the log.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import structlog
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from servicekit.database import migrate, open_pool
from services.audit.settings import AuditSettings

_LOG = structlog.get_logger(__name__)


async def prepare_database(settings: AuditSettings) -> None:
    """Migrate as the owner; leave the service's role with INSERT and SELECT.

    Raises:
        psycopg.Error: the owner may not do that.
    """
    owner = settings.owner_database_url
    if owner is None:
        _LOG.warning(
            "database_role", role="owner", advice="set OWNER_DATABASE_URL and a role of INSERT and SELECT"
        )
    as_owner: Any = SimpleNamespace(database_url=owner or settings.database_url, database_pool=2)
    pool = await open_pool(as_owner)
    try:
        await migrate(pool, "services.audit")
        if owner is not None:
            role = str(conninfo_to_dict(settings.database_url.get_secret_value()).get("user", ""))
            async with pool.connection() as connection:
                await _limit(connection, role)
    finally:
        await pool.close()


async def _limit(connection: psycopg.AsyncConnection[Any], role: str) -> None:
    name = sql.Identifier(role)
    for statement in (
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}",
        "GRANT USAGE ON SCHEMA public TO {}",
        "GRANT INSERT, SELECT ON ALL TABLES IN SCHEMA public TO {}",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}",
    ):
        await connection.execute(sql.SQL(statement).format(name))
