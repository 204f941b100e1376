"""How a client finds the services and who it is: a folder with ``stack.json``, written by the stack or by hand.

``stack.json`` holds ``targets`` (service → address), ``ca`` (file) and ``clients`` (name → ``cert`` and ``key`` files).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from servicekit.channels import Credentials, open_channel

FILE = "stack.json"


class ConnectionFileError(Exception):
    """There is no usable ``stack.json``; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Addresses and identities of one installation, as a client sees them."""

    root: Path
    targets: dict[str, str]
    ca: Path
    clients: dict[str, dict[str, str]]
    issuer: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path) -> Connection:
        """Return the connection that a folder describes.

        Raises:
            ConnectionFileError: the file is missing or malformed.
        """
        file = root / FILE
        try:
            data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return cls(
                root=root,
                targets=data["targets"],
                ca=Path(data["ca"]),
                clients=data["clients"],
                issuer=data.get("issuer", {}),
            )
        except FileNotFoundError:
            raise ConnectionFileError(
                f"no {FILE} in {root}: start the embedded stack with `plateward up`, or give --connect the folder that holds it"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise ConnectionFileError(
                f"{file} is damaged ({error}): start the stack again to write it anew"
            ) from None

    def channel(self, service: str, identity: str = "portal") -> grpc.aio.Channel:
        """Return a channel to a service with a client's certificate; the identity ``none`` has no certificate.

        Raises:
            ConnectionFileError: the service or the identity is not in the file.
        """
        try:
            target = self.targets[service]
        except KeyError:
            raise ConnectionFileError(f"{self.root / FILE} names no service {service!r}") from None
        if identity == "none":
            return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(self.ca.read_bytes()))
        try:
            files = self.clients[identity]
        except KeyError:
            raise ConnectionFileError(
                f"{self.root / FILE} names no client {identity!r}; it has {', '.join(self.clients)}"
            ) from None
        return open_channel(target, Credentials(cert=Path(files["cert"]), key=Path(files["key"]), ca=self.ca))

    def token(
        self, member_id: str, *, amr: Sequence[str] = ("pwd", "otp"), ttl_s: int = 900, forged: bool = False
    ) -> str:
        """Return a token: of the development issuer where there is one, otherwise of who is signed in (``plateward login``).

        Raises:
            ConnectionFileError: nobody is signed in, or the session is over.
        """
        from clients.devkit.issuer import DevelopmentIssuer
        from clients.session import Session, SessionError

        development = DevelopmentIssuer(self.root / "pki")
        if not self.issuer and development.jwks.exists():
            return development.mint(member_id, amr=amr, ttl_s=ttl_s, forged=forged)
        session = Session.load(self.root)
        if session is None:
            raise ConnectionFileError("nobody is signed in here: plateward login")
        try:
            return session.token(self.root)
        except SessionError as error:
            raise ConnectionFileError(str(error)) from None

    @property
    def receipts_dir(self) -> Path:
        """Where this client keeps the receipts it was given."""
        return self.root / "receipts"
