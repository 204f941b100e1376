"""What keeps a budget: a keyed digest of the plate that was asked for. Pure.

A table of plates by member would be a second log, and a worse one. A digest answers "this plate again?", and nothing else,
to whoever does not hold the key.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEPT = re.compile(r"[^A-Z0-9?*]")


def look_key(signing: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the key of the digests, derived from the installation's signing key (HKDF, RFC 5869)."""
    secret = signing.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"plateward case looks").derive(secret)


def plate_digest(key: bytes, agency_id: str, plate: str) -> bytes:
    """Return the digest of a plate or pattern as an agency asked for it; blanks, dashes and case make no difference."""
    normal = _KEPT.sub("", plate.upper())
    return hmac.digest(key, f"{agency_id}\0{normal}".encode(), hashlib.sha256) if normal else b""
