"""A real stack: five processes, PostgreSQL, OPA where it is found, mutual TLS. One for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.connection import Connection
from clients.devkit.opa import find_opa
from clients.devkit.stack import Stack


@pytest.fixture(scope="session")
def stack_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def stack(stack_root: Path) -> Iterator[Stack]:
    running = Stack(stack_root, opa=find_opa())
    try:
        running.start_all(lambda _step: None)
        yield running
    finally:
        running.stop()


@pytest.fixture
def connection(stack: Stack, stack_root: Path) -> Connection:
    return Connection.load(stack_root)
