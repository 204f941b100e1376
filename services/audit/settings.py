"""Settings of ``audit``; each is an environment variable with the prefix ``PLATEWARD_AUDIT_``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import DatabaseSettings, ServiceSettings


class AuditSettings(ServiceSettings, DatabaseSettings):
    """What ``audit`` needs beyond what every service needs."""

    model_config = SettingsConfigDict(env_prefix="PLATEWARD_AUDIT_", extra="forbid", frozen=True)

    master_key_file: Path = Field(
        description="Key that wraps the key of each entry's payload: 32 bytes, mode 0600; made on the first start where it is absent. Without it no payload can be read."
    )
    log_key_file: Path = Field(
        description="Ed25519 key that signs checkpoints (signed-note form), mode 0600; made on the first start where it is absent."
    )
    origin: str = Field(
        "plateward.local/audit", description="Origin of the log: the first line of its checkpoints."
    )
    commit_window_ms: float = Field(
        3.0,
        ge=0,
        le=100,
        description="How long an append waits for others to share its commit, in milliseconds.",
    )
    commit_most: int = Field(512, ge=1, le=4096, description="Most entries in one commit.")
    queue_most: int = Field(
        8192, ge=1, description="Most appends that wait; one more is answered RESOURCE_EXHAUSTED."
    )
