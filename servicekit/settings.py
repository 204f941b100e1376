"""Settings: one class a service, environment variables, documented field by field, unknown names refused.

Rules
-----
1. A setting is an environment variable ``PLATEWARD_<SERVICE>_<FIELD>``.
2. Every field has a description: ``docs/configuration.md`` is generated from it.
3. A variable with the service's prefix that no field has stops the start, with the nearest name that exists.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024


class SettingsError(Exception):
    """The configuration is wrong; the message names the variable and what to do."""


class DatabaseSettings(BaseModel):
    """Mix-in of services that have a database."""

    database_url: SecretStr = Field(description="PostgreSQL connection string of the service's own database.")
    database_pool: int = Field(8, ge=1, le=200, description="Most connections held open to the database.")


class ServiceSettings(BaseSettings):
    """What every service has. Subclasses set ``env_prefix``."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    listen: str = Field(
        "127.0.0.1:0", description="Address and port of the gRPC server; port 0 takes a free one."
    )
    metrics_listen: str = Field(
        "", description="Address and port of the Prometheus endpoint; empty switches it off."
    )
    tls_cert: Path = Field(description="Certificate chain of the service (PEM); read again when it changes.")
    tls_key: Path = Field(description="Private key of the certificate (PEM).")
    tls_ca: Path = Field(description="Certificate authorities whose client certificates are accepted (PEM).")
    token_issuer: str = Field(
        "https://issuer.plateward.local", description="Issuer that member tokens must name."
    )
    token_audience: str = Field("plateward", description="Audience that member tokens must name.")
    token_jwks: Path | None = Field(
        None,
        description="File with the issuer's public keys (JWKS), read again when it changes; without one they are asked of "
        "the issuer (OpenID Connect discovery, HTTPS).",
    )
    token_ca: Path | None = Field(
        None,
        description="Authorities that the issuer's HTTPS certificate is checked against (PEM); without one the system's.",
    )
    token_agency_claim: str = Field(
        "agency", min_length=1, description="Claim of the token that holds the member's agency ID."
    )
    token_mfa_acr: str = Field(
        "",
        description="Values of the token's acr claim that stand for a second factor, separated by commas; amr counts anyhow.",
    )
    token_max_age_s: int = Field(
        3600, ge=60, le=86_400, description="How long a token counts from its issue, in seconds."
    )
    access_target: str = Field("", description="Address of the access service.")
    audit_target: str = Field("", description="Address of the audit service.")
    audit_log_keys: list[str] = Field(
        [],
        description="Public keys of the audit log (JSON list). With them every receipt is checked, and a log that contradicts an earlier checkpoint is not believed.",
    )
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe level that is logged."
    )
    drain_seconds: float = Field(
        10.0, ge=0, description="How long calls in flight may go on after a stop signal, in seconds."
    )
    max_concurrent: int = Field(
        256, ge=1, description="Calls handled at once; one more is answered RESOURCE_EXHAUSTED."
    )
    max_message_bytes: int = Field(64 * MIB, ge=MIB, description="Largest message accepted, in bytes.")
    default_deadline_ms: int = Field(
        10_000, ge=1, description="Deadline of unary calls whose caller set none, in milliseconds."
    )

    @classmethod
    def prefix(cls) -> str:
        """Return the prefix of the service's variables."""
        return str(cls.model_config.get("env_prefix", ""))

    @classmethod
    def load(cls) -> Self:
        """Return the settings of this process's environment.

        Raises:
            SettingsError: an unknown, missing or malformed variable.
        """
        _refuse_unknown(cls)
        try:
            return cls()  # type: ignore[call-arg]  # the environment gives them
        except ValidationError as error:
            faults = "; ".join(
                f"{cls.prefix()}{'_'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
                for fault in error.errors()
            )
            raise SettingsError(
                f"configuration: {faults} (docs/configuration.md lists every setting)"
            ) from error


_S = TypeVar("_S", bound=ServiceSettings)


def _refuse_unknown(settings: type[_S]) -> None:
    prefix = settings.prefix()
    known = {f"{prefix}{name}".upper() for name in settings.model_fields}
    for name in os.environ:
        if prefix and name.upper().startswith(prefix) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"did you mean {near[0]}?" if near else "docs/configuration.md lists every setting"
            raise SettingsError(f"{name} is no setting: {hint}")
