"""A real PostgreSQL for the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.audit.model import Sealer
from services.audit.sequencer import Sequencer
from services.audit.settings import AuditSettings
from services.audit.store import Store
from tests.common.audit_log import opened


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> AuditSettings:
    nowhere: dict[str, Any] = dict.fromkeys(
        ("tls_cert", "tls_key", "tls_ca", "token_jwks"), tmp_path / "unused"
    )
    return AuditSettings(
        database_url=database_url,
        master_key_file=tmp_path / "master",
        log_key_file=tmp_path / "log",
        **nowhere,
    )


@pytest.fixture
async def log(settings: AuditSettings) -> AsyncIterator[tuple[Sequencer, Store, Sealer]]:
    async with opened(settings) as parts:
        yield parts
