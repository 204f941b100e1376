"""A sample of what ``make tamper`` does 1,000 times: every kind of alteration is found, and the first bad entry named."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.audit.settings import AuditSettings
from tests import tamper
from tests.common.alterations import ALTERATIONS


@pytest.mark.req("R-AUD-1")
async def test_every_kind_of_alteration_is_found(
    settings: AuditSettings, database_url: str, tmp_path: Path
) -> None:
    tallies = await tamper.run(2 * len(ALTERATIONS), 7, settings, database_url, tmp_path)
    assert [missed for tally in tallies.values() for missed in tally.missed] == []
    assert sum(t.found for t in tallies.values()) == 2 * len(ALTERATIONS)
    assert all(t.exact + t.spans == t.found for t in tallies.values()), tallies
