"""A sample of ``make torture-audit``: the log's process killed under eight writers."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.devkit.stack import Stack
from tests.torture_audit import torture


@pytest.mark.req("R-AUD-1")
async def test_no_acknowledged_entry_is_lost(stack: Stack, stack_root: Path) -> None:
    outcome = await torture(stack, stack_root, kills=4, seed=3)
    assert outcome.faults == []
    assert len(outcome.acknowledged) > 50
