"""Sealing small things at rest: AES-256-GCM with a random nonce in front (NIST SP 800-38D)."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class UnsealError(ValueError):
    """The sealed bytes were altered, or the key or the associated data is another one."""


def seal(key: bytes, plaintext: bytes, aad: bytes = b"") -> bytes:
    """Return nonce + ciphertext + tag."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, aad)


def open_sealed(key: bytes, sealed: bytes, aad: bytes = b"") -> bytes:
    """Return the plaintext.

    Raises:
        UnsealError: altered bytes, another key or other associated data.
    """
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], aad)
    except (InvalidTag, ValueError) as error:
        raise UnsealError("cannot be opened: altered, or sealed with another key") from error


def write_new(path: Path, data: bytes) -> None:
    """Write a file that its owner only can read, unless there is one already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def load_or_create_key(path: Path) -> bytes:
    """Return the 32 bytes of a key file; make it, readable by its owner only, when it is missing.

    Raises:
        ValueError: the file does not hold 32 bytes.
    """
    write_new(path, secrets.token_bytes(KEY_BYTES))
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"{path.name} must hold {KEY_BYTES} bytes and holds {len(key)}: restore it from your key backup"
        )
    return key
