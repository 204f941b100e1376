"""Settings of ``audit``; each is an environment variable with the prefix ``PLATEWARD_AUDIT_``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from servicekit.settings import DatabaseSettings, ServiceSettings
from services.audit.misuse.thresholds import DEFAULT


class AuditSettings(ServiceSettings, DatabaseSettings):
    """What ``audit`` needs beyond what every service needs."""

    model_config = SettingsConfigDict(env_prefix="PLATEWARD_AUDIT_", extra="forbid", frozen=True)

    master_key_file: Path = Field(
        description="Key that wraps the key of each entry's payload: 32 bytes, mode 0600; made on the first start where it is absent. Without it no payload can be read."
    )
    log_key_file: Path = Field(
        description="Ed25519 key that signs checkpoints (signed-note form), mode 0600; made on the first start where it is absent."
    )
    master_key_command: str = Field(
        "",
        description="Command that prints the master key as 64 hex digits, for a key kept in a KMS or HSM; takes the place of the file.",
    )
    next_log_key_file: Path | None = Field(
        None,
        description="Second key that signs every checkpoint, while clients change from one key to the other.",
    )
    earlier_log_keys: list[str] = Field(
        [],
        description="Public keys of the log that signed earlier checkpoints and are still trusted (JSON list).",
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
    owner_database_url: SecretStr | None = Field(
        None,
        description="Connection string of the role that owns the tables: for migrations and for destroying a key by court order. The role of DATABASE_URL then gets INSERT and SELECT only. Without it, the service runs as the owner.",
    )
    public_listen: str = Field(
        "",
        description="Address and port of the public log over HTTP (checkpoint, tiles, entry bundles: no payload); empty switches it off.",
    )
    witnesses: list[Annotated[str, Field(pattern=r"^\S+ https?://\S+$")]] = Field(
        [], description='Outside witnesses, each "public key URL" (JSON list).'
    )
    witness_quorum: int = Field(
        0, ge=0, description="Witnesses that must have cosigned a checkpoint before it is published."
    )
    witness_interval_s: float = Field(
        2.0, gt=0, description="How often the latest checkpoint is brought to the witnesses, in seconds."
    )
    misuse_thresholds: dict[str, float] = Field(
        {},
        description="Thresholds of the misuse detectors that differ from those of services/audit/misuse/thresholds.py (JSON object).",
    )

    @field_validator("misuse_thresholds")
    @classmethod
    def _known_thresholds(cls, changes: dict[str, float]) -> dict[str, float]:
        DEFAULT.but(changes)
        return changes
