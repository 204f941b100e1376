"""The embedded issuer beside the stack, for those who want to sign in as in production instead of minting tokens."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

from clients.devkit.issuer import MEMBERS
from clients.devkit.pki import ISSUER, DevelopmentPki
from clients.issuer.enrol import new_link
from clients.issuer.parts import build

AGENCY = "elk-grove-pd"
_PATIENCE_S = 20.0


class EmbeddedIssuer:
    """The issuer of one folder, on a port of this machine."""

    def __init__(self, folder: Path, pki: DevelopmentPki) -> None:
        self._folder = folder
        self._pki = pki

    @staticmethod
    def url(port: int) -> str:
        """Return its address. Browsers take localhost for passkeys, and no numbers."""
        return f"https://localhost:{port}"

    def command(self, port: int) -> list[str]:
        """Return the command that runs it."""
        return [
            sys.executable, "-m", "clients.cli", "issuer", "run", "--url", self.url(port), "--listen", f"127.0.0.1:{port}",
            "--cert", str(self._pki.cert(ISSUER)), "--key", str(self._pki.key(ISSUER)), "--folder", str(self._folder),
        ]  # fmt: skip

    def settings(self, port: int) -> dict[str, object]:
        """Return what the services are told instead of a file of keys."""
        return {"TOKEN_ISSUER": self.url(port), "TOKEN_CA": self._pki.ca}

    @staticmethod
    def wait(port: int) -> bool:
        """Wait until it takes connections; return whether it does."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return True
            time.sleep(0.05)
        return False

    def links(self, port: int) -> dict[str, str]:
        """Return member → enrolment link, for the sample's members who have set no password yet."""
        issuer = build(self.url(port), self._folder, {})
        try:
            found = {}
            for member_id, (name, agency) in MEMBERS.items():
                if agency != AGENCY:
                    continue
                account = issuer.store.account(member_id)
                if account is None or not account.password_hash:
                    issuer.store.add_account(member_id, agency, name, federal=False, now=issuer.now)
                    found[member_id] = new_link(issuer, member_id)
            return found
        finally:
            issuer.store.close()
