"""What the unit tests of services share: a real PostgreSQL, and a database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import psycopg
import pytest

from clients.devkit import postgres

_NUMBERS = count()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    running = postgres.start(tmp_path_factory.mktemp("pg"))
    yield running
    running.cleanup()


@pytest.fixture
def database_url(postgres_server: Any) -> str:
    name = f"fresh_{next(_NUMBERS)}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return str(postgres_server.get_uri(name))


@pytest.fixture
def server_url(postgres_server: Any) -> str:
    return str(postgres_server.get_uri())
