"""A sample of the fuzzing that ``make fuzz`` does in full: no crash, no INTERNAL, no leak."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.connection import Connection
from clients.devkit.stack import Stack
from tests.common.api import MODULES
from tests.fuzz import fuzz_service

COUNT = 250


@pytest.mark.parametrize("service", MODULES)
async def test_mutated_messages(stack: Stack, stack_root: Path, service: str) -> None:
    before = {row.name: row.pid for row in stack.status()}
    tally = await fuzz_service(Connection.load(stack_root), service, COUNT, seed=7)
    assert tally.faults == []
    assert sum(tally.statuses.values()) == COUNT
    assert {row.name: row.pid for row in stack.status()} == before
    assert {row.health for row in stack.status()} == {"SERVING"}
