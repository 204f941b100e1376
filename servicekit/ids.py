"""UUIDv7 (RFC 9562): sortable by time; random, or derived so that the same thing gets the same ID again."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import datetime

from servicekit.clock import Clock


def _layout(milliseconds: int, tail: bytes) -> str:
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(tail[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def new_id(clock: Clock | None = None) -> str:
    """Return a new UUIDv7."""
    return _layout(_milliseconds((clock or Clock()).now()), secrets.token_bytes(10))


def derived_id(at: datetime, *parts: str) -> str:
    """Return the UUIDv7 of a time and some names: the same input gives the same ID."""
    digest = hashlib.sha256("\x1f".join((at.isoformat(), *parts)).encode()).digest()
    return _layout(_milliseconds(at), digest)
