"""Settings of ``hotlist``; each is an environment variable with the prefix ``PLATEWARD_HOTLIST_``."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import DatabaseSettings, ServiceSettings
from services.hotlist.limits import OFFICIAL_LISTS


class HotlistSettings(ServiceSettings, DatabaseSettings):
    """What ``hotlist`` needs beyond what every service needs."""

    model_config = SettingsConfigDict(env_prefix="PLATEWARD_HOTLIST_", extra="forbid")

    reads_target: str = Field(
        description="Address of the reads service that is followed. Example: 127.0.0.1:7402."
    )
    match_min_weight: float = Field(
        default=0.03,
        ge=0,
        le=1,
        description="Least weight (likeness times doubt, over the characters that differ) at which a look-alike raises a hit. Lower finds more misread plates and sends more wrong ones to verifiers; `make wrong-stops` prints both.",
    )
    claim_minutes: int = Field(
        default=60,
        ge=5,
        le=1440,
        description="Minutes without a step after which any member who may verify hits can release a hit that another has claimed. The verifier can at any time.",
    )
    entry_max_days: int = Field(
        default=30,
        ge=1,
        le=366,
        description="Most days ahead that an entry of the agency's own list, or of an imported list that is no official extract, may expire.",
    )
    official_lists: list[str] = Field(
        default=list(OFFICIAL_LISTS),
        description='IDs of the imported lists that are official extracts (JSON list: ["ncic-vehicle"]): only their rows may lead to a stop and stay until the source drops them. Rows of any other list are leads at most and expire, whoever imports them under whatever mapping.',
    )
    stream_poll_seconds: float = Field(
        default=1.0, gt=0, description="How often a stream looks for new hits when no notification comes."
    )
    destroy_interval_seconds: float = Field(
        default=60.0, gt=0, description="How often hits that have expired are destroyed."
    )
    key_file: Path | None = Field(
        default=None,
        description="Key that seals the pictures of hits and the secrets of webhooks: 32 bytes, mode 0600; made on the first start where it is absent. Without it hits keep no pictures and webhooks are off.",
    )
    switch_url: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="Address of the message switch (CLETS, NLETS) through which originating agencies are asked to confirm hits; empty: members ask by telephone, and their word is recorded.",
    )
    switch_token_file: Path | None = Field(
        default=None, description="File with the token for the message switch, sent as Authorization: Bearer."
    )
    switch_poll_seconds: float = Field(
        default=1.0, gt=0, le=60, description="How often the message switch is asked for answers."
    )
    webhook_networks: list[IPv4Network | IPv6Network] = Field(
        default=[],
        description='Private networks that webhooks may reach, like the dispatch centre\'s (JSON list: ["10.20.0.0/16"]). Public addresses may always be reached.',
    )
    webhook_ca: Path | None = Field(
        default=None,
        description="Certificate authorities (PEM) of webhooks' servers; those of the system, if left out.",
    )
