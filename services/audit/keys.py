"""The log's keys: the one that wraps payload keys, and those that sign checkpoints.

Rules
-----
1. The master key comes from a file, or from a command that asks a KMS or HSM: then it never lies on this machine's disk.
2. Changing the signing key takes three steps, so that no client ever sees a checkpoint it cannot check: sign with both
   (``NEXT_LOG_KEY_FILE``), hand out the new public key, then make it the first and name the old one in
   ``EARLIER_LOG_KEYS``. All keys of a log carry its origin as their name.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path

from servicekit.crypto import KEY_BYTES, load_or_create_key
from services.audit.settings import AuditSettings
from tlog.note import SignerKey

_COMMAND_TIMEOUT_S = 30


class KeyUnavailableError(Exception):
    """A key cannot be had; the message says what to do."""


async def master_key(settings: AuditSettings) -> bytes:
    """Return the 32 bytes that wrap the keys of payloads.

    Raises:
        KeyUnavailableError: the command fails or prints something else.
        ValueError: the file does not hold 32 bytes.
    """
    if not settings.master_key_command:
        return load_or_create_key(settings.master_key_file)
    process = await asyncio.create_subprocess_exec(
        *shlex.split(settings.master_key_command), stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _COMMAND_TIMEOUT_S)
        key = bytes.fromhex(output.decode("ascii").strip())
    except (TimeoutError, ValueError) as error:
        raise KeyUnavailableError(
            "MASTER_KEY_COMMAND did not print 64 hex digits in time: run it by hand"
        ) from error
    if process.returncode != 0 or len(key) != KEY_BYTES:
        raise KeyUnavailableError(
            f"MASTER_KEY_COMMAND ended with {process.returncode} and {len(key)} bytes; {KEY_BYTES} are needed"
        )
    return key


def log_keys(settings: AuditSettings) -> list[SignerKey]:
    """Return the keys that sign checkpoints; the first is made on the first start."""
    keys = [load_or_create_log_key(settings.log_key_file, settings.origin)]
    if settings.next_log_key_file is not None:
        keys.append(load_or_create_log_key(settings.next_log_key_file, settings.origin))
    return keys


def load_or_create_log_key(path: Path, origin: str) -> SignerKey:
    """Return a signing key; make it, readable by its owner only, when the file is missing."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return SignerKey.parse(path.read_text(encoding="utf-8").strip())
    key = SignerKey.generate(origin)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(key.encode() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key
