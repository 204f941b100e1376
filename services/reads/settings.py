"""Settings of ``reads``; each is an environment variable with the prefix ``PLATEWARD_READS_``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import DatabaseSettings, ServiceSettings


class ReadsSettings(ServiceSettings, DatabaseSettings):
    """What ``reads`` needs beyond what every service needs."""

    model_config = SettingsConfigDict(env_prefix="PLATEWARD_READS_", extra="forbid")

    crops_url: str = Field(
        description="Where encrypted crops are kept: an obstore URL. Example: file:///var/lib/plateward/crops or s3://bucket/crops."
    )
    key_file: Path = Field(
        description="Master key of crops and page tokens: 32 bytes, mode 0600; made on the first start where it is absent. Without it no crop can be opened."
    )
    fallback_keep_seconds: int = Field(
        default=0,
        ge=0,
        description="Retention of reads where an agency's policy names none. 0 refuses its reads until it does.",
    )
    policy_cache_seconds: float = Field(
        default=60.0, gt=0, description="How long an agency's retention is used before it is asked for again."
    )
    citus: bool = Field(
        default=False,
        description="Distribute the tables over a Citus cluster (docs/citus.md). Needs the extension in the database.",
    )
    confidential_key_file: Path | None = Field(
        default=None,
        description="Key of the address-confidentiality list: 32 bytes, mode 0600; made where it is absent. Without the setting no such list is taken.",
    )
    destroy_interval_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How often what is due is destroyed and certified. A schedule of minutes needs minutes here.",
    )
    partition_days_ahead: int = Field(
        default=3, ge=1, le=30, description="Days for which partitions are made before they are needed."
    )
    follow_poll_seconds: float = Field(
        default=1.0,
        gt=0,
        description="How often a follower looks for new reads when no notification comes.",
    )
