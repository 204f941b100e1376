"""A witness beside the embedded stack, so that the log is witnessed from the first minute.

It runs on the same machine and in the same hands, so it proves nothing to outsiders: a real one belongs to somebody else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tlog.note import KeyType, SignerKey

ORIGIN = "plateward.local/audit"


class DevelopmentWitness:
    """Key, state and command of the witness."""

    def __init__(self, folder: Path, log_key: Path) -> None:
        self._folder = folder
        self._log_key = log_key

    @property
    def state(self) -> Path:
        """The witness's one file."""
        return self._folder / "witness.state"

    @property
    def vkey(self) -> str:
        """The witness's public key."""
        return str(SignerKey.parse(self._key.read_text(encoding="utf-8").strip()).verifier)

    @property
    def log_vkey(self) -> str:
        """The log's public key."""
        return str(SignerKey.parse(self._log_key.read_text(encoding="utf-8").strip()).verifier)

    def ensure(self) -> None:
        """Make the witness's key, and the log's, where they are missing: each must know the other's."""
        for path, name, kind in (
            (self._key, "witness.plateward.local", KeyType.COSIGNATURE_V1),
            (self._log_key, ORIGIN, KeyType.ED25519),
        ):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(SignerKey.generate(name, kind).encode() + "\n")

    def command(self, listen: str) -> list[str]:
        """Return the command that runs it."""
        return [
            sys.executable, "-m", "clients.cli", "witness", "run", "--log", self.log_vkey, "--key", str(self._key),
            "--state", str(self.state), "--listen", listen,
        ]  # fmt: skip

    @property
    def _key(self) -> Path:
        return self._folder / "witness.key"
