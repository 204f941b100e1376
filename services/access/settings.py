"""Settings of ``access``; each is an environment variable with the prefix ``PLATEWARD_ACCESS_``."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
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
    bundle_listen: str = Field(
        "",
        pattern=r"^([^:]+:\d+)?$",
        description="Address and port where the OPA server fetches the signed bundle (HTTP, /bundles/plateward.tar.gz); needed with OPA_URL.",
    )
    signing_key_file: Path = Field(
        description="Key that signs policy versions: P-256 (PEM), mode 0600; made on the first start where it is absent. The OPA server is given its public half."
    )
    case_url: str = Field(
        "",
        pattern=r"^(https?://.+)?$",
        description="Address of the agency's case system (CAD/RMS); empty looks numbers up in the embedded table that PutCase fills.",
    )
    case_token_file: Path | None = Field(
        None, description="File with the token for the case system, sent as Authorization: Bearer."
    )
    case_timeout_seconds: float = Field(
        1.0,
        gt=0,
        le=10,
        description="How long the case system may take; after that a number counts as unchecked and opens nothing.",
    )
    reads_target: str = Field(
        "",
        description="Address of the reads service, for the counts on the public page; empty leaves them out.",
    )
    hotlist_target: str = Field(
        "",
        description="Address of the hotlist service, for the counts on the public page; empty leaves them out.",
    )
    policy_document: str = Field(
        "",
        description="File of the agency's policy (YAML) for the first start; empty takes the sample that SEED names, or elk-grove-pd. Once people have published a version, that one holds.",
    )
    seed: str = Field(
        "",
        pattern="^[a-z0-9-]*$",
        description="Name of a sample whose members, agencies and agreements fill an empty database. For trying out only.",
    )

    @model_validator(mode="after")
    def _bundle_for_opa(self) -> Self:
        if self.opa_url and not self.bundle_listen:
            raise ValueError("OPA_URL needs BUNDLE_LISTEN: the OPA server fetches the signed policy there")
        return self
