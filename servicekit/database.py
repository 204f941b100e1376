"""PostgreSQL: a bounded pool, and migrations that are applied once each, under a lock, and never edited afterwards."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from servicekit.settings import DatabaseSettings

Pool = AsyncConnectionPool[psycopg.AsyncConnection[DictRow]]
UNAVAILABLE = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
_LOCK = 0x706C617465
_NAME = re.compile(r"^\d{4}_[a-z0-9_]+\.sql$")
_TIMEOUT_S = 5.0


class MigrationError(Exception):
    """A migration was edited after it had been applied, or has no place in the order."""


async def open_pool(settings: DatabaseSettings, *, for_reading: bool = False, options: str = "") -> Pool:
    """Return an open pool; connections give rows as dictionaries. ``options`` are the server's, such as ``-c jit=off``.

    ``for_reading`` leaves out transactions, and the round trip that tries a connection before it is given out: whoever
    reads by such a pool tries again after ``pool.check()`` when a connection turns out to be dead.

    Raises:
        psycopg_pool.PoolTimeout: the database does not answer.
    """
    pool: Pool = AsyncConnectionPool(
        make_conninfo(settings.database_url.get_secret_value(), **({"options": options} if options else {})),
        min_size=1,
        max_size=settings.database_pool,
        timeout=_TIMEOUT_S,
        kwargs={"row_factory": dict_row, "autocommit": for_reading},
        check=None if for_reading else AsyncConnectionPool.check_connection,
        open=False,
    )
    await pool.open(wait=True, timeout=30.0)
    return pool


def _migrations(package: str) -> list[tuple[str, str]]:
    folder = files(package) / "migrations"
    found = sorted(
        (item.name, item.read_text(encoding="utf-8"))
        for item in folder.iterdir()
        if item.name.endswith(".sql")
    )
    for name, _ in found:
        if not _NAME.match(name):
            raise MigrationError(f"{name}: a migration is named NNNN_what_it_does.sql")
    return found


async def migrate(pool: Pool, package: str) -> None:
    """Apply the migrations of ``<package>/migrations`` that are not applied yet, each in a transaction of its own.

    Raises:
        MigrationError: an applied migration's text has changed.
    """
    async with pool.connection() as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        try:
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            await connection.commit()
            for name, text in _migrations(package):
                await _apply(connection, name, text)
        finally:
            await connection.rollback()
            await connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


async def _apply(connection: psycopg.AsyncConnection[Any], name: str, text: str) -> None:
    digest = hashlib.sha256(text.encode()).hexdigest()
    cursor = await connection.execute("SELECT digest FROM schema_migrations WHERE name = %s", (name,))
    row = await cursor.fetchone()
    if row is not None:
        if row["digest"] != digest:
            raise MigrationError(
                f"{name} was edited after it had been applied: undo that and add a new migration"
            )
        await connection.rollback()
        return
    await connection.execute(sql.SQL(text))
    await connection.execute("INSERT INTO schema_migrations (name, digest) VALUES (%s, %s)", (name, digest))
    await connection.commit()
