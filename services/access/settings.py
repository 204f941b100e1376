"""Settings of ``access``; each is an environment variable with the prefix ``PLATEWARD_ACCESS_``."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import DatabaseSettings, ServiceSettings


class AccessSettings(ServiceSettings, DatabaseSettings):
    """What ``access`` needs beyond what every service needs."""

    model_config = SettingsConfigDict(env_prefix="PLATEWARD_ACCESS_", extra="forbid", frozen=True)

    opa_url: str = Field(
        "",
        pattern=r"^(https?://[^/:]+:\d+)?$",
        description="Address of the OPA server, for example http://127.0.0.1:8181; empty decides in process (regopy).",
    )
    policy_document: str = Field(
        "",
        description="File of the agency's policy (YAML); empty takes the sample that SEED names, or elk-grove-pd.",
    )
    seed: str = Field(
        "",
        pattern="^[a-z0-9-]*$",
        description="Name of a sample whose members, agencies and agreements fill an empty database. For trying out only.",
    )
