"""A passkey in software: makes and uses WebAuthn credentials as a device would (WebAuthn Level 2, attestation "none")."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_PRESENT, _VERIFIED, _BACKUP_ELIGIBLE, _BACKED_UP, _ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


def text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def data_of(value: str) -> bytes:
    return urlsafe_b64decode(value + "=" * (-len(value) % 4))


class Authenticator:
    """One device with one passkey. ``verifies`` says whether it asks its user for PIN or finger."""

    def __init__(self, origin: str, *, verifies: bool = True, synced: bool = False) -> None:
        self.origin = origin
        self.verifies = verifies
        self.synced = synced
        self.count = 0
        self.credential_id = secrets.token_bytes(32)
        self._key = ec.generate_private_key(ec.SECP256R1())

    def make(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer navigator.credentials.create."""
        numbers = self._key.public_key().public_numbers()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        attested = (
            bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + cose
        )  # AAGUID, length, ID, key
        data = self._data(options["rp"]["id"], _ATTESTED) + attested
        statement = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", options["challenge"])
        return self._shaped({"clientDataJSON": text(client), "attestationObject": text(statement)})

    def sign(self, options: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Answer navigator.credentials.get."""
        self.count += 1
        data = self._data(changes.get("host", options["rpId"]), 0)
        client = self._client("webauthn.get", options["challenge"])
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._shaped({
            "clientDataJSON": text(client), "authenticatorData": text(data), "signature": text(signature), "userHandle": None,
        })  # fmt: skip

    def _data(self, host: str, more: int) -> bytes:
        flags = _PRESENT | (_VERIFIED if self.verifies else 0) | more
        flags |= _BACKUP_ELIGIBLE | _BACKED_UP if self.synced else 0
        return hashlib.sha256(host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps(
            {
                "type": kind,
                "challenge": challenge,
                "origin": self.origin,
                "crossOrigin": False,
            }
        ).encode()

    def _shaped(self, response: dict[str, Any]) -> dict[str, Any]:
        name = text(self.credential_id)
        return {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }
